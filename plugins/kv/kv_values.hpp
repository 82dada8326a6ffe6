// How kv's records look in JSON and in headers: revisions, times, metadata, keys, cursors. Neither
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

std::string etag_of(std::uint64_t revision);                   // "\"7\""
std::string revision_header(const storage::Version& version);  // "1-7"
std::string time_json(std::int64_t unix_ms);  // "\"2026-11-22T15:26:28.123Z\"", or null for 0

// Throws Error{bad_request, "invalid-key"}.
void check_key(std::string_view key);
// The compact JSON object of a Larder-Metadata header. Throws Error{bad_request, "invalid-json"},
// Error{unprocessable, "invalid-field"}, Error{too_large, "metadata-too-large"}.
std::string check_metadata(std::string_view header);

// {"key":…,"value":…,"created_at":…,"updated_at":…,"expires_at":…,"revision":…,"metadata":…}
std::string record_json(const storage::Document& document);
// {"key":…,"revision":…,"created_at":…,"updated_at":…,"expires_at":…}
std::string written_json(std::string_view key, std::uint64_t revision, std::int64_t created_ms,
                         std::int64_t updated_ms, std::int64_t expires_ms);

}  // namespace larder::kv
