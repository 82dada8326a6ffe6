#include "admin/body.hpp"

#include <fmt/format.h>

#include <charconv>

namespace larder::admin {

std::optional<std::int64_t> integer_of(const Members& members, std::string_view name,
                                       std::int64_t least, std::int64_t most) {
    const auto value = members.value(name);
    if (!value) return std::nullopt;
    std::int64_t number = 0;
    const auto read = std::from_chars(value->data(), value->data() + value->size(), number);
    const bool whole = read.ec == std::errc() && read.ptr == value->data() + value->size();
    if (whole && number >= least && number <= most) return number;
    throw invalid_field(members.pointer_of(name),
                        fmt::format("expected an integer from {} to {}", least, most));
}

}  // namespace larder::admin
