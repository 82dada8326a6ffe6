// A limit on how much one caller may ask of the daemon: what a plugin offers as a service, and the
// daemon keeps to on all of its routes. Not for a plugin's own routes, which limit as they like.
#pragma once

#include <cstdint>
#include <string_view>

namespace larder {

inline constexpr std::string_view kRateLimiter = "larder.ratelimit/1";

struct RateVerdict {
    bool limited = false;  // false: no limit is set, and nothing below says anything
    bool allowed = true;
    std::uint64_t limit = 0, remaining = 0;  // requests
    std::int64_t window_us = 0;
    std::int64_t reset_us = 0;  // until the whole limit is there again
    std::int64_t wait_us = 0;   // until one more is allowed
};

class RateLimiter {
public:
    // Takes one request of this caller's from the limit. `principal` is empty for who has no
    // credentials. Must not wait. [io]
    virtual RateVerdict judge(std::string_view address, std::string_view principal) noexcept = 0;

protected:
    ~RateLimiter() = default;
};

}  // namespace larder
