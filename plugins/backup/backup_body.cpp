#include "backup_body.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <utility>

#include "storage-kit/json.hpp"

namespace larder::backup {

namespace json = storage::json;

Error invalid_field(std::string_view member, std::string detail) {
    return std::move(Error(Errc::unprocessable, "invalid-field", std::move(detail))
                         .with("pointer", json::quoted(fmt::format("/{}", member))));
}

Body Body::of_request(std::string_view text) {
    if (text.empty()) text = "{}";
    try {
        json::check(text);
    } catch (const json::InvalidJson& error) {
        throw Error(Errc::bad_request, "invalid-json",
                    fmt::format("the body is no JSON value: {}", error.what()))
            .with("offset", std::to_string(error.offset()));
    }
    const std::size_t first = text.find_first_not_of(" \t\r\n");
    if (text[first] != '{') {
        throw Error(Errc::unprocessable, "invalid-field", "the body must be a JSON object")
            .with("pointer", "\"\"");
    }
    return Body(text);
}

Body::Body(std::string_view text) {
    for (json::Walk walk(text); walk.next();) {
        members_.push_back({json::unquoted(walk.name()), std::string(walk.value())});
    }
}

void Body::allow_only(std::string_view names) const {
    const std::string known = fmt::format(",{},", names);
    for (const Member& member : members_) {
        if (member.name.find(',') == std::string::npos &&
            known.find(fmt::format(",{},", member.name)) != std::string::npos) {
            continue;
        }
        throw invalid_field(member.name, fmt::format("these members are known: {}", names));
    }
}

const Body::Member* Body::find(std::string_view name) const {
    const auto found = std::find_if(members_.begin(), members_.end(),
                                    [&](const Member& member) { return member.name == name; });
    return found == members_.end() || found->value == "null" ? nullptr : &*found;
}

bool Body::has(std::string_view name) const { return find(name) != nullptr; }

std::string_view Body::raw(std::string_view name) const {
    const Member* const member = find(name);
    return member == nullptr ? std::string_view() : member->value;
}

std::string Body::text(std::string_view name, std::string_view absent) const {
    const std::string_view value = raw(name);
    if (value.empty()) return std::string(absent);
    if (!value.starts_with('"')) throw invalid_field(name, fmt::format("{} is a string", name));
    return json::unquoted(value);
}

bool Body::flag(std::string_view name, bool absent) const {
    const std::string_view value = raw(name);
    if (value.empty()) return absent;
    if (value != "true" && value != "false") {
        throw invalid_field(name, fmt::format("{} is true or false", name));
    }
    return value == "true";
}

std::uint64_t Body::number(std::string_view name, std::uint64_t absent) const {
    const std::string_view value = raw(name);
    if (value.empty()) return absent;
    std::uint64_t number = 0;
    const auto read = std::from_chars(value.data(), value.data() + value.size(), number);
    if (read.ec != std::errc() || read.ptr != value.data() + value.size()) {
        throw invalid_field(name, fmt::format("{} is a whole number, 0 or more", name));
    }
    return number;
}

double Body::real(std::string_view name, double absent) const {
    const std::string_view value = raw(name);
    if (value.empty()) return absent;
    double number = 0;
    const auto read = std::from_chars(value.data(), value.data() + value.size(), number);
    if (read.ec != std::errc() || read.ptr != value.data() + value.size()) {
        throw invalid_field(name, fmt::format("{} is a number", name));
    }
    return number;
}

std::vector<std::string> Body::texts(std::string_view name) const {
    const std::string_view value = raw(name);
    std::vector<std::string> texts;
    if (value.empty()) return texts;
    if (!value.starts_with('[')) throw invalid_field(name, fmt::format("{} is an array", name));
    for (json::Walk walk(value); walk.next();) {
        if (!walk.value().starts_with('"')) {
            throw invalid_field(fmt::format("{}/{}", name, texts.size()),
                                fmt::format("{} holds strings", name));
        }
        texts.push_back(json::unquoted(walk.value()));
    }
    return texts;
}

std::string json_list(const std::vector<std::string>& texts) {
    std::string out = "[";
    for (const std::string& text : texts) {
        if (out.size() > 1) out += ',';
        json::append_quoted(out, text);
    }
    return out + "]";
}

std::string text_or_null(std::string_view text) {
    return text.empty() ? "null" : json::quoted(text);
}

std::int64_t time_of(std::string_view text) {
    const std::string copy(text);
    int year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0, milli = 0;
    const int read = std::sscanf(copy.c_str(), "%4d-%2d-%2dT%2d:%2d:%2d.%3dZ", &year, &month, &day,
                                 &hour, &minute, &second, &milli);
    if (read != 7) return 0;
    const std::chrono::year_month_day date{std::chrono::year(year),
                                           std::chrono::month(static_cast<unsigned>(month)),
                                           std::chrono::day(static_cast<unsigned>(day))};
    if (!date.ok()) return 0;
    const auto time = std::chrono::sys_days(date) + std::chrono::hours(hour) +
                      std::chrono::minutes(minute) + std::chrono::seconds(second) +
                      std::chrono::milliseconds(milli);
    return std::chrono::duration_cast<std::chrono::milliseconds>(time.time_since_epoch()).count();
}

}  // namespace larder::backup
