#include "system/heartbeat.hpp"

#include <fmt/format.h>
#include <pthread.h>
#include <systemd/sd-daemon.h>

#include <algorithm>
#include <cstdlib>
#include <ctime>

namespace larder::system {
namespace {

using std::chrono::microseconds;

constexpr microseconds kPause = std::chrono::seconds(5);
// Of the time to start or stop: asked for at each beat, as long as there are beats.
constexpr microseconds kExtension = std::chrono::seconds(60);
// Longer than any of the daemon's own deadlines may be set; then the manager's patience runs.
constexpr std::chrono::hours kMostExtended{25};
constexpr std::chrono::seconds kPatience{10};  // with a look at the daemon
constexpr std::size_t kMostStatus = 2000;      // a datagram is short

bool has_manager() {
    const char* const socket = std::getenv("NOTIFY_SOCKET");
    return socket != nullptr && *socket != '\0';
}

microseconds watchdog_time() {
    std::uint64_t time = 0;
    return microseconds(sd_watchdog_enabled(0, &time) > 0 ? time : 0);
}

microseconds pause_for(microseconds watchdog) {
    return watchdog.count() > 0 ? std::min(kPause, watchdog / 4) : kPause;
}

std::string status_line(std::string text) {
    if (text.size() > kMostStatus) text.resize(kMostStatus);
    std::replace(text.begin(), text.end(), '\n', ' ');
    return "STATUS=" + text + "\n";
}

std::string joined(const std::vector<std::string>& names) {
    return fmt::format("{}", fmt::join(names, ", "));
}

}  // namespace

Heartbeat::Heartbeat()
    : wanted_(has_manager()), watchdog_(watchdog_time()), pause_(pause_for(watchdog_)) {
    if (!wanted_) return;
    say(status_line("starting: data is recovered"));
    extend();
    thread_ = std::thread([this] { run(); });
    pthread_setname_np(thread_.native_handle(), "heartbeat");
}

Heartbeat::~Heartbeat() {
    if (!thread_.joinable()) return;
    {
        const std::scoped_lock lock(mutex_);
        ending_ = true;
    }
    changed_.notify_all();
    thread_.join();
}

void Heartbeat::say(const std::string& lines) const noexcept {
    // A manager that is not there any more cannot be told so.
    (void)sd_notify(0, lines.c_str());
}

void Heartbeat::serve(std::function<Condition()> look, Complain complain) {
    if (!wanted_) return;
    const std::string status = look().status;
    {
        const std::scoped_lock lock(mutex_);
        look_ = std::move(look);
        complain_ = std::move(complain);
        told_ = status;
        phase_ = Phase::serving;
        since_ = std::chrono::steady_clock::now();
        say("READY=1\n" + status_line(status) + fed());
    }
    changed_.notify_all();
}

void Heartbeat::begin_reload() noexcept {
    if (!wanted_) return;
    timespec now{};
    ::clock_gettime(CLOCK_MONOTONIC, &now);
    const auto since = std::chrono::seconds(now.tv_sec) + std::chrono::nanoseconds(now.tv_nsec);
    say(fmt::format("RELOADING=1\nMONOTONIC_USEC={}\n",
                    std::chrono::duration_cast<microseconds>(since).count()));
}

void Heartbeat::end_reload() noexcept {
    if (!wanted_) return;
    const std::scoped_lock lock(mutex_);
    // After STOPPING=1 a late reload must not make it ready again.
    if (phase_ == Phase::serving) say("READY=1\n");
}

bool Heartbeat::stop() noexcept {
    if (!wanted_) return true;
    std::unique_lock lock(mutex_);
    phase_ = Phase::stopping;
    since_ = std::chrono::steady_clock::now();
    say("STOPPING=1\n" + status_line("stopping: requests under way are finished first"));
    extend();
    changed_.notify_all();
    return changed_.wait_for(lock, kPatience, [this] { return !looking_; });
}

void Heartbeat::run() {
    std::unique_lock lock(mutex_);
    while (!ending_) {
        if (!changed_.wait_for(lock, pause_, [this] { return ending_; })) beat(lock);
    }
}

void Heartbeat::beat(std::unique_lock<std::mutex>& lock) {
    if (phase_ != Phase::serving) return extend();
    looking_ = true;
    lock.unlock();
    tell_condition();
    lock.lock();
    looking_ = false;
    changed_.notify_all();
}

const char* Heartbeat::fed() const { return watchdog_.count() > 0 ? "WATCHDOG=1\n" : ""; }

// The daemon's own deadlines bound start and stop; the manager's would add a kill in the midst of a
// recovery, which then begins anew.
void Heartbeat::extend() const {
    if (std::chrono::steady_clock::now() - since_ > kMostExtended) return;
    say(fmt::format("EXTEND_TIMEOUT_USEC={}\n{}", kExtension.count(), fed()));
}

void Heartbeat::tell_condition() {
    const Condition condition = look_();
    const auto still = standstill_.look(condition.pulses);
    std::string status = condition.status;
    if (!still.empty()) status = joined(still) + ": no progress with work waiting; " + status;
    std::string lines;
    if (status != told_) lines = status_line(status);
    if (still.empty()) lines += fed();
    if (!lines.empty()) say(lines);
    if (!still.empty() && status != told_) {
        complain_(
            fmt::format("no progress with work waiting: {}; unless that ends, the service "
                        "manager's watchdog restarts the daemon",
                        joined(still)));
    }
    told_ = std::move(status);
}

}  // namespace larder::system
