#include "cache_ledger.hpp"

#include <algorithm>

namespace larder::cache {

std::uint64_t Ledger::note_key(std::uint64_t hash) noexcept {
    const std::uint64_t number = sequence_.fetch_add(1) + 1;
    auto& slot = slots_[hash % kSlots];
    std::uint64_t before = slot.load();
    while (before < number && !slot.compare_exchange_weak(before, number)) {
    }
    return number;
}

void Ledger::note(const Match& match) {
    const std::scoped_lock lock(mutex_);
    const std::uint64_t number = sequence_.fetch_add(1) + 1;
    broad_.push_back({number, match});
    if (broad_.size() > kMostBroad) {
        forgotten_ = broad_.front().number;
        broad_.pop_front();
    }
    latest_broad_.store(number);
}

bool Ledger::is_untouched(std::uint64_t then, std::uint64_t hash, std::string_view key,
                          const std::vector<std::string>& tags) const {
    if (key_number(hash) > then) return false;
    if (latest_broad_.load() <= then) return true;
    const std::scoped_lock lock(mutex_);
    if (forgotten_ > then) return false;
    return std::none_of(broad_.begin(), broad_.end(), [&](const Broad& broad) {
        return broad.number > then && broad.match.matches(key, tags);
    });
}

}  // namespace larder::cache
