// Contents: Path (patterns of one shape) · what operations share · parameters · bodies and answers
// · operations. Objects are built with Poco, which is slow and does not matter: a text is made once
// a table.
#include "routing/openapi_paths.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <utility>
#include <variant>

#include "http/http.hpp"
#include "http/problem.hpp"
#include "routing/problem_codes.hpp"
#include "routing/route_text.hpp"

namespace larder::routing::openapi {
namespace {

using Codes = std::map<int, std::set<std::string>>;  // problem codes by status

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

std::string response_name(int status, std::ptrdiff_t at) {
    return at == 0 ? fmt::format("Problem{}", status) : fmt::format("Problem{}.{}", status, at + 1);
}

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
    Object operation =
        object({{"operationId", operation_id(method, path)},
                {"summary", text(route.summary)},
                {"tags", tags(endpoint.owner->name)},
                {"x-larder-permission",
                 endpoint.for_any_caller ? Var("any") : text(permission_word(route.permission))},
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

}  // namespace

Object Shared::parameter(const std::string& name) {
    parameters_.insert(name);
    return reference("parameters", name);
}

Object Shared::problem(int status, const std::set<std::string>& codes) {
    auto& known = by_status_[status];
    auto at = std::find(known.begin(), known.end(), codes);
    if (at == known.end()) at = known.insert(known.end(), codes);
    return reference("responses", response_name(status, at - known.begin()));
}

Object Shared::responses() const {
    Object all = object();
    for (const auto& [status, sets] : by_status_) {
        for (std::size_t i = 0; i < sets.size(); ++i) {
            all.set(response_name(status, static_cast<std::ptrdiff_t>(i)),
                    problem_response(sets[i]));
        }
    }
    return all;
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

}  // namespace larder::routing::openapi
