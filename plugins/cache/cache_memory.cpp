#include "cache_memory.hpp"

#include <algorithm>
#include <utility>

namespace larder::cache {
namespace {

constexpr std::size_t kLeastShard = 8U << 20U, kMostShards = 16;
constexpr std::size_t kStep = 512, kSweep = 4096;  // buckets under one lock

}  // namespace

Memory::Memory(std::size_t capacity, Clock clock) : capacity_(capacity), clock_(clock) {
    const std::size_t shards = std::clamp<std::size_t>(capacity / kLeastShard, 1, kMostShards);
    for (std::size_t i = 0; i < shards; ++i) {
        parts_.push_back(std::make_unique<Part>(capacity / shards));
    }
}

EntryPtr Memory::get(std::uint64_t hash, std::string_view key) {
    const std::int64_t now = clock_();
    Part& part = part_of(hash);
    const std::scoped_lock lock(part.mutex);
    return part.shard.get(hash, key, now);
}

void Memory::put(std::uint64_t hash, EntryPtr entry) {
    Part& part = part_of(hash);
    const std::scoped_lock lock(part.mutex);
    part.shard.put(hash, std::move(entry));
}

// Under the shard's lock: an invalidation is noted before it takes this lock to remove.
bool Memory::put_if_untouched(std::uint64_t hash, EntryPtr entry, std::uint64_t then) {
    Part& part = part_of(hash);
    const std::scoped_lock lock(part.mutex);
    if (!ledger_.is_untouched(then, hash, entry->key, entry->tags)) return false;
    part.shard.put(hash, std::move(entry));
    return true;
}

bool Memory::erase(std::uint64_t hash, std::string_view key) {
    Part& part = part_of(hash);
    const std::scoped_lock lock(part.mutex);
    return part.shard.erase(hash, key);
}

bool Memory::invalidate(std::uint64_t hash, std::string_view key) {
    ledger_.note_key(hash);
    return erase(hash, key);
}

std::size_t Memory::invalidate(const Match& match) {
    ledger_.note(match);
    const std::int64_t now = clock_();
    std::size_t live = 0;
    drop_if([&](const Entry& entry) {
        if (!match.matches(entry.key, entry.tags)) return false;
        if (entry.stale_until_ms > now) ++live;
        return true;
    });
    return live;
}

std::size_t Memory::drop_if(const std::function<bool(const Entry&)>& chosen) {
    std::size_t dropped = 0;
    for (const auto& part : parts_) {
        Shard::Step step;
        do {
            const std::scoped_lock lock(part->mutex);
            dropped += part->shard.erase_step(step, kStep, chosen);
        } while (step.cursor != 0);
    }
    return dropped;
}

void Memory::sweep() {
    const std::int64_t now = clock_();
    for (const auto& part : parts_) {
        const std::scoped_lock lock(part->mutex);
        part->shard.sweep(kSweep, now);
    }
}

MemoryFacts Memory::facts() const {
    MemoryFacts facts;
    facts.capacity = capacity_;
    for (const auto& part : parts_) {
        const std::scoped_lock lock(part->mutex);
        facts.entries += part->shard.count();
        facts.bytes += part->shard.bytes();
        const Evictions& evictions = part->shard.evictions();
        facts.evictions.size += evictions.size;
        facts.evictions.rejected += evictions.rejected;
        facts.evictions.expired += evictions.expired;
        facts.evictions.invalidated += evictions.invalidated;
    }
    return facts;
}

}  // namespace larder::cache
