// HTTP on one side, the history of requests, machine and records on the other: /api/metrics. Errors
// and audit: audit_routes.hpp, error_routes.hpp.
#pragma once

#include "larder/http.hpp"
#include "metrics_core.hpp"

namespace larder::metrics {

class MetricsRoutes {
public:
    explicit MetricsRoutes(MetricsCore& core) : core_(core) {}  // which outlives it
    void declare(Routes& routes);

private:
    Response http(const Request& request);
    Response series(const Request& request);
    Response take(const Request& request);
    Response performance(const Request& request);
    Response system(const Request& request);
    Response dashboard(const Request& request);
    Response optimize(const Request& request);
    Response clean_up(const Request& request);

    MetricsCore& core_;
};

// An audit record of what is about to be done; throws where it must not be.
void record_action(Host& host, const Request& request, std::string_view action,
                   std::string_view target);

}  // namespace larder::metrics
