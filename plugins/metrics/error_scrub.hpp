// Takes secrets out of what is reported with an error, before it is grouped or kept. Not proof
// against what does not look like a secret.
#pragma once

#include <string>
#include <string_view>

namespace larder::metrics {

inline constexpr std::string_view kScrubbed = "[scrubbed]";

// Whether a member or field of this name holds a secret: "password", "Authorization", "api_key",
// "X-Auth-Token", "set-cookie", "clientSecret". [any]
bool is_secret_name(std::string_view name);

// A text of any kind: credentials behind "Bearer" and "Basic", in URLs ("//user:pass@"), and behind
// secret names with ':' or '='. [any]
std::string scrub_text(std::string_view text);

// A JSON text that passed check(): the values of secret names, wherever they stand, and all texts
// as above. Numbers stay as they are. [any]
std::string scrub_json(std::string_view json);

}  // namespace larder::metrics
