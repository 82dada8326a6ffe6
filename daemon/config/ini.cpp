// The strict .ini reader: one pass, a line at a time, collecting faults. Not the meaning of the
// keys.
#include "config/ini.hpp"

#include <fmt/format.h>

#include <cstdint>
#include <map>
#include <optional>
#include <utility>

namespace larder::config {

namespace {

bool is_blank(char c) noexcept { return c == ' ' || c == '\t'; }

std::string_view trimmed(std::string_view text) noexcept {
    while (!text.empty() && is_blank(text.front())) text.remove_prefix(1);
    while (!text.empty() && is_blank(text.back())) text.remove_suffix(1);
    return text;
}

bool has_control(std::string_view text) noexcept {
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        if ((byte < 0x20 && c != '\t') || byte == 0x7f) return true;
    }
    return false;
}

// A trailing comment would silently become part of the value; what looks like one is refused.
bool looks_commented(std::string_view value) noexcept {
    for (std::size_t i = 1; i < value.size(); ++i) {
        if ((value[i] == '#' || value[i] == ';') && is_blank(value[i - 1])) return true;
    }
    return false;
}

class Reader {
public:
    IniDocument read(std::string_view text) {
        if (text.size() > kMaxIniFile) {
            fault(0, fmt::format("expected at most {} bytes, got {}", kMaxIniFile, text.size()));
            return std::move(document_);
        }
        if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);  // some editors leave a BOM
        while (!text.empty() && document_.faults.size() < kMaxIniFaults) {
            ++line_;
            const std::size_t end = text.find('\n');
            const bool last = end == std::string_view::npos;
            std::string_view line = text.substr(0, last ? text.size() : end);
            text.remove_prefix(last ? text.size() : end + 1);
            if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
            take_line(line);
        }
        return std::move(document_);
    }

private:
    void fault(unsigned line, std::string message) {
        document_.faults.push_back({line, std::move(message)});
    }

    void take_line(std::string_view line) {
        if (line.size() > kMaxIniLine) {
            return fault(line_, fmt::format("expected a line of at most {} bytes, got {}",
                                            kMaxIniLine, line.size()));
        }
        if (!is_utf8(line)) return fault(line_, "expected UTF-8, got other bytes");
        if (has_control(line)) {
            return fault(line_, fmt::format("expected text without control characters, got '{}'",
                                            shown(line)));
        }
        line = trimmed(line);
        if (line.empty() || line.front() == '#' || line.front() == ';') return;
        if (line.front() == '[') return take_section(line);
        take_entry(line);
    }

    void take_section(std::string_view line) {
        section_.reset();
        in_bad_section_ = true;  // its keys are passed over: one mistake, one message
        if (line.back() != ']' || !is_ini_name(line.substr(1, line.size() - 2))) {
            return fault(line_,
                         fmt::format("expected a section such as [http] (lower case letters, "
                                     "digits and _), got '{}'",
                                     shown(line)));
        }
        const std::string name(line.substr(1, line.size() - 2));
        const auto [place, is_new] = section_lines_.emplace(name, line_);
        if (!is_new) {
            return fault(line_,
                         fmt::format("section [{}] stands twice, first at line {}; put its keys "
                                     "together",
                                     name, place->second));
        }
        document_.sections.push_back({name, line_});
        section_ = name;
        in_bad_section_ = false;
    }

    void take_entry(std::string_view line) {
        const std::size_t equals = line.find('=');
        if (equals == std::string_view::npos) {
            return fault(line_,
                         fmt::format("expected 'key = value', [section] or a # comment, got '{}'",
                                     shown(line)));
        }
        const std::string_view name = trimmed(line.substr(0, equals));
        if (!is_ini_name(name)) {
            return fault(line_,
                         fmt::format("expected a key of lower case letters, digits and _, got '{}'",
                                     shown(name)));
        }
        const std::optional<std::string> value = take_value(trimmed(line.substr(equals + 1)));
        if (!value || in_bad_section_) return;
        if (!section_) {
            return fault(
                line_,
                fmt::format("key '{}' stands before the first [section]; put it below one", name));
        }
        std::string key(name);
        const auto [place, is_new] = key_lines_.emplace(std::pair(*section_, key), line_);
        if (!is_new) {
            return fault(line_,
                         fmt::format("key '{}' stands twice in [{}], first at line {}; remove one",
                                     key, *section_, place->second));
        }
        document_.entries.push_back({*section_, std::move(key), *value, line_});
    }

    // Null when a fault was noted. Faults never repeat the value: it may be a secret.
    std::optional<std::string> take_value(std::string_view raw) {
        if (raw.empty() || raw.front() != '"') {
            if (!looks_commented(raw)) return std::string(raw);
            fault(line_,
                  "a comment stands on a line of its own; if '#' or ';' belongs to the value, put "
                  "the value in double quotes");
            return std::nullopt;
        }
        std::string value;
        for (std::size_t i = 1; i < raw.size(); ++i) {
            const char c = raw[i];
            if (c == '"') {
                if (i + 1 == raw.size()) return value;
                fault(line_,
                      "expected nothing after the closing quote; write a quote inside the value "
                      "as \\\"");
                return std::nullopt;
            }
            if (c != '\\') {
                value += c;
                continue;
            }
            ++i;
            if (i == raw.size()) break;
            if (raw[i] != '"' && raw[i] != '\\') {
                fault(line_,
                      "expected \\\" or \\\\ inside quotes, got another escape; write a backslash "
                      "as \\\\");
                return std::nullopt;
            }
            value += raw[i];
        }
        fault(line_, "expected a closing double quote at the end of the line, got none");
        return std::nullopt;
    }

    IniDocument document_;
    unsigned line_ = 0;
    std::optional<std::string> section_;
    bool in_bad_section_ = false;
    std::map<std::string, unsigned> section_lines_;
    std::map<std::pair<std::string, std::string>, unsigned> key_lines_;
};

// Length of the well-formed sequence at the start of `text`, 0 for none (Unicode table 3-7).
std::size_t utf8_length(std::string_view text) noexcept {
    const auto byte = [&](std::size_t i) -> unsigned {
        return i < text.size() ? static_cast<unsigned char>(text[i]) : 0U;
    };
    const auto follows = [&](std::size_t i) { return (byte(i) & 0xC0U) == 0x80U; };
    const unsigned lead = byte(0);
    if (lead < 0x80) return 1;
    if (lead >= 0xC2 && lead <= 0xDF) return follows(1) ? 2 : 0;
    if (lead >= 0xE0 && lead <= 0xEF) {
        const unsigned least = lead == 0xE0 ? 0xA0 : 0x80;
        const unsigned most = lead == 0xED ? 0x9F : 0xBF;
        return byte(1) >= least && byte(1) <= most && follows(2) ? 3 : 0;
    }
    if (lead >= 0xF0 && lead <= 0xF4) {
        const unsigned least = lead == 0xF0 ? 0x90 : 0x80;
        const unsigned most = lead == 0xF4 ? 0x8F : 0xBF;
        return byte(1) >= least && byte(1) <= most && follows(2) && follows(3) ? 4 : 0;
    }
    return 0;
}

}  // namespace

IniDocument parse_ini(std::string_view text) { return Reader().read(text); }

bool is_ini_name(std::string_view name) noexcept {
    if (name.empty() || name.size() > kMaxIniName) return false;
    if (name.front() < 'a' || name.front() > 'z') return false;
    for (const char c : name) {
        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_')) return false;
    }
    return true;
}

bool is_utf8(std::string_view text) noexcept {
    while (!text.empty()) {
        const std::size_t length = utf8_length(text);
        if (length == 0) return false;
        text.remove_prefix(length);
    }
    return true;
}

std::string shown(std::string_view text) {
    constexpr std::size_t kMost = 60;
    std::string out;
    for (const char c : text.substr(0, kMost)) {
        const auto byte = static_cast<unsigned char>(c);
        if (byte < 0x20 || byte == 0x7f) {
            out += fmt::format("\\x{:02X}", byte);
        } else {
            out += c;
        }
    }
    while (!out.empty() && !is_utf8(out)) out.pop_back();  // the cut may have split a character
    if (text.size() > kMost) out += "…";
    return out;
}

}  // namespace larder::config
