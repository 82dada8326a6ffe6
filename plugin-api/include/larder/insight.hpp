// What the daemon knows of the requests it served and of itself, for a plugin that keeps a history
// of it. Not the page of GET /metrics, which the daemon serves on its own, and not events: these
// counts lose nothing.
//
//   const auto insight = std::static_pointer_cast<Insight>(host.services().lease(kInsight));
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string_view>

#include "larder/usage.hpp"

namespace larder {

inline constexpr std::string_view kInsight = "larder.insight/1";

// Log-linear buckets for durations in nanoseconds: 32 to each doubling, so that a bucket's middle
// is within 1/64 of all that is in it, from 1 µs to 73 min. What is shorter is counted to 32 ns;
// what is longer falls into the last. Counts of the same bucket may be added up. [any]
struct DurationBuckets {
    static constexpr unsigned kUnitBits = 5, kStepBits = 5;  // 32 ns; 32 a doubling
    static constexpr unsigned kDoublings = 31;
    static constexpr std::size_t kCount = (kDoublings + 2U) << kStepBits;

    static constexpr std::size_t index(std::uint64_t nanoseconds) noexcept {
        const std::uint64_t units = nanoseconds >> kUnitBits;
        const auto width = static_cast<unsigned>(std::bit_width(units));
        if (width <= kStepBits + 1) return units;
        const unsigned shift = width - kStepBits - 1;
        if (shift > kDoublings) return kCount - 1;
        return (static_cast<std::size_t>(shift) << kStepBits) + (units >> shift);
    }
    // The least duration that falls into it.
    static constexpr std::uint64_t least(std::size_t index) noexcept {
        const std::size_t shift = shift_of(index);
        return (index - (shift << kStepBits)) << (shift + kUnitBits);
    }
    static constexpr std::uint64_t middle(std::size_t index) noexcept {
        return least(index) + ((std::uint64_t{1} << (shift_of(index) + kUnitBits)) / 2);
    }

private:
    static constexpr std::size_t shift_of(std::size_t index) noexcept {
        const std::size_t part = index >> kStepBits;
        return part < 2 ? 0 : part - 1;
    }
};

struct StatusCount {
    std::int32_t status;  // 0: nothing was answered
    std::uint64_t count;
};

// One route and method, all of it since the daemon's start. Grows at its end, as facts do.
struct RequestSeries {
    std::uint32_t size = sizeof(RequestSeries);
    std::string_view route, method;          // "(no route)", "(any)" for what none matched
    std::span<const StatusCount> statuses;   // each status once
    std::span<const std::uint64_t> buckets;  // DurationBuckets::kCount of them
    std::uint64_t nanoseconds = 0;           // of all requests together
    std::uint64_t shortest_ns = 0, longest_ns = 0;
    std::uint64_t bytes_in = 0, bytes_out = 0;  // bodies
};

// One request, standing for `weight` of them: the sum of all weights is the number of requests.
struct RequestSample {
    std::uint32_t size = sizeof(RequestSample);
    std::int32_t status = 0;
    std::int64_t time_ms = 0;  // when it ended, Unix
    std::uint64_t weight = 1;
    std::uint64_t nanoseconds = 0, bytes_in = 0, bytes_out = 0;
    std::string_view route, method, peer, user_agent;  // cut to 45 and 160 bytes
};

// The daemon as it stands.
struct DaemonFacts {
    std::uint32_t size = sizeof(DaemonFacts);
    std::uint32_t alerts = 0;  // raised now
    std::uint64_t connections = 0;
    std::int64_t started_ms = 0;  // Unix
    std::string_view version;
};

// The daemon's service kInsight. A lease is let go in drain(), as all are.
class Insight {
public:
    // Every series that was asked for, up to this moment: a request whose answer a client has read
    // is counted. Texts and spans are good during the call. [worker, control, a thread of the
    // plugin's; not io]
    virtual void visit_requests(const std::function<void(const RequestSeries&)>& take) = 0;
    // From here on at most so many requests a second are kept for take_samples(); 0: none. One
    // user at a time. [any]
    virtual void sample_requests(std::uint32_t a_second) noexcept = 0;
    // What was kept since the last call, each once. As visit_requests(), one thread at a time.
    virtual void take_samples(const std::function<void(const RequestSample&)>& take) = 0;
    virtual DaemonFacts facts() const = 0;  // [any]
    // What GET /api/storage/usage tells, plugin by plugin; then "total" with its size. [worker]
    virtual void storage(UsageSink& sink) = 0;

protected:
    ~Insight() = default;
};

}  // namespace larder
