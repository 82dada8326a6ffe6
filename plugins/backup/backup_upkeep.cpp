#include "backup_upkeep.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <system_error>

#include "backup_paths.hpp"
#include "backup_second.hpp"
#include "backup_verify.hpp"
#include "larder/time.hpp"

namespace larder::backup {
namespace {

constexpr std::string_view kFailed = "failed", kOverdue = "overdue";

}  // namespace

Answered make_whole(const Site& site, Operation& operation, const Wanted& wanted) {
    try {
        Record record = make_backup(site, operation, wanted);
        site.host.alerts().resolve(kOverdue);
        if (site.options().verify_after) {
            const auto faults = verify_backup(site, operation, record);
            if (!faults.empty()) throw not_whole(faults);
        }
        record = site.catalog.get(record.backup_id);
        keep_second(site, operation);
        site.host.alerts().resolve(kFailed);
        return {201, record_json(record)};
    } catch (const Error& error) {
        if (error.slug() == "cancelled") throw;
        site.host.alerts().raise(kFailed, Severity::error,
                                 fmt::format("the latest backup failed: {}", error.detail()));
        throw;
    } catch (const std::system_error& error) {
        site.host.alerts().raise(kFailed, Severity::error,
                                 fmt::format("the latest backup failed: {}", error.what()));
        throw;
    }
}

OperationPtr begin_backup(const Site& site, Operations& operations, const Wanted& wanted) {
    const auto choose = [&site](const std::function<bool(const std::string&)>& is_taken) {
        std::string id = site.catalog.free_id(unix_now_ms());
        const std::string base = id.substr(0, backup_id_at(0).size());
        for (int number = 1; is_taken(id); ++number) {
            id = site.catalog.free_id(fmt::format("{}-{}", base, number));
        }
        return id;
    };
    return operations.begin("create", choose, [&site, wanted](Operation& running) {
        return make_whole(site, running, wanted);
    });
}

std::uint64_t carry_out(Catalog& catalog, std::vector<Decision>& decisions) {
    std::uint64_t freed = 0;
    // Newest first, so that what is based on another goes before it.
    for (Decision& decision : decisions) {
        if (decision.keep) continue;
        try {
            catalog.remove(decision.backup_id);
            freed += decision.size;
        } catch (const Error& error) {
            if (error.code() == Errc::not_found) continue;
            if (error.code() != Errc::conflict) throw;
            decision.keep = true;
            decision.reason = error.detail();
        }
    }
    return freed;
}

Upkeep::Upkeep(const Site& site, Operations& operations, const std::string& schedule)
    : site_(site), operations_(operations), since_ms_(unix_now_ms()) {
    const auto add = [&](std::string_view name, std::string_view when, auto method) {
        Job job;
        job.name = name;
        job.when = when;
        job.catch_up = true;
        job.run = [this, method](JobRun& run) { (this->*method)(run); };
        jobs_.push_back(site_.host.scheduler().add(job));
    };
    if (schedule != "off") add("make", schedule, &Upkeep::make);
    if (schedule != "off") add("look", "every 10m", &Upkeep::look);
    add("copy", "every 10m", &Upkeep::copy);
    add("verify", "@weekly", &Upkeep::verify_oldest);
}

void Upkeep::wait(const OperationPtr& operation, JobRun& run) {
    operation->wait([&run] { return !run.cancel().cancelled(); });
    if (run.cancel().cancelled()) operation->cancel();
    if (const auto fault = operation->fault()) throw Error(*fault);
}

void Upkeep::make(JobRun& run) {
    const Options options = site_.options();
    Wanted wanted;
    wanted.encrypt = options.encrypt;
    wanted.note = "scheduled";
    const OperationPtr making = begin_backup(site_, operations_, wanted);
    wait(making, run);
    if (!options.keep.any() || run.cancel().cancelled()) return;
    wait(operations_.begin("cleanup", making->backup_id,
                           [this, keep = options.keep](Operation&) {
                               auto decisions = decide(site_.catalog.all(), keep);
                               carry_out(site_.catalog, decisions);
                               return Answered{200, "{}"};
                           }),
         run);
}

// What a second directory that was away or full has missed.
void Upkeep::copy(JobRun& run) {
    const auto latest = site_.catalog.find("latest");
    if (!latest || !is_second_behind(site_)) return;
    wait(operations_.begin("copy", latest->backup_id,
                           [this](Operation& operation) {
                               keep_second(site_, operation);
                               return Answered{200, "{}"};
                           }),
         run);
}

// One a week: that whose verification is the longest ago.
void Upkeep::verify_oldest(JobRun& run) {
    const auto records = site_.catalog.all();
    const auto oldest = std::min_element(
        records.begin(), records.end(),
        [](const Record& a, const Record& b) { return a.verified_ms < b.verified_ms; });
    if (oldest == records.end()) return;
    wait(operations_.begin(
             "verify", oldest->backup_id,
             [this, id = oldest->backup_id](Operation& operation) {
                 const Record record = site_.catalog.get(id);
                 return Answered{200, faults_json(verify_backup(site_, operation, record))};
             }),
         run);
}

void Upkeep::look(JobRun& /*run*/) {
    const Options options = site_.options();
    const auto newest = site_.catalog.find("latest");
    const std::int64_t latest = newest ? newest->created_ms : since_ms_;
    if (options.overdue.count() == 0 || unix_now_ms() - latest < options.overdue.count()) {
        return site_.host.alerts().resolve(kOverdue);
    }
    site_.host.alerts().raise(
        kOverdue, Severity::warning,
        fmt::format("the newest backup is of {}; see the job backup.make",
                    newest ? rfc3339(newest->created_ms) : std::string("never")));
}

}  // namespace larder::backup
