// Ranges of bytes that a download asks for (RFC 9110 §14). Knows no files.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace larder::storage {

inline constexpr std::size_t kMaxRanges = 16;

struct ByteRange {
    std::uint64_t first, length;  // length is never 0
};

struct Ranges {
    enum class Kind : std::uint8_t {
        whole = 1,      // none was asked for, or what was asked is passed over: 200
        parts,          // 206
        unsatisfiable,  // 416
    };
    Kind kind = Kind::whole;
    std::vector<ByteRange> parts;  // in the order asked for
};

// What a Range header means for `size` bytes. A malformed one, another unit and more than
// kMaxRanges are passed over, as §14.2 allows; ranges beyond the end are left out. [any]
Ranges parse_ranges(std::string_view header, std::uint64_t size);

std::string content_range(const ByteRange& range, std::uint64_t size);  // "bytes 0-9/100"

}  // namespace larder::storage
