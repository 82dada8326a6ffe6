// What the daemon's own routes read of a request's JSON beyond storage-kit's json_members.hpp:
// lists of texts, and integers within bounds.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "storage-kit/json_members.hpp"

namespace larder::admin {

using storage::json::invalid_field;
using storage::json::Members;

// Nothing where the member is absent; both throw invalid_field(). [any]
std::optional<std::vector<std::string>> texts_of(const Members& members, std::string_view name);
std::optional<std::int64_t> integer_of(const Members& members, std::string_view name,
                                       std::int64_t least, std::int64_t most);

}  // namespace larder::admin
