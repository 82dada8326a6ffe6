// The file with the audit's key, for nobody but the daemon. Not the key's use: audit_chain.hpp.
#pragma once

#include <string>
#include <string_view>

namespace larder::metrics {

// Mode 0600 from the first byte on; after a crash there is the whole file or none; synced. Throws
// Error{io_failed}, std::system_error. [control]
void write_secret(const std::string& path, std::string_view secret);

}  // namespace larder::metrics
