// One table for tokens, since every header name passes it twice; the rest is rare enough to be
// plain.
#include "http/grammar.hpp"

#include <algorithm>
#include <array>
#include <charconv>

#include "http/http.hpp"

namespace larder::http {

namespace {

constexpr std::array<bool, 256> token_table() {
    std::array<bool, 256> table{};
    for (const char c : std::string_view("!#$%&'*+-.^_`|~0123456789"
                                         "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")) {
        table[static_cast<unsigned char>(c)] = true;
    }
    return table;
}
constexpr std::array<bool, 256> kToken = token_table();

bool is_alpha(char c) noexcept { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

bool is_port(std::string_view text) noexcept {
    if (text.empty()) return true;  // "host:" is allowed by the grammar
    unsigned port = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
    return error == std::errc{} && end == text.data() + text.size() && port <= 65535;
}

bool is_registered_name(std::string_view host) noexcept {
    for (std::size_t i = 0; i < host.size(); ++i) {
        const char c = host[i];
        if (c == '%') {
            if (i + 2 >= host.size() || !is_hex(host[i + 1]) || !is_hex(host[i + 2])) return false;
            i += 2;
        } else if (!is_alpha(c) && !is_decimal(c) &&
                   std::string_view("-._~!$&'()*+,;=").find(c) == std::string_view::npos) {
            return false;
        }
    }
    return !host.empty();
}

}  // namespace

bool is_token_byte(char c) noexcept { return kToken[static_cast<unsigned char>(c)]; }
bool is_decimal(char c) noexcept { return c >= '0' && c <= '9'; }
bool is_hex(char c) noexcept {
    return is_decimal(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}
char lower(char c) noexcept { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }

std::string_view trimmed(std::string_view text) noexcept {
    while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
    while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
    return text;
}

bool is_token(std::string_view text) noexcept {
    return !text.empty() && std::all_of(text.begin(), text.end(), is_token_byte);
}

bool is_field_value(std::string_view text) noexcept {
    return std::all_of(text.begin(), text.end(), [](char c) {
        const auto byte = static_cast<unsigned char>(c);
        return (byte >= 0x20U && byte != 0x7FU) || c == '\t';
    });
}

bool equals_ignoring_case(std::string_view a, std::string_view b) noexcept {
    return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin(),
                                              [](char x, char y) { return lower(x) == lower(y); });
}

bool is_authority(std::string_view text) noexcept {
    if (!text.starts_with('[')) {
        const std::size_t colon = text.find(':');
        if (colon == std::string_view::npos) return is_registered_name(text);
        return is_registered_name(text.substr(0, colon)) && is_port(text.substr(colon + 1));
    }
    const std::size_t close = text.find(']');
    if (close == std::string_view::npos) return false;
    const std::string_view inside = text.substr(1, close - 1), after = text.substr(close + 1);
    if (inside.find(':') == std::string_view::npos) return false;
    const bool address = std::all_of(inside.begin(), inside.end(),
                                     [](char c) { return is_hex(c) || c == ':' || c == '.'; });
    return address && (after.empty() || (after.front() == ':' && is_port(after.substr(1))));
}

}  // namespace larder::http
