// A closed descriptor leaves epoll by itself only when no child that is between fork and exec holds
// a copy, so each is taken out by name.
#include "http/poller.hpp"

#include <sched.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <limits>
#include <system_error>

namespace larder::http {

namespace {

constexpr int kBusyRounds = 16;  // with one event each, until a thread is no longer taken as busy

[[noreturn]] void fail(const char* call) {
    throw std::system_error(errno, std::system_category(), call);
}

}  // namespace

Poller::Poller()
    : epoll_(::epoll_create1(EPOLL_CLOEXEC)), wake_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
    if (epoll_ < 0) fail("epoll_create1");
    if (wake_ < 0) fail("eventfd");
    epoll_event event{};
    event.events = EPOLLIN | EPOLLET;  // an edge a write: it is never read
    if (::epoll_ctl(epoll_, EPOLL_CTL_ADD, wake_, &event) != 0) fail("epoll_ctl");
}

Poller::~Poller() {
    ::close(wake_);
    ::close(epoll_);
}

bool Poller::add(int fd, std::uint32_t events, Watched& watched) noexcept {
    epoll_event event{};
    event.events = events;
    event.data.ptr = &watched;
    return ::epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event) == 0;
}

void Poller::remove(int fd, Watched& watched) noexcept {
    ::epoll_ctl(epoll_, EPOLL_CTL_DEL, fd, nullptr);
    for (std::size_t i = at_; i < count_; ++i) {
        if (events_[i].data.ptr == &watched) events_[i].data.ptr = nullptr;
    }
    std::replace(soon_.begin(), soon_.end(), &watched, static_cast<Watched*>(nullptr));
    std::replace(turn_.begin(), turn_.end(), &watched, static_cast<Watched*>(nullptr));
}

void Poller::soon(Watched& watched) noexcept { soon_.push_back(&watched); }

int Poller::look(int timeout_ms) noexcept {
    // Interrupted by a signal is as good as nothing seen.
    return std::max(
        ::epoll_wait(epoll_, events_.data(), static_cast<int>(events_.size()), timeout_ms), 0);
}

// To sleep and be woken costs as much as some requests, and with many connections the next event is
// mostly a moment away, held up by who else runs here: clients on this machine, another reactor. So
// a thread that was busy lets them run first, and sleeps only if there is still nothing. It is
// worth a third of the throughput where there are fewer processors than such threads.
int Poller::look_or_sleep(int timeout_ms) noexcept {
    if (timeout_ms != 0 && busy_rounds_ > 0) {
        int found = look(0);
        if (found == 0) {
            ::sched_yield();
            found = look(0);
        }
        if (found > 0) return found;
    }
    return look(timeout_ms);
}

void Poller::wait(std::chrono::milliseconds most) noexcept {
    using Rep = std::chrono::milliseconds::rep;
    const int timeout = static_cast<int>(
        std::clamp<Rep>(soon_.empty() ? most.count() : 0, -1, std::numeric_limits<int>::max()));
    count_ = static_cast<std::size_t>(look_or_sleep(timeout));
    busy_rounds_ = count_ > 1 ? kBusyRounds : std::max(busy_rounds_ - 1, 0);
    turn_.swap(soon_);
    for (at_ = 0; at_ < count_; ++at_) {
        auto* const watched = static_cast<Watched*>(events_[at_].data.ptr);
        if (watched != nullptr) watched->on_events(events_[at_].events);
    }
    count_ = at_ = 0;
    // NOLINTNEXTLINE(modernize-loop-convert): on_events() may null entries, but never grow turn_
    for (std::size_t i = 0; i < turn_.size(); ++i) {
        if (turn_[i] != nullptr) turn_[i]->on_events(0);
    }
    turn_.clear();
}

void Poller::wake() noexcept {
    const std::uint64_t one = 1;
    // It can only fail when the counter is full, and then the thread is being woken already.
    (void)!::write(wake_, &one, sizeof one);
}

}  // namespace larder::http
