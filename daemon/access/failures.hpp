// Failed authentications on their way to the audit and the counters: one record a kind and minute,
// however many there are, so that who guesses does not fill the audit. Not the throttle.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <string_view>

#include "larder/alerts.hpp"
#include "larder/host.hpp"
#include "larder/http.hpp"

namespace larder::access {

// Why credentials were not taken.
enum class Fault : std::uint8_t { malformed = 1, password, token, expired, throttled };
std::string_view fault_word(Fault fault) noexcept;  // "malformed" … [any]
inline constexpr std::array kAllFaults{Fault::malformed, Fault::password, Fault::token,
                                       Fault::expired, Fault::throttled};

class Failures {
public:
    static constexpr std::size_t kMostKinds = 1000;  // beyond it addresses are not told apart
    static constexpr std::int64_t kPeriodMs = 60000;

    // `post` runs a task on a worker, or returns false. All of it outlives this.
    Failures(Audit& audit, Log& log, std::function<bool(Task)> post,
             std::function<std::int64_t()> clock_ms);

    // `actor`: the name that was claimed, or a token's id; never what is secret. Does not wait.
    // [any]
    void note(Fault fault, std::string_view address, std::string_view actor,
              std::string_view request_id) noexcept;
    // Records what was counted since. What the audit refuses is counted on. [worker]
    void hand_over();
    std::uint64_t count(Fault fault) const noexcept;  // since the start [any]

private:
    struct Kind {
        Fault fault;
        std::string address, actor;
        auto operator<=>(const Kind&) const = default;
    };
    struct Seen {
        std::uint64_t count = 0;
        std::int64_t recorded_ms = 0;  // when the last record was made
        std::string request_id;        // of the latest
    };

    Audit& audit_;
    Log& log_;
    const std::function<bool(Task)> post_;
    const std::function<std::int64_t()> clock_ms_;
    std::array<std::atomic<std::uint64_t>, kAllFaults.size()> counts_{};
    std::mutex mutex_;  // guards both below
    std::map<Kind, Seen> seen_;
    bool posted_ = false;
};

}  // namespace larder::access
