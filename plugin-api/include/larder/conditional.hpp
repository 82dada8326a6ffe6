// Conditional requests (RFC 9110 §13): entity tags and the preconditions of a change.
// Header-only, so that plugins and the host judge alike. Not for ranges.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "larder/http.hpp"
#include "larder/time.hpp"

namespace larder {

// Whether `list` ("*" or entity tags with commas) names `etag` (quotes included). Weak tags match
// only by weak comparison; a malformed list names nothing. [any]
inline bool names_etag(std::string_view list, std::string_view etag, bool weak_comparison) {
    const auto skip = [&list] {
        while (!list.empty() &&
               (list.front() == ' ' || list.front() == '\t' || list.front() == ',')) {
            list.remove_prefix(1);
        }
    };
    const auto opaque = [](std::string_view tag) {
        return tag.starts_with("W/") ? tag.substr(2) : tag;
    };
    skip();
    if (list == "*") return true;
    while (!list.empty()) {
        const bool weak = list.starts_with("W/");
        if (weak) list.remove_prefix(2);
        if (list.empty() || list.front() != '"') return false;
        const std::size_t end = list.find('"', 1);
        if (end == std::string_view::npos) return false;
        const std::string_view tag = list.substr(0, end + 1);
        list.remove_prefix(end + 1);
        const bool usable = weak_comparison || (!weak && !etag.starts_with("W/"));
        if (usable && tag == opaque(etag)) return true;
        skip();
    }
    return false;
}

// What a changing request demands of the present state. Copied out of the request, so that it can
// be judged where the change is made. Throws nothing.
struct Preconditions {
    std::optional<std::string> if_match, if_none_match;
    std::optional<std::int64_t> if_unmodified_since;  // Unix seconds

    static Preconditions of(const Request& request) {
        Preconditions wanted;
        if (const auto value = request.header("If-Match")) wanted.if_match = *value;
        if (const auto value = request.header("If-None-Match")) wanted.if_none_match = *value;
        // RFC 9110 §13.1.4: passed over beside If-Match, and when it is no date.
        if (!wanted.if_match) {
            if (const auto value = request.header("If-Unmodified-Since")) {
                wanted.if_unmodified_since = parse_http_date(*value);
            }
        }
        return wanted;
    }
    bool any() const noexcept { return if_match || if_none_match || if_unmodified_since; }

    // The name of the condition that fails, or empty. `etag` with its quotes, empty where nothing
    // exists; `modified` in Unix seconds. [any]
    std::string_view failing(std::string_view etag, std::int64_t modified) const {
        const bool exists = !etag.empty();
        if (if_match && !(exists && names_etag(*if_match, etag, false))) return "if-match";
        if (if_unmodified_since && (!exists || modified > *if_unmodified_since)) {
            return "if-unmodified-since";
        }
        if (if_none_match && exists && names_etag(*if_none_match, etag, true)) {
            return "if-none-match";
        }
        return {};
    }
};

}  // namespace larder
