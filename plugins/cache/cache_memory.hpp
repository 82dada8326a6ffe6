// The first tier: entries in this process's memory, in shards with a lock each. It knows no Redis;
// what was read from one comes in by promote().
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string_view>
#include <vector>

#include "cache_entry.hpp"
#include "cache_ledger.hpp"
#include "cache_match.hpp"
#include "cache_shard.hpp"

namespace larder::cache {

struct MemoryFacts {
    std::size_t entries = 0, bytes = 0, capacity = 0;
    Evictions evictions;
};

// [any]
class Memory {
public:
    Memory(std::size_t capacity, Clock clock);

    // Null: nothing is there. What is past fresh_until_ms is stale.
    EntryPtr get(std::uint64_t hash, std::string_view key);
    void put(std::uint64_t hash, EntryPtr entry);
    // Stores it only if nothing touched its key since `then`; else leaves no entry of the key that
    // may be older than what touched it.
    bool put_if_untouched(std::uint64_t hash, EntryPtr entry, std::uint64_t then);
    // Takes it out, without a note in the ledger.
    bool erase(std::uint64_t hash, std::string_view key);
    // Notes and takes it out; whether something was there.
    bool invalidate(std::uint64_t hash, std::string_view key);
    // Notes and takes out all that match and are not past their time; how many. Takes long: looks
    // at every entry, in short steps. [worker]
    std::size_t invalidate(const Match& match);
    std::size_t drop_if(const std::function<bool(const Entry&)>& chosen);
    void sweep();  // a piece of each shard, each time

    Ledger& ledger() noexcept { return ledger_; }
    std::int64_t now_ms() const noexcept { return clock_(); }
    MemoryFacts facts() const;

private:
    struct alignas(64) Part {
        explicit Part(std::size_t capacity) : shard(capacity) {}
        mutable std::mutex mutex;
        Shard shard;  // guarded by mutex
    };
    Part& part_of(std::uint64_t hash) noexcept { return *parts_[(hash >> 48U) % parts_.size()]; }

    const std::size_t capacity_;
    const Clock clock_;
    Ledger ledger_;
    std::vector<std::unique_ptr<Part>> parts_;  // fixed after construction
};

}  // namespace larder::cache
