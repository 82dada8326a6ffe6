// The bounds that every edit of a value keeps, in one wording. Not for users of json_merge.hpp and
// json_patch.hpp, which say what they throw.
#pragma once

#include <fmt/format.h>

#include <cstdint>

#include "larder/error.hpp"
#include "storage-kit/json.hpp"

namespace larder::storage::json {

inline void require_size(std::uint64_t bytes, std::uint64_t max_bytes) {
    if (bytes <= max_bytes) return;
    throw Error(
        Errc::too_large, "value-too-large",
        fmt::format("the value would become larger than the {} bytes that one may have", max_bytes))
        .with("limit", std::to_string(max_bytes));
}

inline void require_depth(std::size_t depth) {
    if (depth <= kMaxDepth) return;
    throw Error(Errc::unprocessable, "value-too-deep",
                fmt::format("the value would become deeper than {} arrays and objects inside each "
                            "other",
                            kMaxDepth))
        .with("limit", std::to_string(kMaxDepth));
}

}  // namespace larder::storage::json
