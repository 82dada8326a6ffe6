// HTTP on one side, the audit on the other: /api/audit.
#pragma once

#include "larder/http.hpp"
#include "metrics_core.hpp"

namespace larder::metrics {

class AuditRoutes {
public:
    explicit AuditRoutes(MetricsCore& core) : core_(core) {}  // which outlives it
    void declare(Routes& routes);

private:
    Response list(const Request& request);
    Response verify(const Request& request);

    MetricsCore& core_;
};

}  // namespace larder::metrics
