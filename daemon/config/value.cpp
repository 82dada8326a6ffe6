// Parsing of the declared types. Numbers are kept as one 64-bit integer, so that ranges compare
// alike.
#include "config/value.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>
#include <optional>

#include "config/ini.hpp"

namespace larder::config {

namespace {

struct Unit {
    std::string_view name;
    std::int64_t size;
};

constexpr std::array kByteUnits{
    Unit{"", 1},
    Unit{"B", 1},
    Unit{"KiB", std::int64_t{1} << 10U},
    Unit{"MiB", std::int64_t{1} << 20U},
    Unit{"GiB", std::int64_t{1} << 30U},
    Unit{"TiB", std::int64_t{1} << 40U},
    Unit{"KB", 1'000},
    Unit{"MB", 1'000'000},
    Unit{"GB", 1'000'000'000},
    Unit{"TB", 1'000'000'000'000},
};

constexpr std::array kDurationUnits{
    Unit{"ms", 1}, Unit{"s", 1'000}, Unit{"m", 60'000}, Unit{"h", 3'600'000}, Unit{"d", 86'400'000},
};

constexpr std::array<std::string_view, 3> kWords{"off", "none", "cores"};

constexpr std::string_view kByteHint = "a size such as 512, 64KiB or 1MiB";
constexpr std::string_view kDurationHint = "a duration such as 500ms, 10s, 5m, 1h or 90d";

[[noreturn]] void refuse(std::string_view expected, std::string_view got) {
    throw ValueError(got.empty() ? fmt::format("expected {}, got nothing", expected)
                                 : fmt::format("expected {}, got '{}'", expected, shown(got)));
}

// Digits, then one of `units`.
std::int64_t parse_scaled(std::string_view text, std::span<const Unit> units,
                          std::string_view hint) {
    std::int64_t number = 0;
    const char* const end = text.data() + text.size();
    if (text.empty() || text.front() < '0' || text.front() > '9') refuse(hint, text);
    const std::from_chars_result read = std::from_chars(text.data(), end, number);
    const bool overflows = read.ec == std::errc::result_out_of_range;
    const std::string_view unit(read.ptr, static_cast<std::size_t>(end - read.ptr));
    for (const Unit& known : units) {
        if (known.name != unit) continue;
        if (!overflows && number <= std::numeric_limits<std::int64_t>::max() / known.size) {
            return number * known.size;
        }
        refuse("a number below 2^63 in its smallest unit", text);
    }
    refuse(hint, text);
}

Kind kind_of(const Setting& setting) {
    const std::string_view type = setting.type;
    if (type == "text") return Kind::text;
    if (type == "integer") return Kind::integer;
    if (type == "flag") return Kind::flag;
    if (type == "bytes") return Kind::bytes;
    if (type == "duration") return Kind::duration;
    if (type == "path") return Kind::path;
    if (type.starts_with("choice:") && type.size() > 7) return Kind::choice;
    throw Error(Errc::internal, "bad-declaration",
                fmt::format("setting '{}' is declared with the unknown type '{}'; expected text, "
                            "integer, flag, bytes, duration, path or choice:a|b",
                            setting.key, type));
}

std::vector<std::string> choices_of(const Setting& setting) {
    std::vector<std::string> words;
    std::string_view rest = std::string_view(setting.type).substr(7);
    while (true) {
        const std::size_t bar = rest.find('|');
        words.emplace_back(rest.substr(0, bar));
        if (bar == std::string_view::npos) return words;
        rest.remove_prefix(bar + 1);
    }
}

std::int64_t parse_number(Kind kind, std::string_view text) {
    switch (kind) {
        case Kind::integer: return parse_integer(text);
        case Kind::flag: return parse_flag(text) ? 1 : 0;
        case Kind::bytes: return static_cast<std::int64_t>(parse_bytes(text));
        case Kind::duration: return parse_duration(text).count();
        case Kind::text:
        case Kind::path:
        case Kind::choice: break;
    }
    return 0;
}

std::string range_of(const Setting& setting) {
    if (setting.least != nullptr && setting.most != nullptr) {
        return fmt::format("{} to {}", setting.least, setting.most);
    }
    if (setting.least != nullptr) return fmt::format("at least {}", setting.least);
    return fmt::format("at most {}", setting.most);
}

void check_range(const Setting& setting, const Value& value) {
    const bool below =
        setting.least != nullptr && value.number < parse_number(value.kind, setting.least);
    const bool above =
        setting.most != nullptr && value.number > parse_number(value.kind, setting.most);
    if (below || above) refuse(range_of(setting), value.text);
}

bool is_special_word(const Setting& setting, std::string_view text) {
    return text == setting.fallback && std::ranges::find(kWords, text) != kWords.end();
}

[[noreturn]] void misdeclared(const Setting& setting, std::string_view why) {
    throw Error(Errc::internal, "bad-declaration",
                fmt::format("setting '{}' is declared wrongly: {}",
                            setting.key == nullptr ? "(null)" : setting.key, why));
}

}  // namespace

Value parse_value(const Setting& setting, std::string_view text) {
    Value value{kind_of(setting), std::string(text), 0};
    if (is_special_word(setting, text)) return value;
    switch (value.kind) {
        case Kind::text: return value;
        case Kind::path:
            if (text == setting.fallback || text.starts_with('/')) return value;
            refuse("an absolute path", text);
        case Kind::choice: {
            const std::vector<std::string> words = choices_of(setting);
            if (std::ranges::find(words, text) != words.end()) return value;
            refuse(fmt::format("one of {}", fmt::join(words, ", ")), text);
        }
        case Kind::integer:
        case Kind::flag:
        case Kind::bytes:
        case Kind::duration: break;
    }
    value.number = parse_number(value.kind, text);
    check_range(setting, value);
    return value;
}

void check_setting(const Setting& setting) {
    if (setting.key == nullptr || !is_ini_name(setting.key)) {
        misdeclared(setting, "expected a key of lower case letters, digits and _");
    }
    if (setting.type == nullptr || setting.fallback == nullptr || setting.says == nullptr) {
        misdeclared(setting, "type, fallback and says may not be null");
    }
    const Kind kind = kind_of(setting);
    const bool ranged = kind == Kind::integer || kind == Kind::bytes || kind == Kind::duration;
    if (!ranged && (setting.least != nullptr || setting.most != nullptr)) {
        misdeclared(setting, "only integer, bytes and duration have a range");
    }
    for (const char* const text : {setting.fallback, setting.says, setting.type}) {
        if (!is_utf8(text) || std::string_view(text).find('\n') != std::string_view::npos) {
            misdeclared(setting, "its texts must be one line of UTF-8 each");
        }
    }
    try {
        for (const char* const bound : {setting.least, setting.most}) {
            if (bound != nullptr) parse_number(kind, bound);
        }
        parse_value(setting, setting.fallback);
    } catch (const ValueError& error) {
        misdeclared(setting, error.what());
    }
}

std::int64_t parse_integer(std::string_view text) {
    std::int64_t number = 0;
    const char* const end = text.data() + text.size();
    const std::from_chars_result read = std::from_chars(text.data(), end, number);
    if (read.ec != std::errc() || read.ptr != end) refuse("a whole number such as 42", text);
    return number;
}

bool parse_flag(std::string_view text) {
    if (text == "true") return true;
    if (text == "false") return false;
    refuse("true or false", text);
}

std::uint64_t parse_bytes(std::string_view text) {
    return static_cast<std::uint64_t>(parse_scaled(text, kByteUnits, kByteHint));
}

std::chrono::milliseconds parse_duration(std::string_view text) {
    if (text == "0") return std::chrono::milliseconds(0);
    return std::chrono::milliseconds(parse_scaled(text, kDurationUnits, kDurationHint));
}

std::string describe_type(const Setting& setting) {
    if (kind_of(setting) == Kind::choice) {
        return fmt::format("one of {}", fmt::join(choices_of(setting), ", "));
    }
    if (kind_of(setting) == Kind::flag) return "true or false";
    std::string text = setting.type;
    if (setting.least != nullptr || setting.most != nullptr) text += ", " + range_of(setting);
    if (is_special_word(setting, setting.fallback))
        text += fmt::format(", or {}", setting.fallback);
    return text;
}

std::vector<std::string> split_list(std::string_view text) {
    std::vector<std::string> parts;
    while (true) {
        const std::size_t comma = text.find(',');
        std::string_view part = text.substr(0, comma);
        const std::size_t first = part.find_first_not_of(" \t");
        if (first != std::string_view::npos) {
            part = part.substr(first, part.find_last_not_of(" \t") - first + 1);
            parts.emplace_back(part);
        }
        if (comma == std::string_view::npos) return parts;
        text.remove_prefix(comma + 1);
    }
}

}  // namespace larder::config
