// Bytes as text: base16, base64 and base64url of RFC 4648. Nothing here takes constant time. [any]
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace larder::storage {

std::string to_hex(std::span<const unsigned char> bytes);  // §8, lower case
std::string to_hex(std::string_view bytes);
// Of either case; nothing for what is no pairs of digits.
std::optional<std::string> from_hex(std::string_view digits);

std::string to_base64(std::string_view bytes);     // §4, padded
std::string to_base64url(std::string_view bytes);  // §5, not padded
// §4 with its padding, as fields of HTTP have it; nothing for anything else.
std::optional<std::string> from_base64(std::string_view text);
// Both alphabets, with or without padding, for what people type; nothing for anything else.
std::optional<std::string> from_any_base64(std::string_view text);

}  // namespace larder::storage
