#include "storage-kit/cursor.hpp"

#include <cstdint>

#include "storage-kit/digest.hpp"
#include "storage-kit/encodings.hpp"

namespace larder::storage {
namespace {

constexpr std::size_t kMaxCursor = 8192;

std::string checksum_of(std::string_view kind, std::string_view position) {
    const std::uint32_t crc = crc32c(position, crc32c(std::string(kind) + '\0'));
    std::string bytes;
    for (unsigned shift = 0; shift < 32; shift += 8) {
        bytes += static_cast<char>(crc >> shift & 0xFFU);
    }
    return bytes;
}

}  // namespace

std::string encode_cursor(std::string_view kind, std::string_view position) {
    return to_base64url(checksum_of(kind, position).append(position));
}

std::optional<std::string> decode_cursor(std::string_view kind, std::string_view text) {
    if (text.size() > kMaxCursor) return std::nullopt;
    const auto bytes = from_any_base64(text);
    if (!bytes || bytes->size() < 5) return std::nullopt;
    const std::string position = bytes->substr(4);
    if (checksum_of(kind, position) != bytes->substr(0, 4)) return std::nullopt;
    // Only the one spelling that was given out: no stray bits at the end.
    if (encode_cursor(kind, position) != text) return std::nullopt;
    return position;
}

}  // namespace larder::storage
