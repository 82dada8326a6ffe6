// Who fills what is missing, and who waits for it: of many callers of one key the first is to fill
// it, the others may wait for that. Not the filling, and no answers: whoever calls gets the waiters
// back and answers them.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "cache_entry.hpp"
#include "larder/http.hpp"

namespace larder::cache {

struct Waiter {
    std::string key;
    std::uint64_t hash;
    std::int64_t until_ms;
    Reply reply;
};

// [any]
class Flights {
public:
    static constexpr std::int64_t kLeaseMs = 10'000;  // how long whoever fills is waited for
    static constexpr std::size_t kMostWaiters = 10'000;

    // Whether nobody is filling the key; then the caller is, for kLeaseMs.
    bool lead(std::uint64_t hash, std::int64_t now_ms);
    // Takes the waiter, unless `look` finds an entry by now, which is then returned, or there are
    // too many; then the waiter is left as it is. `parked` tells.
    EntryPtr park(Waiter& waiter, const std::function<EntryPtr()>& look, bool& parked);
    // The key was filled: all who wait for it.
    std::vector<Waiter> land(std::uint64_t hash, std::string_view key);
    // It will not be, by whoever was to: the next who waits leads.
    std::vector<Waiter> pass_on(std::uint64_t hash, std::string_view key, std::int64_t now_ms);
    // Whose time is over; `next_ms` is when the next one's is, or stays as it is.
    std::vector<Waiter> take_late(std::int64_t now_ms, std::int64_t& next_ms);
    std::vector<Waiter> close();  // all of them, and takes no more
    std::size_t waiting() const;

private:
    // Keys whose hashes meet take a slot from each other: then both are filled by more than one.
    struct Lease {
        std::uint64_t hash = 0;
        std::int64_t until_ms = INT64_MIN;
    };
    static constexpr std::size_t kLeases = 4096;

    mutable std::mutex mutex_;  // guards all below
    std::array<Lease, kLeases> leases_{};
    std::unordered_multimap<std::string, Waiter> waiters_;
    bool closed_ = false;
};

}  // namespace larder::cache
