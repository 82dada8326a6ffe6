// Opaque cursors for paged lists: a position in a list, checked so that a made-up or a foreign one
// is told from a real one. Not a secret: whoever reads a list may know where it stands.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace larder::storage {

// `kind` names the list, so that one list's cursor is refused by another. URL-safe text. [any]
std::string encode_cursor(std::string_view kind, std::string_view position);

// Nothing for what encode_cursor(kind, …) did not make. [any]
std::optional<std::string> decode_cursor(std::string_view kind, std::string_view text);

}  // namespace larder::storage
