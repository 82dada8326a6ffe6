// Programs that run at certain times: each schedule is a job of the daemon's scheduler, kept in its
// program's record. Not the times themselves: those are the scheduler's.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "larder/host.hpp"
#include "programs_store.hpp"
#include "runner.hpp"

namespace larder::programs {

struct Schedule {
    std::string cron;
    std::int64_t every = 0;  // seconds; 0: cron
    std::vector<std::string> arguments;
    std::string catch_up = "none", on_busy = "skip";

    // Throws Error{unprocessable, "invalid-field"}, Error{bad_request, "invalid-json"}.
    static Schedule of_body(std::string_view body);
    std::string json() const;
};

class Schedules {
public:
    // Takes up those that are in the records. [control]
    Schedules(ProgramStore& store, Runner& runner);
    ~Schedules();
    Schedules(const Schedules&) = delete;
    Schedules& operator=(const Schedules&) = delete;

    // Throws Error{unprocessable, "invalid-schedule"} of the scheduler, and of the store. [worker]
    std::string put(std::string_view id, const Schedule& schedule);
    void drop(std::string_view id);  // the job alone; the record is the caller's [worker]
    void stop() noexcept;            // no job begins any more [control]

private:
    void add(const std::string& id, const Schedule& schedule);
    void run(const std::string& id, const Schedule& schedule, JobRun& job);

    ProgramStore& store_;
    Runner& runner_;
    std::mutex mutex_;
    std::map<std::string, std::unique_ptr<Ticket>, std::less<>> jobs_;  // guarded by mutex_
};

}  // namespace larder::programs
