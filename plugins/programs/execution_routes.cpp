//   asking for a run
//   looking at runs
//   schedules
#include "execution_routes.hpp"

#include <fmt/format.h>

#include <charconv>
#include <memory>
#include <utility>

#include "execution_request.hpp"
#include "programs_route_texts.hpp"
#include "storage-kit/answers.hpp"
#include "storage-kit/atomic_file.hpp"
#include "storage-kit/digest.hpp"
#include "storage-kit/file_system.hpp"
#include "storage-kit/json.hpp"
#include "storage-kit/query.hpp"

namespace larder::programs {
namespace {

using storage::json_answer;

constexpr std::string_view kListKind = "programs.executions";
constexpr std::size_t kMostKey = 255;
// Text may be six times as long in JSON.
constexpr std::uint64_t kMostExecuteBody = 8U << 20U;

Error execution_not_found() {
    return {Errc::not_found, "execution-not-found", "there is no such execution"};
}

Error no_schedule() { return {Errc::not_found, "no-schedule", "the program has no schedule"}; }

std::int64_t id_of(const Request& request) {
    const std::string_view text = request.param("eid");
    std::int64_t id = 0;
    const auto [end, fault] = std::from_chars(text.data(), text.data() + text.size(), id);
    if (fault != std::errc() || end != text.data() + text.size() || id <= 0) {
        throw execution_not_found();
    }
    return id;
}

// RFC 7240: preferences with commas between them, each perhaps with parameters.
bool prefers_async(const Request& request) {
    std::string_view rest = request.header("Prefer").value_or("");
    while (!rest.empty()) {
        std::string_view one = rest.substr(0, rest.find(','));
        rest.remove_prefix(std::min(rest.size(), one.size() + 1));
        one = one.substr(0, one.find(';'));
        while (one.starts_with(' ') || one.starts_with('\t')) one.remove_prefix(1);
        while (one.ends_with(' ') || one.ends_with('\t')) one.remove_suffix(1);
        std::string word(one);
        for (char& c : word) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c | 0x20 : c);
        if (word == "respond-async") return true;
    }
    return false;
}

std::string url_of(std::int64_t id) { return fmt::format("/api/executions/{}", id); }

Response accepted(const Execution& execution) {
    Response response = json_answer(202, execution_json(execution, false));
    response.headers.emplace_back("Location", url_of(execution.id));
    response.headers.emplace_back("Preference-Applied", "respond-async");
    return response;
}

}  // namespace

void ExecutionRoutes::declare(Routes& routes) {
    routes.prompt(
        {.method = Method::post,
         .pattern = "/api/programs/{id}/execute",
         .permission = Permission::execute,
         .summary = "Run a program, and answer when it has ended; or, if preferred, at once",
         .media_types = "application/json",
         .schema = kExecuteSchema,
         .max_body = kMostExecuteBody,
         .parameters = kExecuteParameters,
         .answers = "200 application/json; 202 application/json",
         .answer_schema = kExecutionSchema,
         .answer_headers = "Location: the execution that was begun;"
                           "Preference-Applied: respond-async",
         .problems = kExecuteProblems},
        [this](const Request& request, Reply reply) { execute(request, std::move(reply)); });
    declare_reads(routes);
    declare_schedules(routes);
}

void ExecutionRoutes::declare_reads(Routes& routes) {
    routes.blocking({.method = Method::get,
                     .pattern = "/api/programs/{id}/executions",
                     .permission = Permission::read,
                     .summary = "The runs of a program, the latest first",
                     .queries = "limit,cursor",
                     .parameters = kIdParameter,
                     .answer_schema = kExecutionsSchema,
                     .problems = kProgramProblems},
                    [this](const Request& request) { return list(request); });
    routes.blocking({.method = Method::get,
                     .pattern = "/api/executions/{eid}",
                     .permission = Permission::read,
                     .summary = "One run, with what was kept of its output",
                     .parameters = kExecutionParameter,
                     .answer_schema = kExecutionSchema,
                     .problems = kExecutionProblems},
                    [this](const Request& request) { return one(request); });
    routes.prompt(
        {.method = Method::get,
         .pattern = "/api/executions/{eid}/stream",
         .permission = Permission::read,
         .summary = "What a run prints, as it comes, and its end",
         .parameters = kExecutionParameter,
         .answers = "200 text/event-stream",
         .problems = kExecutionProblems},
        [this](const Request& request, Reply reply) { stream(request, std::move(reply)); });
    routes.blocking({.method = Method::del,
                     .pattern = "/api/executions/{eid}",
                     .permission = Permission::execute,
                     .summary = "Stop a run and everything it started; its record stays",
                     .parameters = kExecutionParameter,
                     .answers = "202 application/json",
                     .answer_schema = kExecutionSchema,
                     .answer_headers = "Location: the execution",
                     .problems = kCancelProblems},
                    [this](const Request& request) { return cancel(request); });
    routes.blocking({.method = Method::get,
                     .pattern = "/api/programs/{id}/stats",
                     .permission = Permission::read,
                     .summary = "How often a program ran, how it ended, how long it took",
                     .parameters = kIdParameter,
                     .answer_schema = kStatsSchema,
                     .problems = kProgramProblems},
                    [this](const Request& request) { return stats(request); });
    routes.blocking({.method = Method::get,
                     .pattern = "/api/programs/{id}/log",
                     .permission = Permission::read,
                     .summary = "The execution log of a program, a line a run",
                     .parameters = kIdParameter,
                     .answers = "200 text/plain",
                     .problems = kProgramProblems},
                    [this](const Request& request) { return log(request); });
}

// ---- asking for a run

void ExecutionRoutes::execute(const Request& request, Reply reply) {
    const Record program = store_.find(request.param("id"));
    ExecutionRequest wanted = execution_request_of(program, request.body(), host().settings());
    sandbox_.demand(wanted.language);
    wanted.principal = request.principal();
    wanted.request_id = request.id();
    if (const auto key = request.header("Idempotency-Key")) {
        if (key->empty() || key->size() > kMostKey) {
            throw storage::invalid_parameter("Idempotency-Key",
                                             fmt::format("it has 1 to {} bytes", kMostKey));
        }
        wanted.idempotency_key = *key;
        storage::Sha256 sha;
        sha.update(request.body());
        wanted.body_hash = sha.finish_hex();
    }
    const bool is_async = prefers_async(request);
    // A function that is copied cannot hold a Reply.
    const auto waiting = std::make_shared<Reply>(std::move(reply));
    try {
        runner_.submit(std::move(wanted), [this, waiting, is_async](
                                              const std::optional<Error>& refused,
                                              const RunPtr& run, std::int64_t id) {
            if (refused) return std::move(*waiting).fail(*refused);
            if (run && is_async) return std::move(*waiting).send(accepted(run->now()));
            if (run) return run->await(std::move(*waiting));
            try {  // an earlier request with this key: over by now
                storage::on_worker(host(), waiting, [this, waiting, is_async, id] {
                    const auto found = records_.find(id, true);
                    if (!found) throw execution_not_found();
                    std::move(*waiting).send(is_async
                                                 ? accepted(*found)
                                                 : json_answer(200, execution_json(*found, true)));
                });
            } catch (const Error& error) {
                std::move(*waiting).fail(error);
            }
        });
    } catch (const Error& error) {
        std::move(*waiting).fail(error);
    }
}

// ---- looking at runs

Response ExecutionRoutes::list(const Request& request) {
    const std::string id(request.param("id"));
    store_.find(id);
    const std::size_t limit = storage::limit_of(request);
    const std::string after = storage::after_of(request, kListKind);
    std::int64_t before = 0;
    std::from_chars(after.data(), after.data() + after.size(), before);
    const auto found = records_.list(id, before, limit + 1);
    std::string body = R"({"items":[)";
    for (std::size_t i = 0; i < std::min(limit, found.size()); ++i) {
        if (i > 0) body += ',';
        const RunPtr run = runner_.find(found[i].id);
        body += execution_json(run ? run->now() : found[i], false);
    }
    const std::string next =
        found.size() > limit ? std::to_string(found[limit - 1].id) : std::string();
    return json_answer(200,
                       body + fmt::format(R"(],"next":{}}})", storage::next_json(kListKind, next)));
}

Response ExecutionRoutes::one(const Request& request) {
    const std::int64_t id = id_of(request);
    if (const RunPtr run = runner_.find(id)) {
        return json_answer(200, execution_json(run->now(), true));
    }
    const auto found = records_.find(id, true);
    if (!found) throw execution_not_found();
    return json_answer(200, execution_json(*found, true));
}

void ExecutionRoutes::stream(const Request& request, Reply reply) {
    const std::int64_t id = id_of(request);
    if (const RunPtr run = runner_.find(id)) return run->watch(std::move(reply));
    const auto waiting = std::make_shared<Reply>(std::move(reply));
    try {
        storage::on_worker(host(), waiting, [this, waiting, id] {
            const auto found = records_.find(id, true);
            if (!found) throw execution_not_found();
            const auto opened = std::move(*waiting).stream({});
            opened->send(std::make_shared<const std::string>(replay(*found)));
            opened->close();
        });
    } catch (const Error& error) {
        std::move(*waiting).fail(error);
    }
}

Response ExecutionRoutes::cancel(const Request& request) {
    const std::int64_t id = id_of(request);
    const RunPtr run = runner_.find(id);
    if (!run || !runner_.cancel(id)) {
        if (!records_.find(id, false)) throw execution_not_found();
        throw Error(Errc::conflict, "execution-ended", "the run has ended already");
    }
    Response response = json_answer(202, execution_json(run->now(), false));
    response.headers.emplace_back("Location", url_of(id));
    return response;
}

Response ExecutionRoutes::stats(const Request& request) {
    const Record program = store_.find(request.param("id"));
    const ExecutionStats stats = records_.stats(program.id);
    return json_answer(
        200, fmt::format(R"({{"program_id":"{}","total_runs":{},"success_count":{},)"
                         R"("error_count":{},"avg_time":{:.6f},"max_time":{:.6f},"p50":{:.6f},)"
                         R"("p95":{:.6f},"running":{}}})",
                         program.id, stats.runs, stats.successes, stats.runs - stats.successes,
                         stats.average, stats.maximum, stats.p50, stats.p95,
                         runner_.active(program.id)));
}

Response ExecutionRoutes::log(const Request& request) const {
    const Record program = store_.find(request.param("id"));
    const std::string path = runner_.log_path(program.id);
    auto& files = storage::FileSystem::real();
    std::string text;
    for (const std::string& part : {path + ".1", path}) {
        if (files.exists(part)) text += storage::read_file(files, part);
    }
    Response response;
    response.headers.emplace_back("Content-Type", "text/plain; charset=utf-8");
    response.body = std::move(text);
    return response;
}

// ---- schedules

void ExecutionRoutes::declare_schedules(Routes& routes) {
    routes.prompt({.method = Method::get,
                   .pattern = "/api/programs/{id}/schedule",
                   .permission = Permission::read,
                   .summary = "When a program runs by itself",
                   .parameters = kIdParameter,
                   .answer_schema = kScheduleSchema,
                   .problems = kScheduleProblems},
                  [this](const Request& request, Reply reply) {
                      const Record program = store_.find(request.param("id"));
                      if (program.schedule.empty()) throw no_schedule();
                      std::move(reply).send(json_answer(200, program.schedule));
                  });
    routes.blocking({.method = Method::put,
                     .pattern = "/api/programs/{id}/schedule",
                     .permission = Permission::execute,
                     .summary = "Have a program run by itself: by cron, or every so many seconds",
                     .media_types = "application/json",
                     .schema = kScheduleSchema,
                     .parameters = kIdParameter,
                     .answer_schema = kScheduleSchema,
                     .problems = kPutScheduleProblems},
                    [this](const Request& request) { return put_schedule(request); });
    routes.blocking({.method = Method::del,
                     .pattern = "/api/programs/{id}/schedule",
                     .permission = Permission::execute,
                     .summary = "Have a program run no more by itself",
                     .parameters = kIdParameter,
                     .answers = "204",
                     .problems = kScheduleProblems},
                    [this](const Request& request) {
                        const std::string id(request.param("id"));
                        if (store_.find(id).schedule.empty()) throw no_schedule();
                        store_.edit(id, [](Record& record) { record.schedule.clear(); });
                        schedules_.drop(id);
                        Response response;
                        response.status = 204;
                        return response;
                    });
}

Response ExecutionRoutes::put_schedule(const Request& request) {
    store_.find(request.param("id"));
    const Schedule schedule = Schedule::of_body(request.body());
    return json_answer(200, schedules_.put(request.param("id"), schedule));
}

}  // namespace larder::programs
