#include "schedules.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "execution_request.hpp"
#include "storage-kit/json.hpp"
#include "storage-kit/json_members.hpp"

namespace larder::programs {
namespace {

using storage::json::invalid_field;
using storage::json::quoted;

constexpr std::size_t kMostCron = 200;
constexpr std::int64_t kMostEvery = 31'622'400;  // seconds, 366 days
constexpr std::uint64_t kMostCaughtUp = 100;     // runs that make up for times that passed

std::string job_name(std::string_view id) { return fmt::format("run.{}", id); }

std::string choice(const storage::json::Members& members, std::string_view name,
                   std::initializer_list<std::string_view> words) {
    std::string word = members.text(name, 10).value_or(std::string(*words.begin()));
    if (std::find(words.begin(), words.end(), word) != words.end()) return word;
    throw invalid_field(fmt::format("/{}", name),
                        fmt::format("{} is one of: {}", name, fmt::join(words, ", ")));
}

}  // namespace

Schedule Schedule::of_body(std::string_view body) {
    const auto members = storage::json::Members::of_body(body);
    Schedule schedule;
    schedule.cron = members.text("cron", kMostCron).value_or("");
    const auto every = members.number("every");
    if (every) {
        if (*every < 1 || *every > kMostEvery || *every != std::floor(*every)) {
            throw invalid_field("/every", "every is whole seconds, from 1 to those of 366 days");
        }
        schedule.every = static_cast<std::int64_t>(*every);
    }
    if (every.has_value() != schedule.cron.empty()) {
        throw invalid_field("/cron", "either cron or every is wanted");
    }
    schedule.arguments = arguments_in(members);
    schedule.catch_up = choice(members, "catch_up", {"none", "one", "all"});
    schedule.on_busy = choice(members, "on_busy", {"skip", "queue"});
    members.end();
    return schedule;
}

std::string Schedule::json() const {
    const std::string when =
        every > 0 ? fmt::format(R"("every":{})", every) : fmt::format(R"("cron":{})", quoted(cron));
    return fmt::format(R"({{{},"args":{},"catch_up":"{}","on_busy":"{}"}})", when,
                       arguments_json(arguments), catch_up, on_busy);
}

Schedules::Schedules(ProgramStore& store, Runner& runner) : store_(store), runner_(runner) {
    std::string after;
    for (;;) {
        const auto records = store.list(after, 1000);
        if (records.empty()) return;
        for (const Record& record : records) {
            if (record.schedule.empty()) continue;
            try {
                add(record.id, Schedule::of_body(record.schedule));
            } catch (const Error& error) {
                store.host().log().write(
                    Level::error,
                    fmt::format("the schedule of {} is not in force: {}", record.id, error.what()));
            }
        }
        after = records.back().id;
    }
}

Schedules::~Schedules() { stop(); }

void Schedules::stop() noexcept {
    std::map<std::string, std::unique_ptr<Ticket>, std::less<>> jobs;
    {
        const std::scoped_lock lock(mutex_);
        jobs.swap(jobs_);
    }
}

void Schedules::add(const std::string& id, const Schedule& schedule) {
    const std::string name = job_name(id);
    const std::string when =
        schedule.every > 0 ? fmt::format("every {}s", schedule.every) : schedule.cron;
    Job job;
    job.name = name;
    job.when = when;
    job.catch_up = schedule.catch_up != "none";
    job.run = [this, id, schedule](JobRun& run_of_job) { run(id, schedule, run_of_job); };
    auto ticket = store_.host().scheduler().add(job);
    const std::scoped_lock lock(mutex_);
    jobs_[id] = std::move(ticket);
}

std::string Schedules::put(std::string_view id, const Schedule& schedule) {
    const Record before = store_.find(id);
    plain_request(before, store_.host().settings());  // it can be run
    drop(id);
    try {
        add(before.id, schedule);
        std::string json = schedule.json();
        store_.edit(id, [&](Record& record) { record.schedule = json; });
        return json;
    } catch (const Error&) {
        drop(id);
        if (!before.schedule.empty()) add(before.id, Schedule::of_body(before.schedule));
        throw;
    }
}

void Schedules::drop(std::string_view id) {
    std::unique_ptr<Ticket> ticket;  // let go of last, outside the lock: that waits for its job
    const std::scoped_lock lock(mutex_);
    const auto found = jobs_.find(id);
    if (found == jobs_.end()) return;
    ticket = std::move(found->second);
    jobs_.erase(found);
}

// Asks for the run and does not wait for it: what came of it is in its record.
void Schedules::run(const std::string& id, const Schedule& schedule, JobRun& job) {
    const Record program = store_.find(id);
    if (schedule.on_busy == "skip" && runner_.active(id) > 0) {
        store_.host().log().write(Level::info,
                                  fmt::format("{} still runs: this time is passed over", id));
        return;
    }
    const std::uint64_t missed = schedule.catch_up == "all" ? job.missed() : 0;
    for (std::uint64_t i = 0; i <= std::min(missed, kMostCaughtUp); ++i) {
        ExecutionRequest request = plain_request(program, store_.host().settings());
        request.arguments = schedule.arguments;
        request.trigger = "schedule";
        Log& log = store_.host().log();
        runner_.submit(std::move(request), [&log, id](const std::optional<Error>& refused,
                                                      const RunPtr&, std::int64_t) {
            if (!refused) return;
            log.write(Level::error, fmt::format("the scheduled run of {} did not begin: {}", id,
                                                refused->what()));
        });
    }
}

}  // namespace larder::programs
