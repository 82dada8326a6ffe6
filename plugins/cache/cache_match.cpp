#include "cache_match.hpp"

#include <algorithm>
#include <utility>

namespace larder::cache {
namespace {

bool in_range(unsigned char first, unsigned char last, unsigned char c) {
    if (first > last) std::swap(first, last);
    return c >= first && c <= last;
}

// Whether a set that begins at `at`, behind its '[', holds `c`; `at` moves behind the set.
bool set_holds(std::string_view pattern, std::size_t& at, char c) {
    const bool negated = at < pattern.size() && pattern[at] == '^';
    if (negated) ++at;
    bool held = false;
    while (at < pattern.size() && pattern[at] != ']') {
        if (pattern[at] == '\\' && at + 1 < pattern.size()) {
            ++at;
            held = held || pattern[at] == c;
            ++at;
        } else if (at + 2 < pattern.size() && pattern[at + 1] == '-') {
            held = held || in_range(static_cast<unsigned char>(pattern[at]),
                                    static_cast<unsigned char>(pattern[at + 2]),
                                    static_cast<unsigned char>(c));
            at += 3;
        } else {
            held = held || pattern[at] == c;
            ++at;
        }
    }
    if (at < pattern.size()) ++at;  // the ']'; Redis closes a set that the end leaves open
    return held != negated;
}

// Takes one item of the pattern, which is no '*', for `c`.
bool takes(std::string_view pattern, std::size_t& at, char c) {
    const char item = pattern[at++];
    if (item == '?') return true;
    if (item == '[') return set_holds(pattern, at, c);
    if (item == '\\' && at < pattern.size()) return pattern[at++] == c;
    return item == c;
}

}  // namespace

// When it fails, only the last '*' has to take more: so no pattern makes it slow.
bool glob_matches(std::string_view pattern, std::string_view text) {
    constexpr std::size_t kNone = std::string_view::npos;
    std::size_t at = 0, in_text = 0, star = kNone, star_text = 0;
    while (in_text < text.size()) {
        if (at < pattern.size() && pattern[at] == '*') {
            star = ++at;
            star_text = in_text;
            continue;
        }
        std::size_t next = at;
        if (at < pattern.size() && takes(pattern, next, text[in_text])) {
            at = next;
            ++in_text;
            continue;
        }
        if (star == kNone) return false;
        at = star;
        in_text = ++star_text;
    }
    while (at < pattern.size() && pattern[at] == '*') ++at;
    return at == pattern.size();
}

std::string literal_prefix(std::string_view pattern) {
    std::string prefix;
    for (std::size_t at = 0; at < pattern.size(); ++at) {
        const char c = pattern[at];
        if (c == '*' || c == '?' || c == '[') break;
        if (c == '\\' && at + 1 < pattern.size()) ++at;
        prefix += pattern[at];
    }
    return prefix;
}

std::string glob_escaped(std::string_view text) {
    std::string escaped;
    for (const char c : text) {
        if (c == '*' || c == '?' || c == '[' || c == ']' || c == '\\' || c == '^') escaped += '\\';
        escaped += c;
    }
    return escaped;
}

bool Match::matches(std::string_view key, const std::vector<std::string>& tags) const {
    switch (kind) {
        case Kind::prefix: return key.starts_with(text);
        case Kind::pattern: return glob_matches(text, key);
        case Kind::tag: return std::find(tags.begin(), tags.end(), text) != tags.end();
        case Kind::all: return true;
    }
    return false;
}

}  // namespace larder::cache
