// The daemon's own routes: health, status, plugins, limits, configuration, reload, metrics. Shows
// what others know; it keeps nothing.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "admin/asker.hpp"
#include "config/configuration.hpp"
#include "http/http.hpp"
#include "jobs/worker_pool.hpp"
#include "larder/alerts.hpp"
#include "larder/http.hpp"
#include "observe/metrics.hpp"
#include "plugin_host/supervisor.hpp"

namespace larder::admin {

// Whom the routes ask. All outlive them.
struct Sources {
    plugin_host::Supervisor& plugins;
    const http::Server& server;
    jobs::WorkerPool& workers;
    observe::Registry& metrics;
    Audit& audit;
    std::function<config::Configuration()> configuration;
    // Throws config::ConfigError or Error: then nothing has changed.
    std::function<config::Changes()> reload;
    std::string version, data_directory;
    std::int64_t started_ms = 0;  // Unix time
};

class AdminRoutes {
public:
    explicit AdminRoutes(Sources sources) : sources_(std::move(sources)) {}

    void declare(Routes& routes);

private:
    void declare_actions(Routes& routes);  // enable, disable, reload, reset
    Response health(const Request& request) const;
    Response readiness(const Request& request) const;
    Response status(const Request& request) const;
    Response plugins(const Request& request) const;
    Response plugin(const Request& request) const;
    Response limits(const Request& request) const;
    Response configuration(const Request& request) const;
    Response reload(const Asker& asker);
    Response act(const Asker& asker, const std::string& name, plugin_host::Action action);
    plugin_host::PluginStatus status_of(std::string_view name) const;  // throws no_such_plugin()
    Response record_of(std::string_view name) const;
    void beside(Reply reply, std::function<Response()> work);
    Response metrics(const Request& request) const;

    const Sources sources_;
};

}  // namespace larder::admin
