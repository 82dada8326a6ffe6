// Escaping and time stamps for the logs. Not hot but for put_escaped(), which copies runs.
#include "observe/escape.hpp"

#include <fmt/format.h>
#include <simdjson.h>

#include <array>
#include <cstring>

#include "larder/secrets.hpp"

namespace larder::observe {

namespace {

constexpr std::array<bool, 256> clean_bytes(unsigned first) {
    std::array<bool, 256> clean{};
    for (unsigned byte = first; byte < 0x7f; ++byte) clean[byte] = byte != '"' && byte != '\\';
    return clean;
}
constexpr std::array<bool, 256> kCleanText = clean_bytes(0x20);
constexpr std::array<bool, 256> kCleanWord = clean_bytes(0x21);
constexpr char kHex[] = "0123456789ABCDEF";

void append_hex(std::string& out, unsigned char byte) {
    out += "\\x";
    out += kHex[byte >> 4U];
    out += kHex[byte & 15U];
}

// Whether text[i] is one of the two bytes of U+0080 to U+009F: some terminals obey U+009B as they
// do ESC [. `text` is UTF-8.
bool is_c1(std::string_view text, std::size_t i) noexcept {
    const auto byte = [text](std::size_t at) { return static_cast<unsigned char>(text[at]); };
    if (byte(i) == 0xC2) return byte(i + 1) < 0xA0;
    return byte(i) < 0xA0 && i > 0 && byte(i - 1) == 0xC2;
}

}  // namespace

void append_escaped(std::string& out, std::string_view text) {
    const bool utf8 = simdjson::validate_utf8(text.data(), text.size());
    for (std::size_t i = 0; i < text.size(); ++i) {
        const auto byte = static_cast<unsigned char>(text[i]);
        const bool letter = byte >= 0x80 && utf8 && !is_c1(text, i);
        if (letter || (byte >= 0x20 && byte < 0x7f)) {
            out += text[i];
        } else if (byte == '\n') {
            out += "\\n";
        } else if (byte == '\r') {
            out += "\\r";
        } else if (byte == '\t') {
            out += "\\t";
        } else {
            append_hex(out, byte);
        }
    }
}

char* put_escaped(char* to, std::string_view text, Blanks blanks) noexcept {
    const std::array<bool, 256>& clean = blanks == Blanks::kept ? kCleanText : kCleanWord;
    const char* from = text.data();
    const char* const end = from + text.size();
    while (from != end) {
        const char* run = from;
        while (run != end && clean[static_cast<unsigned char>(*run)]) ++run;
        const auto length = static_cast<std::size_t>(run - from);
        if (length != 0) std::memcpy(to, from, length);
        to += length;
        from = run;
        if (from == end) break;
        const auto byte = static_cast<unsigned char>(*from++);
        *to++ = '\\';
        *to++ = 'x';
        *to++ = kHex[byte >> 4U];
        *to++ = kHex[byte & 15U];
    }
    return to;
}

namespace {

int hex_digit(char c) noexcept {
    if (c >= '0' && c <= '9') return c - '0';
    const char lower = static_cast<char>(c | 0x20);
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

// Where `text` ends that begins at `at`, each of its characters as it is or as a URL's %-escape;
// null where it does not begin there.
char* after(char* at, const char* end, std::string_view text) noexcept {
    for (const char c : text) {
        if (at == end) return nullptr;
        if (*at == c) {
            ++at;
        } else if (*at == '%' && end - at > 2 && hex_digit(at[1]) == c >> 4 &&
                   hex_digit(at[2]) == (c & 15)) {
            at += 3;
        } else {
            return nullptr;
        }
    }
    return at;
}

}  // namespace

void hide_secrets(char* begin, char* end) noexcept {
    const auto is_word = [](char c) {
        return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
               c == '%' || c == '_' || c == '-';
    };
    for (char* at = begin; at != end; ++at) {
        if (*at != kSessionIdBegins.front() && *at != '%') continue;
        char* word = after(at, end, kSessionIdBegins);
        if (word == nullptr) continue;
        for (; word != end && is_word(*word); ++word) *word = '*';
        if (word == end) return;
        at = word;
    }
}

}  // namespace larder::observe
