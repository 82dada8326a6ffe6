// Contents: every code · components · the document. Built with Poco, as openapi_paths.cpp says.
#include "routing/openapi.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
#include <sstream>

#include "routing/openapi_paths.hpp"
#include "routing/problem_codes.hpp"
#include "routing/route_text.hpp"

namespace larder::routing {
namespace {

using openapi::Array;
using openapi::Object;
using openapi::object;
using openapi::reference;
using openapi::schema_of;
using openapi::Shared;

struct Code {
    std::set<int> statuses;
    std::string meaning;
};
using CodeTable = std::map<std::string, Code>;  // by the code's name

// Every code that some route may answer.
CodeTable all_problems(const RouteTable& table) {
    CodeTable by_code;
    const auto add = [&by_code](const std::vector<ProblemText>& problems) {
        for (const ProblemText& problem : problems) {
            Code& code = by_code[std::string(problem.code)];
            code.statuses.insert(problem.status);
            if (code.meaning.empty()) code.meaning = problem.meaning;
        }
    };
    add(all_host_problems());
    for (const EndpointPtr& endpoint : table.endpoints()) {
        add(read_route_text(endpoint->route).problems);
    }
    for (const Unavailable& off : table.all_unavailable()) {
        add({{503, off.slug, "the plugin does not run"}});
    }
    return by_code;
}

std::string description_of(const CodeTable& problems) {
    std::string table =
        "One daemon that keeps a machine's data; each kind of storage is a plugin.\n\n"
        "JSON is UTF-8, times are RFC 3339 in UTC, sizes are bytes, durations are seconds. A route "
        "that takes `application/json` also takes `*+json`, `application/x-www-form-urlencoded` "
        "and no Content-Type at all; the body is JSON all the same. HEAD is there wherever GET "
        "is. A path that is not listed answers 404 `not-found`, a method that is not listed 405 "
        "`method-not-allowed` with `Allow`. What refuses a request is looked at in this order: "
        "400 framing, 421 and 403 `cross-site`, 401, 404, 405, 403, 415, 413, 400 and 422 content, "
        "412.\n\nEvery error is a problem document (RFC 9457). Its codes:\n\n"
        "| code | status | meaning |\n|---|---|---|\n";
    for (const auto& [name, code] : problems) {
        table +=
            fmt::format("| `{}` | {} | {} |\n", name, fmt::join(code.statuses, ", "), code.meaning);
    }
    return table;
}

Object problem_schema(const CodeTable& problems) {
    Array codes;
    for (const auto& [name, code] : problems) codes.add(name);
    Object schema = schema_of(R"({"type": "object",
        "description": "What went wrong (RFC 9457); some have further members.",
        "required": ["type", "title", "status", "detail", "code", "request_id"]})")
                        .extract<Object>();
    schema.set(
        "properties",
        object({{"type", schema_of(R"({"type": "string", "pattern": "^urn:larder:problem:"})")},
                {"title", schema_of(R"({"type": "string"})")},
                {"status", schema_of(R"({"type": "integer", "minimum": 400, "maximum": 599})")},
                {"detail", schema_of(R"({"type": "string"})")},
                {"code", object({{"type", "string"}, {"enum", codes}})},
                {"request_id", schema_of(R"({"type": "string"})")},
                {"offset", schema_of(R"({"type": "integer", "minimum": 0})")},
                {"pointer", schema_of(R"({"type": "string"})")},
                {"parameter", schema_of(R"({"type": "string"})")},
                {"condition", schema_of(R"({"type": ["string", "integer"]})")},
                {"limit", schema_of(R"({"type": "integer"})")},
                {"available", schema_of(R"({"type": "integer"})")},
                {"reason", schema_of(R"({"type": "string"})")}}));
    return schema;
}

Object parameter_components() {
    const auto parameter = [](const char* name, const char* in, const char* says,
                              const char* schema) {
        return object(
            {{"name", name}, {"in", in}, {"description", says}, {"schema", schema_of(schema)}});
    };
    constexpr const char* kText = R"({"type": "string"})";
    return object(
        {{"limit", parameter("limit", "query", "How many items at most.",
                             R"({"type": "integer", "minimum": 1, "maximum": 1000,
                                 "default": 100})")},
         {"cursor",
          parameter("cursor", "query", "Where to go on: `next` of the page before.", kText)},
         {"if-match", parameter("If-Match", "header", "Only if the ETag is one of these.", kText)},
         {"if-none-match", parameter("If-None-Match", "header",
                                     "Only if the ETag is none of these; `*`: only if there is "
                                     "nothing yet.",
                                     kText)},
         {"if-unmodified-since",
          parameter("If-Unmodified-Since", "header", "Only if it was not changed since.", kText)},
         {"if-modified-since",
          parameter("If-Modified-Since", "header", "Only if it was changed since.", kText)},
         {"if-range",
          parameter("If-Range", "header", "The range only if it is still this.", kText)},
         {"request-id", parameter("X-Request-Id", "header",
                                  "The caller's name for this request; one is made if it is "
                                  "missing or malformed.",
                                  R"({"type": "string", "pattern": "^[A-Za-z0-9._-]{1,64}$"})")}});
}

// Only those that some operation refers to: a reader takes the others for a mistake.
Object used_parameters(const std::set<std::string>& names) {
    const Object all = parameter_components();
    Object used = object();
    for (const std::string& name : names) used.set(name, all.get(name));
    return used;
}

bool refers_to_list(const EndpointPtr& endpoint) {
    return endpoint->route.answer_schema.find("schemas/List") != std::string_view::npos;
}

Object components(const CodeTable& problems, const Shared& shared, const RouteTable& table) {
    Object schemas = object({{"Problem", problem_schema(problems)}});
    const auto& endpoints = table.endpoints();
    if (std::any_of(endpoints.begin(), endpoints.end(), refers_to_list)) {
        schemas.set("List", schema_of(R"({"type": "object", "required": ["items", "next"],
            "properties": {"items": {"type": "array"},
                "next": {"type": ["string", "null"],
                         "description": "The cursor of the next page; null on the last."}}})"));
    }
    Object responses = shared.responses();
    responses.set(
        "Methods",
        object({{"description", "What the path takes."},
                {"headers", object({{"Allow", object({{"schema", object({{"type", "string"}})}})},
                                    {"X-Request-Id", reference("headers", "request-id")}})}}));
    return object(
        {{"schemas", schemas},
         {"parameters", used_parameters(shared.parameters())},
         {"headers", object({{"request-id",
                              object({{"description", "The request's name in logs and problems."},
                                      {"schema", schema_of(R"({"type": "string"})")}})}})},
         {"responses", responses},
         {"securitySchemes",
          object({{"token", object({{"type", "http"}, {"scheme", "bearer"}})},
                  {"password", object({{"type", "http"}, {"scheme", "basic"}})}})}});
}

Array tags_of(const RouteTable& table, std::span<const Tag> tags) {
    std::map<std::string, std::string> by_name;
    for (const EndpointPtr& endpoint : table.endpoints()) by_name[endpoint->owner->name];
    for (const Tag& tag : tags) by_name[tag.name] = tag.description;
    Array all;
    for (const auto& [name, description] : by_name) {
        all.add(
            object({{"name", name}, {"description", description.empty() ? name : description}}));
    }
    return all;
}

Array unavailable_of(const RouteTable& table) {
    Array all;
    for (const Unavailable& off : table.all_unavailable()) {
        all.add(object({{"prefix", off.prefix}, {"code", off.slug}, {"reason", off.reason}}));
    }
    return all;
}

// Credentials are wanted only where auth.enabled is set, so none is one of the ways.
Array security() {
    Array all;
    all.add(object({{"token", Array()}}));
    all.add(object({{"password", Array()}}));
    all.add(object());
    return all;
}

}  // namespace

std::string openapi_text(const RouteTable& table, std::span<const Tag> tags,
                         std::string_view version) {
    const CodeTable problems = all_problems(table);
    Shared shared;
    const Object operations = openapi::paths(table, shared);
    Array servers;
    servers.add(object({{"url", "/"}}));
    const Object document = object(
        {{"openapi", "3.1.0"},
         {"info",
          object({{"title", "Larder"},
                  {"version", openapi::text(version)},
                  {"description", description_of(problems)},
                  {"license", object({{"name", "Larder"}, {"identifier", "LicenseRef-Larder"}})}})},
         {"servers", servers},
         {"security", security()},
         {"tags", tags_of(table, tags)},
         {"paths", operations},
         {"components", components(problems, shared, table)},
         {"x-larder-unavailable", unavailable_of(table)}});
    std::ostringstream out;
    document.stringify(out);
    return out.str();
}

}  // namespace larder::routing
