// Makes text that others chose safe to stand in a line of a log. Not for HTML, JSON or a shell.
#pragma once

#include <cstdint>
#include <ctime>
#include <string>
#include <string_view>

namespace larder::observe {

// Appends `text` for a person: line feed, carriage return and tab as \n \r \t, other control bytes
// (C1 as well) and what is no UTF-8 as \xHH. [any]
void append_escaped(std::string& out, std::string_view text);

// Writes `text` for a machine to `to` and returns the end: all but printable ASCII, and '"' and
// '\', as \xHH; blanks too when told so. `to` must have room for 4 bytes a byte. [any]
enum class Blanks : std::uint8_t { kept = 1, escaped };
char* put_escaped(char* to, std::string_view text, Blanks blanks) noexcept;

// Overwrites what is secret in a line: what follows larder::kSessionIdBegins, also where a URL has
// it escaped, up to the end of the word. [any]
void hide_secrets(char* begin, char* end) noexcept;

}  // namespace larder::observe
