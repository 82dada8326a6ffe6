#include "cache_shard.hpp"

#include <algorithm>
#include <new>
#include <utility>
#include <vector>

namespace larder::cache {
namespace {

constexpr std::size_t kBytesPerKey = 512;  // what an entry takes on average: sizes the sketch

}  // namespace

Shard::Shard(std::size_t capacity)
    : capacity_(capacity - std::min(capacity / 2, capacity / kBytesPerKey * 8)),
      sketch_(capacity / kBytesPerKey / 2) {}

Shard::List& Shard::list_of(Part part) noexcept {
    switch (part) {
        case Part::window: return window_;
        case Part::probation: return probation_;
        case Part::protected_part: break;
    }
    return protected_;
}

std::size_t& Shard::bytes_of(Part part) noexcept {
    switch (part) {
        case Part::window: return window_bytes_;
        case Part::probation: return probation_bytes_;
        case Part::protected_part: break;
    }
    return protected_bytes_;
}

void Shard::move_to_front(List::iterator node, Part part) {
    List& to = list_of(part);
    to.splice(to.begin(), list_of(node->part), node);
    bytes_of(node->part) -= node->cost;
    bytes_of(part) += node->cost;
    node->part = part;
}

void Shard::remove(List::iterator node) {
    bytes_ -= node->cost;
    bytes_of(node->part) -= node->cost;
    table_.erase(Key{node->hash, node->entry->key});
    list_of(node->part).erase(node);
}

void Shard::touch(List::iterator node) {
    if (node->part == Part::window) return move_to_front(node, Part::window);
    move_to_front(node, Part::protected_part);
    while (protected_bytes_ > capacity_ / 5 * 4 && protected_.size() > 1) {
        move_to_front(std::prev(protected_.end()), Part::probation);
    }
}

EntryPtr Shard::get(std::uint64_t hash, std::string_view key, std::int64_t now_ms) {
    sketch_.count(hash);
    const auto found = table_.find(Key{hash, key});
    if (found == table_.end()) return nullptr;
    const auto node = found->second;
    if (node->entry->stale_until_ms <= now_ms) {
        ++evictions_.expired;
        remove(node);
        return nullptr;
    }
    touch(node);
    return node->entry;
}

void Shard::put(std::uint64_t hash, EntryPtr entry) {
    erase(hash, entry->key);
    sketch_.count(hash);
    const std::size_t cost = cost_of(*entry);
    const Key key{hash, entry->key};
    window_.push_front({std::move(entry), hash, static_cast<std::uint32_t>(cost), Part::window});
    try {
        table_.emplace(key, window_.begin());
    } catch (const std::bad_alloc&) {
        window_.pop_front();
        throw;
    }
    bytes_ += cost;
    window_bytes_ += cost;
    make_room();
}

// The front of the window is the entry that was written last: it is never the one to go.
void Shard::make_room() {
    while (window_.size() > 1 && window_bytes_ > capacity_ / 100) {
        const auto candidate = std::prev(window_.end());
        if (bytes_ <= capacity_ || make_room_for(candidate)) {
            move_to_front(candidate, Part::probation);
        } else {
            ++evictions_.rejected;
            remove(candidate);
        }
    }
    while (bytes_ > capacity_ && table_.size() > 1) {
        List& from = !probation_.empty() ? probation_ : !protected_.empty() ? protected_ : window_;
        ++evictions_.size;
        remove(std::prev(from.end()));
    }
}

// Whether the candidate is worth more than all that would have to go for it; if so, they are gone.
bool Shard::make_room_for(List::iterator candidate) {
    const unsigned worth = sketch_.estimate(candidate->hash);
    while (bytes_ > capacity_) {
        List& from = !probation_.empty() ? probation_ : protected_;
        if (from.empty()) return false;
        const auto victim = std::prev(from.end());
        if (sketch_.estimate(victim->hash) >= worth) return false;
        ++evictions_.size;
        remove(victim);
    }
    return true;
}

bool Shard::erase(std::uint64_t hash, std::string_view key) {
    const auto found = table_.find(Key{hash, key});
    if (found == table_.end()) return false;
    remove(found->second);
    return true;
}

std::size_t Shard::erase_step(Step& step, std::size_t buckets,
                              const std::function<bool(const Entry&)>& chosen) {
    if (step.cursor == 0) step.buckets_seen = table_.bucket_count();
    if (step.buckets_seen != table_.bucket_count()) {
        step = {0, table_.bucket_count()};
    }
    std::size_t erased = 0;
    std::vector<List::iterator> going;
    const std::size_t end = std::min(step.cursor + buckets, table_.bucket_count());
    for (; step.cursor < end; ++step.cursor) {
        for (auto it = table_.begin(step.cursor); it != table_.end(step.cursor); ++it) {
            if (chosen(*it->second->entry)) going.push_back(it->second);
        }
    }
    for (const auto node : going) {
        remove(node);
        ++erased;
    }
    evictions_.invalidated += erased;
    if (step.cursor >= table_.bucket_count()) step.cursor = 0;
    return erased;
}

void Shard::sweep(std::size_t buckets, std::int64_t now_ms) {
    if (sweep_at_ >= table_.bucket_count()) sweep_at_ = 0;
    std::vector<List::iterator> going;
    const std::size_t end = std::min(sweep_at_ + buckets, table_.bucket_count());
    for (; sweep_at_ < end; ++sweep_at_) {
        for (auto it = table_.begin(sweep_at_); it != table_.end(sweep_at_); ++it) {
            if (it->second->entry->stale_until_ms <= now_ms) going.push_back(it->second);
        }
    }
    for (const auto node : going) remove(node);
    evictions_.expired += going.size();
}

}  // namespace larder::cache
