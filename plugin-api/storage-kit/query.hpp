// Query parameters that routes of several plugins share, read by one rule: flags, the page size and
// the cursor of a list. Not their decoding: the host did that.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "larder/error.hpp"
#include "larder/http.hpp"

namespace larder::storage {

inline constexpr std::size_t kDefaultLimit = 100, kMaxLimit = 1000;  // rows on a page of a list

// Error{bad_request, "invalid-parameter"} that names the parameter. [any]
Error invalid_parameter(std::string_view name, std::string detail);

// Error{bad_request, "invalid-cursor"}, for a position that a list cannot read, too. [any]
Error invalid_cursor();

// All of them throw invalid_parameter(), after_of() invalid_cursor(). [any]

bool flag_of(const Request& request, std::string_view name, bool absent = false);  // true or false
// `limit`: 1 to kMaxLimit
std::size_t limit_of(const Request& request, std::size_t by_default = kDefaultLimit);
// The position in the `cursor` that encode_cursor(kind, …) made; empty where there is none.
std::string after_of(const Request& request, std::string_view kind);

// The cursor as a JSON value: null for an empty position, which is the end of the list. [any]
std::string next_json(std::string_view kind, std::string_view position);

}  // namespace larder::storage
