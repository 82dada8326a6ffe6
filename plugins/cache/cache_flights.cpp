#include "cache_flights.hpp"

#include <algorithm>
#include <utility>

namespace larder::cache {

bool Flights::lead(std::uint64_t hash, std::int64_t now_ms) {
    const std::scoped_lock lock(mutex_);
    Lease& lease = leases_[hash % kLeases];
    if (lease.hash == hash && lease.until_ms > now_ms) return false;
    lease = {hash, now_ms + kLeaseMs};
    return true;
}

// The look is under the lock, which land() takes after the entry was put: so none is missed.
EntryPtr Flights::park(Waiter& waiter, const std::function<EntryPtr()>& look, bool& parked) {
    const std::scoped_lock lock(mutex_);
    EntryPtr entry = look();
    parked = !entry && !closed_ && waiters_.size() < kMostWaiters;
    if (parked) {
        std::string key = waiter.key;
        waiters_.emplace(std::move(key), std::move(waiter));
    }
    return entry;
}

std::vector<Waiter> Flights::land(std::uint64_t hash, std::string_view key) {
    std::vector<Waiter> landed;
    const std::scoped_lock lock(mutex_);
    Lease& lease = leases_[hash % kLeases];
    if (lease.hash == hash) lease.until_ms = INT64_MIN;
    if (waiters_.empty()) return landed;
    const auto [begin, end] = waiters_.equal_range(std::string(key));
    for (auto one = begin; one != end; ++one) landed.push_back(std::move(one->second));
    waiters_.erase(begin, end);
    return landed;
}

std::vector<Waiter> Flights::pass_on(std::uint64_t hash, std::string_view key,
                                     std::int64_t now_ms) {
    std::vector<Waiter> next;
    const std::scoped_lock lock(mutex_);
    Lease& lease = leases_[hash % kLeases];
    if (lease.hash == hash) lease.until_ms = INT64_MIN;
    const auto found = waiters_.find(std::string(key));
    if (found == waiters_.end()) return next;
    lease = {hash, now_ms + kLeaseMs};
    next.push_back(std::move(found->second));
    waiters_.erase(found);
    return next;
}

std::vector<Waiter> Flights::take_late(std::int64_t now_ms, std::int64_t& next_ms) {
    std::vector<Waiter> late;
    const std::scoped_lock lock(mutex_);
    for (auto one = waiters_.begin(); one != waiters_.end();) {
        if (one->second.until_ms <= now_ms) {
            late.push_back(std::move(one->second));
            one = waiters_.erase(one);
        } else {
            next_ms = std::min(next_ms, one->second.until_ms);
            ++one;
        }
    }
    return late;
}

std::vector<Waiter> Flights::close() {
    std::vector<Waiter> all;
    const std::scoped_lock lock(mutex_);
    closed_ = true;
    for (auto& [key, waiter] : waiters_) all.push_back(std::move(waiter));
    waiters_.clear();
    return all;
}

std::size_t Flights::waiting() const {
    const std::scoped_lock lock(mutex_);
    return waiters_.size();
}

}  // namespace larder::cache
