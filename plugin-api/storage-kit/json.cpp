// One pass over the text with the state kept in an array, no recursion: depth costs memory that is
// counted, not stack. Not built on simdjson's document model, which rewrites numbers, refuses those
// beyond a double and knows no offsets; its UTF-8 check is used.
#include "storage-kit/json.hpp"

#include <simdjson.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <forward_list>
#include <memory_resource>
#include <utility>
#include <vector>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace larder::storage::json {
namespace {

constexpr bool is_space(char c) { return c == ' ' || c == '\n' || c == '\r' || c == '\t'; }
constexpr bool is_digit(char c) { return c >= '0' && c <= '9'; }

// The first of: quote, backslash, control character, end.
const char* end_of_plain(const char* at, const char* end) {
#if defined(__SSE2__)
    const __m128i quote = _mm_set1_epi8('"');
    const __m128i backslash = _mm_set1_epi8('\\');
    const __m128i last_control = _mm_set1_epi8(0x1F);
    for (; end - at >= 16; at += 16) {
        const __m128i chunk = _mm_loadu_si128(reinterpret_cast<const __m128i*>(at));
        const __m128i control = _mm_cmpeq_epi8(_mm_min_epu8(chunk, last_control), chunk);
        const __m128i hit = _mm_or_si128(
            control, _mm_or_si128(_mm_cmpeq_epi8(chunk, quote), _mm_cmpeq_epi8(chunk, backslash)));
        const int mask = _mm_movemask_epi8(hit);
        if (mask != 0) return at + __builtin_ctz(static_cast<unsigned>(mask));
    }
#endif
    while (at != end && *at != '"' && *at != '\\' && static_cast<unsigned char>(*at) > 0x1F) ++at;
    return at;
}

// Value of four hex digits, -1 where one is none.
int hex4(const char* at, const char* end) {
    if (end - at < 4) return -1;
    int value = 0;
    for (int i = 0; i < 4; ++i) {
        const char c = at[i];
        const int lower = c | 0x20;
        if (is_digit(c)) {
            value = value * 16 + (c - '0');
        } else if (lower >= 'a' && lower <= 'f') {
            value = value * 16 + (lower - 'a' + 10);
        } else {
            return -1;
        }
    }
    return value;
}

constexpr bool is_high_surrogate(int unit) { return unit >= 0xD800 && unit <= 0xDBFF; }
constexpr bool is_low_surrogate(int unit) { return unit >= 0xDC00 && unit <= 0xDFFF; }

void append_utf8(std::string& out, std::uint32_t code) {
    const auto put = [&out](std::uint32_t byte) { out += static_cast<char>(byte); };
    if (code < 0x80) return put(code);
    if (code < 0x800) {
        put(0xC0U | (code >> 6U));
    } else {
        if (code < 0x10000) {
            put(0xE0U | (code >> 12U));
        } else {
            put(0xF0U | (code >> 18U));
            put(0x80U | ((code >> 12U) & 0x3FU));
        }
        put(0x80U | ((code >> 6U) & 0x3FU));
    }
    put(0x80U | (code & 0x3FU));
}

// Length of the well-formed sequence at the start, 0 where there is none; `bad` is then how many
// bytes belong to the ill-formed one (Unicode's "maximal subpart", at least 1).
std::size_t utf8_length(std::string_view text, std::size_t& bad) {
    const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
    bad = 1;
    const unsigned char lead = byte(0);
    if (lead < 0x80) return 1;
    if (lead < 0xC2 || lead > 0xF4) return 0;
    const std::size_t length = lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
    unsigned char low = 0x80;
    unsigned char high = 0xBF;
    if (lead == 0xE0) low = 0xA0;
    if (lead == 0xED) high = 0x9F;
    if (lead == 0xF0) low = 0x90;
    if (lead == 0xF4) high = 0x8F;
    for (std::size_t i = 1; i < length; ++i, ++bad) {
        if (i == text.size() || byte(i) < low || byte(i) > high) return 0;
        low = 0x80;
        high = 0xBF;
    }
    return length;
}

struct Name {
    std::string_view text;  // unescaped
    std::size_t offset;     // of the literal
};

struct Level {
    std::size_t first_name;  // in the stack of names
    bool object;
    bool ascending;  // names came in strictly growing order so far: no two can be the same
};

// Few names are compared with each other as they come; many once, sorted, when the object closes.
constexpr std::size_t kFewNames = 8;

template <bool kStrip> class Scanner {
public:
    Scanner(std::string_view text, std::size_t max_depth, std::string* out)
        : begin_(text.data()),
          at_(text.data()),
          end_(text.data() + text.size()),
          kept_(text.data()),
          max_depth_(max_depth),
          out_(out) {}

    void run() {
        skip_space();
        value();
        while (!levels_.empty()) {
            skip_space();
            if (levels_.back().object) {
                next_member();
            } else {
                next_element();
            }
        }
        skip_space();
        if (at_ != end_) fail(at_, "expected the end after the value");
        if constexpr (kStrip) out_->append(kept_, end_);
    }

private:
    [[noreturn]] void fail(const char* where, const char* why) const {
        throw InvalidJson(static_cast<std::size_t>(where - begin_), why);
    }

    void skip_space() {
        if (at_ == end_ || !is_space(*at_)) return;
        if constexpr (kStrip) out_->append(kept_, at_);
        while (at_ != end_ && is_space(*at_)) ++at_;
        kept_ = at_;
    }

    // After an opening bracket or a child.
    void next_element() {
        const bool first = std::exchange(opened_, false);
        if (at_ == end_) fail(at_, "an array is not closed");
        if (*at_ == ']') return close();
        if (!first) {
            if (*at_ != ',') fail(at_, "expected ',' or ']' after an element");
            ++at_;
            skip_space();
        }
        value();
    }

    void next_member() {
        const bool first = std::exchange(opened_, false);
        if (at_ == end_) fail(at_, "an object is not closed");
        if (*at_ == '}') return close();
        if (!first) {
            if (*at_ != ',') fail(at_, "expected ',' or '}' after a member");
            ++at_;
            skip_space();
        }
        if (at_ == end_ || *at_ != '"') fail(at_, "expected a name in quotes");
        const char* const literal = at_;
        const bool escaped = string();
        add_name({literal, static_cast<std::size_t>(at_ - literal)}, escaped);
        skip_space();
        if (at_ == end_ || *at_ != ':') fail(at_, "expected ':' after the name");
        ++at_;
        skip_space();
        value();
    }

    void value() {
        if (at_ == end_) fail(at_, "expected a value, found the end");
        switch (*at_) {
            case '{': return open(true);
            case '[': return open(false);
            case '"': string(); return;
            case 't': return word("true");
            case 'f': return word("false");
            case 'n': return word("null");
            default: return number();
        }
    }

    void open(bool object) {
        if (levels_.size() == max_depth_) fail(at_, "nested too deep");
        levels_.push_back({names_.size(), object, true});
        opened_ = true;
        ++at_;
    }

    void close() {
        if (levels_.back().object) {
            check_names();
            names_.resize(levels_.back().first_name);
            if (names_.empty()) unescaped_.clear();
        }
        levels_.pop_back();
        ++at_;
    }

    void word(std::string_view expected) {
        if (static_cast<std::size_t>(end_ - at_) < expected.size() ||
            std::memcmp(at_, expected.data(), expected.size()) != 0) {
            fail(at_, "expected a value");
        }
        at_ += expected.size();
    }

    void digits(const char* why) {
        if (at_ == end_ || !is_digit(*at_)) fail(at_, why);
        while (at_ != end_ && is_digit(*at_)) ++at_;
    }

    void number() {
        if (*at_ == '-') {
            ++at_;
        } else if (!is_digit(*at_)) {
            fail(at_, "expected a value");
        }
        if (at_ != end_ && *at_ == '0') {
            ++at_;
            if (at_ != end_ && is_digit(*at_)) fail(at_, "a number may not begin with 0");
        } else {
            digits("expected a digit");
        }
        if (at_ != end_ && *at_ == '.') {
            ++at_;
            digits("expected a digit after '.'");
        }
        if (at_ != end_ && (*at_ == 'e' || *at_ == 'E')) {
            ++at_;
            if (at_ != end_ && (*at_ == '+' || *at_ == '-')) ++at_;
            digits("expected a digit in the exponent");
        }
    }

    // Steps over the literal; true where it has escapes.
    bool string() {
        const char* const opened = at_++;
        bool escaped = false;
        for (;;) {
            at_ = end_of_plain(at_, end_);
            if (at_ == end_) fail(opened, "a string is not closed");
            if (*at_ == '"') break;
            if (*at_ != '\\') fail(at_, "a control character in a string must be escaped");
            escaped = true;
            escape();
        }
        ++at_;
        return escaped;
    }

    void escape() {
        const char* const start = at_++;
        if (at_ == end_) fail(start, "unknown escape");
        switch (*at_++) {
            case '"':
            case '\\':
            case '/':
            case 'b':
            case 'f':
            case 'n':
            case 'r':
            case 't': return;
            case 'u': break;
            default: fail(start, "unknown escape");
        }
        const int unit = hex4(at_, end_);
        if (unit < 0) fail(start, "expected four hex digits after \\u");
        at_ += 4;
        if (is_low_surrogate(unit)) fail(start, "a low surrogate without its high one");
        if (!is_high_surrogate(unit)) return;
        const bool follows = end_ - at_ >= 6 && at_[0] == '\\' && at_[1] == 'u';
        if (!follows || !is_low_surrogate(hex4(at_ + 2, end_))) {
            fail(start, "a high surrogate without its low one");
        }
        at_ += 6;
    }

    void add_name(std::string_view literal, bool escaped) {
        Level& level = levels_.back();
        std::string_view text = literal.substr(1, literal.size() - 2);
        if (escaped) text = unescaped_.emplace_front(unquoted(literal));
        const auto offset = static_cast<std::size_t>(literal.data() - begin_);
        const std::size_t count = names_.size() - level.first_name;
        if (count > 0 && level.ascending && names_.back().text >= text) level.ascending = false;
        if (!level.ascending && count <= kFewNames) {
            for (std::size_t i = level.first_name; i < names_.size(); ++i) {
                if (names_[i].text == text) fail(literal.data(), "a name occurs twice");
            }
        }
        names_.push_back({text, offset});
    }

    // The names that were not compared as they came. Sorted by text: no hash that a sender could
    // steer.
    void check_names() {
        const Level& level = levels_.back();
        if (level.ascending || names_.size() - level.first_name <= kFewNames + 1) return;
        const auto first = names_.begin() + static_cast<std::ptrdiff_t>(level.first_name);
        std::sort(first, names_.end(), [](const Name& a, const Name& b) {
            const int order = a.text.compare(b.text);
            return order != 0 ? order < 0 : a.offset < b.offset;
        });
        std::size_t earliest = std::string_view::npos;
        for (auto name = first; name + 1 != names_.end(); ++name) {
            if (name->text == (name + 1)->text) earliest = std::min(earliest, (name + 1)->offset);
        }
        if (earliest != std::string_view::npos) fail(begin_ + earliest, "a name occurs twice");
    }

    const char* begin_;
    const char* at_;
    const char* end_;
    const char* kept_;  // not yet copied to out_
    std::size_t max_depth_;
    std::string* out_;
    bool opened_ = false;  // the last step was an opening bracket
    // Small texts allocate nothing: their levels and names fit here.
    std::array<std::byte, 2048> block_;
    std::pmr::monotonic_buffer_resource memory_{block_.data(), block_.size()};
    std::pmr::vector<Level> levels_{&memory_};
    std::pmr::vector<Name> names_{&memory_};
    std::forward_list<std::string> unescaped_;
};

void require_utf8(std::string_view text) {
    const std::size_t bad = invalid_utf8(text);
    if (bad != std::string_view::npos) throw InvalidJson(bad, "invalid UTF-8");
}

// Past the string literal that begins at `at`.
std::size_t after_string(std::string_view text, std::size_t at) {
    const char* const end = text.data() + text.size();
    const char* next = text.data() + at + 1;
    for (;;) {
        next = end_of_plain(next, end);
        if (next == end || *next == '"') break;
        next += *next == '\\' && end - next > 1 ? 2 : 1;
    }
    return next == end ? text.size() : static_cast<std::size_t>(next - text.data()) + 1;
}

// Past the value that begins at `at`.
std::size_t after_value(std::string_view text, std::size_t at) {
    std::size_t depth = 0;
    while (at < text.size()) {
        const char c = text[at];
        if (c == '"') {
            at = after_string(text, at);
        } else if (c == '{' || c == '[') {
            ++depth;
            ++at;
            continue;
        } else if (c == '}' || c == ']') {
            if (depth == 0) return at;
            --depth;
            ++at;
        } else if (depth == 0) {
            while (at < text.size() && !is_space(text[at]) && text[at] != ',' && text[at] != '}' &&
                   text[at] != ']') {
                ++at;
            }
        } else {
            ++at;
            continue;
        }
        if (depth == 0) return at;
    }
    return at;
}

std::size_t after_space(std::string_view text, std::size_t at) {
    while (at < text.size() && is_space(text[at])) ++at;
    return at;
}

}  // namespace

std::string compact(std::string_view text, std::size_t max_depth) {
    require_utf8(text);
    std::string out;
    out.reserve(text.size());
    Scanner<true>(text, max_depth, &out).run();
    return out;
}

void check(std::string_view text, std::size_t max_depth) {
    require_utf8(text);
    Scanner<false>(text, max_depth, nullptr).run();
}

std::size_t invalid_utf8(std::string_view text) {
    if (simdjson::validate_utf8(text)) return std::string_view::npos;
    std::size_t bad = 0;
    for (std::size_t at = 0; at < text.size();) {
        const std::size_t length = utf8_length(text.substr(at), bad);
        if (length == 0) return at;
        at += length;
    }
    return std::string_view::npos;
}

void append_quoted(std::string& out, std::string_view text) {
    constexpr std::string_view kHex = "0123456789abcdef";
    const bool valid = simdjson::validate_utf8(text);
    out += '"';
    const char* const end = text.data() + text.size();
    for (const char* at = text.data(); at != end;) {
        const char* stop = end_of_plain(at, end);
        if (!valid) stop = std::find_if(at, stop, [](char c) { return c < 0; });
        out.append(at, stop);
        at = stop;
        if (at == end) break;
        const char c = *at;
        if (c < 0) {
            std::size_t bad = 0;
            const std::size_t good = utf8_length({at, static_cast<std::size_t>(end - at)}, bad);
            out.append(good == 0 ? "\xEF\xBF\xBD" : std::string_view(at, good));
            at += good == 0 ? bad : good;
            continue;
        }
        switch (c) {
            case '"': out += "\\\""; break;
            case '\\': out += "\\\\"; break;
            case '\b': out += "\\b"; break;
            case '\f': out += "\\f"; break;
            case '\n': out += "\\n"; break;
            case '\r': out += "\\r"; break;
            case '\t': out += "\\t"; break;
            default:
                out += "\\u00";
                out += kHex[static_cast<unsigned char>(c) >> 4U];
                out += kHex[static_cast<unsigned char>(c) & 0xFU];
        }
        ++at;
    }
    out += '"';
}

std::string quoted(std::string_view text) {
    std::string out;
    out.reserve(text.size() + 2);
    append_quoted(out, text);
    return out;
}

std::string unquoted(std::string_view literal) {
    std::string out;
    if (literal.size() < 2) return out;
    out.reserve(literal.size() - 2);
    const char* at = literal.data() + 1;
    const char* const end = literal.data() + literal.size() - 1;
    while (at != end) {
        const char* const stop = std::find(at, end, '\\');
        out.append(at, stop);
        if (stop == end || end - stop < 2) break;
        at = stop + 2;
        switch (stop[1]) {
            case 'b': out += '\b'; break;
            case 'f': out += '\f'; break;
            case 'n': out += '\n'; break;
            case 'r': out += '\r'; break;
            case 't': out += '\t'; break;
            case 'u': {
                int unit = std::max(hex4(at, end), 0);
                at += std::min<std::ptrdiff_t>(4, end - at);
                if (is_high_surrogate(unit) && end - at >= 6) {
                    const int low = hex4(at + 2, end);
                    at += 6;
                    unit = 0x10000 + ((unit - 0xD800) << 10) + (low - 0xDC00);
                }
                append_utf8(out, static_cast<std::uint32_t>(unit));
                break;
            }
            default: out += stop[1];
        }
    }
    return out;
}

Walk::Walk(std::string_view container) : text_(container) {
    at_ = after_space(text_, 0);
    const char opening = at_ < text_.size() ? text_[at_] : '\0';
    object_ = opening == '{';
    if (opening != '{' && opening != '[') text_ = {};
    ++at_;
}

bool Walk::next() {
    at_ = after_space(text_, at_);
    if (at_ < text_.size() && text_[at_] == ',') at_ = after_space(text_, at_ + 1);
    if (at_ >= text_.size() || text_[at_] == '}' || text_[at_] == ']') return false;
    if (object_) {
        const std::size_t end = after_string(text_, at_);
        name_ = text_.substr(at_, end - at_);
        at_ = after_space(text_, end);
        at_ = after_space(text_, std::min(at_ + 1, text_.size()));  // the colon
    }
    const std::size_t end = after_value(text_, at_);
    value_ = text_.substr(at_, end - at_);
    at_ = end;
    return true;
}

}  // namespace larder::storage::json
