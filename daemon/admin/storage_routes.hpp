// How much is stored, and room made: GET /api/storage/usage and POST /api/storage/cleanup, put
// together of what each plugin says and does. Not the plugins' own figures and rules.
#pragma once

#include <cstdint>
#include <string>

#include "larder/http.hpp"
#include "plugin_host/supervisor.hpp"

namespace larder::admin {

// What the files below a folder hold; what goes away meanwhile is passed over. [worker]
std::uint64_t bytes_below(const std::string& folder);

class StorageRoutes {
public:
    // The supervisor outlives it.
    StorageRoutes(const plugin_host::Supervisor& plugins, std::string data_directory)
        : plugins_(plugins), data_directory_(std::move(data_directory)) {}

    void declare(Routes& routes);

private:
    Response usage(const Request& request) const;
    Response clean(const Request& request) const;

    const plugin_host::Supervisor& plugins_;
    const std::string data_directory_;
};

}  // namespace larder::admin
