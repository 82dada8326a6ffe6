#include "plugin_host/lifecycle.hpp"

#include <fmt/format.h>
#include <pthread.h>

#include <utility>

#include "larder/time.hpp"

namespace larder::plugin_host {
std::string_view state_word(State state) noexcept {
    switch (state) {
        case State::refused: return "refused";
        case State::stopped: return "stopped";
        case State::starting: return "starting";
        case State::running: return "running";
        case State::degraded: return "degraded";
        case State::read_only: return "read-only";
        case State::draining: return "draining";
        case State::failed: return "failed";
        case State::disabled: return "disabled";
    }
    return "unknown";
}

bool serves(State state) noexcept {
    return state == State::running || state == State::degraded || state == State::read_only;
}

Lifecycle::Lifecycle(Library library, Log& log, Surroundings surroundings)
    : library_(std::move(library)),
      surroundings_(std::move(surroundings)),
      owner_(&routing::make_owner(library_.name)) {
    owner_->log = &log;
    standing_.since_ms = unix_now_ms();
    if (!library_.is_taken()) enter(State::refused, library_.refusal);
}

Lifecycle::~Lifecycle() {
    {
        const std::scoped_lock lock(mutex_);
        ending_ = true;
        if (standing_.stuck && control_.joinable()) control_.detach();
    }
    changed_.notify_all();
    if (control_.joinable()) control_.join();
}

Standing Lifecycle::standing() const {
    const std::scoped_lock lock(mutex_);
    return standing_;
}

std::vector<routing::EndpointPtr> Lifecycle::endpoints() const {
    const std::scoped_lock lock(mutex_);
    return endpoints_;
}

void Lifecycle::disable(std::string why) { enter(State::disabled, std::move(why)); }

void Lifecycle::enter(State state, std::string reason) {
    const std::scoped_lock lock(mutex_);
    if (standing_.stuck) return;
    standing_.state = state;
    standing_.reason = std::move(reason);
    standing_.since_ms = unix_now_ms();
}

void Lifecycle::report(Health health, std::string_view reason) {
    const std::scoped_lock lock(mutex_);
    const State state = health == Health::ok          ? State::running
                        : health == Health::read_only ? State::read_only
                                                      : State::degraded;
    const bool heard = serves(standing_.state) || standing_.state == State::starting;
    if (!heard || (standing_.state == state && standing_.reason == reason)) return;
    if (standing_.state != state) standing_.since_ms = unix_now_ms();
    // While it starts, this is what it will stand at when start() returns.
    standing_.state = state;
    standing_.reason = reason;
}

bool Lifecycle::start(std::shared_ptr<const config::Section> section,
                      std::chrono::steady_clock::time_point deadline) {
    enter(State::starting);
    if (settings_ == nullptr) {
        settings_ = std::make_unique<config::LiveSection>(std::move(section));
    } else {
        settings_->replace(std::move(section));
    }
    auto started = std::make_shared<bool>(false);
    const bool returned = walk([this, started] { *started = start_here(); }, deadline, "start");
    return returned && *started;
}

bool Lifecycle::stop(std::chrono::steady_clock::time_point deadline) {
    const Standing before = standing();
    if (before.stuck || !serves(before.state)) return !before.stuck;
    enter(State::draining);
    owner_->gate.close();
    if (!walk([this] { plugin_->drain(); }, deadline, "drain")) return false;
    if (!owner_->gate.wait_empty(deadline)) {
        owner_->log->write(Level::warning,
                           fmt::format("{} requests were still under way when the time to drain "
                                       "was over",
                                       owner_->gate.inside()));
        // What its time-out left behind must not reach into it: it stays, unstopped, to the end.
        const std::scoped_lock lock(mutex_);
        enter_stuck("requests of it did not end in time to drain; restart the daemon");
        return false;
    }
    const auto grace = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    return walk([this] { stop_here(); }, grace, "stop");
}

bool Lifecycle::walk(Task step, std::chrono::steady_clock::time_point deadline,
                     std::string_view call) {
    std::unique_lock lock(mutex_);
    if (!control_.joinable()) control_ = std::thread([this] { run_control(); });
    const std::uint64_t wanted = steps_done_ + steps_.size() + 1;
    steps_.push_back(std::move(step));
    changed_.notify_all();
    if (changed_.wait_until(lock, deadline, [&] { return steps_done_ >= wanted; })) return true;
    enter_stuck(fmt::format("its {}() has not returned; restart the daemon to try again", call));
    return false;
}

void Lifecycle::enter_stuck(std::string reason) {
    standing_ = {State::failed, std::move(reason), unix_now_ms(), true};
}

void Lifecycle::run_control() {
    pthread_setname_np(pthread_self(), library_.name.substr(0, 15).c_str());
    std::unique_lock lock(mutex_);
    for (;;) {
        changed_.wait(lock, [this] { return !steps_.empty() || ending_; });
        if (steps_.empty()) return;
        Task step = std::move(steps_.front());
        steps_.pop_front();
        lock.unlock();
        step();
        lock.lock();
        ++steps_done_;
        changed_.notify_all();
    }
}

// Empty when the call returned; else what it threw, in words that a client may read too.
std::string Lifecycle::guarded(std::string_view call, const std::function<void()>& body) const {
    try {
        body();
        return {};
    } catch (const Error& error) {
        if (!error.internal().empty()) owner_->log->write(Level::error, error.internal());
        return error.detail();
    } catch (const std::exception& error) {
        return fmt::format("{}() threw: {}", call, error.what());
    } catch (...) {
        return fmt::format("{}() threw something that is no std::exception", call);
    }
}

bool Lifecycle::start_here() {
    const PluginEntry& entry = *library_.entry;
    host_ = std::make_unique<PluginHost>(
        *owner_, *settings_, surroundings_.data_directory, surroundings_.workers,
        surroundings_.services, surroundings_.metrics,
        [this](Health health, std::string_view reason) { report(health, reason); });
    RouteCollector routes(*owner_, entry.path_prefixes, surroundings_.http_metrics);
    std::string fault = guarded("create", [&] { plugin_ = entry.create(*host_); });
    if (fault.empty() && plugin_ == nullptr) fault = "create() returned nothing";
    if (fault.empty()) fault = guarded("configure", [&] { plugin_->configure(*settings_); });
    const bool configured = fault.empty();
    if (configured) fault = guarded("start", [&] { plugin_->start(routes); });
    host_->close_start();
    if (!fault.empty()) {
        if (configured) plugin_->stop();
        if (plugin_ != nullptr) entry.destroy(std::exchange(plugin_, nullptr));
        host_.reset();
        owner_->log->write(Level::error, fmt::format("did not start: {}", fault));
        enter(State::failed, std::move(fault));
        return false;
    }
    owner_->gate.open();
    const std::scoped_lock lock(mutex_);
    endpoints_ = routes.take();
    if (standing_.state == State::starting) {
        standing_.state = State::running;
        standing_.since_ms = unix_now_ms();
    }
    return true;
}

void Lifecycle::stop_here() {
    {
        const std::scoped_lock lock(mutex_);
        endpoints_.clear();
    }
    plugin_->stop();
    library_.entry->destroy(std::exchange(plugin_, nullptr));
    host_.reset();
    enter(State::stopped);
}

}  // namespace larder::plugin_host
