// How kv's records look in JSON and in headers: revisions, times, metadata, keys, integers. Neither
// routes nor storage.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "storage-kit/document_store.hpp"

namespace larder::kv {

inline constexpr std::size_t kMaxKey = 1024;       // bytes of UTF-8
inline constexpr std::size_t kMaxMetadata = 4096;  // bytes of JSON

// A time to live as a client gives it: none, the key's own, or milliseconds.
inline constexpr std::int64_t kNoTtl = 0, kKeepTtl = -1;
inline constexpr std::int64_t kMaxTtlSeconds = 3'155'760'000;  // a hundred years

// A decimal number of seconds, more than 0 and at most kMaxTtlSeconds, in milliseconds, rounded up;
// nothing for anything else.
std::optional<std::int64_t> ttl_of(std::string_view seconds);
// When what is set at `now_ms` expires; `before` is what stood there, or null.
std::int64_t deadline_of(std::int64_t ttl_ms, const storage::Document* before, std::int64_t now_ms);

// The integer that a JSON number stands for, however it is written (1e3 is 1000, 2.0 is 2); nothing
// where it is none, or has more than 64 bits, or `json` is no number.
std::optional<std::int64_t> exact_integer(std::string_view json);

std::string etag_of(std::uint64_t revision);                   // "\"7\""
std::string revision_header(const storage::Version& version);  // "1-7"
std::string time_json(std::int64_t unix_ms);  // "\"2026-11-22T15:26:28.123Z\"", or null for 0

// Throws Error{bad_request, "invalid-key"}.
void check_key(std::string_view key);
// Compact JSON; `what` names the text in Error{bad_request, "invalid-json"}, which has the offset.
std::string compact_json(std::string_view text, std::string_view what);
// The compact JSON object of a Larder-Metadata header. Throws Error{bad_request, "invalid-json"},
// Error{unprocessable, "invalid-field"}, Error{too_large, "metadata-too-large"}.
std::string check_metadata(std::string_view header);

// {"key":…,"value":…,"created_at":…,"updated_at":…,"expires_at":…,"revision":…,"metadata":…}
std::string record_json(const storage::Document& document);
// {"key":…,"revision":…,"created_at":…,"updated_at":…,"expires_at":…}
std::string written_json(std::string_view key, std::uint64_t revision, std::int64_t created_ms,
                         std::int64_t updated_ms, std::int64_t expires_ms);

}  // namespace larder::kv
