#include "audit_routes.hpp"

#include <fmt/format.h>

#include <charconv>

#include "metrics_route_texts.hpp"
#include "metrics_text.hpp"
#include "storage-kit/query.hpp"
#include "storage-kit/timestamps.hpp"

namespace larder::metrics {
namespace {

constexpr std::string_view kCursor = "metrics.audit";

// A record's number in digits, or a time.
void read_since(const Request& request, AuditQuery& query) {
    const auto since = request.query("since");
    if (!since) return;
    const char* const end = since->data() + since->size();
    const auto [after, error] = std::from_chars(since->data(), end, query.since_seq);
    if (error == std::errc() && after == end && query.since_seq >= 0) return;
    query.since_seq = 0;
    query.since_ms = storage::parse_rfc3339(*since);
    if (!query.since_ms) {
        throw storage::invalid_parameter(
            "since", "since is a time as 2026-11-22T15:26:28.123Z, or a record's number");
    }
}

}  // namespace

void AuditRoutes::declare(Routes& routes) {
    routes.blocking({.method = Method::get,
                     .pattern = "/api/audit",
                     .permission = Permission::admin,
                     .summary = "Who changed what, the latest first",
                     .queries = "actor,action,since,limit,cursor",
                     .parameters = kAuditParameters,
                     .answer_schema = kAuditSchema,
                     .problems = kReadProblems},
                    [this](const Request& request) { return list(request); });
    routes.blocking({.method = Method::get,
                     .pattern = "/api/audit/verify",
                     .permission = Permission::admin,
                     .summary = "Judge the chain of audit records",
                     .answer_schema = kVerdictSchema,
                     .problems = kReadProblems},
                    [this](const Request& request) { return verify(request); });
}

Response AuditRoutes::list(const Request& request) {
    AuditQuery query;
    if (const auto actor = request.query("actor")) query.actor = *actor;
    if (const auto action = request.query("action")) query.action = *action;
    read_since(request, query);
    query.limit = storage::limit_of(request);
    query.below = number_of(storage::after_of(request, kCursor));
    const AuditPage page = core_.audit().list(query);
    return json_answer(
        200,
        fmt::format(R"({{"items":[{}],"next":{}}})", joined(page.items),
                    storage::next_json(kCursor, page.next > 0 ? std::to_string(page.next) : "")));
}

Response AuditRoutes::verify(const Request& /*request*/) {
    const auto verdict = core_.audit().verify();
    std::string faults;
    for (const AuditFault& fault : verdict.faults) {
        faults += fmt::format(R"({}{{"kind":"{}","seq":{}}})", faults.empty() ? "" : ",",
                              kind_word(fault.kind), fault.seq);
    }
    return json_answer(200, fmt::format(R"({{"ok":{},"checked":{},"faults":[{}]}})",
                                        verdict.faults.empty(), verdict.checked, faults));
}

}  // namespace larder::metrics
