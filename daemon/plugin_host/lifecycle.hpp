// One plugin's life, walked on a control thread of its own: judged → created → configured → started
// → serving → drained → stopped → destroyed. Not the others': the supervisor keeps them all.
#pragma once

#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "config/configuration.hpp"
#include "plugin_host/library.hpp"
#include "plugin_host/plugin_host.hpp"
#include "plugin_host/route_collector.hpp"
#include "plugin_host/snapshots.hpp"
#include "routing/route_table.hpp"

namespace larder::plugin_host {

enum class State : std::uint8_t {
    refused = 1,  // its file or its claims were not taken
    stopped,
    starting,
    running,
    degraded,   // runs, with something to say
    read_only,  // runs, but cannot change its data
    draining,
    failed,
    disabled,
};
std::string_view state_word(State state) noexcept;  // "running", "read-only"
bool serves(State state) noexcept;                  // running, degraded or read_only

struct Standing {
    State state = State::stopped;
    std::string reason;
    std::int64_t since_ms = 0;  // Unix time
    bool stuck = false;         // a call into it never returned; it is out until a restart
    bool passing = false;  // it failed to start for what may pass: a full disk, a busy database
};

// What of the daemon a plugin's life needs. All outlive it.
struct Surroundings {
    std::string data_directory;
    jobs::WorkerPool& workers;
    ServiceRegistry& services;
    observe::Registry& metrics;
    observe::HttpMetrics& http_metrics;
    // Cuts off what of this owner is under way in the front; every I/O thread has come by when it
    // returns.
    std::function<void(const routing::Owner&)> withdraw;
    Facilities& facilities;
};

// The control thread runs the plugin's calls; whoever asks for a walk waits for it, one at a time.
class Lifecycle {
public:
    using TimePoint = std::chrono::steady_clock::time_point;

    Lifecycle(Library library, Log& log, Surroundings surroundings);
    ~Lifecycle();
    Lifecycle(const Lifecycle&) = delete;
    Lifecycle& operator=(const Lifecycle&) = delete;

    const Library& library() const noexcept { return library_; }
    const std::string& name() const noexcept { return library_.name; }
    Standing standing() const;  // [any]
    bool is_alive() const;      // started and not stopped, whether it serves or not [any]
    std::vector<routing::EndpointPtr> endpoints() const;  // of a running plugin [any]

    void disable(std::string why);  // what does not run [control]

    // create → configure → start. False when it did not come to run, or not by `deadline`: then
    // standing() tells. It does not run. [control of the daemon]
    bool start(std::shared_ptr<const config::Section> section, TimePoint deadline);
    // Lets nothing more in; its routes are to be withdrawn next, then stop() is called. Nothing
    // happens to one that has not been started. [control of the daemon]
    void close();
    // drain → wait until `drained` for what is under way → cut off the rest → stop → destroy, the
    // last two within `grace`. True when it is stopped, or was. Otherwise standing() tells: it is
    // stuck, or another plugin holds a lease of it and stop() may be tried again. [control of the
    // daemon]
    bool stop(TimePoint drained, std::chrono::milliseconds grace);

    // Has it take a section in which live settings differ. Throws Error when it refuses, or does
    // not return by `deadline`; one that does not run takes nothing. [control of the daemon]
    void take_settings(std::shared_ptr<const config::Section> section, TimePoint deadline);

    // A power of the plugin's; null where it does not serve or has no such power. [any]
    LeasedPower lease_power(std::string_view id);
    // What stood in the place of its restored data: it adopts it when it starts next. [control of
    // the daemon]
    void adopt_next(std::string previous);

private:
    void run_control();
    // Runs a step on the control thread. False: it did not return in time; the plugin is stuck.
    bool walk(Task step, TimePoint deadline);
    bool start_here();
    std::string adopt_here();
    void end_here(bool configured, std::chrono::milliseconds patience);
    void stop_here(std::chrono::milliseconds patience);
    bool cut_off(TimePoint deadline);
    void enter(State state, std::string reason = {});
    void enter_stuck(std::string reason);  // with mutex_ held
    void report(Health health, std::string_view reason);
    void tell() const;
    std::string guarded(std::string_view call, const std::function<void()>& body);

    const Library library_;
    Surroundings surroundings_;
    mutable observe::OwnedReports reports_;
    // Outlives this: late answers and passes still look at it. Another one for the next life when
    // Replies of this one were left behind.
    routing::Owner* owner_;

    // Only the control thread, but for their making.
    std::unique_ptr<config::LiveSection> settings_;
    std::unique_ptr<PluginHost> host_;
    Plugin* plugin_ = nullptr;
    std::vector<std::shared_ptr<routing::Endpoint>> declared_;
    bool threw_passing_ = false;  // the last call that threw

    mutable std::mutex mutex_;  // guards all below
    std::condition_variable changed_;
    Standing standing_;
    bool alive_ = false;               // started and not stopped
    bool drained_ = false;             // its drain() was called
    std::string_view call_ = "start";  // under way in it
    std::string adopt_;                // a folder, until it has started with it
    std::vector<routing::EndpointPtr> endpoints_;
    std::deque<Task> steps_;
    std::uint64_t steps_done_ = 0;
    bool ending_ = false;
    std::thread control_;
};

}  // namespace larder::plugin_host
