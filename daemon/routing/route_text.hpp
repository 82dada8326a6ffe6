// What a route's declaration says for readers, taken apart: parameters, answers, problem codes. Not
// for judging requests: nothing here is looked at while one is served.
#pragma once

#include <string_view>
#include <vector>

#include "larder/http.hpp"

namespace larder::routing {

struct NamedText {
    std::string_view name;
    std::string_view type;  // of JSON Schema: "string", "integer", "number", "boolean"
    std::string_view text;
};

struct AnswerText {
    int status;
    std::string_view media_type;  // empty: no body
};

struct ProblemText {
    int status;
    std::string_view code;
    std::string_view meaning;  // may be empty
};

struct RouteText {
    std::vector<NamedText> parameters, answer_headers;
    std::vector<AnswerText> answers;  // never empty
    std::vector<ProblemText> problems;
};

// Views point into the route's own texts. Throws Error{internal} naming the route and the entry
// that cannot be read; so does a schema that is no JSON object. [any]
RouteText read_route_text(const Route& route);

}  // namespace larder::routing
