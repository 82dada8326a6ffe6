// The route of rate limits, and the daemon's own limit on all of its routes (service
// larder.ratelimit/1). How much is left is limits.hpp's.
#pragma once

#include <atomic>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "larder/host.hpp"
#include "larder/http.hpp"
#include "larder/rate_limit.hpp"
#include "limits.hpp"

namespace larder::cache {

// Of "off", "100" (a minute), "100/60s", "1000/1h". Nothing for off. Throws std::invalid_argument
// that says what was expected.
std::optional<Limit> limit_of_setting(std::string_view text);

// Redis would be a wait on an I/O thread: each daemon counts for itself.
class OwnLimit final : public RateLimiter {
public:
    explicit OwnLimit(MemoryLimits& limits) : limits_(limits) {}

    void set(std::optional<Limit> limit);  // [any]
    RateVerdict judge(std::string_view address, std::string_view principal) noexcept override;

private:
    MemoryLimits& limits_;
    std::atomic<bool> is_set_{false};  // so that no limit costs nothing
    std::mutex mutex_;
    std::optional<Limit> limit_;  // guarded by mutex_
};

class LimitRoutes {
public:
    LimitRoutes(Limits& limits, bool has_redis) : limits_(limits), has_redis_(has_redis) {}

    void declare(Routes& routes);

private:
    Response take(const Request& request);

    Limits& limits_;
    const bool has_redis_;
};

}  // namespace larder::cache
