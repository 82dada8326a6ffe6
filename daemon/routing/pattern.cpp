#include "routing/pattern.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "larder/error.hpp"

namespace larder::routing {
namespace {

[[noreturn]] void refuse(std::string_view text, std::string_view why) {
    throw Error(Errc::internal, "bad-pattern", fmt::format("route pattern '{}': {}", text, why));
}

Segment parse_segment(std::string_view pattern, std::string_view part) {
    if (part.empty()) refuse(pattern, "empty segment");
    if (part.front() != '{') {
        if (part.find_first_of("{}%?#") != std::string_view::npos) {
            refuse(pattern, "a fixed segment holds none of { } % ? #");
        }
        return {Segment::Kind::fixed, part};
    }
    if (part.back() != '}') refuse(pattern, "a parameter is a whole segment");
    part = part.substr(1, part.size() - 2);
    auto kind = Segment::Kind::parameter;
    if (part.ends_with("...")) {
        kind = Segment::Kind::rest;
        part.remove_suffix(3);
    }
    if (part.empty()) refuse(pattern, "a parameter wants a name");
    return {kind, part};
}

int hex_digit(char c) noexcept {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

}  // namespace

Pattern parse_pattern(std::string_view text) {
    if (!text.starts_with('/')) refuse(text, "must begin with '/'");
    Pattern pattern;
    std::size_t at = 1;
    while (at <= text.size()) {
        const std::size_t slash = std::min(text.find('/', at), text.size());
        const Segment segment = parse_segment(text, text.substr(at, slash - at));
        for (const Segment& earlier : pattern.segments) {
            if (segment.kind != Segment::Kind::fixed && earlier.kind != Segment::Kind::fixed &&
                earlier.text == segment.text) {
                refuse(text, "a parameter's name stands twice");
            }
        }
        pattern.segments.push_back(segment);
        if (segment.kind == Segment::Kind::rest) {
            pattern.tail = text.substr(slash);
            if (pattern.tail.find('{') != std::string_view::npos) {
                refuse(text, "only fixed segments may follow a rest");
            }
            return pattern;
        }
        at = slash + 1;
    }
    return pattern;
}

bool percent_decode(std::string_view text, std::string& out, bool plus_is_space) {
    for (std::size_t i = 0; i < text.size(); ++i) {
        char c = text[i];
        if (c == '%') {
            if (text.size() - i < 3) return false;
            const int high = hex_digit(text[i + 1]);
            const int low = hex_digit(text[i + 2]);
            if (high < 0 || low < 0) return false;
            c = static_cast<char>(high * 16 + low);
            i += 2;
        } else if (c == '+' && plus_is_space) {
            c = ' ';
        }
        if (c == '\0') return false;
        out.push_back(c);
    }
    return true;
}

}  // namespace larder::routing
