// Waits for many descriptors on one thread, with epoll (epoll(7)). Knows nothing of what they are;
// threads, timers and mail are the reactor's.
//
// Descriptors of connections are watched edge-triggered, so that a request costs no call but its
// read, its write and a share of epoll_wait; who is told of an edge reads until there is no more.
#pragma once

#include <sys/epoll.h>

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace larder::http {

// Hears of a descriptor's events, at the top of the loop. [io]
class Watched {
public:
    // `events` as epoll_ctl(2) has them; none of them when soon() was asked for. May remove and
    // destroy this and others.
    virtual void on_events(std::uint32_t events) noexcept = 0;

protected:
    ~Watched() = default;
};

// All on one thread but wake(). [io]
class Poller {
public:
    Poller();  // throws std::system_error
    Poller(const Poller&) = delete;
    Poller& operator=(const Poller&) = delete;
    ~Poller();

    // `events` with EPOLLET for edges. False, with errno, when the kernel will not.
    bool add(int fd, std::uint32_t events, Watched& watched) noexcept;
    // Nothing is told of it from here on, also of what was seen already. Before the close.
    void remove(int fd, Watched& watched) noexcept;
    // on_events(0) in the next round, as often as it was asked for before.
    void soon(Watched& watched) noexcept;

    // Waits for events, not at all where something is due soon, and tells of them. Negative: for
    // ever.
    void wait(std::chrono::milliseconds most) noexcept;
    void wake() noexcept;  // ends a wait, or the next one [any]

private:
    int look(int timeout_ms) noexcept;
    int look_or_sleep(int timeout_ms) noexcept;

    int epoll_, wake_;
    int busy_rounds_ = 0;
    std::array<epoll_event, 256> events_{};
    std::size_t at_ = 0, count_ = 0;     // of events_, while they are told
    std::vector<Watched*> soon_, turn_;  // turn_: those of this round; null: removed meanwhile
};

}  // namespace larder::http
