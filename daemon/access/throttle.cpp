#include "access/throttle.hpp"

#include <algorithm>

namespace larder::access {

std::chrono::milliseconds Throttle::admit(std::string_view address, std::string_view user,
                                          Clock::time_point now) {
    const std::scoped_lock lock(mutex_);
    const auto longest = std::max(wait(users_, user, limits_.per_user, now),
                                  wait(addresses_, address, limits_.per_address, now));
    if (longest.count() > 0) return longest;
    count(users_, user, now);
    count(addresses_, address, now);
    return {};
}

void Throttle::refund(std::string_view address, std::string_view user) {
    const std::scoped_lock lock(mutex_);
    const auto give_back = [](Kept& kept, std::string_view key) {
        const auto found = kept.find(key);
        if (found != kept.end() && --found->second.count <= 0) kept.erase(found);
    };
    give_back(users_, user);
    give_back(addresses_, address);
}

void Throttle::set_limits(const ThrottleLimits& limits) {
    const std::scoped_lock lock(mutex_);
    limits_ = limits;
}

std::chrono::milliseconds Throttle::wait(const Kept& kept, std::string_view key, std::int64_t limit,
                                         Clock::time_point now) const {
    const auto found = kept.find(key);
    if (found == kept.end() || found->second.count < limit) return {};
    const auto left = found->second.began + limits_.window - now;
    return std::max(std::chrono::ceil<std::chrono::milliseconds>(left),
                    std::chrono::milliseconds(0));
}

void Throttle::count(Kept& kept, std::string_view key, Clock::time_point now) {
    auto found = kept.find(key);
    if (found != kept.end() && now - found->second.began >= limits_.window) {
        found->second = {0, now};
    }
    if (found == kept.end()) {
        if (kept.size() >= kMostKept) {
            // Also where all are fresh: an attacker with many names must not fill the memory.
            kept.erase(std::min_element(kept.begin(), kept.end(), [](const auto& a, const auto& b) {
                return a.second.began < b.second.began;
            }));
        }
        found = kept.emplace(std::string(key), Failures{0, now}).first;
    }
    ++found->second.count;
}

}  // namespace larder::access
