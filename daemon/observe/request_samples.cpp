// One ring a reactor: it alone fills it, and one thread alone empties it.
#include "observe/request_samples.hpp"

#include <algorithm>
#include <utility>

namespace larder::observe {
namespace {

constexpr std::size_t kPeer = 45, kAgent = 160;  // bytes
constexpr std::size_t kSlots = 4096;             // a power of two

// Without default members, so that making a ring touches none of its pages.
struct Kept {
    const RouteSeries* series;
    std::int32_t status;
    std::int64_t time_ms;
    std::uint64_t weight, nanoseconds, bytes_in, bytes_out;
    std::uint8_t peer_size, agent_size;
    std::array<char, kPeer> peer;
    std::array<char, kAgent> agent;
};

template <std::size_t N> std::uint8_t put(std::array<char, N>& to, std::string_view text) noexcept {
    return static_cast<std::uint8_t>(text.copy(to.data(), N));
}

}  // namespace

struct RequestSamples::Ring {
    // the reactor's
    alignas(64) std::atomic<std::uint64_t> head{0};
    std::int64_t second = 0;
    std::uint64_t asked = 0;   // in this second
    std::uint64_t kept = 0;    // likewise
    std::uint64_t stride = 1;  // one of so many is kept
    std::uint64_t passed = 0;  // since the last that was kept
    std::uint64_t owed = 0;    // weights that found no room
    // the taker's
    alignas(64) std::atomic<std::uint64_t> tail{0};
    std::unique_ptr<Kept[]> slots{new Kept[kSlots]};  // not zeroed: untouched pages cost nothing
};

RequestSamples::RequestSamples(std::size_t reactors) {
    for (std::size_t i = 0; i < reactors; ++i) rings_.push_back(std::make_unique<Ring>());
}

RequestSamples::~RequestSamples() = default;

void RequestSamples::set_rate(std::uint32_t a_second) noexcept {
    const auto reactors = static_cast<std::uint32_t>(std::max<std::size_t>(rings_.size(), 1));
    rate_.store(a_second == 0 ? 0 : std::max(a_second / reactors, 1U), std::memory_order_relaxed);
}

// In each second the first half of the rate is used one by one, or as sparsely as the second before
// would have wanted it; of what is left one half each time twice as sparsely. So a burst that
// nobody foresaw is told in every part of the second, and the rate is never exceeded.
std::uint64_t RequestSamples::draw_some(std::size_t reactor, std::int64_t second) noexcept {
    Ring& ring = *rings_[reactor];
    const std::uint64_t rate = rate_.load(std::memory_order_relaxed);
    if (second != ring.second) {
        ring.stride = second == ring.second + 1 ? std::max<std::uint64_t>(ring.asked / rate, 1) : 1;
        ring.second = second;
        ring.asked = ring.kept = 0;
    }
    ++ring.asked;
    ++ring.passed;
    if (ring.passed < ring.stride || ring.kept >= rate) return 0;
    ++ring.kept;
    const std::uint64_t left = rate - ring.kept;
    for (std::uint64_t part = rate / 2; part > left && part > 0; part /= 2) {
        if (left == part - 1) ring.stride *= 2;  // just crossed
    }
    return std::exchange(ring.passed, 0);
}

void RequestSamples::keep(std::size_t reactor, const RouteSeries& series,
                          const RequestSample& sample) noexcept {
    Ring& ring = *rings_[reactor];
    const std::uint64_t head = ring.head.load(std::memory_order_relaxed);
    if (head - ring.tail.load(std::memory_order_acquire) >= kSlots) {
        ring.owed += sample.weight;
        return;
    }
    Kept& kept = ring.slots[head & (kSlots - 1)];
    kept.series = &series;
    kept.status = sample.status;
    kept.time_ms = sample.time_ms;
    kept.weight = sample.weight + std::exchange(ring.owed, 0);
    kept.nanoseconds = sample.nanoseconds;
    kept.bytes_in = sample.bytes_in;
    kept.bytes_out = sample.bytes_out;
    kept.peer_size = put(kept.peer, sample.peer);
    kept.agent_size = put(kept.agent, sample.user_agent);
    ring.head.store(head + 1, std::memory_order_release);
}

void RequestSamples::take(const std::function<void(const RequestSample&)>& take) {
    for (const auto& ring : rings_) {
        const std::uint64_t head = ring->head.load(std::memory_order_acquire);
        for (std::uint64_t at = ring->tail.load(std::memory_order_relaxed); at != head; ++at) {
            const Kept& kept = ring->slots[at & (kSlots - 1)];
            RequestSample sample;
            sample.status = kept.status;
            sample.time_ms = kept.time_ms;
            sample.weight = kept.weight;
            sample.nanoseconds = kept.nanoseconds;
            sample.bytes_in = kept.bytes_in;
            sample.bytes_out = kept.bytes_out;
            sample.route = route_of(*kept.series);
            sample.method = method_of(*kept.series);
            sample.peer = {kept.peer.data(), kept.peer_size};
            sample.user_agent = {kept.agent.data(), kept.agent_size};
            take(sample);
            ring->tail.store(at + 1, std::memory_order_release);
        }
    }
}

}  // namespace larder::observe
