// All plugins of this daemon: judged against each other, started, stopped, and their routes put in
// force as one table. What one plugin goes through is lifecycle.hpp's.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "config/configuration.hpp"
#include "plugin_host/lifecycle.hpp"

namespace larder::plugin_host {

// One plugin as an admin sees it.
struct PluginStatus {
    const Library* library;
    std::string name;
    Standing standing;
    bool enabled;  // by the configuration
    std::vector<routing::EndpointPtr> endpoints;
};

class Supervisor {
public:
    using LogFor = std::function<Log&(const std::string& source)>;  // a log that is kept for ever
    using Publish = std::function<void(std::shared_ptr<const routing::RouteTable>)>;

    Supervisor(Surroundings surroundings, LogFor log_for);
    ~Supervisor();

    // Takes libraries whose claims are settled; those refused are only shown. Once. [control]
    void take(std::vector<Library> libraries);

    // From here on each change of what serves is published. `own` are the daemon's own routes.
    void publish_to(Publish publish, std::vector<routing::EndpointPtr> own);
    // Starts all enabled plugins side by side; one that fails stands alone. [control]
    void start_all(const config::Configuration& configuration);
    // Drains and stops all; what does not end by `deadline` is left as it is. [control]
    void stop_all(std::chrono::steady_clock::time_point deadline);

    std::vector<PluginStatus> status() const;  // [any]

private:
    void publish() const;
    bool is_enabled(const Lifecycle& plugin) const;

    const Surroundings surroundings_;
    const LogFor log_for_;
    std::vector<std::unique_ptr<Lifecycle>> plugins_;  // fixed after take()
    std::vector<routing::EndpointPtr> own_;
    Publish publish_;

    mutable std::mutex mutex_;
    config::Configuration configuration_;  // guarded by mutex_
};

}  // namespace larder::plugin_host
