#include "admin/service_routes.hpp"

#include <fmt/format.h>

#include <optional>

#include "admin/answer_schemas.hpp"
#include "admin/answers.hpp"
#include "admin/asker.hpp"
#include "larder/error.hpp"

namespace larder::admin {
namespace {

using jobs::JobStatus;
using observe::Alert;

constexpr const char* kAlertState[] = {"raised", "resolved"};

Object describe_run(const jobs::Run& run) {
    Object row = object();
    row.set("due", rfc3339(run.due_ms));
    row.set("started_at", rfc3339(run.started_ms));
    row.set("duration", static_cast<double>(run.duration_ms) / 1000);
    row.set("outcome", run.outcome);
    row.set("trigger", run.trigger);
    row.set("error", run.error.empty() ? Poco::Dynamic::Var() : Poco::Dynamic::Var(run.error));
    return row;
}

Object describe_job(const JobStatus& job, const jobs::TimeZone& zone) {
    const jobs::Run* const last = job.history.empty() ? nullptr : &job.history.front();
    const Poco::Dynamic::Var none;
    Object row = object();
    row.set("name", job.name);
    row.set("plugin", job.owner);
    row.set("schedule", job.schedule);
    row.set("time_zone", std::string(zone.name()));
    row.set("catch_up", job.catch_up);
    row.set("jitter", static_cast<double>(job.jitter_ms) / 1000);
    row.set("running", job.running);
    row.set("last_run", time_or_null(last != nullptr ? last->started_ms : 0));
    row.set("outcome", last != nullptr ? Poco::Dynamic::Var(last->outcome) : none);
    row.set("duration", last != nullptr
                            ? Poco::Dynamic::Var(static_cast<double>(last->duration_ms) / 1000)
                            : none);
    row.set("error",
            last != nullptr && !last->error.empty() ? Poco::Dynamic::Var(last->error) : none);
    row.set("failures", job.failures);
    row.set("next_run", time_or_null(job.next_ms));
    return row;
}

Object describe_alert(const Alert& alert) {
    Object row = object();
    row.set("id", alert.id);
    row.set("key", alert.key);
    row.set("severity", std::string(severity_word(alert.severity)));
    row.set("source", alert.source);
    row.set("text", alert.text);
    row.set("state", kAlertState[alert.resolved_ms == 0 ? 0 : 1]);
    row.set("raised_at", rfc3339(alert.raised_ms));
    row.set("latest_at", rfc3339(alert.latest_ms));
    row.set("resolved_at", time_or_null(alert.resolved_ms));
    row.set("count", alert.count);
    return row;
}

// The latest first, so that places grow as ids shrink.
std::string place_of(const Alert& alert) { return fmt::format("{:020}", ~alert.id); }

}  // namespace

void ServiceRoutes::declare(Routes& routes) {
    const auto bind = [this](auto method) {
        return [this, method](const Request& request) { return (this->*method)(request); };
    };
    routes.blocking({.method = Method::get,
                     .pattern = "/api/scheduler/jobs",
                     .permission = Permission::read,
                     .summary = "Jobs, their last and next runs",
                     .queries = "limit,cursor",
                     .answer_schema = kJobListSchema},
                    bind(&ServiceRoutes::jobs));
    routes.blocking({.method = Method::get,
                     .pattern = "/api/scheduler/jobs/{name}",
                     .permission = Permission::read,
                     .summary = "One job and its latest runs",
                     .answer_schema = kJobSchema,
                     .problems = kJobProblems},
                    bind(&ServiceRoutes::job));
    routes.blocking({.method = Method::post,
                     .pattern = "/api/scheduler/jobs/{name}/run",
                     .permission = Permission::admin,
                     .summary = "Run a job now",
                     .media_types = "application/json",
                     .answers = "202 application/json",
                     .answer_schema = kJobAcceptedSchema,
                     .problems = kJobRunProblems},
                    bind(&ServiceRoutes::run_job));
    routes.blocking({.method = Method::get,
                     .pattern = "/api/alerts",
                     .permission = Permission::read,
                     .summary = "Alerts, the latest first",
                     .queries = "state,limit,cursor",
                     .parameters = "state: raised or resolved, absent means both",
                     .answer_schema = kAlertListSchema},
                    bind(&ServiceRoutes::alerts));
}

Response ServiceRoutes::jobs(const Request& request) const {
    return page(
        request, "jobs", facilities_.jobs.status(),
        [](const JobStatus& job) -> const std::string& { return job.name; },
        [&](const JobStatus& job) { return describe_job(job, facilities_.zone()); });
}

Response ServiceRoutes::job(const Request& request) const {
    const auto found = facilities_.jobs.status(request.param("name"));
    if (!found) throw jobs::no_such_job();
    Object body = describe_job(*found, facilities_.zone());
    Array history;
    for (const jobs::Run& run : found->history) history.add(describe_run(run));
    body.set("history", history);
    return json(body);
}

Response ServiceRoutes::run_job(const Request& request) {
    const std::string name(request.param("name"));
    if (!facilities_.jobs.status(name)) throw jobs::no_such_job();
    Asker(request).record(facilities_.own_reports, "job.run", name);
    facilities_.jobs.run_now(name);
    Object body = object();
    body.set("name", name);
    body.set("accepted", true);
    return json(body, 202);
}

Response ServiceRoutes::alerts(const Request& request) const {
    const auto state = request.query("state");
    if (state && *state != kAlertState[0] && *state != kAlertState[1]) {
        throw storage::invalid_parameter("state", "state is raised or resolved");
    }
    auto alerts = facilities_.alerts.all();
    std::erase_if(alerts, [&](const Alert& alert) {
        return state && *state != kAlertState[alert.resolved_ms == 0 ? 0 : 1];
    });
    return page(request, "alerts", alerts, place_of, describe_alert);
}

}  // namespace larder::admin
