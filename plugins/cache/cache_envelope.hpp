// An entry as it stands in Redis: a line that describes it, then its parts, under one checksum that
// covers the key, too. So what was cut, changed, or put there by others is told from an entry.
//
//   larder-cache/1 <ttl ms> <stale ms> <type bytes> <tags bytes> <value bytes> <crc32c, 8 hex> LF
//   type, tags (",a,b," or nothing), value
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "cache_entry.hpp"

namespace larder::cache {

std::string sealed(const Entry& entry);
// The entry, as old as what Redis has left of its time tells, by `now_ms`. Null for what is none of
// ours. Its times go by durations alone, so that the clocks of two daemons need not agree.
EntryPtr opened(std::string_view key, std::string_view envelope, std::int64_t left_ms,
                std::int64_t now_ms);

// ",a,b,", or nothing.
std::string joined_tags(const Entry& entry);

}  // namespace larder::cache
