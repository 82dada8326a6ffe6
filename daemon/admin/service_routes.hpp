// The routes by which an admin sees what goes on by itself: jobs and alerts. Shows what others
// know; it keeps nothing.
#pragma once

#include "larder/http.hpp"
#include "plugin_host/facilities.hpp"

namespace larder::admin {

class ServiceRoutes {
public:
    // The facilities outlive it.
    explicit ServiceRoutes(plugin_host::Facilities& facilities) : facilities_(facilities) {}

    void declare(Routes& routes);

private:
    Response jobs(const Request& request) const;
    Response job(const Request& request) const;
    Response run_job(const Request& request);
    Response alerts(const Request& request) const;

    plugin_host::Facilities& facilities_;
};

}  // namespace larder::admin
