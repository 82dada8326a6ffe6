// The metrics plugin's life: databases opened, sinks offered, routes declared. What it does is
// metrics_core.hpp; the HTTP side are the *_routes.
#pragma once

#include <memory>
#include <string>

#include "audit_routes.hpp"
#include "error_routes.hpp"
#include "larder/cleanup.hpp"
#include "larder/plugin.hpp"
#include "larder/snapshot.hpp"
#include "larder/usage.hpp"
#include "metrics_core.hpp"
#include "metrics_routes.hpp"

namespace larder::metrics {

class MetricsPlugin final : public Plugin, public Usage, public Cleanable, public Snapshotable {
public:
    explicit MetricsPlugin(Host& host) : host_(host) {}

    void configure(const Settings& settings) override;
    void start(Routes& routes) override;
    void drain() noexcept override;
    void stop() noexcept override;
    void* extension(std::string_view id) noexcept override;

    void measure(UsageSink& sink) override;
    // Requests, performance and system metrics; errors and audit go by their own retention alone.
    void clean(const CleanupRequest& request, CleanupSink& sink) override;

    void hold(bool on) noexcept override;
    std::unique_ptr<Moment> pin() override;
    void adopt(std::string_view previous) override;

private:
    Host& host_;
    std::unique_ptr<MetricsCore> core_;
    std::unique_ptr<MetricsRoutes> metrics_;
    std::unique_ptr<ErrorRoutes> errors_;
    std::unique_ptr<AuditRoutes> audit_;
    std::string restored_;  // what adopt() found, for the audit
};

}  // namespace larder::metrics
