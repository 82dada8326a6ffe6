// The routes of sessions. Here alone ids are seen: 256 bits of the system's, in an answer's body
// and in paths; everything behind this knows their SHA-256.
#pragma once

#include "larder/host.hpp"
#include "larder/http.hpp"
#include "sessions.hpp"

namespace larder::cache {

class SessionRoutes {
public:
    SessionRoutes(Sessions& sessions, bool has_redis, Host& host)
        : sessions_(sessions), has_redis_(has_redis), host_(host) {}

    void declare(Routes& routes);

private:
    Response create(const Request& request);
    Response read(const Request& request);
    Response change(const Request& request);
    Response end(const Request& request);
    Response list(const Request& request);
    Response end_of(const Request& request);

    Sessions& sessions_;
    const bool has_redis_;
    Host& host_;
};

}  // namespace larder::cache
