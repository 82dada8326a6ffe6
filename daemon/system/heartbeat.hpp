// Tells the service manager how the daemon stands, by the protocol of sd_notify(3): that it starts,
// serves, reloads and stops, what is wrong in a line, and, by real progress alone, that it lives.
// Not what is wrong: the daemon tells that.
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "system/standstill.hpp"

namespace larder::system {

// The daemon at one moment.
struct Condition {
    std::string status;         // one line for people
    std::vector<Pulse> pulses;  // everybody whose standing still would be a hang
};

// Has a thread of its own. Without a service manager (no NOTIFY_SOCKET) it does nothing. What is
// wrong is told and never keeps the watchdog hungry: a restart would not make a full disk empty.
// Only who stands still does, over two beats, of which there are four in the watchdog's time.
class Heartbeat {
public:
    using Complain = std::function<void(const std::string& text)>;  // hears who stands still

    Heartbeat();   // "starting", and that it takes as long as it takes
    ~Heartbeat();  // ends the thread; says nothing
    Heartbeat(const Heartbeat&) = delete;
    Heartbeat& operator=(const Heartbeat&) = delete;

    // It serves: READY=1. From here on `look` is called at each beat, on the heartbeat's thread,
    // and must not throw. Once. [control]
    void serve(std::function<Condition()> look, Complain complain);
    void begin_reload() noexcept;  // [any]
    void end_reload() noexcept;    // whatever came of it [any]
    // It ends: `look` is called no more. False: it hangs, and what it looks at may not be
    // destroyed. [control]
    bool stop() noexcept;

private:
    enum class Phase { starting, serving, stopping };

    void run();
    void beat(std::unique_lock<std::mutex>& lock);
    void extend() const;
    const char* fed() const;  // what feeds the watchdog, where there is one
    void tell_condition();
    void say(const std::string& lines) const noexcept;

    const bool wanted_;
    const std::chrono::microseconds watchdog_;  // 0: nobody waits for it
    const std::chrono::microseconds pause_;     // between beats

    // Only the thread, once it serves.
    Standstill standstill_;
    std::string told_;  // the status told last

    std::mutex mutex_;  // guards all below
    std::condition_variable changed_;
    Phase phase_ = Phase::starting;
    std::chrono::steady_clock::time_point since_ = std::chrono::steady_clock::now();  // phase_
    bool ending_ = false;
    bool looking_ = false;  // at the daemon, without mutex_
    std::function<Condition()> look_;
    Complain complain_;
    std::thread thread_;
};

}  // namespace larder::system
