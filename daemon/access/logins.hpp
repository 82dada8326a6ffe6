// Passwords, tried on workers: at most two at once, each costing what scrypt costs, and those that
// were right remembered for a while, so that Basic credentials cost that once. Not tokens.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "access/accounts.hpp"
#include "access/failures.hpp"
#include "access/throttle.hpp"

namespace larder::access {

// One try under way.
class Attempt {
public:
    enum class State : std::uint8_t { waiting = 1, right, wrong, failed };
    State state() const noexcept { return state_.load(std::memory_order_acquire); }  // [any]

private:
    friend class Logins;
    std::atomic<State> state_{State::waiting};
};
using AttemptPtr = std::shared_ptr<const Attempt>;

class Logins {
public:
    static constexpr std::size_t kMostAtOnce = 2, kMostWaiting = 64, kMostRemembered = 1000;

    // `post` runs a task on a worker, or returns false. All of it outlives this.
    Logins(const Accounts& accounts, Failures& failures, std::function<bool(Task)> post);

    struct Limits {
        ThrottleLimits throttle;
        std::chrono::milliseconds remember{300000};
    };
    void set_limits(const Limits& limits);  // [any]

    // Whether this password was found right lately, and the account is still the same. [any]
    bool remembers(const User& user, std::string_view password);

    struct Throttled {
        std::chrono::milliseconds wait;
    };
    struct Busy {};
    struct Caller {
        std::string_view address, request_id;
    };
    // Has a password tried; `done` is called from a worker when the attempt tells. [io]
    std::variant<AttemptPtr, Throttled, Busy> begin(std::string_view user,
                                                    std::string_view password, const Caller& caller,
                                                    std::function<void()> done);
    // The same at once. [worker]
    std::variant<bool, Throttled> check(std::string_view user, std::string_view password,
                                        const Caller& caller);

private:
    struct Waiting {
        std::shared_ptr<Attempt> attempt;
        std::string user, password, address, request_id;
        std::function<void()> done;
    };
    struct Remembered {
        std::string hash;  // of the account when it was right
        Throttle::Clock::time_point until;
    };

    void work();
    bool is_right(std::string_view user, std::string_view password, const Caller& caller);
    std::string digest(std::string_view user, std::string_view password) const;
    void remember(const User& user, std::string_view password);

    const Accounts& accounts_;
    Failures& failures_;
    const std::function<bool(Task)> post_;
    const std::string key_;    // of what is remembered; new with each start
    const std::string dummy_;  // a hash to try against where there is no such user
    Throttle throttle_;
    std::mutex mutex_;  // guards all below
    std::chrono::milliseconds remember_{300000};
    std::deque<Waiting> waiting_;
    std::size_t running_ = 0;
    std::map<std::string, Remembered> remembered_;  // by digest
};

}  // namespace larder::access
