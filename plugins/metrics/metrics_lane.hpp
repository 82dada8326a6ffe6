// One writer's thread: what it is given is done in order, one thing at a time, and between those
// its tick. Not a queue of rows: each store keeps its own.
#pragma once

#include <chrono>
#include <condition_variable>
#include <deque>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "larder/host.hpp"

namespace larder::metrics {

class Lane {
public:
    // `tick` is called about every `interval`, and soon after poke(); what it throws is the
    // ticker's own to tell, here it is logged. The thread's name begins with "metrics-". [control]
    Lane(std::string name, Log& log, std::chrono::milliseconds interval,
         std::function<void()> tick);
    ~Lane();  // does what it was given, a last tick, and ends
    Lane(const Lane&) = delete;
    Lane& operator=(const Lane&) = delete;

    // Runs `work` there and waits for it; throws what it throws. Never from the lane itself.
    // [worker]
    void run(const std::function<void()>& work);
    void poke() noexcept;  // a tick, soon [any]
    // hold(true) returns when nothing runs, and nothing begins before hold(false). [any]
    void hold(bool on) noexcept;

private:
    struct Errand {
        const std::function<void()>* work;
        std::exception_ptr thrown;
        bool done = false;
    };
    void loop();
    void tick_once();

    Log& log_;
    const std::string name_;
    const std::chrono::milliseconds interval_;
    const std::function<void()> tick_;
    std::mutex mutex_;
    std::condition_variable changed_;
    std::deque<Errand*> errands_;  // guarded by mutex_, as are those below
    bool poked_ = false, held_ = false, busy_ = false, ending_ = false;
    std::thread thread_;
};

}  // namespace larder::metrics
