// What is done about backups by themselves: made and thinned out on a schedule, copied to the
// second directory, older ones verified again, an alert when none came. Not at requests: those are
// the routes'.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "backup_maker.hpp"
#include "backup_operations.hpp"
#include "backup_retention.hpp"
#include "backup_site.hpp"
#include "larder/scheduler.hpp"

namespace larder::backup {

// A backup with all that belongs to it: verified, copied to the second directory, alerts.
// [the operations' thread]
Answered make_whole(const Site& site, Operation& operation, const Wanted& wanted);

// make_whole() under an id of its own. [any]
OperationPtr begin_backup(const Site& site, Operations& operations, const Wanted& wanted);

// Removes what is to go; returns the bytes. Those that cannot go stay, and say so. [worker]
std::uint64_t carry_out(Catalog& catalog, std::vector<Decision>& decisions);

class Upkeep {
public:
    // Throws Error{unprocessable} for a schedule that is none. [control]
    Upkeep(const Site& site, Operations& operations, const std::string& schedule);

private:
    void make(JobRun& run);
    void copy(JobRun& run);
    void verify_oldest(JobRun& run);
    void look(JobRun& run);
    static void wait(const OperationPtr& operation, JobRun& run);

    const Site& site_;
    Operations& operations_;
    const std::int64_t since_ms_;
    std::vector<std::unique_ptr<Ticket>> jobs_;
};

}  // namespace larder::backup
