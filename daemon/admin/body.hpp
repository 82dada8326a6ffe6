// What the daemon's own routes read of a request's JSON beyond storage-kit's json_members.hpp:
// integers within bounds.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "storage-kit/json_members.hpp"

namespace larder::admin {

using storage::json::invalid_field;
using storage::json::Members;

// Nothing where the member is absent; throws invalid_field(). [any]
std::optional<std::int64_t> integer_of(const Members& members, std::string_view name,
                                       std::int64_t least, std::int64_t most);

}  // namespace larder::admin
