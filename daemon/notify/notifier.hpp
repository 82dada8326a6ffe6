// Takes alerts out of the daemon by one way, a webhook or mail: in order, again and again until
// they are taken, on a thread of its own, so that whoever raises an alert never waits. Not the way
// itself, nor which alerts there are.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <exception>
#include <functional>
#include <mutex>
#include <string>
#include <thread>

#include "larder/host.hpp"
#include "observe/alert_board.hpp"

namespace larder::notify {

// One word about an alert: that it stands, or that it is over.
struct Notice {
    std::string id;  // the same each time it is tried, so that a receiver can tell it again
    observe::Alert alert;
    bool raised() const noexcept { return alert.resolved_ms == 0; }
};

// It was not taken. `final`: it never will be, so it is not tried again.
class NotTaken : public std::exception {
public:
    NotTaken(std::string why, bool is_final) : why_(std::move(why)), final_(is_final) {}
    const char* what() const noexcept override { return why_.c_str(); }
    bool is_final() const noexcept { return final_; }

private:
    std::string why_;
    bool final_;
};

class Notifier {
public:
    static constexpr std::size_t kMostWaiting = 1000;  // beyond it the oldest is lost, and said so
    static constexpr unsigned kMostTries = 12;         // with the pauses below about an hour

    // `deliver` tries once and throws NotTaken; false: this way is not configured, so that the
    // notice is dropped in silence. The pause after a failure doubles from `first_pause` to
    // `longest_pause`. `name`: of the thread, and for the log.
    Notifier(std::string name, Log& log, std::function<bool(const Notice&)> deliver,
             std::chrono::milliseconds first_pause = std::chrono::seconds(2),
             std::chrono::milliseconds longest_pause = std::chrono::minutes(10));
    ~Notifier();  // stops
    Notifier(const Notifier&) = delete;
    Notifier& operator=(const Notifier&) = delete;

    void tell(const observe::Alert& alert);  // copies it, and does not wait [any]
    // What is being tried is waited for, what waits is lost. [control]
    void stop();

private:
    void run();
    bool try_once(const Notice& notice, unsigned tries);

    const std::string name_;
    Log& log_;
    const std::function<bool(const Notice&)> deliver_;
    const std::chrono::milliseconds first_pause_, longest_pause_;
    std::mutex mutex_;  // guards all below
    std::condition_variable changed_;
    std::deque<Notice> waiting_;
    std::uint64_t next_ = 1;
    bool stopping_ = false;
    std::thread thread_;  // begun with the first notice
};

}  // namespace larder::notify
