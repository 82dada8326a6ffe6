#include "limits.hpp"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cmath>
#include <functional>
#include <limits>
#include <utility>

#include "redis_scripts.hpp"

namespace larder::cache {

std::int64_t MemoryLimits::steady_us() {
    const auto now = std::chrono::steady_clock::now().time_since_epoch();
    return std::chrono::duration_cast<std::chrono::microseconds>(now).count();
}

// The same sums as the script's, in the same doubles.
Verdict MemoryLimits::take(const std::string& key, const Limit& limit) {
    constexpr double kSlack = 0.01;  // of a microsecond: what the sums may be off by
    Part& part = parts_[std::hash<std::string>{}(key) % kParts];
    const std::scoped_lock lock(part.mutex);
    // Under the lock, so that a later take never has an earlier time.
    const auto now = static_cast<double>(clock_());
    const auto window = static_cast<double>(limit.window_us);
    const double step = window / static_cast<double>(limit.limit);
    const auto found = part.full_at.find(key);
    double full_at = found == part.full_at.end() ? now : std::max(now, found->second);
    const double after = full_at + static_cast<double>(limit.cost) * step;
    const double over = after - now - window;
    Verdict verdict;
    verdict.allowed = over <= kSlack;
    if (verdict.allowed) {
        full_at = after;
        if (found != part.full_at.end()) {
            found->second = full_at;
        } else if (limit.cost > 0) {
            if (part.full_at.size() >= kMostKeys) make_room(part);
            part.full_at.emplace(key, full_at);
        }
    }
    const double used = full_at - now;
    verdict.remaining =
        static_cast<std::uint64_t>(std::max(0.0, std::floor((window - used) / step + 0.0001)));
    verdict.reset_us = std::llround(used);
    verdict.wait_us = verdict.allowed ? 0 : std::llround(over);
    return verdict;
}

// Of a few, the one that is nearest to whole goes: a look at all of them would hold up whoever
// asks, which may be an I/O thread. Where one round ends the next begins, so that none is spared
// for good.
void MemoryLimits::make_room(Part& part) {
    constexpr std::size_t kLookAt = 64;
    auto& all = part.full_at;
    const std::pair<const std::string, double>* nearest = nullptr;
    for (std::size_t looked = 0; looked < kLookAt || nearest == nullptr; ++looked) {
        part.hand = (part.hand + 1) % all.bucket_count();
        for (auto one = all.begin(part.hand); one != all.end(part.hand); ++one) {
            if (nearest == nullptr || one->second < nearest->second) nearest = &*one;
        }
    }
    all.erase(all.find(nearest->first));
}

void MemoryLimits::sweep() {
    for (Part& part : parts_) {
        const std::scoped_lock lock(part.mutex);
        const auto now = static_cast<double>(clock_());
        std::erase_if(part.full_at, [now](const auto& one) { return one.second <= now; });
    }
}

std::size_t MemoryLimits::count() const {
    std::size_t count = 0;
    for (const Part& part : parts_) {
        const std::scoped_lock lock(part.mutex);
        count += part.full_at.size();
    }
    return count;
}

Verdict RedisLimits::take(const std::string& key, const Limit& limit) {
    const RedisReply reply = link_.run(
        scripts::take_from_limit(), {key, std::to_string(limit.limit),
                                     std::to_string(limit.window_us), std::to_string(limit.cost)});
    std::array<std::int64_t, 4> numbers{};
    if (reply.items.size() != numbers.size()) throw RedisAway();
    for (std::size_t i = 0; i < numbers.size(); ++i) {
        const std::string& text = reply.items[i].text;
        const char* const end = text.data() + text.size();
        const auto read = std::from_chars(text.data(), end, numbers[i]);
        if (read.ec != std::errc() || read.ptr != end || numbers[i] < 0) throw RedisAway();
    }
    return {numbers[0] == 1, static_cast<std::uint64_t>(numbers[1]), numbers[2], numbers[3]};
}

Verdict SharedLimits::take(const std::string& key, const Limit& limit) {
    try {
        return redis_.take(key, limit);
    } catch (const RedisAway&) {
        return memory_.take(key, limit);
    }
}

}  // namespace larder::cache
