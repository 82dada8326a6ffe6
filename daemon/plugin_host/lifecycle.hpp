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
};

// What of the daemon a plugin's life needs. All outlive it.
struct Surroundings {
    std::string data_directory;
    jobs::WorkerPool& workers;
    ServiceRegistry& services;
    observe::Registry& metrics;
    observe::HttpMetrics& http_metrics;
};

class Lifecycle {
public:
    Lifecycle(Library library, Log& log, Surroundings surroundings);
    ~Lifecycle();
    Lifecycle(const Lifecycle&) = delete;
    Lifecycle& operator=(const Lifecycle&) = delete;

    const Library& library() const noexcept { return library_; }
    const std::string& name() const noexcept { return owner_->name; }
    Standing standing() const;                            // [any]
    std::vector<routing::EndpointPtr> endpoints() const;  // of a running plugin [any]

    void disable(std::string why);  // before any start [control]

    // create → configure → start. False when it did not come to run, or not within `deadline`: then
    // standing() tells. [control of the daemon]
    bool start(std::shared_ptr<const config::Section> section,
               std::chrono::steady_clock::time_point deadline);
    // Its routes are withdrawn already. drain → wait till nothing of it is under way → stop →
    // destroy. False when it did not come to an end by `deadline`. [control of the daemon]
    bool stop(std::chrono::steady_clock::time_point deadline);

private:
    void run_control();
    // Runs a step on the control thread. False: it did not return in time; the plugin is stuck.
    bool walk(Task step, std::chrono::steady_clock::time_point deadline, std::string_view call);
    bool start_here();
    void stop_here();
    void enter(State state, std::string reason = {});
    void enter_stuck(std::string reason);  // with mutex_ held
    void report(Health health, std::string_view reason);
    std::string guarded(std::string_view call, const std::function<void()>& body) const;

    const Library library_;
    Surroundings surroundings_;
    // Outlives this: late answers and passes still look at it.
    routing::Owner* const owner_;

    // Only the control thread, but for their making.
    std::unique_ptr<config::LiveSection> settings_;
    std::unique_ptr<PluginHost> host_;
    Plugin* plugin_ = nullptr;

    mutable std::mutex mutex_;  // guards all below
    std::condition_variable changed_;
    Standing standing_;
    std::vector<routing::EndpointPtr> endpoints_;
    std::deque<Task> steps_;
    std::uint64_t steps_done_ = 0;
    bool ending_ = false;
    std::thread control_;
};

}  // namespace larder::plugin_host
