#include "kv_values.hpp"

#include <fmt/format.h>

#include <simdjson.h>

#include <algorithm>
#include <charconv>
#include <cmath>

#include "larder/time.hpp"
#include "storage-kit/json.hpp"

namespace larder::kv {

std::optional<std::int64_t> ttl_of(std::string_view seconds) {
    double value = 0;
    const char* const end = seconds.data() + seconds.size();
    const auto read = std::from_chars(seconds.data(), end, value);
    if (read.ec != std::errc() || read.ptr != end || !(value > 0) ||
        value > static_cast<double>(kMaxTtlSeconds)) {
        return std::nullopt;
    }
    return static_cast<std::int64_t>(std::ceil(value * 1000));
}

std::int64_t deadline_of(std::int64_t ttl_ms, const storage::Document* before,
                         std::int64_t now_ms) {
    if (ttl_ms == kNoTtl) return 0;
    if (ttl_ms == kKeepTtl) return before != nullptr ? before->expires_ms : 0;
    return now_ms + ttl_ms;
}

std::optional<std::int64_t> exact_integer(std::string_view json) {
    if (json.empty() || (json.front() != '-' && (json.front() < '0' || json.front() > '9'))) {
        return std::nullopt;
    }
    const std::size_t mark = std::min(json.find_first_of("eE"), json.size());
    std::int64_t exponent = 0;
    if (mark < json.size()) {
        std::string_view text = json.substr(mark + 1);
        if (text.starts_with('+')) text.remove_prefix(1);
        const auto read = std::from_chars(text.data(), text.data() + text.size(), exponent);
        // Beyond any number of digits that a value may have, and far from overflow below.
        constexpr std::int64_t kMost = std::int64_t{1} << 40U;
        if (read.ec != std::errc()) exponent = text.front() == '-' ? -kMost : kMost;
        exponent = std::clamp(exponent, -kMost, kMost);
    }
    std::string digits(json.substr(0, mark));
    if (const std::size_t point = digits.find('.'); point != std::string::npos) {
        exponent -= static_cast<std::int64_t>(digits.size() - point - 1);
        digits.erase(point, 1);
    }
    const std::size_t sign = digits.front() == '-' ? 1 : 0;
    const std::size_t last = digits.find_last_not_of('0');
    if (last == std::string::npos || last < sign) return 0;
    exponent += static_cast<std::int64_t>(digits.size() - last - 1);
    digits.resize(last + 1);
    digits.erase(sign, std::min(digits.find_first_not_of('0', sign), digits.size()) - sign);
    constexpr std::int64_t kMostDigits = 19;
    if (exponent < 0 || exponent > kMostDigits) return std::nullopt;
    digits.append(static_cast<std::size_t>(exponent), '0');
    std::int64_t value = 0;
    const auto read = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    if (read.ec != std::errc()) return std::nullopt;
    return value;
}

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

std::string compact_json(std::string_view text, std::string_view what) {
    try {
        return storage::json::compact(text);
    } catch (const storage::json::InvalidJson& error) {
        throw Error(Errc::bad_request, "invalid-json",
                    fmt::format("{} is no JSON value: {}", what, error.what()))
            .with("offset", std::to_string(error.offset()));
    }
}

std::string check_metadata(std::string_view header) {
    if (header.size() > kMaxMetadata) {
        throw Error(Errc::too_large, "metadata-too-large",
                    fmt::format("Larder-Metadata may hold {} bytes", kMaxMetadata))
            .with("limit", std::to_string(kMaxMetadata));
    }
    std::string metadata = compact_json(header, "Larder-Metadata");
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
