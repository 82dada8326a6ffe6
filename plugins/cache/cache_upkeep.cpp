#include "cache_upkeep.hpp"

#include <pthread.h>

#include <algorithm>
#include <chrono>

namespace larder::cache {

void Upkeep::start() {
    thread_ = std::thread([this] {
        pthread_setname_np(pthread_self(), "cache-clock");
        run();
    });
}

void Upkeep::stop() noexcept {
    {
        const std::scoped_lock lock(mutex_);
        stopping_ = true;
    }
    changed_.notify_all();
    if (thread_.joinable()) thread_.join();
}

void Upkeep::look() noexcept {
    {
        const std::scoped_lock lock(mutex_);
        look_ = true;
    }
    changed_.notify_all();
}

void Upkeep::run() {
    constexpr std::int64_t kSweepMs = 1000;
    std::int64_t sweep_at = clock_() + kSweepMs;
    for (;;) {
        std::int64_t next = sweep_at;
        late_(next);
        const std::int64_t now = clock_();
        if (now >= sweep_at) {
            sweep_();
            sweep_at = now + kSweepMs;
            next = std::min(next, sweep_at);
        }
        std::unique_lock lock(mutex_);
        const std::chrono::milliseconds left(std::max<std::int64_t>(next - clock_(), 0));
        changed_.wait_for(lock, left, [this] { return stopping_ || look_; });
        if (stopping_) return;
        look_ = false;
    }
}

}  // namespace larder::cache
