#include "jobs/schedule.hpp"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <chrono>
#include <optional>
#include <vector>

#include "larder/error.hpp"

namespace larder::jobs {
namespace {

constexpr std::int64_t kMinute = 60, kHour = 3600, kDay = 86400;
// 29 February comes again after eight years at the latest.
constexpr std::int64_t kHorizonDays = std::int64_t{366} * 9;

[[noreturn]] void refuse(std::string_view text, std::string_view why) {
    throw Error(Errc::unprocessable, "invalid-schedule",
                fmt::format("'{}' is no schedule: {}; write \"every 60s\", \"daily 02:00\" or five "
                            "cron fields \"0 2 * * 1-5\"",
                            text.substr(0, 100), why));
}

std::optional<std::int64_t> number_in(std::string_view text) {
    std::int64_t number = 0;
    const auto [end, fault] = std::from_chars(text.data(), text.data() + text.size(), number);
    const bool digits = !text.empty() && text.find_first_not_of("0123456789") == text.npos;
    if (!digits || fault != std::errc() || end != text.data() + text.size()) return std::nullopt;
    return number;
}

std::vector<std::string_view> split(std::string_view text, std::string_view at) {
    std::vector<std::string_view> parts;
    for (std::size_t from = 0;;) {
        const std::size_t to = text.find_first_of(at, from);
        parts.push_back(text.substr(from, to - from));
        if (to == std::string_view::npos) return parts;
        from = to + 1;
    }
}

std::vector<std::string_view> words(std::string_view text) {
    auto parts = split(text, " \t");
    std::erase(parts, std::string_view());
    return parts;
}

struct Field {
    std::string_view name;
    std::int64_t least, most;
    std::string_view names;  // three letters each, the first is `least`
};

constexpr std::array<Field, 5> kFields = {{
    {"minute", 0, 59, ""},
    {"hour", 0, 23, ""},
    {"day of month", 1, 31, ""},
    {"month", 1, 12, "janfebmaraprmayjunjulaugsepoctnovdec"},
    {"day of week", 0, 7, "sunmontuewedthufrisat"},
}};

std::optional<std::int64_t> point_of(const Field& field, std::string_view text) {
    if (const auto number = number_in(text)) {
        if (*number < field.least || *number > field.most) return std::nullopt;
        return number;
    }
    if (text.size() != 3) return std::nullopt;
    std::string lower(text);
    for (char& c : lower) {
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    }
    for (std::size_t at = 0; at < field.names.size(); at += 3) {
        if (field.names.substr(at, 3) == lower) {
            return field.least + static_cast<std::int64_t>(at / 3);
        }
    }
    return std::nullopt;
}

// Calls `mark` for each number that the field names. False: it is malformed.
template <class Mark> bool read_field(const Field& field, std::string_view text, Mark mark) {
    for (const std::string_view item : split(text, ",")) {
        const std::size_t slash = item.find('/');
        const std::string_view range = item.substr(0, slash);
        std::int64_t step = 1;
        if (slash != std::string_view::npos) {
            const auto given = number_in(item.substr(slash + 1));
            if (!given || *given < 1 || *given > field.most) return false;
            step = *given;
        }
        std::optional<std::int64_t> from = field.least, to = field.most;
        if (range != "*") {
            const std::size_t dash = range.find('-');
            if (dash == std::string_view::npos && slash != std::string_view::npos) return false;
            from = point_of(field, range.substr(0, dash));
            to = dash == std::string_view::npos ? from : point_of(field, range.substr(dash + 1));
            // sat-sun: a Sunday that ends a range is the seventh day
            if (field.most == 7 && from && to && *to == 0 && *from > 0) to = 7;
        }
        if (!from || !to || *from > *to) return false;
        for (std::int64_t n = *from; n <= *to; n += step) mark(static_cast<std::size_t>(n));
    }
    return true;
}

std::string_view named(std::string_view word) {
    if (word == "@hourly") return "0 * * * *";
    if (word == "@daily" || word == "@midnight") return "0 0 * * *";
    if (word == "@weekly") return "0 0 * * 0";
    if (word == "@monthly") return "0 0 1 * *";
    if (word == "@yearly" || word == "@annually") return "0 0 1 1 *";
    return {};
}

std::int64_t floor_divide(std::int64_t a, std::int64_t b) { return (a - (a % b + b) % b) / b; }

}  // namespace

Schedule::Schedule(std::string_view text) {
    const auto parts = words(text);
    text_ = fmt::format("{}", fmt::join(parts, " "));
    parse(text_);
    if (every_ms_ == 0 && next(0, 0, utc()) < 0) refuse(text_, "no date has that day and month");
}

void Schedule::parse(std::string_view text) {
    if (text.starts_with("every ")) return parse_every(text);
    if (text.starts_with("daily ")) return parse_daily(text);
    if (text.starts_with("@")) {
        const std::string_view fields = named(text);
        if (fields.empty()) {
            refuse(text, "expected @hourly, @daily, @weekly, @monthly or @yearly");
        }
        return parse_cron(fields);
    }
    parse_cron(text);
}

void Schedule::parse_every(std::string_view text) {
    std::string_view length = text.substr(6);
    const std::string_view unit = length.empty() ? "" : length.substr(length.size() - 1);
    const std::int64_t seconds = unit == "s"   ? 1
                                 : unit == "m" ? kMinute
                                 : unit == "h" ? kHour
                                 : unit == "d" ? kDay
                                               : 0;
    if (!length.empty()) length.remove_suffix(1);
    const auto number = number_in(length);
    if (seconds == 0 || !number || *number < 1 || *number > 366 * kDay / seconds) {
        refuse(text, "expected a number and s, m, h or d, from 1s to 366d");
    }
    every_ms_ = *number * seconds * 1000;
}

void Schedule::parse_daily(std::string_view text) {
    const std::string_view time = text.substr(6);
    const bool shaped = time.size() == 5 && time[2] == ':';
    const auto hour = shaped ? number_in(time.substr(0, 2)) : std::nullopt;
    const auto minute = shaped ? number_in(time.substr(3)) : std::nullopt;
    if (!hour || !minute || *hour > 23 || *minute > 59) {
        refuse(text, "expected a time of day from 00:00 to 23:59");
    }
    parse_cron(fmt::format("{} {} * * *", *minute, *hour));
}

void Schedule::parse_cron(std::string_view text) {
    const auto fields = words(text);
    if (fields.size() != kFields.size()) {
        refuse(text, fmt::format("expected 5 fields, got {}", fields.size()));
    }
    for (std::size_t i = 0; i < fields.size(); ++i) {
        const bool good = read_field(kFields[i], fields[i], [&](std::size_t n) {
            if (i == 0) minutes_.set(n);
            if (i == 1) hours_.set(n);
            if (i == 2) days_of_month_.set(n);
            if (i == 3) months_.set(n);
            if (i == 4) days_of_week_.set(n % 7);
        });
        if (good) continue;
        refuse(text, fmt::format("'{}' is no {}: expected numbers from {} to {}, as in 1,3 or 1-5 "
                                 "or */2",
                                 fields[i], kFields[i].name, kFields[i].least, kFields[i].most));
    }
    any_day_of_month_ = fields[2].starts_with('*');
    any_day_of_week_ = fields[4].starts_with('*');
}

bool Schedule::falls_on(std::int64_t day) const {
    const std::chrono::sys_days date{std::chrono::days(day)};
    const std::chrono::year_month_day parts(date);
    if (!months_[static_cast<unsigned>(parts.month())]) return false;
    const bool by_month = days_of_month_[static_cast<unsigned>(parts.day())];
    const bool by_week = days_of_week_[std::chrono::weekday(date).c_encoding()];
    const bool either = !any_day_of_month_ && !any_day_of_week_;
    return either ? by_month || by_week : by_month && by_week;
}

std::int64_t Schedule::next(std::int64_t after_ms, std::int64_t anchor_ms,
                            const TimeZone& zone) const {
    if (every_ms_ > 0) {
        return anchor_ms + (floor_divide(after_ms - anchor_ms, every_ms_) + 1) * every_ms_;
    }
    const std::int64_t after = floor_divide(after_ms, 1000);
    const std::int64_t next =
        runs_by_elapsed_time() ? next_by_elapsed_time(after, zone) : next_by_the_clock(after, zone);
    return next < 0 ? next : next * 1000;
}

// Each time on the clock once: where clocks change, first_moment_of() says when. -1: never.
std::int64_t Schedule::next_by_the_clock(std::int64_t after, const TimeZone& zone) const {
    // Clocks may have gone back over midnight.
    const std::int64_t today = floor_divide(after + zone.offset_at(after), kDay) - 1;
    for (std::int64_t day = today; day < today + kHorizonDays; ++day) {
        if (!falls_on(day)) continue;
        for (std::size_t hour = 0; hour < hours_.size(); ++hour) {
            if (!hours_[hour]) continue;
            for (std::size_t minute = 0; minute < minutes_.size(); ++minute) {
                if (!minutes_[minute]) continue;
                const std::int64_t local = day * kDay + static_cast<std::int64_t>(hour) * kHour +
                                           static_cast<std::int64_t>(minute) * kMinute;
                const std::int64_t moment = first_moment_of(local, zone);
                if (moment > after) return moment;
            }
        }
    }
    return -1;
}

// Every minute that passes, by what the clock shows in it. -1: never.
std::int64_t Schedule::next_by_elapsed_time(std::int64_t after, const TimeZone& zone) const {
    const std::int64_t end = after + kHorizonDays * kDay;
    for (std::int64_t moment = after + 1; moment < end;) {
        const std::int64_t local = moment + zone.offset_at(moment);
        const std::int64_t past = local - floor_divide(local, kMinute) * kMinute;
        if (past != 0) {
            moment += kMinute - past;
            continue;
        }
        const std::int64_t day = floor_divide(local, kDay);
        if (!falls_on(day)) {
            moment = std::max(moment + kMinute, first_moment_of((day + 1) * kDay, zone));
            continue;
        }
        const auto minute = static_cast<std::size_t>(floor_divide(local, kMinute) % 60);
        if (minutes_[minute]) return moment;
        moment += kMinute;
    }
    return -1;
}

}  // namespace larder::jobs
