#include "storage-kit/timestamps.hpp"

#include <algorithm>
#include <chrono>

#include "larder/time.hpp"

namespace larder::storage {
namespace {

// Takes digits off the front; -1 where there are fewer.
int take_digits(std::string_view& text, std::size_t count) {
    if (text.size() < count) return -1;
    int value = 0;
    for (std::size_t i = 0; i < count; ++i) {
        if (text[i] < '0' || text[i] > '9') return -1;
        value = value * 10 + (text[i] - '0');
    }
    text.remove_prefix(count);
    return value;
}

bool take_one_of(std::string_view& text, std::string_view wanted) {
    if (text.empty() || wanted.find(text.front()) == std::string_view::npos) return false;
    text.remove_prefix(1);
    return true;
}

bool take(std::string_view& text, char wanted) { return take_one_of(text, {&wanted, 1}); }

// Date and time of day up to the fraction, which may be missing; one of `between` parts the two.
std::optional<std::int64_t> take_local(std::string_view& text, std::string_view between) {
    const int year = take_digits(text, 4);
    if (!take(text, '-')) return std::nullopt;
    const int month = take_digits(text, 2);
    if (!take(text, '-')) return std::nullopt;
    const int day = take_digits(text, 2);
    if (!take_one_of(text, between)) return std::nullopt;
    const int hour = take_digits(text, 2);
    if (!take(text, ':')) return std::nullopt;
    const int minute = take_digits(text, 2);
    if (!take(text, ':')) return std::nullopt;
    const int second = take_digits(text, 2);
    const std::chrono::year_month_day date{std::chrono::year(year),
                                           std::chrono::month(static_cast<unsigned>(month)),
                                           std::chrono::day(static_cast<unsigned>(day))};
    if (year < 1 || month < 1 || day < 1 || !date.ok() || hour < 0 || hour > 23 || minute < 0 ||
        minute > 59 || second < 0 || second > 60) {
        return std::nullopt;
    }
    std::int64_t ms = 0;
    if (take(text, '.')) {
        std::size_t digits = 0;
        for (; !text.empty() && text.front() >= '0' && text.front() <= '9'; ++digits) {
            if (digits < 3) ms = ms * 10 + (text.front() - '0');
            text.remove_prefix(1);
        }
        if (digits == 0) return std::nullopt;
        for (; digits < 3; ++digits) ms *= 10;
    }
    const auto days = std::chrono::sys_days(date).time_since_epoch().count();
    return ((std::int64_t{days} * 24 + hour) * 60 + minute) * 60'000 + std::int64_t{1000} * second +
           ms;
}

// Milliseconds east of Greenwich, to the end of the text.
std::optional<std::int64_t> take_zone(std::string_view text) {
    if (take_one_of(text, "Zz"))
        return text.empty() ? std::optional<std::int64_t>(0) : std::nullopt;
    const std::int64_t sign = text.starts_with('-') ? -1 : 1;
    if (!take_one_of(text, "+-")) return std::nullopt;
    const int hours = take_digits(text, 2);
    const int minutes = take(text, ':') ? take_digits(text, 2) : -1;
    if (!text.empty() || hours < 0 || hours > 23 || minutes < 0 || minutes > 59) {
        return std::nullopt;
    }
    return sign * (hours * 60 + minutes) * 60'000;
}

}  // namespace

std::optional<std::int64_t> parse_rfc3339(std::string_view text) {
    const auto local = take_local(text, "Tt");
    const auto zone = take_zone(text);
    if (!local || !zone) return std::nullopt;
    return *local - *zone;
}

std::optional<std::int64_t> parse_any_time(std::string_view text) {
    const auto local = take_local(text, "Tt ");
    const auto zone = text.empty() ? 0 : take_zone(text);
    if (!local || !zone) return std::nullopt;
    return *local - *zone;
}

std::string sql_time(std::int64_t unix_ms) {
    std::string text = rfc3339(unix_ms);
    text[10] = ' ';
    text.pop_back();
    return text;
}

std::optional<std::int64_t> parse_sql_time(std::string_view text) {
    const auto time = take_local(text, " ");
    return text.empty() ? time : std::nullopt;
}

std::int64_t age_cutoff(std::int64_t now_ms, double days) noexcept {
    constexpr double kDayMs = 86'400'000;
    const double age_ms = std::min(days * kDayMs, static_cast<double>(now_ms));
    return now_ms - static_cast<std::int64_t>(age_ms) + 1;
}

}  // namespace larder::storage
