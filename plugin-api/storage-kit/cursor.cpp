#include "storage-kit/cursor.hpp"

#include <array>
#include <cstdint>

#include "storage-kit/digest.hpp"

namespace larder::storage {
namespace {

// RFC 4648 §5, without padding.
constexpr std::string_view kAlphabet =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
constexpr std::size_t kMaxCursor = 8192;

std::string checksum_of(std::string_view kind, std::string_view position) {
    const std::uint32_t crc = crc32c(position, crc32c(std::string(kind) + '\0'));
    std::string bytes;
    for (unsigned shift = 0; shift < 32; shift += 8) {
        bytes += static_cast<char>(crc >> shift & 0xFFU);
    }
    return bytes;
}

std::string to_base64(std::string_view bytes) {
    std::string text;
    std::uint32_t bits = 0;
    unsigned held = 0;
    for (const char byte : bytes) {
        bits = bits << 8U | static_cast<unsigned char>(byte);
        held += 8;
        while (held >= 6) {
            held -= 6;
            text += kAlphabet[bits >> held & 63U];
        }
    }
    if (held > 0) text += kAlphabet[bits << (6 - held) & 63U];
    return text;
}

std::optional<std::string> from_base64(std::string_view text) {
    std::string bytes;
    std::uint32_t bits = 0;
    unsigned held = 0;
    for (const char digit : text) {
        const std::size_t value = kAlphabet.find(digit);
        if (value == std::string_view::npos) return std::nullopt;
        bits = bits << 6U | static_cast<std::uint32_t>(value);
        held += 6;
        if (held >= 8) {
            held -= 8;
            bytes += static_cast<char>(bits >> held & 0xFFU);
        }
    }
    return bytes;
}

}  // namespace

std::string encode_cursor(std::string_view kind, std::string_view position) {
    return to_base64(checksum_of(kind, position).append(position));
}

std::optional<std::string> decode_cursor(std::string_view kind, std::string_view text) {
    if (text.size() > kMaxCursor) return std::nullopt;
    const auto bytes = from_base64(text);
    if (!bytes || bytes->size() < 5) return std::nullopt;
    const std::string position = bytes->substr(4);
    if (checksum_of(kind, position) != bytes->substr(0, 4)) return std::nullopt;
    // Only the one spelling that was given out: no stray bits at the end.
    if (encode_cursor(kind, position) != text) return std::nullopt;
    return position;
}

}  // namespace larder::storage
