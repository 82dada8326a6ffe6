// The small words of HTTP's grammar that heads, trailers and answers share. Not a parser: each
// judges text that is already cut out.
#pragma once

#include <string>
#include <string_view>

namespace larder::http {

// Why a request is not taken: the problem document's status, slug and detail.
struct Refusal {
    int status = 0;
    std::string slug, detail;
};

// RFC 9110 §5.6.2: letters, digits and !#$%&'*+-.^_`|~, at least one. [any]
bool is_token(std::string_view text) noexcept;
// A field value as RFC 9110 §5.5 has it: no control byte but HTAB. [any]
bool is_field_value(std::string_view text) noexcept;
// Without the spaces and tabs around it (OWS). [any]
std::string_view trimmed(std::string_view text) noexcept;
bool is_decimal(char c) noexcept;
bool is_hex(char c) noexcept;
char lower(char c) noexcept;  // ASCII
bool is_token_byte(char c) noexcept;
// uri-host [":" port], without user information (RFC 9110 §7.2). [any]
bool is_authority(std::string_view text) noexcept;

}  // namespace larder::http
