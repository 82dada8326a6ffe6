#include "error_routes.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "larder/time.hpp"
#include "metrics_route_texts.hpp"
#include "metrics_routes.hpp"
#include "metrics_text.hpp"
#include "storage-kit/json.hpp"
#include "storage-kit/json_members.hpp"
#include "storage-kit/query.hpp"

namespace larder::metrics {
namespace {

namespace json = storage::json;

constexpr std::string_view kCursor = "metrics.errors";
constexpr std::size_t kLongestText = 64U << 10U, kLongestWord = 200;

// A category or severity: a word that filters can name.
std::string word_of(const json::Members& members, std::string_view name) {
    std::string word = members.text(name, kLongestWord).value_or("");
    if (word.find_first_of(std::string_view("\0\n\r", 3)) == std::string::npos) return word;
    throw json::invalid_field(members.pointer_of(name), fmt::format("{} is one line", name));
}

std::string json_of(const json::Members& members, std::string_view name) {
    const auto value = members.value(name);
    if (!value) return {};
    if (value->size() <= kLongestText) return json::compact(*value);
    throw std::move(json::invalid_field(members.pointer_of(name),
                                        fmt::format("{} has at most {} bytes", name, kLongestText))
                        .with("limit", std::to_string(kLongestText)));
}

Error not_found() { return {Errc::not_found, "error-not-found", "there is no such error"}; }

}  // namespace

void ErrorRoutes::declare(Routes& routes) {
    const auto bind = [this](auto method) {
        return [this, method](const Request& request) { return (this->*method)(request); };
    };
    routes.blocking({.method = Method::post,
                     .pattern = "/api/errors",
                     .permission = Permission::write,
                     .summary = "Report an error",
                     .media_types = "application/json",
                     .schema = kNewErrorSchema,
                     .answers = "201 application/json",
                     .answer_schema = kErrorSchema,
                     .answer_headers = "Location: the error",
                     .problems = kWriteProblems},
                    bind(&ErrorRoutes::report));
    routes.blocking({.method = Method::get,
                     .pattern = "/api/errors",
                     .permission = Permission::read,
                     .summary = "Errors, the newest kind first",
                     .queries = "category,severity,resolved,limit,cursor",
                     .parameters = kErrorParameters,
                     .answer_schema = kListSchema,
                     .problems = kReadProblems},
                    bind(&ErrorRoutes::list));
    routes.blocking({.method = Method::get,
                     .pattern = "/api/errors/{error_id}",
                     .permission = Permission::read,
                     .summary = "One error, and the latest times it happened",
                     .answer_schema = kErrorSchema,
                     .problems = kErrorReadProblems},
                    bind(&ErrorRoutes::get));
    routes.blocking({.method = Method::post,
                     .pattern = "/api/errors/{error_id}/resolve",
                     .permission = Permission::write,
                     .summary = "Mark an error as resolved, until it comes back",
                     .media_types = "application/json",
                     .answer_schema = kErrorSchema,
                     .problems = kResolveProblems},
                    bind(&ErrorRoutes::resolve));
}

Response ErrorRoutes::report(const Request& request) {
    const auto members =
        json::Members::of_body(request.body(), {"category", "severity", "stack_trace", "endpoint",
                                                "method", "user_id", "request_data", "context"});
    ErrorEntry entry;
    entry.message = members.required_text("message", kLongestText);
    entry.category = word_of(members, "category");
    entry.severity = word_of(members, "severity");
    entry.stack_trace = members.text("stack_trace", kLongestText).value_or("");
    entry.endpoint = members.text("endpoint", kLongestText).value_or("");
    entry.method = word_of(members, "method");
    entry.user_id = word_of(members, "user_id");
    entry.request_data = json_of(members, "request_data");
    entry.context = json_of(members, "context");
    members.end();
    entry.request_id = request.id();
    entry.ip_address = request.peer_address();
    entry.source = "api";
    entry.time_ms = unix_now_ms();
    std::string error_id;
    core_.on_errors_lane([&] { error_id = core_.errors().record(entry); });
    const auto found = core_.errors().find(error_id, false);
    if (!found) throw not_found();  // removed by now
    Response response = json_answer(201, *found);
    response.headers.emplace_back("Location", "/api/errors/" + error_id);
    return response;
}

Response ErrorRoutes::list(const Request& request) {
    ErrorQuery query;
    if (const auto category = request.query("category")) query.category = *category;
    if (const auto severity = request.query("severity")) query.severity = *severity;
    if (request.query("resolved")) query.resolved = storage::flag_of(request, "resolved");
    query.limit = storage::limit_of(request);
    query.below = number_of(storage::after_of(request, kCursor));
    core_.settle_errors();
    const ErrorPage page = core_.errors().list(query);
    return json_answer(
        200,
        fmt::format(R"({{"items":[{}],"next":{}}})", joined(page.items),
                    storage::next_json(kCursor, page.next > 0 ? std::to_string(page.next) : "")));
}

Response ErrorRoutes::get(const Request& request) {
    core_.settle_errors();
    const auto found = core_.errors().find(printable(request.param("error_id")), true);
    if (!found) throw not_found();
    return json_answer(200, *found);
}

Response ErrorRoutes::resolve(const Request& request) {
    const std::string error_id = printable(request.param("error_id"));
    core_.settle_errors();
    if (!core_.errors().find(error_id, false)) throw not_found();
    record_action(core_.host(), request, "error.resolve", error_id);
    core_.on_errors_lane([&] { core_.errors().resolve(error_id, unix_now_ms()); });
    const auto found = core_.errors().find(error_id, true);
    if (!found) throw not_found();
    return json_answer(200, *found);
}

}  // namespace larder::metrics
