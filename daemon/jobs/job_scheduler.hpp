// All jobs of the daemon and its plugins: when each is due, that none runs twice at once, and what
// became of their runs. Not where they run: that is the workers', by a function the owner gives.
//
//   due → posted → running → succeeded | failed | cancelled → due …
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "jobs/job_book.hpp"
#include "jobs/time_zone.hpp"
#include "larder/alerts.hpp"
#include "larder/error.hpp"
#include "larder/host.hpp"
#include "larder/scheduler.hpp"
#include "observe/exposition.hpp"
#include "storage-kit/file_system.hpp"

namespace larder::jobs {

// Who has a job done, and by whom. `post` is Workers::post() or the like: it must not run the task
// itself, and false means later.
struct JobOwner {
    std::string name;  // "kv"
    Log* log;          // outlives the scheduler
    std::function<bool(Task)> post;
};

struct JobStatus {
    std::string name, owner, schedule;
    bool catch_up, running;
    std::int64_t jitter_ms, next_ms;  // next_ms 0: not while it runs or its plugin drains
    std::uint64_t failures;           // in a row
    std::uint64_t succeeded, failed, cancelled;  // since it was added
    std::vector<Run> history;                    // the latest first, at most kHistory
};

inline constexpr std::size_t kHistory = 50;
inline constexpr std::uint64_t kFailuresForAlert = 3;

struct SchedulerOptions {
    storage::FileSystem* files;
    std::string book;  // path of jobs.json
    const TimeZone* zone;
    std::function<std::int64_t()> clock_ms;  // Unix milliseconds
    std::function<double()> random;  // from 0 to below 1, for jitter; [one thread at a time]
    Log* log;
    Alerts* alerts;
    // Of a run that failed; by the name of its owner. [worker]
    std::function<void(const std::string& owner, const ErrorReport&)> report;
};

Error no_such_job();  // Error{not_found, "job-not-found"}

class JobScheduler {
public:
    // Nothing runs before start(). What options point to outlives this. A book that cannot be read
    // is reported, left alone, and nothing is kept.
    explicit JobScheduler(SchedulerOptions options);
    ~JobScheduler();
    JobScheduler(const JobScheduler&) = delete;
    JobScheduler& operator=(const JobScheduler&) = delete;

    void start();  // [control]
    void stop();   // no run begins any more; writes the book [control]

    // Throws as Scheduler::add() does. The ticket may outlive this. [any]
    std::unique_ptr<Ticket> add(const JobOwner& owner, const Job& job);
    // No run of this owner's begins any more, and those under way are cancelled. [any]
    void cancel(std::string_view owner);
    // Drops all of this owner's jobs as their tickets would, but waits for no run: the owner sees
    // to it that there is none. [any]
    void withdraw(std::string_view owner);

    std::vector<JobStatus> status() const;                         // by name [any]
    std::optional<JobStatus> status(std::string_view name) const;  // [any]
    // Runs it now, as soon as a worker is free. Throws Error{not_found, "job-not-found"},
    // Error{conflict, "job-running"}, Error{unavailable, "overloaded"}. [any]
    void run_now(std::string_view name);
    void collect(observe::Exposition& page) const;  // [any]

    // For a restore, which puts another book in place: it is not written between hold(true) and
    // hold(false). take_over() is called while held; jobs that run stay as they are. Throws as
    // read_job_book() does; then all stays as it was. [worker]
    void hold(bool on);
    void take_over();

    void look_again();  // the clock was changed; for tests, whose clock is their own [any]

private:
    class Core;
    const std::shared_ptr<Core> core_;
    std::thread thread_;
};

// The Scheduler that one plugin sees.
class OwnedScheduler final : public Scheduler {
public:
    OwnedScheduler(JobScheduler& jobs, JobOwner owner) : jobs_(jobs), owner_(std::move(owner)) {}
    std::unique_ptr<Ticket> add(const Job& job) override { return jobs_.add(owner_, job); }

private:
    JobScheduler& jobs_;
    const JobOwner owner_;
};

}  // namespace larder::jobs
