// All plugins of this daemon: judged against each other, started, stopped, turned on and off while
// the rest serves, and their routes put in force as one table. What one plugin goes through is
// lifecycle.hpp's.
//
// Whether a plugin runs is said by its configuration (`enabled`), or else by what was chosen over
// the interface, which wins until it is taken back.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/configuration.hpp"
#include "plugin_host/choices.hpp"
#include "plugin_host/lifecycle.hpp"

namespace larder::plugin_host {

// One plugin as an admin sees it.
struct PluginStatus {
    const Library* library;
    std::string name;
    Standing standing;
    bool configured;               // what its configuration says
    std::optional<Choice> chosen;  // what wins over that
    std::vector<routing::EndpointPtr> endpoints;

    bool enabled() const noexcept { return chosen ? chosen->enabled : configured; }
};

Error no_such_plugin();  // 404

// One line for an admin: what is wrong with which plugin, or else which serve.
std::string summary_of(const std::vector<PluginStatus>& plugins);

enum class Action : std::uint8_t { enable = 1, disable, reload, reset };

// What the supervisor asks of the daemon.
struct SupervisorHooks {
    std::function<Log&(const std::string& source)> log_for;  // a log that is kept for ever
    std::function<config::Configuration()> configuration;    // in force [any]
    // Reads the sources anew and puts this plugin's section in force: one that starts takes all of
    // its settings. Throws config::ConfigError, Error: then nothing has changed. [worker]
    std::function<std::shared_ptr<const config::Section>(const std::string& plugin)> section_anew;
};

// Whoever walks a plugin holds its turn. A std::timed_mutex would do, but ThreadSanitizer does not
// know the call by which that waits for a steady clock.
class Turn {
public:
    using TimePoint = Lifecycle::TimePoint;

    void lock() {
        std::unique_lock lock(mutex_);
        free_.wait(lock, [this] { return !taken_; });
        taken_ = true;
    }
    bool try_lock_until(TimePoint deadline) {
        std::unique_lock lock(mutex_);
        if (!free_.wait_until(lock, deadline, [this] { return !taken_; })) return false;
        return taken_ = true;
    }
    void unlock() {
        const std::scoped_lock lock(mutex_);
        taken_ = false;
        free_.notify_one();
    }

private:
    std::mutex mutex_;
    std::condition_variable free_;
    bool taken_ = false;  // guarded by mutex_
};

class Supervisor {
public:
    using Publish = std::function<void(std::shared_ptr<const routing::RouteTable>)>;
    using TimePoint = Lifecycle::TimePoint;

    Supervisor(Surroundings surroundings, SupervisorHooks hooks, Choices& choices);
    ~Supervisor();

    // Takes libraries whose claims are settled; those refused are only shown. Once. [control]
    void take(std::vector<Library> libraries);

    // From here on each change of what serves is published. `own` are the daemon's own routes.
    void publish_to(Publish publish, std::vector<routing::EndpointPtr> own);
    // Starts all enabled plugins side by side; one that fails stands alone. [control]
    void start_all();
    // Drains and stops all; nothing is begun any more. False when a plugin is stuck. [control]
    bool stop_all(TimePoint deadline);

    // Walks one plugin to where `action` leads and returns when it is there; what is there already
    // stays as it is. One walk at a time a plugin, plugins side by side. Throws Error{not_found}
    // plugin-not-found; {conflict} plugin-refused, plugin-stuck, plugin-disabled (a reload of what
    // is off), plugin-failed (it was started in vain); {unavailable} stopping; what section_anew
    // and Choices throw, before anything has changed. Waits for what may itself wait for a worker:
    // call it from WorkerPool::post_beside. [worker]
    void act(std::string_view name, Action action);

    // Starts what is to run and failed to start for a reason that may have passed. How as act().
    // [worker]
    void start_again();

    std::vector<PluginStatus> status() const;  // [any]
    // Of each plugin that serves and has it. [any]
    std::vector<LeasedPower> lease_powers(std::string_view id) const;
    // Calls `use` for each plugin that serves and has this power, in turn, by name. What it throws
    // is logged as the plugin's. [worker]
    void with_each_power(
        std::string_view id,
        const std::function<void(const std::string& plugin, void* power)>& use) const;

private:
    friend class SettingsReload;
    friend class Restorer;

    struct Entry {
        std::unique_ptr<Lifecycle> life;
        Turn walk;
        std::atomic<bool> restoring{false};
    };

    Entry& entry_of(std::string_view name) const;
    void start(Entry& entry);
    void start_with(Entry& entry, std::shared_ptr<const config::Section> section);
    void stop(Entry& entry, std::string why);
    void publish() const;
    bool configured(const std::string& name) const;
    bool enabled(const std::string& name) const;
    std::string why_off(const std::string& name) const;
    std::chrono::milliseconds limit(std::string_view key) const;  // [daemon] key

    const Surroundings surroundings_;
    const SupervisorHooks hooks_;
    Choices& choices_;
    std::vector<std::unique_ptr<Entry>> plugins_;  // fixed after take()
    std::vector<routing::EndpointPtr> own_;
    Publish publish_;
    mutable std::mutex publish_mutex_;  // held while a table is made and put in force
    std::atomic<bool> stopping_{false};
};

}  // namespace larder::plugin_host
