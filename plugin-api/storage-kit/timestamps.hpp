// Times as clients and databases write them: RFC 3339 (section 5.6) as it comes in JSON and
// queries, and the form of SQLite's own functions. Not their making for HTTP: larder/time.hpp.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace larder::storage {

// Unix milliseconds of "2026-11-22T15:26:28.123Z" or with an offset; what is finer is cut. Nothing
// for what is no such time, or not of the years 1 to 9999. [any]
std::optional<std::int64_t> parse_rfc3339(std::string_view text);

// The same with a space for the T, without a zone (which is UTC), or both: as Python's isoformat()
// and people write times. [any]
std::optional<std::int64_t> parse_any_time(std::string_view text);

// "2026-11-22 15:26:28.123", UTC: sorts as times do, and SQLite's datetime() takes it. [any]
std::string sql_time(std::int64_t unix_ms);
// Unix milliseconds of that, also without milliseconds, as CURRENT_TIMESTAMP writes it. [any]
std::optional<std::int64_t> parse_sql_time(std::string_view text);

// What is of an earlier moment is at least so many days old at `now_ms`: with 0 also what was made
// in that millisecond. Fractions too; Unix milliseconds, never before 1970. [any]
std::int64_t age_cutoff(std::int64_t now_ms, double days) noexcept;

}  // namespace larder::storage
