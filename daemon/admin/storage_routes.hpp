// How much is stored, and making room: GET /api/storage/usage and POST /api/storage/cleanup, put
// together of what each plugin says and does. Not the plugins' own figures, nor their retention.
#pragma once

#include <cstdint>
#include <functional>
#include <mutex>
#include <string>

#include "larder/alerts.hpp"
#include "larder/http.hpp"
#include "plugin_host/supervisor.hpp"

namespace larder::admin {

class StorageRoutes {
public:
    // Supervisor and audit outlive it.
    StorageRoutes(const plugin_host::Supervisor& plugins, Audit& audit, std::string data_directory)
        : plugins_(plugins), audit_(audit), data_directory_(std::move(data_directory)) {}

    void declare(Routes& routes);
    // Tells how many percent of its quota each section that has one uses. [worker]
    void each_quota(
        const std::function<void(const std::string& section, double used_percent)>& use) const;

private:
    Response usage(const Request& request) const;
    Response clean(const Request& request);

    const plugin_host::Supervisor& plugins_;
    Audit& audit_;
    const std::string data_directory_;
    std::mutex cleaning_;  // one at a time
};

}  // namespace larder::admin
