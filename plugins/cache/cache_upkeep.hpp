// The clock's thread (cache-clock): ends waits whose time is over, and clears away what has
// expired. It waits for nothing but its time.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <thread>

namespace larder::cache {

class Upkeep {
public:
    // `late(next_ms)` does what is due and lowers next_ms to when something is due next, by
    // `clock`; `sweep` is called once a second.
    Upkeep(std::int64_t (*clock)(), std::function<void(std::int64_t& next_ms)> late,
           std::function<void()> sweep)
        : clock_(clock), late_(std::move(late)), sweep_(std::move(sweep)) {}
    ~Upkeep() { stop(); }
    Upkeep(const Upkeep&) = delete;
    Upkeep& operator=(const Upkeep&) = delete;

    void start();
    void stop() noexcept;
    void look() noexcept;  // something may be due earlier than was said [any]

private:
    void run();

    std::int64_t (*const clock_)();
    const std::function<void(std::int64_t&)> late_;
    const std::function<void()> sweep_;
    std::mutex mutex_;  // guards the two below
    bool stopping_ = false, look_ = false;
    std::condition_variable changed_;
    std::thread thread_;
};

}  // namespace larder::cache
