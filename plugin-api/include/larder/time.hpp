// Times as text, in the two forms that HTTP and JSON use. Header-only, and without the C library's
// calendar, which takes a lock that all threads share. Not for time zones: all of it is UTC.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <ctime>
#include <optional>
#include <string>
#include <string_view>

namespace larder {

namespace detail {

inline void put_digits(std::string& text, std::size_t at, std::size_t count, std::int64_t value) {
    for (; count > 0; --count, value /= 10) {
        text[at + count - 1] = static_cast<char>('0' + value % 10);
    }
}

}  // namespace detail

// The system's clock, in Unix milliseconds. [any]
inline std::int64_t unix_now_ms() {
    const auto now = std::chrono::system_clock::now().time_since_epoch();
    return std::chrono::duration_cast<std::chrono::milliseconds>(now).count();
}

// "2026-11-22T15:26:28.123Z" (RFC 3339), for years 0 to 9999. [any]
inline std::string rfc3339(std::int64_t unix_ms) {
    const std::chrono::sys_time<std::chrono::milliseconds> time{std::chrono::milliseconds(unix_ms)};
    const auto day = std::chrono::floor<std::chrono::days>(time);
    const std::chrono::year_month_day date(day);
    const std::chrono::hh_mm_ss clock(time - day);
    std::string text = "0000-00-00T00:00:00.000Z";
    detail::put_digits(text, 0, 4, static_cast<int>(date.year()));
    detail::put_digits(text, 5, 2, static_cast<unsigned>(date.month()));
    detail::put_digits(text, 8, 2, static_cast<unsigned>(date.day()));
    detail::put_digits(text, 11, 2, clock.hours().count());
    detail::put_digits(text, 14, 2, clock.minutes().count());
    detail::put_digits(text, 17, 2, clock.seconds().count());
    detail::put_digits(text, 20, 3, clock.subseconds().count());
    return text;
}

// "Sun, 22 Nov 2026 15:26:28 GMT" (RFC 9110 §5.6.7), for years 0 to 9999. [any]
inline std::string http_date(std::int64_t unix_seconds) {
    static constexpr std::string_view kDays = "SunMonTueWedThuFriSat";
    static constexpr std::string_view kMonths = "JanFebMarAprMayJunJulAugSepOctNovDec";
    const std::chrono::sys_seconds time{std::chrono::seconds(unix_seconds)};
    const auto day = std::chrono::floor<std::chrono::days>(time);
    const std::chrono::year_month_day date(day);
    const std::chrono::hh_mm_ss clock(time - day);
    std::string text = "Sun, 00 Jan 0000 00:00:00 GMT";
    kDays.copy(text.data(), 3, std::chrono::weekday(day).c_encoding() * 3UL);
    detail::put_digits(text, 5, 2, static_cast<unsigned>(date.day()));
    kMonths.copy(text.data() + 8, 3, (static_cast<unsigned>(date.month()) - 1) * 3UL);
    detail::put_digits(text, 12, 4, static_cast<int>(date.year()));
    detail::put_digits(text, 17, 2, clock.hours().count());
    detail::put_digits(text, 20, 2, clock.minutes().count());
    detail::put_digits(text, 23, 2, clock.seconds().count());
    return text;
}

// Unix seconds of any of the three forms of RFC 9110 §5.6.7; nothing for what is no date. [any]
inline std::optional<std::int64_t> parse_http_date(std::string_view text) {
    const std::string copy(text);
    for (const char* form :
         {"%a, %d %b %Y %H:%M:%S GMT", "%A, %d-%b-%y %H:%M:%S GMT", "%a %b %e %H:%M:%S %Y"}) {
        std::tm tm{};
        const char* end = strptime(copy.c_str(), form, &tm);
        if (end != nullptr && *end == '\0') return timegm(&tm);
    }
    return std::nullopt;
}

}  // namespace larder
