#include "plugin_host/route_collector.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "routing/route_text.hpp"

namespace larder::plugin_host {

RouteCollector::RouteCollector(routing::Owner& owner, std::string_view prefixes,
                               observe::HttpMetrics& metrics)
    : owner_(owner), prefixes_(routing::split_list(prefixes)), metrics_(metrics) {}

void RouteCollector::prompt(Route route, PromptHandler handler) { add(route, std::move(handler)); }
void RouteCollector::blocking(Route route, BlockingHandler handler) {
    add(route, std::move(handler));
}
void RouteCollector::upload(Route route, UploadHandler handler) { add(route, std::move(handler)); }

void RouteCollector::add(const Route& route, routing::Handler handler) {
    const auto under = [&](std::string_view prefix) {
        return route.pattern.starts_with(prefix) &&
               (route.pattern.size() == prefix.size() || route.pattern[prefix.size()] == '/');
    };
    if (!prefixes_.empty() && std::none_of(prefixes_.begin(), prefixes_.end(), under)) {
        throw Error(Errc::internal, "foreign-route",
                    fmt::format("route {} lies under none of the entry's path_prefixes ({})",
                                route.pattern, fmt::join(prefixes_, ", ")));
    }
    if (route.method == Method::head) {
        throw Error(Errc::internal, "host-method",
                    fmt::format("route {}: a HEAD comes to GET's handler", route.pattern));
    }
    routing::read_route_text(route);  // refuses what GET /openapi.json could not tell
    endpoints_.push_back(routing::make_endpoint(route, std::move(handler), owner_, metrics_));
}

}  // namespace larder::plugin_host
