// Some requests, kept whole for who stores them: all of them up to a rate, beyond it one that
// stands for many. Not the counts, which lose none: those are http_metrics.hpp's.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string_view>
#include <vector>

#include "larder/insight.hpp"
#include "observe/http_metrics.hpp"

namespace larder::observe {

class RequestSamples {
public:
    explicit RequestSamples(std::size_t reactors);
    ~RequestSamples();
    RequestSamples(const RequestSamples&) = delete;
    RequestSamples& operator=(const RequestSamples&) = delete;

    // Over all reactors; 0: none are kept. [any]
    void set_rate(std::uint32_t a_second) noexcept;

    // How many requests this one is to stand for; 0: it is not kept, or not wanted. Weights add up
    // to the number of calls, but for those since the last one kept. `second` is the clock's.
    // `reactor` is below the number given; each is used by one thread at a time. [io]
    std::uint64_t draw(std::size_t reactor, std::int64_t second) noexcept {
        return rate_.load(std::memory_order_relaxed) == 0 ? 0 : draw_some(reactor, second);
    }
    // Keeps it; of the sample's texts, peer and user_agent alone are looked at. When nobody takes
    // samples, its weight goes to the next that finds room. [io]
    void keep(std::size_t reactor, const RouteSeries& series, const RequestSample& sample) noexcept;

    // [any, one thread at a time]
    void take(const std::function<void(const RequestSample&)>& take);

private:
    struct Ring;
    std::uint64_t draw_some(std::size_t reactor, std::int64_t second) noexcept;

    std::atomic<std::uint32_t> rate_{0};  // of one reactor
    std::vector<std::unique_ptr<Ring>> rings_;
};

}  // namespace larder::observe
