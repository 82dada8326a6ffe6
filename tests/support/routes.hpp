// Endpoints and route tables for tests, without a plugin behind them. Not the handlers' caller.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "observe/http_metrics.hpp"
#include "routing/route_table.hpp"

namespace larder::test {

// One owner and the metrics of its routes; must outlive what it made.
class RouteMaker {
public:
    explicit RouteMaker(std::string name = "plugin") {
        owner.name = std::move(name);
        owner.gate.open();
    }

    routing::EndpointPtr make(const Route& route, routing::Handler handler) {
        return routing::make_endpoint(route, std::move(handler), owner, metrics);
    }
    // One that is never called.
    routing::EndpointPtr make(Method method, std::string_view pattern) {
        return make(Route{method, pattern, Permission::read, "", "", "", "", 1U << 20U, ""},
                    BlockingHandler([](const Request&) { return Response(); }));
    }

    routing::Owner owner;
    observe::HttpMetrics metrics{1};
};

}  // namespace larder::test
