// What the cache keeps under a key, and what it costs. Not where: that is cache_shard.hpp for
// memory and cache_envelope.hpp for Redis.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace larder::cache {

// Milliseconds of a clock that never goes back. A function, so that tests can bring their own.
using Clock = std::int64_t (*)();
inline std::int64_t steady_ms() {
    const auto now = std::chrono::steady_clock::now().time_since_epoch();
    return std::chrono::duration_cast<std::chrono::milliseconds>(now).count();
}

// Never changed once it is in a shard: readers hold it while it is replaced.
struct Entry {
    std::string key, value, type;  // `type` is the Content-Type
    std::vector<std::string> tags;
    std::int64_t stored_ms = 0, fresh_until_ms = 0, stale_until_ms = 0;  // by Clock
    bool from_redis = false;

    bool has_tag(std::string_view tag) const noexcept {
        for (const std::string& one : tags) {
            if (one == tag) return true;
        }
        return false;
    }
};
using EntryPtr = std::shared_ptr<const Entry>;

// Bytes that keeping it takes, with all that is around it in a shard.
std::size_t cost_of(const Entry& entry) noexcept;

// The hash that shards, sketch and ledger share. Its seed is this process's own, so that nobody
// outside can choose keys that meet.
std::uint64_t hash_of(std::string_view key) noexcept;

}  // namespace larder::cache
