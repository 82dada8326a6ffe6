#include "metrics_lane.hpp"

#include <fmt/format.h>
#include <pthread.h>

#include <utility>

#include "larder/error.hpp"

namespace larder::metrics {

Lane::Lane(std::string name, Log& log, std::chrono::milliseconds interval,
           std::function<void()> tick)
    : log_(log), name_(std::move(name)), interval_(interval), tick_(std::move(tick)) {
    thread_ = std::thread([this] { loop(); });
    pthread_setname_np(thread_.native_handle(), name_.substr(0, 15).c_str());
}

Lane::~Lane() {
    {
        const std::scoped_lock lock(mutex_);
        ending_ = true;
        held_ = false;
    }
    changed_.notify_all();
    thread_.join();
}

void Lane::run(const std::function<void()>& work) {
    Errand errand{&work, nullptr, false};
    std::unique_lock lock(mutex_);
    errands_.push_back(&errand);
    changed_.notify_all();
    changed_.wait(lock, [&] { return errand.done; });
    if (errand.thrown) std::rethrow_exception(errand.thrown);
}

void Lane::poke() noexcept {
    const std::scoped_lock lock(mutex_);
    if (std::exchange(poked_, true)) return;
    changed_.notify_all();
}

void Lane::hold(bool on) noexcept {
    std::unique_lock lock(mutex_);
    held_ = on;
    changed_.notify_all();
    if (on) changed_.wait(lock, [&] { return !busy_ || !held_; });
}

void Lane::tick_once() {
    try {
        tick_();
    } catch (const Error& error) {
        log_.write(Level::warning,
                   fmt::format("{}: {} ({})", name_, error.what(), error.internal()));
    } catch (const std::exception& error) {
        log_.write(Level::error, fmt::format("{}: {}", name_, error.what()));
    }
}

void Lane::loop() {
    auto next = std::chrono::steady_clock::now() + interval_;
    std::unique_lock lock(mutex_);
    for (;;) {
        const auto wanted = [&] { return !held_ && (!errands_.empty() || poked_ || ending_); };
        const bool called = changed_.wait_until(lock, next, wanted);
        if (held_) {
            changed_.wait(lock, [&] { return !held_; });
            continue;
        }
        busy_ = true;
        if (called && !errands_.empty()) {
            Errand& errand = *errands_.front();
            errands_.pop_front();
            lock.unlock();
            try {
                (*errand.work)();
            } catch (const std::exception&) {
                errand.thrown = std::current_exception();  // run() throws it on
            }
            lock.lock();
            errand.done = true;
        } else {
            const bool last = ending_;
            poked_ = false;
            lock.unlock();
            tick_once();
            next = std::chrono::steady_clock::now() + interval_;
            lock.lock();
            if (last) return;
        }
        busy_ = false;
        changed_.notify_all();
    }
}

}  // namespace larder::metrics
