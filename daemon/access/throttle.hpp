// How often a password may be tried, by address and by user name, so that guessing is slow. Not for
// tokens, which nobody guesses.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <string_view>

namespace larder::access {

struct ThrottleLimits {
    std::int64_t per_user = 10, per_address = 50;  // failures within `window`
    std::chrono::milliseconds window{300000};
};

class Throttle {
public:
    using Clock = std::chrono::steady_clock;
    static constexpr std::size_t kMostKept = 10000;  // names and addresses; the oldest go

    // How long until another try is allowed; zero: now, and it is counted as a failure until
    // refund() takes it back. So tries side by side count, too. [any]
    std::chrono::milliseconds admit(std::string_view address, std::string_view user,
                                    Clock::time_point now);
    void refund(std::string_view address, std::string_view user);  // it was no failure [any]
    void set_limits(const ThrottleLimits& limits);                 // [any]

private:
    struct Failures {
        std::int64_t count = 0;
        Clock::time_point began;  // of the window
    };
    using Kept = std::map<std::string, Failures, std::less<>>;

    std::chrono::milliseconds wait(const Kept& kept, std::string_view key, std::int64_t limit,
                                   Clock::time_point now) const;
    void count(Kept& kept, std::string_view key, Clock::time_point now);

    mutable std::mutex mutex_;  // guards all below
    ThrottleLimits limits_;
    Kept users_, addresses_;
};

}  // namespace larder::access
