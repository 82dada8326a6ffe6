// What the routes of this plugin have in common: how a route that may ask Redis is declared, names,
// bodies. Not the routes.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "larder/host.hpp"
#include "larder/http.hpp"

namespace larder::cache {

// On a worker where there is a Redis to wait for, else on the I/O thread.
template <class Handler>
void declare(Routes& routes, bool has_redis, const Route& route, Handler handler) {
    if (has_redis) return routes.blocking(route, std::move(handler));
    routes.prompt(route, [handler = std::move(handler)](const Request& request, Reply reply) {
        std::move(reply).send(handler(request));
    });
}

// A query parameter in milliseconds: seconds, fractions too, from `least` to `most`. Throws
// Error{bad_request, "invalid-parameter"}.
std::optional<std::int64_t> seconds_of(const Request& request, std::string_view name, double least,
                                       double most);

// 1-64 of letters, digits, '.', '_' and '-': of boards, lists, limits. Throws Error{bad_request,
// "invalid-name"}.
std::string name_of(const Request& request);

// As JSON writes it, shortest: 9, 0.5. [any]
std::string number_json(double number);

}  // namespace larder::cache
