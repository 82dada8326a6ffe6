// One part of the cache in memory: a table of entries within a budget of bytes, and the order in
// which they go when it is full (W-TinyLFU: Einziger, Friedman, Manes, 2017). Not its lock: that is
// cache_memory's.
//
// New entries come into a small window, the least recently used of which must earn its place: it
// goes on into the main part only if it was asked for more often than the entry that would have to
// leave. The main part is on probation until a hit, protected from then on. The newest entry never
// leaves for others, so whoever wrote it reads it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <list>
#include <string_view>
#include <unordered_map>

#include "cache_entry.hpp"
#include "cache_sketch.hpp"

namespace larder::cache {

struct Evictions {
    std::uint64_t size = 0;      // pushed out, having been in the main part
    std::uint64_t rejected = 0;  // did not earn a place in it
    std::uint64_t expired = 0;
    std::uint64_t invalidated = 0;
};

class Shard {
public:
    explicit Shard(std::size_t capacity);

    // What stands there, stale entries too; what is past all of its time is removed. Counts as
    // asked for.
    EntryPtr get(std::uint64_t hash, std::string_view key, std::int64_t now_ms);
    // Replaces what stood under its key. Throws std::bad_alloc.
    void put(std::uint64_t hash, EntryPtr entry);
    bool erase(std::uint64_t hash, std::string_view key);
    // Looks at the entries of up to `buckets` buckets from the cursor on, which moves; 0 at the
    // end. Where the table was made anew in between, it begins again.
    struct Step {
        std::size_t cursor = 0, buckets_seen = 0;  // of the table, when the walk began
    };
    std::size_t erase_step(Step& step, std::size_t buckets,
                           const std::function<bool(const Entry&)>& chosen);
    void sweep(std::size_t buckets, std::int64_t now_ms);  // a piece of the table each time

    std::size_t bytes() const noexcept { return bytes_ + sketch_.bytes(); }
    std::size_t count() const noexcept { return table_.size(); }
    const Evictions& evictions() const noexcept { return evictions_; }

private:
    enum class Part : std::uint8_t { window, probation, protected_part };
    struct Node {
        EntryPtr entry;
        std::uint64_t hash;
        std::uint32_t cost;
        Part part;
    };
    using List = std::list<Node>;  // the most recently used first
    struct Key {
        std::uint64_t hash;
        std::string_view text;
        bool operator==(const Key& other) const noexcept { return text == other.text; }
    };
    struct KeyHash {
        std::size_t operator()(const Key& key) const noexcept { return key.hash; }
    };
    using Table = std::unordered_map<Key, List::iterator, KeyHash>;

    List& list_of(Part part) noexcept;
    std::size_t& bytes_of(Part part) noexcept;
    void move_to_front(List::iterator node, Part part);
    void remove(List::iterator node);
    void touch(List::iterator node);
    void make_room();
    bool make_room_for(List::iterator candidate);

    const std::size_t capacity_;
    Sketch sketch_;
    Table table_;
    List window_, probation_, protected_;
    std::size_t window_bytes_ = 0, probation_bytes_ = 0, protected_bytes_ = 0, bytes_ = 0;
    std::size_t sweep_at_ = 0;
    Evictions evictions_;
};

}  // namespace larder::cache
