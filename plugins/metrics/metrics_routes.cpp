// Contents: declarations · requests · records and the machine · the dashboard · upkeep
#include "metrics_routes.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>

#include "larder/time.hpp"
#include "larder/usage.hpp"
#include "metrics_route_texts.hpp"
#include "metrics_text.hpp"
#include "storage-kit/json.hpp"
#include "storage-kit/json_members.hpp"
#include "storage-kit/query.hpp"

namespace larder::metrics {
namespace {

namespace json = storage::json;
using storage::invalid_parameter;

constexpr std::string_view kEndpointCursor = "metrics.endpoints", kNameCursor = "metrics.names";
constexpr std::int64_t kHour = 3'600'000;

std::optional<std::string> text_of(const Request& request, std::string_view name) {
    const auto value = request.query(name);
    return value ? std::optional<std::string>(*value) : std::nullopt;
}

HttpQuery http_query(const Request& request, double hours) {
    const std::int64_t now = unix_now_ms();
    HttpQuery query;
    query.endpoint = text_of(request, "endpoint");
    query.method = text_of(request, "method");
    query.from = (now - static_cast<std::int64_t>(hours * static_cast<double>(kHour))) / 1000;
    query.to = now / 1000 + 2;
    return query;
}

std::string point_time(std::int64_t start) {
    return fmt::format(R"({{"time":"{}")", rfc3339(start * 1000));
}

// The tags that are asked for: the parameters "tag.<name>", whose names no route can list.
std::vector<std::pair<std::string, std::string>> tags_of(const Request& request) {
    std::vector<std::pair<std::string, std::string>> tags;
    const std::string_view target = request.target();
    std::string_view rest = target.substr(std::min(target.find('?') + 1, target.size()));
    if (target.find('?') == std::string_view::npos) return tags;
    while (!rest.empty()) {
        const std::size_t end = std::min(rest.find('&'), rest.size());
        const std::string_view pair = rest.substr(0, end);
        rest.remove_prefix(std::min(end + 1, rest.size()));
        const std::string name = query_text(pair.substr(0, pair.find('=')));
        if (!name.starts_with("tag.")) continue;
        for (const std::string_view value : request.queries(name)) {
            const std::pair<std::string, std::string> tag(name.substr(4), value);
            if (std::find(tags.begin(), tags.end(), tag) == tags.end()) tags.push_back(tag);
        }
    }
    return tags;
}

}  // namespace

void record_action(Host& host, const Request& request, std::string_view action,
                   std::string_view target) {
    AuditRecord record;
    record.actor = request.principal();
    record.action = action;
    record.target = target;
    record.outcome = "ok";
    record.ip_address = request.peer_address();
    record.request_id = request.id();
    host.audit().record(record);
}

// ---- declarations

void MetricsRoutes::declare(Routes& routes) {
    const auto bind = [this](auto method) {
        return [this, method](const Request& request) { return (this->*method)(request); };
    };
    routes.blocking({.method = Method::get,
                     .pattern = "/api/metrics/http",
                     .permission = Permission::read,
                     .summary = "Requests of an endpoint, or of each: counts, durations, bytes",
                     .queries = "endpoint,method,hours,limit,cursor",
                     .parameters = kHttpParameters,
                     .answer_schema = kHttpSchema,
                     .problems = kReadProblems},
                    bind(&MetricsRoutes::http));
    routes.blocking({.method = Method::get,
                     .pattern = "/api/metrics/http/series",
                     .permission = Permission::read,
                     .summary = "The same over time",
                     .queries = "endpoint,method,hours,step",
                     .parameters = kSeriesParameters,
                     .answer_schema = kPointsSchema,
                     .problems = kReadProblems},
                    bind(&MetricsRoutes::series));
    routes.blocking({.method = Method::post,
                     .pattern = "/api/metrics/performance",
                     .permission = Permission::write,
                     .summary = "Take one performance record, or an array of them",
                     .media_types = "application/json",
                     .schema = kRecordsSchema,
                     .answers = "202 application/json",
                     .answer_schema = kAcceptedSchema,
                     .problems = kWriteProblems},
                    bind(&MetricsRoutes::take));
    routes.blocking({.method = Method::get,
                     .pattern = "/api/metrics/performance",
                     .permission = Permission::read,
                     .summary = "Performance records over time, or the names there are",
                     .queries = "name,tag.*,hours,step,agg,limit,cursor",
                     .parameters = kPerformanceParameters,
                     .answer_schema = kPerformanceSchema,
                     .problems = kReadProblems},
                    bind(&MetricsRoutes::performance));
    routes.blocking({.method = Method::get,
                     .pattern = "/api/metrics/system",
                     .permission = Permission::read,
                     .summary = "The machine over time: processor, memory, disk, connections",
                     .queries = "hours,step",
                     .parameters = kSystemParameters,
                     .answer_schema = kPointsSchema,
                     .problems = kReadProblems},
                    bind(&MetricsRoutes::system));
    routes.blocking({.method = Method::get,
                     .pattern = "/api/metrics/dashboard",
                     .permission = Permission::read,
                     .summary = "What a first page wants to know",
                     .answer_schema = kDashboardSchema,
                     .problems = kReadProblems},
                    bind(&MetricsRoutes::dashboard));
    routes.blocking({.method = Method::post,
                     .pattern = "/api/metrics/optimize",
                     .permission = Permission::admin,
                     .summary = "Rebuild indexes and statistics, give free pages back",
                     .media_types = "application/json",
                     .schema = kOptimizeSchema,
                     .answer_schema = kOptimizedSchema,
                     .problems = kOptimizeProblems},
                    bind(&MetricsRoutes::optimize));
    routes.blocking({.method = Method::post,
                     .pattern = "/api/metrics/cleanup",
                     .permission = Permission::admin,
                     .summary = "Remove now what is older than the settings say",
                     .media_types = "application/json",
                     .answer_schema = kCleanedSchema,
                     .problems = kWriteProblems},
                    bind(&MetricsRoutes::clean_up));
}

// ---- requests

Response MetricsRoutes::http(const Request& request) {
    const double hours = hours_of(request);
    const std::size_t limit = storage::limit_of(request);
    const std::string after = storage::after_of(request, kEndpointCursor);
    const HttpQuery query = http_query(request, hours);
    core_.settle_metrics();
    const auto totals = core_.http().totals(query);
    const std::string method = query.method ? json::quoted(*query.method) : "null";
    if (query.endpoint) {
        const auto found = totals.find(*query.endpoint);
        std::string body = fmt::format(R"({{"endpoint":{},"method":{},"hours":{},)",
                                       json::quoted(*query.endpoint), method, hours);
        append_members(body, found == totals.end() ? Rollup() : found->second);
        return json_answer(200, body + "}");
    }
    std::string body = R"({"items":[)", last;
    std::size_t count = 0;
    for (auto place = totals.upper_bound(after); place != totals.end(); ++place) {
        if (count == limit) {
            return json_answer(200, body + fmt::format(R"(],"next":{}}})",
                                                       storage::next_json(kEndpointCursor, last)));
        }
        last = place->first;
        body += fmt::format(R"({}{{"endpoint":{},"method":{},)", count++ > 0 ? "," : "",
                            json::quoted(last), method);
        append_members(body, place->second);
        body += '}';
    }
    return json_answer(200, body + R"(],"next":null})");
}

Response MetricsRoutes::series(const Request& request) {
    const double hours = hours_of(request);
    const std::int64_t step = step_of(request, hours);
    const HttpQuery query = http_query(request, hours);
    core_.settle_metrics();
    std::string body = fmt::format(R"({{"hours":{},"step":{},"points":[)", hours, step);
    const char* comma = "";
    for (const auto& [start, rollup] : core_.http().points(query, step)) {
        body += comma + point_time(start) + ",";
        append_members(body, rollup);
        body += '}';
        comma = ",";
    }
    return json_answer(200, body + "]}");
}

// ---- records and the machine

Response MetricsRoutes::take(const Request& request) {
    auto records = read_performance_records(request.body(), unix_now_ms());
    const std::size_t count = records.size();
    core_.performance().take(std::move(records));
    return json_answer(202, fmt::format(R"({{"accepted":{}}})", count));
}

Response MetricsRoutes::performance(const Request& request) {
    core_.settle_metrics();
    const auto name = request.query("name");
    if (!name) {
        const std::size_t limit = storage::limit_of(request);
        const auto names =
            core_.performance().names(storage::after_of(request, kNameCursor), limit + 1);
        std::string body = R"({"items":[)";
        const std::size_t count = std::min(names.size(), limit);
        for (std::size_t i = 0; i < count; ++i) {
            body += fmt::format(R"({}{{"name":{}}})", i > 0 ? "," : "", json::quoted(names[i]));
        }
        const std::string last = names.size() > limit ? names[count - 1] : "";
        return json_answer(
            200, body + fmt::format(R"(],"next":{}}})", storage::next_json(kNameCursor, last)));
    }
    const double hours = hours_of(request);
    PerformanceQuery query;
    query.name = *name;
    query.tags = tags_of(request);
    query.step = step_of(request, hours);
    const std::int64_t now = unix_now_ms();
    query.from_ms = now - static_cast<std::int64_t>(hours * static_cast<double>(kHour));
    query.to_ms = now + 1000;
    const std::string_view word = request.query("agg").value_or("avg");
    const auto aggregate = aggregate_of(word);
    if (!aggregate) {
        throw invalid_parameter("agg", "agg is avg, sum, min, max, count or p95");
    }
    query.aggregate = *aggregate;
    std::string body = fmt::format(R"({{"name":{},"agg":"{}","hours":{},"step":{},"points":[)",
                                   json::quoted(query.name), word, hours, query.step);
    const char* comma = "";
    for (const auto& [start, value] : core_.performance().points(query)) {
        body += fmt::format(R"({}{},"value":{}}})", comma, point_time(start), value);
        comma = ",";
    }
    return json_answer(200, body + "]}");
}

Response MetricsRoutes::system(const Request& request) {
    const double hours = hours_of(request);
    const std::int64_t step = step_of(request, hours);
    const std::int64_t from =
        unix_now_ms() - static_cast<std::int64_t>(hours * static_cast<double>(kHour));
    std::string body = fmt::format(R"({{"hours":{},"step":{},"points":[)", hours, step);
    const char* comma = "";
    for (const auto& [start, sample] : system_points(core_.metrics_database(), from, step)) {
        body += comma + point_time(start) + ",";
        append_members(body, sample);
        body += '}';
        comma = ",";
    }
    return json_answer(200, body + "]}");
}

// ---- the dashboard

namespace {

// The sections as one object, and the two counts that a first page shows.
class StorageText final : public UsageSink {
public:
    void section(std::string_view name) override {
        begin(name);
        section_ = name;
    }
    void count(std::string_view name, std::uint64_t value) override {
        member(name, std::to_string(value));
        if (section_ == "program_store" && name == "programs") programs = value;
        if (section_ == "file_store" && name == "count") files = value;
    }
    void percent(std::string_view name, double value) override {
        member(name, fmt::format("{}", value));
    }
    std::string text() {
        end();
        return "{" + text_ + "}";
    }

    std::uint64_t programs = 0, files = 0;

private:
    void begin(std::string_view name) {
        end();
        text_ += fmt::format("{}{}:{{", text_.empty() ? "" : ",", json::quoted(name));
        first_ = open_ = true;
    }
    void end() {
        if (std::exchange(open_, false)) text_ += '}';
    }
    void member(std::string_view name, const std::string& value) {
        if (!open_) throw Error(Errc::internal, "no-section", "a figure came before its section");
        text_ += fmt::format("{}{}:{}", std::exchange(first_, false) ? "" : ",", json::quoted(name),
                             value);
    }
    std::string text_, section_;
    bool open_ = false, first_ = false;
};

// The endpoints that were asked most.
std::string busiest(const std::map<std::string, Rollup>& totals) {
    constexpr std::size_t kShown = 5;
    std::vector<const std::pair<const std::string, Rollup>*> order;
    order.reserve(totals.size());
    for (const auto& entry : totals) order.push_back(&entry);
    std::sort(order.begin(), order.end(),
              [](const auto* a, const auto* b) { return a->second.count > b->second.count; });
    std::string text = "[";
    for (std::size_t i = 0; i < std::min(order.size(), kShown); ++i) {
        text +=
            fmt::format(R"({}{{"endpoint":{},)", i > 0 ? "," : "", json::quoted(order[i]->first));
        append_members(text, order[i]->second);
        text += '}';
    }
    return text + "]";
}

}  // namespace

Response MetricsRoutes::dashboard(const Request& /*request*/) {
    constexpr double kHours = 24;
    const auto insight = core_.insight();
    if (!insight) throw Error(Errc::unavailable, "plugin-disabled", "the plugin is being stopped");
    core_.settle_metrics();
    core_.settle_errors();
    StorageText storage;
    insight->storage(storage);
    const std::int64_t now = unix_now_ms();
    HttpQuery query;
    query.from = now / 1000 - static_cast<std::int64_t>(kHours * 3600);
    query.to = now / 1000 + 2;
    const auto totals = core_.http().totals(query);
    Rollup all;
    for (const auto& [endpoint, rollup] : totals) all.add(rollup);
    const DaemonFacts facts = insight->facts();
    std::string body = fmt::format(
        R"({{"total_programs":{},"total_files":{},"storage_used":{},"version":{},"uptime":{},)",
        storage.programs, storage.files, storage.text(), json::quoted(facts.version),
        static_cast<double>(now - facts.started_ms) / 1000);
    body += fmt::format(R"("active_connections":{},"alerts":{},"hours":{},"requests":{{)",
                        facts.connections, facts.alerts, kHours);
    append_members(body, all);
    body += fmt::format(R"(}},"endpoints":{},"errors":{{"unresolved":{},"occurrences":{}}},)",
                        busiest(totals), core_.errors().unresolved(),
                        core_.errors().seen_since(now - static_cast<std::int64_t>(kHours) * kHour));
    const auto latest = system_points(core_.metrics_database(), now - kHour, 1);
    body += R"("system":)";
    if (latest.empty()) {
        body += "null";
    } else {
        body += point_time(latest.rbegin()->first) + ",";
        append_members(body, latest.rbegin()->second);
        body += '}';
    }
    return json_answer(200, body + fmt::format(R"(,"generated_at":"{}"}})", rfc3339(now)));
}

// ---- upkeep

Response MetricsRoutes::optimize(const Request& request) {
    bool dry_run = false;
    if (!request.body().empty()) {
        const auto wish = storage::json::Members::of_body(request.body());
        dry_run = wish.flag("dry_run").value_or(false);
        wish.end();
    }
    if (!dry_run) record_action(core_.host(), request, "metrics.optimize", "databases");
    std::string body = fmt::format(R"({{"dry_run":{},"databases":[)", dry_run);
    const char* comma = "";
    for (const auto& done : dry_run ? core_.would_optimize() : core_.optimize()) {
        body += fmt::format(R"({}{{"name":"{}","bytes_before":{},"bytes_after":{}}})", comma,
                            done.name, done.bytes_before, done.bytes_after);
        comma = ",";
    }
    return json_answer(200, body + "]}");
}

Response MetricsRoutes::clean_up(const Request& request) {
    record_action(core_.host(), request, "metrics.cleanup", "databases");
    const Settings& settings = core_.host().settings();
    const auto removed =
        core_.clean_up(settings.duration("retention"), settings.duration("audit_retention"));
    std::string body = R"({"removed":{)";
    const char* comma = "";
    for (const auto& [what, count] : removed) {
        body += fmt::format(R"({}"{}":{})", comma, what, count);
        comma = ",";
    }
    return json_answer(200, body + "}}");
}

}  // namespace larder::metrics
