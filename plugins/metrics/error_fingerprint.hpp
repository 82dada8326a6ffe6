// Which reports are the same error: a fingerprint of what does not change from one time to the
// next, told with its version, its method and its components, so that anyone can see why two were
// grouped.
#pragma once

#include <string>
#include <string_view>

namespace larder::metrics {

inline constexpr int kFingerprintVersion = 1;

struct Fingerprint {
    std::string error_id;  // 32 hexadecimal digits: SHA-256 of version, method and components, cut
    std::string grouping;  // {"version":1,"method":"stack","components":{…}}
};

// All texts are scrubbed already. With a stack trace (method "stack") category, type and the five
// innermost frames without line numbers and addresses tell; without one ("message") category,
// endpoint, method and the message, in which numbers, ids, quoted texts and paths are left out.
// [any]
Fingerprint fingerprint_of(std::string_view category, std::string_view endpoint,
                           std::string_view method, std::string_view message,
                           std::string_view stack_trace);

// "user <n> not in <text>", as above. [any]
std::string message_template(std::string_view message);

}  // namespace larder::metrics
