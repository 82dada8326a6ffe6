#include "plugin_host/lifecycle.hpp"

#include <fmt/format.h>
#include <pthread.h>

#include <utility>

#include "larder/time.hpp"
#include "plugin_host/threads.hpp"

namespace larder::plugin_host {
namespace {

// For the threads of a plugin that were joined to be gone from /proc as well.
constexpr std::chrono::milliseconds kThreadsEnd{1000};

}  // namespace

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
      reports_(surroundings_.facilities.reports, library_.name),
      owner_(&routing::make_owner(library_.name)) {
    owner_->log = &log;
    owner_->errors = &reports_;
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

bool Lifecycle::is_alive() const {
    const std::scoped_lock lock(mutex_);
    return alive_;
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
    standing_.passing = state == State::failed && threw_passing_;
    tell();
}

// With mutex_ held.
void Lifecycle::tell() const {
    const State state = standing_.state;
    std::optional<Severity> trouble;
    if (state == State::degraded) trouble = Severity::warning;
    if (state == State::read_only || state == State::failed) trouble = Severity::error;
    surroundings_.facilities.plugin_stands(library_.name, state_word(state), standing_.reason,
                                           trouble);
    if (trouble != Severity::error) return;
    ErrorReport report;
    report.message = standing_.reason;
    report.category = "plugin";
    reports_.report(report);
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
    tell();
}

bool Lifecycle::start(std::shared_ptr<const config::Section> section, TimePoint deadline) {
    enter(State::starting);
    if (settings_ == nullptr) {
        settings_ = std::make_unique<config::LiveSection>(std::move(section));
    } else {
        settings_->replace(std::move(section));
    }
    auto started = std::make_shared<bool>(false);
    const bool returned = walk([this, started] { *started = start_here(); }, deadline);
    return returned && *started;
}

void Lifecycle::close() {
    const std::scoped_lock lock(mutex_);
    if (standing_.stuck || !alive_) return;
    owner_->gate.close();
    host_->facilities().drain();
    standing_ = {State::draining, {}, unix_now_ms(), false};
    tell();
}

bool Lifecycle::stop(TimePoint drained, std::chrono::milliseconds grace) {
    close();
    bool drain = false;
    {
        const std::scoped_lock lock(mutex_);
        if (standing_.stuck || !alive_) return !standing_.stuck;
        drain = !std::exchange(drained_, true);
    }
    const auto drain_here = [this] { guarded("drain", [this] { plugin_->drain(); }); };
    if (drain && !walk(drain_here, drained + grace)) return false;
    const bool empty = owner_->gate.wait_empty(drained);
    owner_->life.fetch_add(1);  // from here on nothing calls it that could not be waited for
    if (!empty && !cut_off(std::chrono::steady_clock::now() + grace)) return false;
    const auto patience = std::min<std::chrono::milliseconds>(grace / 2, kThreadsEnd);
    if (!walk([this, patience] { stop_here(patience); },
              std::chrono::steady_clock::now() + grace)) {
        return false;
    }
    return !standing().stuck;
}

// False: a call into it runs on, or another plugin does not let go of it.
bool Lifecycle::cut_off(TimePoint deadline) {
    routing::Gate& gate = owner_->gate;
    owner_->log->write(Level::warning,
                       fmt::format("{} requests and tasks were still under way when the time to "
                                   "drain was over; they are cut off",
                                   gate.inside()));
    surroundings_.withdraw(*owner_);
    if (gate.wait_idle(deadline)) return true;
    const auto holders = surroundings_.services.holders(*owner_);
    if (!holders.empty()) {
        enter(State::failed, fmt::format("it is drained, but {} still uses its services; disable "
                                         "that first, then this one again",
                                         fmt::join(holders, ", ")));
        return false;
    }
    const std::scoped_lock lock(mutex_);
    enter_stuck(
        fmt::format("calls into it have not returned ({} of them); restart the daemon to have it "
                    "back",
                    gate.busy()));
    return false;
}

void Lifecycle::take_settings(std::shared_ptr<const config::Section> section, TimePoint deadline) {
    {
        const std::scoped_lock lock(mutex_);
        if (standing_.stuck || !alive_) return;
    }
    const auto refusal = std::make_shared<std::string>();
    const auto take = [this, section, refusal] {
        auto* const power = static_cast<Reloadable*>(plugin_->extension(kReloadable));
        if (power != nullptr) {
            *refusal = guarded("reload", [&] { power->reload(*section); });
        }
        if (refusal->empty()) settings_->replace(section);
    };
    if (!walk(take, deadline)) throw Error(Errc::conflict, "plugin-stuck", standing().reason);
    if (!refusal->empty()) throw Error(Errc::unprocessable, "settings-refused", *refusal);
}

LeasedPower Lifecycle::lease_power(std::string_view id) {
    LeasedPower leased{name(), nullptr, {}};
    {
        const std::scoped_lock lock(mutex_);
        if (standing_.stuck || !alive_) return leased;
        leased.pass = owner_->gate.enter();
    }
    if (leased.pass) leased.power = plugin_->extension(id);
    return leased;
}

void Lifecycle::adopt_next(std::string previous) {
    const std::scoped_lock lock(mutex_);
    adopt_ = std::move(previous);
}

// Empty, or why the plugin refused.
std::string Lifecycle::adopt_here() {
    std::string previous;
    {
        const std::scoped_lock lock(mutex_);
        previous = adopt_;
    }
    if (previous.empty()) return {};
    return guarded("adopt", [&] {
        auto* const power = static_cast<Snapshotable*>(plugin_->extension(kSnapshotable));
        if (power != nullptr) power->adopt(previous);
    });
}

bool Lifecycle::walk(Task step, TimePoint deadline) {
    std::unique_lock lock(mutex_);
    if (!control_.joinable()) control_ = std::thread([this] { run_control(); });
    const std::uint64_t wanted = steps_done_ + steps_.size() + 1;
    steps_.push_back(std::move(step));
    changed_.notify_all();
    if (changed_.wait_until(lock, deadline, [&] { return steps_done_ >= wanted; })) return true;
    enter_stuck(
        fmt::format("its {}() has not returned; restart the daemon to have it back", call_));
    return false;
}

void Lifecycle::enter_stuck(std::string reason) {
    owner_->log->write(Level::error, reason);
    standing_ = {State::failed, std::move(reason), unix_now_ms(), true};
    tell();
}

void Lifecycle::run_control() {
    pthread_setname_np(pthread_self(), library_.name.substr(0, 15).c_str());
    const OwnThread own;
    std::unique_lock lock(mutex_);
    for (;;) {
        changed_.wait(lock, [this] { return !steps_.empty() || ending_; });
        if (steps_.empty()) return;
        Task step = std::move(steps_.front());
        steps_.pop_front();
        lock.unlock();
        step();
        step = Task();
        lock.lock();
        ++steps_done_;
        changed_.notify_all();
    }
}

// Empty when the call returned; else what it threw, in words that a client may read too.
std::string Lifecycle::guarded(std::string_view call, const std::function<void()>& body) {
    {
        const std::scoped_lock lock(mutex_);
        call_ = call;
    }
    threw_passing_ = false;
    try {
        body();
        return {};
    } catch (const Error& error) {
        threw_passing_ = error.code() == Errc::no_space || error.code() == Errc::unavailable;
        if (!error.internal().empty()) owner_->log->write(Level::error, error.internal());
        return error.detail();
    } catch (const std::exception& error) {
        return fmt::format("its {}() threw: {}; mend the cause and enable it again, or disable it",
                           call, error.what());
    } catch (...) {
        return fmt::format(
            "its {}() threw something that is no std::exception; mend the plugin and restart the "
            "daemon, or disable it",
            call);
    }
}

bool Lifecycle::start_here() {
    const PluginEntry& entry = *library_.entry;
    host_ = std::make_unique<PluginHost>(
        *owner_, *settings_, surroundings_.data_directory, surroundings_.workers,
        surroundings_.services, surroundings_.metrics, surroundings_.facilities,
        [this](Health health, std::string_view reason) { report(health, reason); });
    RouteCollector routes(*owner_, entry.path_prefixes, surroundings_.http_metrics);
    std::string fault = guarded("create", [&] { plugin_ = entry.create(*host_); });
    if (fault.empty() && plugin_ == nullptr) fault = "its create() returned nothing";
    if (fault.empty()) fault = guarded("configure", [&] { plugin_->configure(*settings_); });
    if (fault.empty()) fault = adopt_here();
    const bool configured = fault.empty();
    if (configured) {
        fault = guarded("start", [&] {
            plugin_->start(routes);
            declared_ = routes.take();
            // Two of its own routes may meet; with others' they cannot.
            routing::RouteTable({declared_.begin(), declared_.end()}, {});
        });
    }
    host_->close_start();
    if (!fault.empty()) {
        owner_->log->write(Level::error, fmt::format("did not start: {}", fault));
        enter(State::failed, std::move(fault));
        if (declared_.empty()) declared_ = routes.take();
        end_here(configured, kThreadsEnd);
        return false;
    }
    const std::scoped_lock lock(mutex_);
    if (standing_.stuck) return false;  // it took too long: nobody reckons with it any more
    alive_ = true;
    drained_ = false;
    adopt_.clear();
    endpoints_ = {declared_.begin(), declared_.end()};
    owner_->gate.open();
    host_->facilities().open();
    if (standing_.state == State::starting) {
        standing_.state = State::running;
        standing_.since_ms = unix_now_ms();
        tell();
    }
    return true;
}

void Lifecycle::stop_here(std::chrono::milliseconds patience) {
    {
        const std::scoped_lock lock(mutex_);
        endpoints_.clear();
    }
    end_here(true, patience);
    enter(State::stopped);
}

// Stops and destroys it, unless its threads run on: they would use what was freed.
void Lifecycle::end_here(bool configured, std::chrono::milliseconds patience) {
    // Calls of the former life may hold the endpoints yet, but not what the plugin put into them.
    for (const auto& endpoint : declared_) {
        std::visit([](auto& handler) { handler = nullptr; }, endpoint->handler);
    }
    declared_.clear();
    if (configured) {
        guarded("stop", [this] {
            host_->facilities().withdraw();
            plugin_->stop();
        });
    }
    // An answer that it gave by a Reply set aside may be on its way through the I/O threads.
    if (owner_->gate.inside() > 0) surroundings_.withdraw(*owner_);
    const auto left = threads_left(library_.name, patience);
    if (!left.empty()) {
        const std::scoped_lock lock(mutex_);
        return enter_stuck(
            fmt::format("after its stop() {} of its threads still ran ({}), so it was "
                        "not destroyed; restart the daemon to be rid of them",
                        left.size(), fmt::join(left, ", ")));
    }
    if (plugin_ != nullptr) {
        guarded("destroy", [this] { library_.entry->destroy(std::exchange(plugin_, nullptr)); });
    }
    host_.reset();
    const std::scoped_lock lock(mutex_);
    alive_ = false;
    if (owner_->gate.inside() == 0) return;
    routing::Owner& fresh = routing::make_owner(library_.name);
    fresh.log = owner_->log;
    fresh.errors = owner_->errors;
    owner_ = &fresh;
}

}  // namespace larder::plugin_host
