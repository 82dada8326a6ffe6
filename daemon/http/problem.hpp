// RFC 9457 problem documents: how every 4xx and 5xx of the daemon looks. Not which one to send.
#pragma once

#include <string>
#include <string_view>

#include "larder/error.hpp"
#include "larder/http.hpp"

namespace larder::http {

int status_of(Errc code) noexcept;
std::string_view reason_of(int status) noexcept;  // "Not Found"

// `type` is urn:larder:problem:<slug>, `title` the status's reason phrase. [any]
Response problem(int status, std::string_view slug, std::string_view detail, std::string_view id);
Response problem(const Error& error, std::string_view id);

// A JSON string literal of `text`, quotes included; bytes that are no UTF-8 become U+FFFD. [any]
std::string json_quoted(std::string_view text);

}  // namespace larder::http
