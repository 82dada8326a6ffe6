// The routes of entries: /api/cache/{key} and what invalidates. How the tiers work together is
// cache_tiers.hpp's; here is what HTTP makes of it, and who waits for whom.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cache_flights.hpp"
#include "cache_tiers.hpp"
#include "larder/host.hpp"
#include "larder/http.hpp"

namespace larder::cache {

class CacheRoutes {
public:
    CacheRoutes(Tiers& tiers, Flights& flights, Host& host, std::function<void()> waits);

    void declare(Routes& routes);
    // Answers those whose time to wait is over. [clock]
    void answer_late(std::vector<Waiter> waiters);
    std::uint64_t stale_fills() const noexcept { return stale_fills_.load(); }

private:
    void get(const Request& request, Reply reply);
    void get_on_worker(Waiter waiter, std::int64_t wait_ms);
    void give(Waiter waiter, const Found& found, std::int64_t wait_ms);
    void answer_miss(Waiter waiter, const Found& found, std::int64_t wait_ms);
    Response put(const Request& request);
    Response remove(const Request& request);
    Response invalidate(const Request& request);
    void pass_on(std::uint64_t hash, std::string_view key);
    Response hit(const Entry& entry, const EntryPtr& held, std::string_view how) const;

    Tiers& tiers_;
    Flights& flights_;
    Host& host_;
    const std::function<void()> waits_;  // somebody waits: the clock is to look
    std::atomic<std::uint64_t> stale_fills_{0};
    Counter &l1_hits_, &l2_hits_, &stale_hits_, &misses_;
};

}  // namespace larder::cache
