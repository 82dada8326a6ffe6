// An alert as an HTTP request to somebody's server, signed so that it can be told from a forged
// one. Not when to send, nor again.
//
//   POST <url>
//   Content-Type: application/json
//   Larder-Delivery: <id>                    the same when it is tried again
//   Larder-Signature: t=<unix seconds>,v1=<hex HMAC-SHA-256 of "<t>.<body>">    with a secret only
//
//   {"event": "raised" or "resolved", "key", "source", "severity", "text", "host", "count",
//    "raised_at", "resolved_at": null or a time}
#pragma once

#include <chrono>
#include <string>
#include <string_view>

#include "notify/notifier.hpp"

namespace larder::notify {

struct WebhookTarget {
    std::string url, secret;  // secret may be empty
};

// Any 2xx takes it; 4xx but 408, 425 and 429 is final. Redirects are not followed. Throws NotTaken.
void post_webhook(const WebhookTarget& target, const Notice& notice, std::string_view host,
                  std::chrono::seconds patience = std::chrono::seconds(5));

// Throws std::invalid_argument, saying what was expected, for what is no http or https URL.
void check_webhook_url(const std::string& url);

std::string webhook_body(const Notice& notice, std::string_view host);
std::string hmac_sha256_hex(std::string_view key, std::string_view text);

}  // namespace larder::notify
