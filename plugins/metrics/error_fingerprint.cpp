#include "error_fingerprint.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <utility>
#include <vector>

#include "storage-kit/digest.hpp"
#include "storage-kit/json.hpp"

namespace larder::metrics {
namespace {

constexpr std::size_t kFrames = 5, kLongestComponent = 300;

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_word_char(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_'; }

// A word without what changes: "<id>" for long hexadecimal ones and UUIDs, "<n>" for digits.
void append_word(std::string& out, std::string_view word) {
    const bool hexadecimal = std::all_of(word.begin(), word.end(), [](char c) {
        return std::isxdigit(static_cast<unsigned char>(c)) != 0 || c == '-';
    });
    const bool has_digit = std::any_of(word.begin(), word.end(), is_digit);
    if (word.starts_with("0x") || (hexadecimal && has_digit && word.size() >= 8)) {
        out += "<id>";
        return;
    }
    for (std::size_t at = 0; at < word.size();) {
        if (!is_digit(word[at])) {
            out += word[at++];
            continue;
        }
        while (at < word.size() && is_digit(word[at])) ++at;
        out += "<n>";
    }
}

std::size_t word_end(std::string_view text, std::size_t at) {
    while (at < text.size() && (is_word_char(text[at]) || text[at] == '-')) ++at;
    return at;
}

// Frames keep their paths: where it happened is what tells them apart.
std::string frame_template(std::string_view line) {
    std::string out;
    for (std::size_t at = 0; at < line.size();) {
        if (!is_word_char(line[at])) {
            out += line[at++];
            continue;
        }
        const std::size_t end = word_end(line, at);
        append_word(out, line.substr(at, end - at));
        at = end;
    }
    return out.substr(0, kLongestComponent);
}

std::vector<std::string_view> lines_of(std::string_view text) {
    std::vector<std::string_view> lines;
    while (!text.empty()) {
        const std::size_t end = std::min(text.find('\n'), text.size());
        std::string_view line = text.substr(0, end);
        text.remove_prefix(std::min(end + 1, text.size()));
        const std::size_t first = line.find_first_not_of(" \t\r");
        if (first == std::string_view::npos) continue;
        line = line.substr(first, line.find_last_not_of(" \t\r") + 1 - first);
        lines.push_back(line);
    }
    return lines;
}

// "ValueError" of "ValueError: 7 is not a name"; empty where none stands there.
std::string_view type_of(std::string_view line) {
    std::size_t end = 0;
    while (end < line.size() && (is_word_char(line[end]) || line[end] == '.')) ++end;
    const bool is_type = end > 0 && end < line.size() && line[end] == ':' &&
                         std::isalpha(static_cast<unsigned char>(line.front())) != 0;
    return is_type ? line.substr(0, end) : std::string_view{};
}

// Python tells the innermost frame last, others first.
std::vector<std::string> frames_of(std::string_view stack_trace, std::string& type) {
    std::vector<std::string_view> lines = lines_of(stack_trace);
    const bool last_is_inner =
        !lines.empty() && lines.front().starts_with("Traceback (most recent");
    if (last_is_inner) {
        lines.erase(lines.begin());
        std::reverse(lines.begin(), lines.end());
    }
    std::vector<std::string> frames;
    for (std::size_t i = 0; i < lines.size() && frames.size() < kFrames; ++i) {
        if (i == 0) {
            const std::string_view found = type_of(lines[i]);
            if (!found.empty()) {
                type = found;
                continue;
            }
        }
        if (last_is_inner && !lines[i].starts_with("File ")) continue;  // a line of source
        frames.push_back(frame_template(lines[i]));
    }
    return frames;
}

using Components = std::vector<std::pair<std::string_view, std::string>>;  // name, JSON

Fingerprint made(std::string_view method, const Components& components) {
    std::string grouping =
        fmt::format(R"({{"version":{},"method":"{}","components":{{)", kFingerprintVersion, method);
    const char* comma = "";
    for (const auto& [name, value] : components) {
        grouping += fmt::format(R"({}"{}":{})", comma, name, value);
        comma = ",";
    }
    grouping += "}}";
    storage::Sha256 digest;
    digest.update(grouping);  // JSON, so that no two lists of components read the same
    return {digest.finish_hex().substr(0, 32), std::move(grouping)};
}

}  // namespace

std::string message_template(std::string_view message) {
    std::string out;
    for (std::size_t at = 0; at < message.size();) {
        const char c = message[at];
        const bool begins = at == 0 || !is_word_char(message[at - 1]);
        if ((c == '"' || c == '\'' || c == '`') && begins) {
            const std::size_t end = message.find(c, at + 1);
            if (end != std::string_view::npos) {
                out += "<text>";
                at = end + 1;
                continue;
            }
        }
        if (c == '/' && begins && at + 1 < message.size() && is_word_char(message[at + 1])) {
            const std::size_t end =
                std::min(message.find_first_of(" \t\r\n,;:\"'()", at), message.size());
            out += "<path>";
            at = end;
            continue;
        }
        if (!is_word_char(c)) {
            out += c;
            ++at;
            continue;
        }
        const std::size_t end = word_end(message, at);
        append_word(out, message.substr(at, end - at));
        at = end;
    }
    return out.substr(0, kLongestComponent);
}

Fingerprint fingerprint_of(std::string_view category, std::string_view endpoint,
                           std::string_view method, std::string_view message,
                           std::string_view stack_trace) {
    using storage::json::quoted;
    std::string type(type_of(message));
    const std::vector<std::string> frames = frames_of(stack_trace, type);
    if (frames.empty()) {
        return made("message", {{"category", quoted(category)},
                                {"endpoint", quoted(endpoint)},
                                {"method", quoted(method)},
                                {"message", quoted(message_template(message))}});
    }
    std::string list = "[";
    for (const std::string& frame : frames) list += (list.size() > 1 ? "," : "") + quoted(frame);
    return made("stack",
                {{"category", quoted(category)}, {"type", quoted(type)}, {"frames", list + "]"}});
}

}  // namespace larder::metrics
