// A route's path pattern, taken apart: "/api/kv/{bucket}/{key...}/increment". Not the matching,
// which is the route table's.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace larder::routing {

// `{name}` takes one non-empty segment, `{name...}` one or more characters to the end of the path,
// or up to a static tail of whole segments behind it.
struct Segment {
    enum class Kind { fixed = 1, parameter, rest };
    Kind kind;
    std::string_view text;  // the fixed text, or the parameter's name
};

struct Pattern {
    std::vector<Segment> segments;  // the last may be a rest
    std::string_view tail;          // "/increment" behind a rest, or empty
};

// Throws Error{internal} naming what is wrong: no leading slash, an empty or repeated name, a rest
// that is not last but for a tail.
Pattern parse_pattern(std::string_view text);

// Decodes %XX once. False for a bad escape or a NUL. `out` is appended to.
bool percent_decode(std::string_view text, std::string& out, bool plus_is_space = false);

}  // namespace larder::routing
