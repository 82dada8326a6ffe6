// Listening sockets handed over by the service manager (sd_listen_fds(3)), so that a restart drops
// no connection attempt. Not the opening of our own.
#pragma once

#include <string>
#include <vector>

#include "http/http.hpp"

namespace larder::system {

// Empty when none were handed over. Takes LISTEN_FDS out of the environment, so that children do
// not see it. Throws Error{unavailable} for one that does not listen. Once, at start. [control]
std::vector<http::ListenerSpec> inherited_sockets(bool tls);

}  // namespace larder::system
