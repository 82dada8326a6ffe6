#include "storage-kit/byte_range.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <limits>
#include <optional>

namespace larder::storage {
namespace {

// A number of any length; what does not fit counts as the largest.
std::optional<std::uint64_t> number_of(std::string_view text) {
    if (text.empty() || text.find_first_not_of("0123456789") != std::string_view::npos) {
        return std::nullopt;
    }
    std::uint64_t value = 0;
    const auto read = std::from_chars(text.data(), text.data() + text.size(), value);
    return read.ec == std::errc() ? value : std::numeric_limits<std::uint64_t>::max();
}

std::string_view trimmed(std::string_view text) {
    while (text.starts_with(' ') || text.starts_with('\t')) text.remove_prefix(1);
    while (text.ends_with(' ') || text.ends_with('\t')) text.remove_suffix(1);
    return text;
}

// False: malformed. `range` has length 0 where nothing of it lies within `size`.
bool parse_one(std::string_view text, std::uint64_t size, ByteRange& range) {
    const std::size_t dash = text.find('-');
    if (dash == std::string_view::npos) return false;
    const auto first = number_of(text.substr(0, dash));
    const auto last = number_of(text.substr(dash + 1));
    range = {0, 0};
    if (dash == 0) {
        if (!last) return false;
        const std::uint64_t length = std::min(*last, size);
        range = {size - length, length};
        return true;
    }
    if (!first || (!last && dash + 1 < text.size()) || (last && *last < *first)) return false;
    if (*first >= size) return true;
    const std::uint64_t end = last && *last < size ? *last + 1 : size;
    range = {*first, end - *first};
    return true;
}

}  // namespace

Ranges parse_ranges(std::string_view header, std::uint64_t size) {
    constexpr std::string_view kUnit = "bytes=";
    Ranges ranges;
    if (header.size() < kUnit.size() ||
        !std::equal(kUnit.begin(), kUnit.end(), header.begin(), [](char a, char b) {
            return a == b || (b >= 'A' && b <= 'Z' && a == (b | 0x20));
        })) {
        return ranges;
    }
    std::string_view list = header.substr(kUnit.size());
    std::size_t count = 0;
    while (!list.empty()) {
        const std::size_t end = std::min(list.find(','), list.size());
        const std::string_view item = trimmed(list.substr(0, end));
        list.remove_prefix(std::min(end + 1, list.size()));
        if (item.empty()) continue;
        ByteRange range{};
        if (++count > kMaxRanges || !parse_one(item, size, range)) return {};
        if (range.length > 0) ranges.parts.push_back(range);
    }
    if (count == 0) return ranges;
    ranges.kind = ranges.parts.empty() ? Ranges::Kind::unsatisfiable : Ranges::Kind::parts;
    return ranges;
}

std::string content_range(const ByteRange& range, std::uint64_t size) {
    return fmt::format("bytes {}-{}/{}", range.first, range.first + range.length - 1, size);
}

}  // namespace larder::storage
