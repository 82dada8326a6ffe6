// JSON Merge Patch (RFC 7396) on texts: what is not touched keeps its bytes and its place.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace larder::storage::json {

// `target` merged with `patch`, both compact and checked; an empty target is an absent one. Members
// that stay keep their order, new ones follow in the patch's. Time grows with the texts, not with
// their depth. Throws Error{too_large, "value-too-large"} for a result over `max_bytes`. [any]
std::string merge_patch(std::string_view target, std::string_view patch, std::uint64_t max_bytes);

}  // namespace larder::storage::json
