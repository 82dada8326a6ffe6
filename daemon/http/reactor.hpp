// One I/O thread: its poller, its mailbox, its timers, and the connections that live on it.
// Knows nothing of HTTP but the date.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "http/http.hpp"
#include "http/poller.hpp"
#include "http/timer_wheel.hpp"

namespace larder::http {

// Gets mail on its reactor's thread.
class Mailed {
public:
    // `what` is as posted. [io]
    virtual void deliver(std::uint64_t what) noexcept = 0;

protected:
    virtual ~Mailed() = default;
};

// What a reactor holds until it is let go: a connection. All on the reactor's thread. [io]
class Resident {
public:
    virtual void begin_drain() noexcept = 0;  // close if idle, else after the answer under way
    // Cuts it now; true if something was under way.
    virtual bool cut() noexcept = 0;
    virtual void visit(const std::function<bool(Exchange&)>& look) = 0;  // Server::visit_exchanges

protected:
    virtual ~Resident() = default;

private:
    friend class Reactor;
    std::size_t place_ = 0;  // in the reactor's list
};

// What all reactors of a server share. Constant after Server::start(), but `draining`.
struct Environment {
    Application* application = nullptr;
    Server::Post post;
    Server::Logger logger;
    std::atomic<bool> draining{false};
    std::atomic<std::uint64_t> connections_total{0}, connections_refused{0};

    std::mutex mutex;
    std::condition_variable one_less;  // a connection went while draining
};

// Held by shared_ptr by whoever may post to it, so that late mail meets a closed box, not a grave.
class Reactor : public std::enable_shared_from_this<Reactor> {
public:
    Reactor(std::size_t index, std::shared_ptr<Environment> environment, const Options& options);
    ~Reactor();
    Reactor(const Reactor&) = delete;
    Reactor& operator=(const Reactor&) = delete;

    void start(const std::string& thread_name);  // [control]
    void stop();  // cuts what is left, ends the thread; mail is refused from here on [control]

    // Posts mail; the first of a batch wakes the thread, the others ride along. False after stop():
    // it was dropped. [any]
    bool mail(std::shared_ptr<Mailed> to, std::uint64_t what) noexcept;
    // Runs `call` on the thread. False after stop(): it was dropped. [any]
    bool run(std::function<void()> call);
    // Mail has been waiting for longer than any handler that is as it should be takes: the thread
    // hangs in the application. [any]
    bool lags() const;
    // Whether the caller is on this reactor's thread. [any]
    bool here() const noexcept { return current() == this; }
    static const Reactor* current() noexcept;

    std::size_t index() const noexcept { return index_; }
    Environment& environment() const noexcept { return *environment_; }
    void log(Level level, std::string_view message) const;  // [any]

    // Connections here, those on their way included. [any]
    std::size_t load() const noexcept { return load_.load(std::memory_order_relaxed); }
    void add_load() noexcept { load_.fetch_add(1, std::memory_order_relaxed); }
    void drop_load() noexcept { load_.fetch_sub(1, std::memory_order_relaxed); }
    std::uint64_t requests() const noexcept { return requests_.load(std::memory_order_relaxed); }

    // ---- on the thread alone [io]
    Poller& poller() noexcept { return poller_; }
    TimerWheel& wheel() noexcept { return wheel_; }
    const Options& options() const noexcept { return options_; }
    void set_options(const Options& options) { options_ = options; }
    void count_request() noexcept {
        requests_.store(requests_.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
    }
    std::string_view date();          // for the Date header; good until the next call
    std::uint64_t random() noexcept;  // for request ids: not secret, not repeated

    // Where bytes are read to that nobody wants; shared, since what it holds is never looked at.
    std::span<char> nowhere() noexcept { return nowhere_; }

    // The wheel turns while anybody is admitted, or holds it by this.
    void hold_wheel(bool on);
    void admit(std::shared_ptr<Resident> resident);
    void dismiss(Resident& resident) noexcept;  // may destroy it when the caller lets go
    void begin_drain();                         // asks every resident
    std::size_t cut_all();                      // returns how many had something under way
    void visit(const std::function<bool(Exchange&)>& look);  // every resident

private:
    struct Mail {
        std::shared_ptr<Mailed> to;
        std::uint64_t what;
    };

    void work();
    std::chrono::milliseconds until_due();
    void for_each_resident(const std::function<void(Resident&)>& call);
    void read_mail();

    const std::size_t index_;
    const std::shared_ptr<Environment> environment_;
    std::atomic<std::size_t> load_{0};
    std::atomic<std::uint64_t> requests_{0};

    mutable std::mutex mutex_;
    std::vector<Mail> mail_;        // guarded by mutex_
    Clock::time_point mail_since_;  // guarded by mutex_: when the first of it came
    bool closed_ = false;           // guarded by mutex_
    bool asleep_ = false;           // guarded by mutex_: mail must wake the thread

    // Only the thread, once it runs.
    Options options_;
    Poller poller_;
    TimerWheel wheel_;
    Clock::time_point next_tick_;
    std::size_t wheel_users_ = 0;
    bool ending_ = false;
    std::vector<Mail> reading_;
    std::vector<std::shared_ptr<Resident>> residents_;
    std::int64_t date_second_ = -1;
    std::string date_;
    std::uint64_t seed_;
    std::array<char, 4096> nowhere_{};

    std::thread thread_;  // last: it uses all of the above
};

}  // namespace larder::http
