// The commands about what happened: requests, the machine, errors, the audit.
#include <Poco/JSON/Array.h>
#include <Poco/JSON/Object.h>
#include <fmt/format.h>

#include <iostream>

#include "answers.hpp"
#include "command.hpp"
#include "table.hpp"

namespace larder::ctl {
namespace {

using Poco::JSON::Object;

// Path and query, of the options that were given: "--hours" is "hours".
std::string with_query(const Context& context, std::string target,
                       std::initializer_list<std::string_view> names) {
    char mark = '?';
    for (const std::string_view name : names) {
        const auto value = context.words.value(fmt::format("--{}", name));
        if (!value) continue;
        target += fmt::format("{}{}={}", mark, name, escaped(*value));
        mark = '&';
    }
    return target;
}

// items() goes on with what stands behind a '?'.
std::string as_list(std::string target) {
    return target.find('?') == std::string::npos ? target : target + "&";
}

std::string milliseconds(const Object::Ptr& object, const std::string& member) {
    if (!object->has(member) || object->isNull(member)) return "-";
    return fmt::format("{:.3f}", object->getValue<double>(member) * 1000);
}

int metrics_http(Context& context) {
    const Client client = context.client();
    const std::string target =
        with_query(context, "/api/metrics/http", {"endpoint", "method", "hours"});
    if (context.json) return print_json(client.demand("GET", target));
    Table table({"ENDPOINT", "REQUESTS", "5XX", "AVG MS", "P50 MS", "P95 MS", "P99 MS", "MAX MS"});
    const auto add = [&](const Object::Ptr& row) {
        table.add({text_of(row, "endpoint"), text_of(row, "request_count"),
                   text_of(row, "error_count"), milliseconds(row, "avg_duration"),
                   milliseconds(row, "p50"), milliseconds(row, "p95"), milliseconds(row, "p99"),
                   milliseconds(row, "max_duration")});
    };
    if (context.words.flag("--endpoint")) {
        add(client.object("GET", target));
    } else {
        for (const auto& row : client.items(as_list(target))) add(row);
    }
    table.print();
    return kOk;
}

int metrics_system(Context& context) {
    const Client client = context.client();
    const std::string target = with_query(context, "/api/metrics/system", {"hours", "step"});
    if (context.json) return print_json(client.demand("GET", target));
    Table table(
        {"TIME", "CPU %", "MEMORY %", "MEMORY MB", "DISK %", "READ B", "WRITTEN B", "CONNECTIONS"});
    const auto points = client.object("GET", target)->getArray("points");
    for (unsigned i = 0; i < points->size(); ++i) {
        const auto row = points->getObject(i);
        table.add({text_of(row, "time"), text_of(row, "cpu_percent"),
                   text_of(row, "memory_percent"), text_of(row, "memory_mb"),
                   text_of(row, "disk_percent"), text_of(row, "disk_read_bytes"),
                   text_of(row, "disk_write_bytes"), text_of(row, "active_connections")});
    }
    table.print();
    return kOk;
}

int errors(Context& context) {
    const Client client = context.client();
    std::string target = with_query(context, "/api/errors", {"category", "severity"});
    if (!context.words.flag("--all")) {
        target += target.find('?') == std::string::npos ? "?resolved=false" : "&resolved=false";
    }
    if (context.json) return print_json(client.demand("GET", target));
    Table table({"ERROR", "LAST SEEN", "TIMES", "SEVERITY", "CATEGORY", "RESOLVED", "MESSAGE"});
    const auto all = client.items(as_list(target));
    for (const auto& row : all) {
        table.add({text_of(row, "error_id"), text_of(row, "last_seen"), text_of(row, "occurrences"),
                   text_of(row, "severity"), text_of(row, "category"),
                   row->getValue<bool>("resolved") ? "yes" : "no", text_of(row, "message")});
    }
    if (all.empty()) {
        std::cout << "no error\n";
    } else {
        table.print();
    }
    return kOk;
}

int audit_list(Context& context) {
    const Client client = context.client();
    const std::string target =
        with_query(context, "/api/audit", {"actor", "action", "since", "limit"});
    if (context.json) return print_json(client.demand("GET", target));
    Table table({"SEQ", "TIME", "ACTOR", "ACTION", "TARGET", "OUTCOME", "FROM"});
    const auto rows = client.object("GET", target)->getArray("items");
    for (unsigned i = 0; i < rows->size(); ++i) {
        const auto row = rows->getObject(i);
        table.add({text_of(row, "seq"), text_of(row, "time"), text_of(row, "actor"),
                   text_of(row, "action"), text_of(row, "target"), text_of(row, "outcome"),
                   text_of(row, "ip_address")});
    }
    table.print();
    return kOk;
}

int audit_verify(Context& context) {
    const Answer answer = context.client().demand("GET", "/api/audit/verify");
    const auto verdict = object_in(answer.body);
    const bool sound = verdict->getValue<bool>("ok");
    if (context.json) {
        print_json(answer);
        return sound ? kOk : kRefused;
    }
    std::cout << fmt::format("{} records, {}\n", text_of(verdict, "checked"),
                             sound ? "all as they were written" : "and somebody was at them");
    if (sound) return kOk;
    Table table({"SEQ", "WHAT WAS DONE"});
    const auto faults = verdict->getArray("faults");
    for (unsigned i = 0; i < faults->size(); ++i) {
        const auto fault = faults->getObject(i);
        table.add({text_of(fault, "seq"), text_of(fault, "kind")});
    }
    table.print();
    return kRefused;
}

}  // namespace

std::vector<Command> metrics_commands() {
    const Option hours{"--hours", "HOURS", "how far back; 24 if not given"};
    return {
        {"metrics http",
         "",
         0,
         0,
         "Tell how often each endpoint was asked, and how fast it was",
         {{"--endpoint", "TEMPLATE", "of this one: /api/kv/{bucket}/{key}"},
          {"--method", "METHOD", "of this method alone"},
          hours},
         metrics_http},
        {"metrics system",
         "",
         0,
         0,
         "Tell what the machine did: processor, memory, disk",
         {hours, {"--step", "SECONDS", "between two lines"}},
         metrics_system},
        {"errors",
         "",
         0,
         0,
         "List errors that are not resolved, the newest kind first",
         {{"--all", "", "those that are resolved, too"},
          {"--category", "WORD", "only of this category"},
          {"--severity", "WORD", "only of this severity"}},
         errors},
        {"audit list",
         "",
         0,
         0,
         "List who changed what, the latest first",
         {{"--actor", "NAME", "only what this one did"},
          {"--action", "ACTION", "only this"},
          {"--since", "TIME|SEQ", "only from this time on, or behind this number"},
          {"--limit", "N", "so many; 100 if not given"}},
         audit_list},
        {"audit verify",
         "",
         0,
         0,
         "Judge the chain of audit records; exit 1 if it is not sound",
         {},
         audit_verify},
    };
}

}  // namespace larder::ctl
