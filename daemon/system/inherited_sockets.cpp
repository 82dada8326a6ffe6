#include "system/inherited_sockets.hpp"

#include <fmt/format.h>
#include <systemd/sd-daemon.h>

#include "larder/error.hpp"

namespace larder::system {

std::vector<http::ListenerSpec> inherited_sockets(bool tls) {
    std::vector<http::ListenerSpec> specs;
    const int count = sd_listen_fds(1);
    for (int i = 0; i < count; ++i) {
        const int fd = SD_LISTEN_FDS_START + i;
        if (sd_is_socket(fd, 0, SOCK_STREAM, 1) <= 0) {
            throw Error(Errc::unavailable, "inherited-socket",
                        fmt::format("descriptor {} from the service manager is no listening "
                                    "stream socket; use ListenStream= in the .socket unit",
                                    fd));
        }
        const bool local = sd_is_socket_unix(fd, SOCK_STREAM, 1, nullptr, 0) > 0;
        specs.push_back({{}, fd, tls && !local});
    }
    return specs;
}

}  // namespace larder::system
