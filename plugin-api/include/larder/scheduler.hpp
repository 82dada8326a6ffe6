// Work that a plugin wants done at certain times. Not a queue: what is to be done now is posted to
// the workers.
//
// - `every 60s`: from now on, and in step with that over restarts; 1s to 366d, units s m h d
// - `daily 02:00`: once a day
// - `0 2 * * 1-5`: five-field cron (minute, hour, day of month, month, day of week)
// - `@hourly`, `@daily`, `@weekly`, `@monthly`, `@yearly`
//
// Cron fields take `*`, `n`, `a-b`, `a-b/n`, `*/n`, lists of these, and names (jan, mon); 0 and 7
// are Sunday. Where day-of-month and day-of-week are both restricted, either of them will do.
//
// Times are of the zone that daemon.time_zone names. Where clocks go forward, what is due in the
// hour that is left out runs at its end; where they go back, what is due in the hour that comes
// twice runs the first time. A schedule that leaves the hour free (`*/10 * * * *`) goes by elapsed
// time instead: it runs in both hours, and makes up for none.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string_view>

#include "larder/http.hpp"
#include "larder/ticket.hpp"

namespace larder {

// What a job sees of the run it is in. Lives until the job returns.
class JobRun {
public:
    // Set when the plugin drains or the ticket is dropped: return soon, with things in order. [any]
    virtual Cancel& cancel() noexcept = 0;
    // When it was due, Unix milliseconds; of a run by hand, when it was asked for. [any]
    virtual std::int64_t due_ms() const noexcept = 0;
    // How many earlier times this run makes up for: those that passed while the daemon was down.
    // [any]
    virtual std::uint64_t missed() const noexcept = 0;

protected:
    ~JobRun() = default;
};

struct Job {
    std::string_view name;  // [a-z0-9_.-]{1,64}; shown and kept as "<plugin>.<name>"
    std::string_view when;  // as above
    // A time that passed while the daemon was down, or this plugin was off, is made up for: by one
    // run, however many they were.
    bool catch_up = false;
    // Each run comes later by a random part of this, so that many daemons do not all begin at once.
    std::chrono::milliseconds jitter{0};
    // Runs on a worker, after start() has returned. What it throws makes the run a failed one: it
    // is logged, counted, and after three in a row an alert; the next run waits 1 min, then 2, 4 …
    // up to an hour, until one succeeds. [worker]
    std::function<void(JobRun&)> run;
};

class Scheduler {
public:
    // A job never runs twice at once; times that pass while it runs are not made up for. Throws
    // Error{unprocessable, "invalid-schedule"} for a `when` that is malformed or never comes,
    // Error{internal} for a malformed name, Error{conflict, "job-conflict"} for one that is taken.
    // During start() and while the plugin serves. [any]
    [[nodiscard]] virtual std::unique_ptr<Ticket> add(const Job& job) = 0;

protected:
    ~Scheduler() = default;
};

}  // namespace larder
