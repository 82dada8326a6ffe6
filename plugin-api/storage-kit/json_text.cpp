// Literals written and read, checked text walked, UTF-8 judged. Nothing here refuses JSON: that is
// json.cpp's.
#include <simdjson.h>

#include <algorithm>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "storage-kit/json.hpp"
#include "storage-kit/json_bytes.hpp"

namespace larder::storage::json {
namespace {

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

// Calls back with the place of each bracket and whether it opens.
template <typename Callback> void for_brackets(std::string_view text, Callback callback) {
    for (std::size_t at = 0; at < text.size();) {
        const char c = text[at];
        if (c == '"') {
            at = after_string(text, at);
            continue;
        }
        if (c == '{' || c == '[') callback(at, true);
        if (c == '}' || c == ']') callback(at, false);
        ++at;
    }
}

}  // namespace

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

std::string_view text_of(std::string_view literal, std::string& scratch) {
    const std::string_view inner = literal.substr(1, literal.size() - 2);
    if (inner.find('\\') == std::string_view::npos) return inner;
    return scratch = unquoted(literal);
}

std::size_t depth_of(std::string_view text) {
    std::size_t depth = 0;
    std::size_t deepest = 0;
    for_brackets(text, [&](std::size_t, bool opening) {
        if (opening) {
            deepest = std::max(deepest, ++depth);
        } else {
            --depth;
        }
    });
    return deepest;
}

LongParts::LongParts(std::string_view text) {
    // Shorter ones are passed over as fast as they are looked up; of long texts, only so many are
    // noted that the notes stay far smaller than the text.
    const std::size_t length = std::max<std::size_t>(4096, text.size() / 1024);
    if (text.size() < 2 * length) return;
    std::vector<std::size_t> open;  // places in parts_
    for_brackets(text, [&](std::size_t at, bool opening) {
        if (opening) {
            open.push_back(parts_.size());
            parts_.push_back({text.data() + at, nullptr});
            return;
        }
        Part& part = parts_[open.back()];
        open.pop_back();
        part.end = text.data() + at + 1;
        // A short one is the last: those within it are shorter and went before it.
        if (static_cast<std::size_t>(part.end - part.begin) < length) parts_.pop_back();
    });
}

const char* LongParts::end_of(const char* begin) const noexcept {
    if (parts_.empty()) return nullptr;
    const auto found = std::lower_bound(
        parts_.begin(), parts_.end(), begin,
        [](const Part& part, const char* at) { return std::less<>()(part.begin, at); });
    return found != parts_.end() && found->begin == begin ? found->end : nullptr;
}

Walk::Walk(std::string_view container, const LongParts* known) : text_(container), known_(known) {
    at_ = after_space(text_, 0);
    const char opening = at_ < text_.size() ? text_[at_] : '\0';
    object_ = opening == '{';
    if (opening != '{' && opening != '[') text_ = {};
    at_ = std::min(at_ + 1, text_.size());
}

Walk Walk::elements(std::string_view run, const LongParts* known) {
    Walk walk;
    walk.text_ = run;
    walk.known_ = known;
    return walk;
}

std::size_t Walk::after_child() const {
    if (known_ != nullptr && (text_[at_] == '{' || text_[at_] == '[')) {
        const char* const end = known_->end_of(text_.data() + at_);
        if (end != nullptr) return static_cast<std::size_t>(end - text_.data());
    }
    return after_value(text_, at_);
}

std::string_view Walk::value() {
    if (within_ && value_.empty()) value_ = text_.substr(at_, after_child() - at_);
    return value_;
}

bool Walk::next() {
    if (within_) at_ = value_.empty() ? after_child() : at_ + value_.size();
    within_ = false;
    value_ = {};
    at_ = after_space(text_, at_);
    if (at_ < text_.size() && text_[at_] == ',') at_ = after_space(text_, at_ + 1);
    if (at_ >= text_.size() || text_[at_] == '}' || text_[at_] == ']') {
        text_ = text_.substr(0, at_);
        return false;
    }
    if (object_) {
        const std::size_t end = after_string(text_, at_);
        name_ = text_.substr(at_, end - at_);
        at_ = after_space(text_, end);
        at_ = after_space(text_, std::min(at_ + 1, text_.size()));  // the colon
    }
    within_ = true;
    return true;
}

}  // namespace larder::storage::json
