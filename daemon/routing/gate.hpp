// Counts what of one plugin is under way, and refuses entry once the plugin drains. Not a lock: it
// holds nobody up but the one that waits for it to empty.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <utility>

namespace larder::routing {

class Gate {
public:
    // Held by whatever must be over before the plugin stops: a handler, a Reply, a stream, a lease.
    class Pass {
    public:
        Pass() = default;
        Pass(Pass&& other) noexcept
            : gate_(std::exchange(other.gate_, nullptr)), unit_(other.unit_) {}
        Pass& operator=(Pass&& other) noexcept {
            std::swap(gate_, other.gate_);
            std::swap(unit_, other.unit_);
            return *this;
        }
        ~Pass() { reset(); }
        void reset() noexcept {
            if (gate_ != nullptr) std::exchange(gate_, nullptr)->leave(unit_);
        }
        // From here on it stands for a Reply alone, that nobody waits for any more but the plugin.
        void set_aside() noexcept {
            if (gate_ == nullptr || unit_ == kAside) return;
            gate_->state_.fetch_add(kAside, std::memory_order_acq_rel);
            gate_->leave(std::exchange(unit_, kAside));
        }
        explicit operator bool() const noexcept { return gate_ != nullptr; }

    private:
        friend class Gate;
        explicit Pass(Gate* gate) noexcept : gate_(gate) {}
        Gate* gate_ = nullptr;
        std::uint64_t unit_ = kOne;
    };

    // An empty pass when the gate is closed. [any]
    Pass enter() noexcept {
        // Counted first, looked at second: close() either sees the count or is seen here.
        const std::uint64_t before = state_.fetch_add(kOne, std::memory_order_acq_rel);
        if ((before & kClosed) == 0) return Pass(this);
        leave(kOne);
        return {};
    }

    void open() noexcept { state_.fetch_and(~kClosed, std::memory_order_acq_rel); }
    void close() noexcept { state_.fetch_or(kClosed, std::memory_order_acq_rel); }
    std::uint64_t inside() const noexcept { return busy() + aside(); }
    // Those that still run or wait for the host, and Replies that were set aside. [any]
    std::uint64_t busy() const noexcept { return state_.load(std::memory_order_acquire) & kLiving; }
    std::uint64_t aside() const noexcept {
        return (state_.load(std::memory_order_acquire) & ~kClosed) >> kAsideShift;
    }

    // True when nobody is inside any more. The gate is closed already. [control]
    bool wait_empty(std::chrono::steady_clock::time_point deadline) {
        return wait(deadline, ~kClosed);
    }
    // True when nobody is inside but Replies set aside. The gate is closed already. [control]
    bool wait_idle(std::chrono::steady_clock::time_point deadline) {
        return wait(deadline, kLiving);
    }

private:
    static constexpr unsigned kAsideShift = 32;
    static constexpr std::uint64_t kOne = 1, kAside = std::uint64_t{1} << kAsideShift;
    static constexpr std::uint64_t kLiving = kAside - 1;
    static constexpr std::uint64_t kClosed = std::uint64_t{1} << 63U;

    bool wait(std::chrono::steady_clock::time_point deadline, std::uint64_t whom) {
        std::unique_lock lock(mutex_);
        return empty_.wait_until(lock, deadline, [this, whom] {
            return (state_.load(std::memory_order_acquire) & whom) == 0;
        });
    }

    void leave(std::uint64_t unit) noexcept {
        const std::uint64_t left = state_.fetch_sub(unit, std::memory_order_acq_rel) - unit;
        if ((left & kClosed) == 0 || (left & kLiving) != 0) return;
        // Under the lock, so that a waiter between its look and its sleep is not passed by.
        const std::scoped_lock lock(mutex_);
        empty_.notify_all();
    }

    std::atomic<std::uint64_t> state_{kClosed};
    std::mutex mutex_;
    std::condition_variable empty_;
};

}  // namespace larder::routing
