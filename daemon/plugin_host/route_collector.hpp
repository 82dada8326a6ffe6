// The Routes that start() sees: takes declarations, checks them, makes endpoints of them. Not the
// table: that is built of all plugins' endpoints at once.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "larder/http.hpp"
#include "observe/http_metrics.hpp"
#include "routing/route_table.hpp"

namespace larder::plugin_host {

class RouteCollector final : public Routes {
public:
    // `prefixes`: every pattern must lie under one of them; empty: any pattern (the daemon's own).
    RouteCollector(routing::Owner& owner, std::string_view prefixes, observe::HttpMetrics& metrics);

    // Each throws Error{internal} for a malformed pattern or one outside the prefixes. [control]
    void prompt(Route route, PromptHandler handler) override;
    void blocking(Route route, BlockingHandler handler) override;
    void upload(Route route, UploadHandler handler) override;

    std::vector<std::shared_ptr<routing::Endpoint>> take() noexcept {
        return std::move(endpoints_);
    }

private:
    void add(const Route& route, routing::Handler handler);

    routing::Owner& owner_;
    const std::vector<std::string_view> prefixes_;
    observe::HttpMetrics& metrics_;
    std::vector<std::shared_ptr<routing::Endpoint>> endpoints_;
};

}  // namespace larder::plugin_host
