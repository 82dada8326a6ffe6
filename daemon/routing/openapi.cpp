// Contents: Path (patterns of one shape) · what operations share · parameters · bodies and answers
// · operations · the document. Objects are built with Poco, which is slow and does not matter: a
// text is made once a table.
#include "routing/openapi.hpp"

#include <Poco/JSON/Array.h>
#include <Poco/JSON/Object.h>
#include <Poco/JSON/Parser.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <map>
#include <set>
#include <sstream>
#include <utility>
#include <variant>

#include "http/http.hpp"
#include "http/problem.hpp"
#include "routing/problem_codes.hpp"
#include "routing/route_text.hpp"

namespace larder::routing {
namespace {

using Poco::Dynamic::Var;
using Poco::JSON::Array;
using Poco::JSON::Object;
using Codes = std::map<int, std::set<std::string>>;  // problem codes by status

Object object(std::initializer_list<std::pair<const char*, Var>> members = {}) {
    Object made(Poco::JSON_PRESERVE_KEY_ORDER);
    for (const auto& [name, value] : members) made.set(name, value);
    return made;
}

Var text(std::string_view value) { return std::string(value); }

Object reference(const std::string& kind, const std::string& name) {
    return object({{"$ref", "#/components/" + kind + "/" + name}});
}

Var schema_of(std::string_view json) {
    if (json.empty() || json == "true") return object();
    Poco::JSON::Parser parser;
    return *parser.parse(std::string(json)).extract<Object::Ptr>();
}

// ---- paths: OpenAPI knows no two templates that differ in the parameters' names alone

struct Path {
    std::string spelled;             // "/api/kv/{bucket}/{key}"
    std::vector<std::string> names;  // of its parameters, in order
    std::vector<bool> rests;         // which of them may hold slashes
    std::vector<const Endpoint*> endpoints;
};

std::string shape_of(const Pattern& pattern) {
    std::string shape;
    for (const Segment& segment : pattern.segments) {
        shape += '/';
        shape += segment.kind == Segment::Kind::fixed ? segment.text : "{}";
    }
    return shape.append(pattern.tail);
}

void spell(Path& path, const Pattern& pattern) {
    for (const Segment& segment : pattern.segments) {
        path.spelled += '/';
        if (segment.kind == Segment::Kind::fixed) {
            path.spelled += segment.text;
            continue;
        }
        path.spelled += fmt::format("{{{}}}", segment.text);
        path.names.emplace_back(segment.text);
        path.rests.push_back(segment.kind == Segment::Kind::rest);
    }
    path.spelled += pattern.tail;
}

std::vector<Path> paths_of(const RouteTable& table) {
    std::map<std::string, Path> by_shape;
    for (const EndpointPtr& endpoint : table.endpoints()) {
        Path& path = by_shape[shape_of(endpoint->pattern)];
        if (path.spelled.empty()) spell(path, endpoint->pattern);
        path.endpoints.push_back(endpoint.get());
    }
    std::vector<Path> paths;
    paths.reserve(by_shape.size());
    for (auto& [shape, path] : by_shape) paths.push_back(std::move(path));
    return paths;
}

// "getApiKvBucketKey"
std::string operation_id(std::string_view method, const Path& path) {
    std::string id;
    for (const char c : method) id += static_cast<char>(std::tolower(c));
    bool upper = true;
    for (const char c : path.spelled) {
        const bool keep = std::isalnum(static_cast<unsigned char>(c)) != 0;
        if (keep) id += upper ? static_cast<char>(std::toupper(c)) : c;
        upper = !keep;
    }
    return id;
}

// ---- what operations share

void add_content(Object& response, const std::string& type, const Var& schema) {
    const auto before = response.get("content");
    Object content = before.isEmpty() ? object() : before.extract<Object>();
    content.set(type, object({{"schema", schema}}));
    response.set("content", content);
}

Object problem_of(const std::set<std::string>& codes) {
    Array named, both;
    for (const std::string& code : codes) named.add(code);
    both.add(reference("schemas", "Problem"));
    both.add(object({{"properties", object({{"code", object({{"enum", named}})}})}}));
    return object({{"allOf", both}});
}

Object problem_response(const std::set<std::string>& codes) {
    Object response =
        object({{"description", fmt::format("`{}`", fmt::join(codes, "`, `"))},
                {"headers", object({{"X-Request-Id", reference("headers", "request-id")}})}});
    add_content(response, "application/problem+json", problem_of(codes));
    return response;
}

// What many operations refer to and so becomes a component: responses, by their codes; parameters,
// by their names.
class Shared {
public:
    Object parameter(const std::string& name) {
        parameters_.insert(name);
        return reference("parameters", name);
    }
    Object problem(int status, const std::set<std::string>& codes) {
        auto& known = by_status_[status];
        auto at = std::find(known.begin(), known.end(), codes);
        if (at == known.end()) at = known.insert(known.end(), codes);
        return reference("responses", name(status, at - known.begin()));
    }
    const std::set<std::string>& parameters() const noexcept { return parameters_; }
    Object responses() const {
        Object all = object();
        for (const auto& [status, sets] : by_status_) {
            for (std::size_t i = 0; i < sets.size(); ++i) {
                all.set(name(status, static_cast<std::ptrdiff_t>(i)), problem_response(sets[i]));
            }
        }
        return all;
    }

private:
    static std::string name(int status, std::ptrdiff_t at) {
        return at == 0 ? fmt::format("Problem{}", status)
                       : fmt::format("Problem{}.{}", status, at + 1);
    }

    std::set<std::string> parameters_;
    std::map<int, std::vector<std::set<std::string>>> by_status_;
};

// ---- parameters

const NamedText* find(const std::vector<NamedText>& all, std::string_view name) {
    const auto found = std::find_if(all.begin(), all.end(), [name](const NamedText& entry) {
        return http::equals_ignoring_case(entry.name, name);
    });
    return found == all.end() ? nullptr : &*found;
}

Object described(const std::string& name, const char* in, const NamedText* known) {
    Object parameter = object({{"name", name}, {"in", in}});
    if (known != nullptr) parameter.set("description", text(known->text));
    if (std::string_view(in) == "path") parameter.set("required", true);
    parameter.set("schema", object({{"type", text(known != nullptr ? known->type : "string")}}));
    return parameter;
}

void add_path_parameters(Array& parameters, const Path& path, const Endpoint& endpoint,
                         const RouteText& said) {
    std::size_t at = 0;
    for (const Segment& segment : endpoint.pattern.segments) {
        if (segment.kind == Segment::Kind::fixed) continue;
        Object parameter = described(path.names[at], "path", find(said.parameters, segment.text));
        if (path.rests[at++]) {
            // OpenAPI has no parameter of several segments; an escaped slash is one all the same.
            const std::string before = parameter.optValue<std::string>("description", "");
            parameter.set("description", before + (before.empty() ? "" : ". ") +
                                             "It may hold slashes, as they are or as %2F.");
            parameter.set("x-larder-rest", true);
        }
        parameters.add(parameter);
    }
}

bool is_conditional_get(const Endpoint& endpoint, const RouteText& said) {
    return endpoint.route.method == Method::get && (find(said.answer_headers, "ETag") != nullptr ||
                                                    find(said.answer_headers, "Last-Modified"));
}

Array parameters_of(const Path& path, const Endpoint& endpoint, const RouteText& said,
                    Shared& shared) {
    Array parameters;
    add_path_parameters(parameters, path, endpoint, said);
    const auto is_path = [&](std::string_view name) {
        return std::any_of(endpoint.pattern.segments.begin(), endpoint.pattern.segments.end(),
                           [name](const Segment& segment) {
                               return segment.kind != Segment::Kind::fixed && segment.text == name;
                           });
    };
    const auto& queries = endpoint.queries;
    for (const std::string_view query : queries) {
        if (query == "limit" || query == "cursor") {
            parameters.add(shared.parameter(std::string(query)));
        } else {
            parameters.add(described(std::string(query), "query", find(said.parameters, query)));
        }
    }
    for (const NamedText& entry : said.parameters) {
        const bool is_query =
            std::find(queries.begin(), queries.end(), entry.name) != queries.end();
        if (is_query || is_path(entry.name)) continue;
        parameters.add(described(std::string(entry.name), "header", &entry));
    }
    std::vector<std::string> conditions(endpoint.conditions.begin(), endpoint.conditions.end());
    if (is_conditional_get(endpoint, said)) conditions = {"if-none-match", "if-modified-since"};
    for (const std::string& condition : conditions) {
        parameters.add(shared.parameter(condition));
    }
    parameters.add(shared.parameter("request-id"));
    return parameters;
}

// ---- bodies and answers

Var body_of(const Endpoint& endpoint) {
    Object content = object();
    for (const std::string_view type : endpoint.media_types) {
        content.set(std::string(type), object({{"schema", schema_of(endpoint.route.schema)}}));
    }
    return object({{"description", fmt::format("At most {} bytes.", endpoint.route.max_body)},
                   {"required", !endpoint.route.schema.empty()},
                   {"content", content}});
}

Object headers_of(const RouteText& said) {
    Object headers = object({{"X-Request-Id", reference("headers", "request-id")}});
    for (const NamedText& header : said.answer_headers) {
        headers.set(std::string(header.name),
                    object({{"description", text(header.text)},
                            {"schema", object({{"type", text(header.type)}})}}));
    }
    return headers;
}

Codes codes_of(const std::vector<ProblemText>& problems) {
    Codes codes;
    for (const ProblemText& problem : problems) {
        codes[problem.status].insert(std::string(problem.code));
    }
    return codes;
}

Codes codes_of(const Endpoint& endpoint, const RouteText& said) {
    Codes codes = codes_of(common_problems());
    const bool of_plugin = endpoint.owner->name != "larderd";
    for (const auto& more : {host_problems(endpoint.route, of_plugin), said.problems}) {
        for (const ProblemText& problem : more) {
            codes[problem.status].insert(std::string(problem.code));
        }
    }
    return codes;
}

Object responses_of(const Endpoint& endpoint, const RouteText& said, Shared& shared) {
    std::map<int, Object> by_status;
    for (const AnswerText& answer : said.answers) {
        Object& response = by_status.try_emplace(answer.status, object()).first->second;
        response.set("description", text(http::reason_of(answer.status)));
        response.set("headers", headers_of(said));
        if (answer.media_type.empty()) continue;
        const bool is_json = answer.media_type.find("json") != std::string_view::npos;
        add_content(
            response, std::string(answer.media_type),
            is_json ? schema_of(endpoint.route.answer_schema) : Var(object({{"type", "string"}})));
    }
    if (is_conditional_get(endpoint, said)) {
        by_status.emplace(304, object({{"description", text(http::reason_of(304))},
                                       {"headers", headers_of(said)}}));
    }
    for (const auto& [status, codes] : codes_of(endpoint, said)) {
        const auto before = by_status.find(status);
        if (before == by_status.end()) {
            by_status.emplace(status, shared.problem(status, codes));
            continue;
        }
        add_content(before->second, "application/problem+json", problem_of(codes));
    }
    Object responses = object();
    for (const auto& [status, response] : by_status) {
        responses.set(std::to_string(status), response);
    }
    return responses;
}

// ---- operations

std::string_view permission_word(Permission permission) {
    static constexpr std::array<std::string_view, 6> kWords = {"",      "open",    "read",
                                                               "write", "execute", "admin"};
    return kWords[static_cast<std::size_t>(permission)];
}

Array tags(const std::string& name) {
    Array one;
    one.add(name);
    return one;
}

Object operation_of(const Path& path, const Endpoint& endpoint, std::string_view method,
                    Shared& shared) {
    const Route& route = endpoint.route;
    const RouteText said = read_route_text(route);
    Object operation = object({{"operationId", operation_id(method, path)},
                               {"summary", text(route.summary)},
                               {"tags", tags(endpoint.owner->name)},
                               {"x-larder-permission", text(permission_word(route.permission))},
                               {"parameters", parameters_of(path, endpoint, said, shared)}});
    if (route.permission == Permission::open) operation.set("security", Array());
    if (!endpoint.media_types.empty()) operation.set("requestBody", body_of(endpoint));
    operation.set("responses", responses_of(endpoint, said, shared));
    return operation;
}

// The answer to OPTIONS says what the path takes; so its operation is the same for every path.
Object options_of(const Path& path, Shared& shared) {
    Array parameters;
    for (std::size_t i = 0; i < path.names.size(); ++i) {
        Object parameter = described(path.names[i], "path", nullptr);
        if (path.rests[i]) parameter.set("x-larder-rest", true);
        parameters.add(parameter);
    }
    parameters.add(shared.parameter("request-id"));
    Object responses = object({{"204", reference("responses", "Methods")}});
    for (const auto& [status, codes] : codes_of(common_problems())) {
        responses.set(std::to_string(status), shared.problem(status, codes));
    }
    return object({{"operationId", operation_id("OPTIONS", path)},
                   {"summary", "The methods that this path takes"},
                   {"tags", tags(path.endpoints.front()->owner->name)},
                   {"parameters", parameters},
                   {"security", Array()},
                   {"responses", responses}});
}

Object paths(const RouteTable& table, Shared& shared) {
    static constexpr std::array<std::pair<Method, const char*>, 6> kMethods = {
        {{Method::get, "get"},
         {Method::put, "put"},
         {Method::post, "post"},
         {Method::patch, "patch"},
         {Method::del, "delete"},
         {Method::options, "options"}}};
    Object all = object();
    for (const Path& path : paths_of(table)) {
        Object item = object();
        for (const auto& [method, word] : kMethods) {
            for (const Endpoint* endpoint : path.endpoints) {
                if (endpoint->route.method != method || item.has(word)) continue;
                item.set(word, operation_of(path, *endpoint, method_name(method), shared));
                if (method != Method::get) continue;
                item.set("head", operation_of(path, *endpoint, "HEAD", shared));
            }
        }
        if (!item.has("options")) item.set("options", options_of(path, shared));
        all.set(path.spelled, item);
    }
    return all;
}

// ---- the document

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
    const Object operations = paths(table, shared);
    Array servers;
    servers.add(object({{"url", "/"}}));
    const Object document = object(
        {{"openapi", "3.1.0"},
         {"info",
          object({{"title", "Larder"},
                  {"version", text(version)},
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
