// The conditional requests of RFC 9110 §13 that every GET obeys, whatever plugin answers it.
// Conditions on changes are the plugins' own, who judge them where they write; etag_matches()
// serves both.
#pragma once

#include <string_view>

#include "http/http.hpp"
#include "larder/http.hpp"

namespace larder::routing {

// Turns a 200 to a GET or HEAD into a 304 where If-None-Match or If-Modified-Since allow it. [any]
void apply_conditions(const http::Head& head, Response& response);

}  // namespace larder::routing
