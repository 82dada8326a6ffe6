#include "kv_values.hpp"

#include <fmt/format.h>

#include <simdjson.h>

#include "larder/time.hpp"
#include "storage-kit/json.hpp"

namespace larder::kv {

std::string etag_of(std::uint64_t revision) { return fmt::format("\"{}\"", revision); }

std::string revision_header(const storage::Version& version) {
    return fmt::format("{}-{}", version.epoch, version.revision);
}

std::string time_json(std::int64_t unix_ms) {
    return unix_ms == 0 ? "null" : fmt::format("\"{}\"", rfc3339(unix_ms));
}

void check_key(std::string_view key) {
    if (!key.empty() && key.size() <= kMaxKey && simdjson::validate_utf8(key.data(), key.size())) {
        return;
    }
    throw Error(Errc::bad_request, "invalid-key",
                fmt::format("a key is 1 to {} bytes of UTF-8", kMaxKey))
        .with("limit", std::to_string(kMaxKey));
}

std::string check_metadata(std::string_view header) {
    if (header.size() > kMaxMetadata) {
        throw Error(Errc::too_large, "metadata-too-large",
                    fmt::format("Larder-Metadata may hold {} bytes", kMaxMetadata))
            .with("limit", std::to_string(kMaxMetadata));
    }
    std::string metadata;
    try {
        metadata = storage::json::compact(header);
    } catch (const storage::json::InvalidJson& error) {
        throw Error(Errc::bad_request, "invalid-json",
                    fmt::format("Larder-Metadata is no JSON: {}", error.what()))
            .with("offset", std::to_string(error.offset()));
    }
    if (metadata.front() != '{') {
        throw Error(Errc::unprocessable, "invalid-field", "Larder-Metadata must be a JSON object")
            .with("pointer", "\"\"");
    }
    return metadata;
}

std::string record_json(const storage::Document& document) {
    return fmt::format(
        R"({{"key":{},"value":{},"created_at":{},"updated_at":{},"expires_at":{},"revision":{},"metadata":{}}})",
        storage::json::quoted(document.key), document.value, time_json(document.created_ms),
        time_json(document.updated_ms), time_json(document.expires_ms), document.revision,
        document.metadata.empty() ? "{}" : document.metadata);
}

std::string written_json(std::string_view key, std::uint64_t revision, std::int64_t created_ms,
                         std::int64_t updated_ms, std::int64_t expires_ms) {
    return fmt::format(
        R"({{"key":{},"revision":{},"created_at":{},"updated_at":{},"expires_at":{}}})",
        storage::json::quoted(key), revision, time_json(created_ms), time_json(updated_ms),
        time_json(expires_ms));
}

}  // namespace larder::kv
