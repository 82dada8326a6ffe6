// Which addresses the daemon may listen on, and with what: judged before any socket is opened. Not
// the listening itself, which is http/'s.
#pragma once

#include <string>
#include <vector>

#include "config/configuration.hpp"
#include "http/http.hpp"

namespace larder {

bool has_tls(const config::Section& http);

// $RUNTIME_DIRECTORY/larder.sock or the data directory's, where http.socket names none.
std::string socket_path(const config::Section& http, const std::string& data_directory);

// What a stranger could reach wants both credentials and encryption, unless the admin says
// otherwise. Throws config::ConfigError; so do the next two.
void require_safe_listeners(const config::Configuration& configuration);
// The same of the service manager's sockets, by their hosts.
void require_safe_sockets(const config::Configuration& configuration,
                          const std::vector<std::string>& hosts);
// Nothing where no certificate is set.
void use_certificate(http::Server& server, const config::Configuration& configuration);

}  // namespace larder
