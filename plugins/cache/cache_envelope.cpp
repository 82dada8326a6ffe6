#include "cache_envelope.hpp"

#include <fmt/format.h>

#include <array>
#include <charconv>

#include "storage-kit/digest.hpp"

namespace larder::cache {
namespace {

constexpr std::string_view kFormat = "larder-cache/1";
constexpr std::size_t kMaxHead = 160;

std::string head_of(std::int64_t ttl, std::int64_t stale, std::size_t type, std::size_t tags,
                    std::size_t value) {
    return fmt::format("{} {} {} {} {} {}", kFormat, ttl, stale, type, tags, value);
}

std::uint32_t checksum(std::string_view key, std::string_view head, std::string_view parts) {
    return storage::crc32c(parts, storage::crc32c(head, storage::crc32c(key)));
}

// Cuts the next word off; it is a canonical number of no more than `most`.
std::optional<std::int64_t> take_number(std::string_view& text, std::int64_t most) {
    std::int64_t number = 0;
    const std::size_t end = std::min(text.find(' '), text.size());
    const auto read = std::from_chars(text.data(), text.data() + end, number);
    if (read.ec != std::errc() || read.ptr != text.data() + end || number < 0 || number > most) {
        return std::nullopt;
    }
    text.remove_prefix(std::min(end + 1, text.size()));
    return number;
}

void split_tags(std::string_view joined, std::vector<std::string>& tags) {
    while (joined.size() > 1) {
        joined.remove_prefix(1);
        tags.emplace_back(joined.substr(0, joined.find(',')));
        joined.remove_prefix(std::min(joined.find(','), joined.size()));
    }
}

}  // namespace

std::string joined_tags(const Entry& entry) {
    std::string joined;
    for (const std::string& tag : entry.tags) joined.append(",").append(tag);
    if (!joined.empty()) joined += ',';
    return joined;
}

std::string sealed(const Entry& entry) {
    const std::string tags = joined_tags(entry);
    const std::string head =
        head_of(entry.fresh_until_ms - entry.stored_ms, entry.stale_until_ms - entry.fresh_until_ms,
                entry.type.size(), tags.size(), entry.value.size());
    const std::string parts = entry.type + tags + entry.value;
    return fmt::format("{} {:08x}\n{}", head, checksum(entry.key, head, parts), parts);
}

EntryPtr opened(std::string_view key, std::string_view envelope, std::int64_t left_ms,
                std::int64_t now_ms) {
    constexpr std::int64_t kMostBytes = 1U << 30U, kMostMs = std::int64_t{1} << 53U;
    const std::size_t line = envelope.substr(0, kMaxHead).find('\n');
    if (line == std::string_view::npos || !envelope.starts_with(kFormat)) return nullptr;
    std::string_view head = envelope.substr(kFormat.size(), line - kFormat.size());
    const std::string_view parts = envelope.substr(line + 1);
    if (!head.starts_with(' ')) return nullptr;
    head.remove_prefix(1);
    const auto ttl = take_number(head, kMostMs), stale = take_number(head, kMostMs);
    const auto type = take_number(head, kMostBytes), tags = take_number(head, kMostBytes),
               value = take_number(head, kMostBytes);
    if (!ttl || !stale || !type || !tags || !value || head.size() != 8) return nullptr;
    const auto type_size = static_cast<std::size_t>(*type),
               tags_size = static_cast<std::size_t>(*tags);
    if (type_size + tags_size + static_cast<std::size_t>(*value) != parts.size()) return nullptr;
    const std::string_view covered = envelope.substr(0, line - 9);
    if (fmt::format("{:08x}", checksum(key, covered, parts)) != head) return nullptr;
    if (left_ms <= 0 || left_ms > *ttl + *stale) return nullptr;
    auto entry = std::make_shared<Entry>();
    entry->key = key;
    entry->type = parts.substr(0, type_size);
    split_tags(parts.substr(type_size, tags_size), entry->tags);
    entry->value = parts.substr(type_size + tags_size);
    entry->stale_until_ms = now_ms + left_ms;
    entry->fresh_until_ms = entry->stale_until_ms - *stale;
    entry->stored_ms = entry->fresh_until_ms - *ttl;
    entry->from_redis = true;
    return entry;
}

}  // namespace larder::cache
