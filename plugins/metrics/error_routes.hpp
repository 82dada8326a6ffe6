// HTTP on one side, the errors on the other: /api/errors.
#pragma once

#include "larder/http.hpp"
#include "metrics_core.hpp"

namespace larder::metrics {

class ErrorRoutes {
public:
    explicit ErrorRoutes(MetricsCore& core) : core_(core) {}  // which outlives it
    void declare(Routes& routes);

private:
    Response report(const Request& request);
    Response list(const Request& request);
    Response get(const Request& request);
    Response resolve(const Request& request);

    MetricsCore& core_;
};

}  // namespace larder::metrics
