#include "routing/rate_headers.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <utility>

namespace larder::routing {
namespace {

std::int64_t seconds_up(std::int64_t us) { return (us + 999'999) / 1'000'000; }

std::pair<std::string, std::string> rate_limit(const RateVerdict& verdict) {
    return {"RateLimit",
            fmt::format("\"larderd\";r={};t={}", verdict.remaining, seconds_up(verdict.reset_us))};
}

std::pair<std::string, std::string> rate_limit_policy(const RateVerdict& verdict) {
    return {"RateLimit-Policy",
            fmt::format("\"larderd\";q={};w={}", verdict.limit, seconds_up(verdict.window_us))};
}

}  // namespace

void add_rate_headers(const RateVerdict& verdict, Headers& headers) {
    if (!verdict.limited) return;
    const bool told = std::any_of(headers.begin(), headers.end(),
                                  [](const auto& header) { return header.first == "RateLimit"; });
    if (told) return;
    headers.push_back(rate_limit(verdict));
    headers.push_back(rate_limit_policy(verdict));
}

Error limit_spent(const RateVerdict& verdict) {
    Error error(Errc::too_many_requests, "rate-limited",
                "you ask more than cache.limit_requests allows");
    error.with_header("Retry-After",
                      std::to_string(std::max<std::int64_t>(1, seconds_up(verdict.wait_us))));
    for (auto& [name, value] : {rate_limit(verdict), rate_limit_policy(verdict)}) {
        error.with_header(name, value);
    }
    return error;
}

}  // namespace larder::routing
