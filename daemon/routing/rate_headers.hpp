// How a limit on a caller is told: RateLimit and RateLimit-Policy
// (draft-ietf-httpapi-ratelimit-headers), and the refusal. Who counts is a plugin.
#pragma once

#include "larder/error.hpp"
#include "larder/http.hpp"
#include "larder/rate_limit.hpp"

namespace larder::routing {

// Nothing for a verdict that limits nothing, and for an answer that tells of a limit already.
void add_rate_headers(const RateVerdict& verdict, Headers& headers);
// 429 rate-limited, with Retry-After.
Error limit_spent(const RateVerdict& verdict);

}  // namespace larder::routing
