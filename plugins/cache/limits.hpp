// Rate limits by the generic cell rate algorithm: of each key one number is kept, the moment at
// which all of its limit will be there again. One atomic step, in memory or in Redis. No HTTP.
//
// In any span of time no more is admitted than the limit and what refilled in the span, and it
// refills evenly: `limit` in each `window`.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>

#include "redis_link.hpp"

namespace larder::cache {

struct Limit {
    std::uint64_t limit;     // at least 1
    std::int64_t window_us;  // at least 1
    std::uint64_t cost = 1;  // at most `limit`; 0 only looks
};

struct Verdict {
    bool allowed = false;
    std::uint64_t remaining = 0;
    std::int64_t reset_us = 0;  // until the whole limit is there again
    std::int64_t wait_us = 0;   // until this would be allowed; 0 where it is
};

// The one of Redis throws RedisAway. [worker, with Redis; any, without]
class Limits {
public:
    virtual Verdict take(const std::string& key, const Limit& limit) = 0;

protected:
    ~Limits() = default;
};

class MemoryLimits final : public Limits {
public:
    // Microseconds of a clock that never goes back.
    using Clock = std::int64_t (*)();
    static std::int64_t steady_us();

    explicit MemoryLimits(Clock clock = steady_us) : clock_(clock) {}

    // Keeps the keys that are furthest from whole where there are too many.
    Verdict take(const std::string& key, const Limit& limit) override;
    void sweep();  // forgets what is whole again
    std::size_t count() const;

private:
    static constexpr std::size_t kParts = 16, kMostKeys = 16384;  // keys a part
    struct alignas(64) Part {
        mutable std::mutex mutex;
        std::unordered_map<std::string, double> full_at;  // guarded by mutex
        std::size_t hand = 0;  // the bucket looked at last; guarded by mutex
    };
    static void make_room(Part& part);  // one key must be there

    const Clock clock_;
    std::array<Part, kParts> parts_;
};

class RedisLimits final : public Limits {
public:
    explicit RedisLimits(RedisLink& link) : link_(link) {}
    Verdict take(const std::string& key, const Limit& limit) override;

private:
    RedisLink& link_;
};

// Redis while it is there, memory else.
class SharedLimits final : public Limits {
public:
    SharedLimits(RedisLink& link, MemoryLimits& memory) : redis_(link), memory_(memory) {}
    Verdict take(const std::string& key, const Limit& limit) override;

private:
    RedisLimits redis_;
    MemoryLimits& memory_;
};

}  // namespace larder::cache
