// What records, manifests and requests of backups have in their JSON objects beyond texts and
// flags: whole numbers, times. The objects themselves are
// storage-kit/json_members.hpp's.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "storage-kit/json_members.hpp"

namespace larder::backup {

using storage::json::invalid_field;
using storage::json::Members;

inline constexpr std::size_t kMostText = 1U << 20U;  // bytes of one text in a manifest

// A request's body; an empty one is {}. It must stay where it is. Throws as Members does. [any]
Members members_of_body(std::string_view body);

// Absent and null are what nothing would be: "" and 0. Throw as Members does; `whole` for
// what is negative, broken or above 2^53, too. [any]
std::string text_of(const Members& members, std::string_view name);
bool flag_of(const Members& members, std::string_view name);
std::uint64_t whole_of(const Members& members, std::string_view name);
std::int64_t time_of(const Members& members, std::string_view name);  // Unix milliseconds

std::string json_list(const std::vector<std::string>& texts);
std::string text_or_null(std::string_view text);

}  // namespace larder::backup
