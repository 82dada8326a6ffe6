#include "error_scrub.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <optional>

#include "storage-kit/json.hpp"

namespace larder::metrics {
namespace {

namespace json = storage::json;

// Compared without '-', '_' and case. Those of the second kind are secret within longer names too.
constexpr std::array<std::string_view, 7> kWholeNames = {"auth", "pass", "pwd",      "pin",
                                                         "sid",  "otp",  "signature"};
constexpr std::array<std::string_view, 15> kParts = {
    "password",      "passwd",    "passphrase", "secret",        "token",
    "authorization", "cookie",    "apikey",     "accesskey",     "privatekey",
    "credential",    "sessionid", "sessionkey", "encryptionkey", "connectionstring"};

bool is_word(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0; }
bool is_name_char(char c) { return is_word(c) || c == '_' || c == '-'; }

bool equals(std::string_view a, std::string_view lower) {
    return a.size() == lower.size() &&
           std::equal(a.begin(), a.end(), lower.begin(), [](char x, char y) {
               return std::tolower(static_cast<unsigned char>(x)) == y;
           });
}

// What follows a secret name in a text: blanks, ':' or '=', blanks, and then the value, up to a
// blank, ',', ';', '&' or a quote. Where the name is one of a header, to the line's end.
struct Value {
    std::size_t begin, end;
};
std::optional<Value> value_behind(std::string_view text, std::size_t at, bool header) {
    if (at < text.size() && (text[at] == '"' || text[at] == '\'')) ++at;
    while (at < text.size() && text[at] == ' ') ++at;
    if (at >= text.size() || (text[at] != ':' && text[at] != '=')) return std::nullopt;
    ++at;
    while (at < text.size() && text[at] == ' ') ++at;
    char quote = 0;
    if (at < text.size() && (text[at] == '"' || text[at] == '\'')) quote = text[at++];
    if (text.substr(at).starts_with(kScrubbed)) return Value{at, at + kScrubbed.size()};
    std::size_t end = at;
    while (end < text.size()) {
        const char c = text[end];
        if (c == '\n' || c == '\r') break;
        if (quote != 0
                ? c == quote
                : !header && std::string_view(" \t,;&\"'})]").find(c) != std::string_view::npos) {
            break;
        }
        ++end;
    }
    if (end == at) return std::nullopt;
    return Value{at, end};
}

bool is_header_name(std::string_view name) {
    return equals(name, "authorization") || equals(name, "cookie") || equals(name, "set-cookie") ||
           equals(name, "proxy-authorization");
}

// The end of a credential that begins at `at`.
std::size_t token_end(std::string_view text, std::size_t at) {
    while (at < text.size() && (is_word(text[at]) || std::string_view("-._~+/=").find(text[at]) !=
                                                         std::string_view::npos)) {
        ++at;
    }
    return at;
}

// "//user:pass@": the place of the password, where there is one at `at` ("//").
std::optional<Value> password_of_url(std::string_view text, std::size_t at) {
    if (!text.substr(at).starts_with("//")) return std::nullopt;
    const std::size_t begin = at + 2;
    const std::size_t end = std::min(text.find_first_of(" \t\r\n\"'<>/?#", begin), text.size());
    const std::string_view authority = text.substr(begin, end - begin);
    const std::size_t host = authority.rfind('@');
    const std::size_t colon = authority.find(':');
    if (host == std::string_view::npos || colon == std::string_view::npos || colon > host) {
        return std::nullopt;
    }
    return Value{begin + colon + 1, begin + host};
}

void scrub_value(std::string& out, std::string_view value, bool secret);

void scrub_object(std::string& out, std::string_view value) {
    const char* comma = "";
    out += '{';
    for (json::Walk walk(value); walk.next();) {
        out.append(comma).append(walk.name()).append(":");
        scrub_value(out, walk.value(), is_secret_name(json::unquoted(walk.name())));
        comma = ",";
    }
    out += '}';
}

void scrub_value(std::string& out, std::string_view value, bool secret) {
    if (secret && value != "null" && value != "true" && value != "false") {
        return json::append_quoted(out, kScrubbed);
    }
    if (value.starts_with('{')) return scrub_object(out, value);
    if (value.starts_with('[')) {
        const char* comma = "";
        out += '[';
        for (json::Walk walk(value); walk.next();) {
            out += comma;
            scrub_value(out, walk.value(), false);
            comma = ",";
        }
        out += ']';
        return;
    }
    if (value.starts_with('"')) return json::append_quoted(out, scrub_text(json::unquoted(value)));
    out += value;
}

}  // namespace

bool is_secret_name(std::string_view name) {
    std::string plain;
    for (const char c : name) {
        if (c == '-' || c == '_' || c == ' ' || c == '.') continue;
        plain += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    }
    return std::find(kWholeNames.begin(), kWholeNames.end(), plain) != kWholeNames.end() ||
           std::any_of(kParts.begin(), kParts.end(), [&](std::string_view part) {
               return plain.find(part) != std::string::npos;
           });
}

std::string scrub_text(std::string_view text) {
    std::string out;
    for (std::size_t at = 0; at < text.size();) {
        if (const auto password = password_of_url(text, at)) {
            out.append(text.substr(at, password->begin - at)).append(kScrubbed);
            at = password->end;
            continue;
        }
        const bool begins_word = is_name_char(text[at]) && (at == 0 || !is_name_char(text[at - 1]));
        if (!begins_word) {
            out += text[at++];
            continue;
        }
        std::size_t end = at;
        while (end < text.size() && is_name_char(text[end])) ++end;
        const std::string_view name = text.substr(at, end - at);
        out += name;
        at = end;
        if (is_secret_name(name)) {
            if (const auto value = value_behind(text, end, is_header_name(name))) {
                out.append(text.substr(end, value->begin - end)).append(kScrubbed);
                at = value->end;
            }
        } else if ((equals(name, "bearer") || equals(name, "basic")) && end < text.size() &&
                   text[end] == ' ') {
            const std::size_t last = token_end(text, end + 1);
            if (last - end > 8) {  // "basic idea" is none
                out.append(" ").append(kScrubbed);
                at = last;
            }
        }
    }
    return out;
}

std::string scrub_json(std::string_view text) {
    std::string out;
    scrub_value(out, text, false);
    return out;
}

}  // namespace larder::metrics
