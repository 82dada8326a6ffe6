// A listening socket that a test holds, as a service manager would, to hand it to a daemon. It
// never accepts.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <stdexcept>
#include <string>

namespace larder::test {

class ListeningSocket {
public:
    // On a free port of 127.0.0.1, or of another address as inet(3) has it.
    explicit ListeningSocket(in_addr_t host = INADDR_LOOPBACK) {
        fd_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(host);
        socklen_t size = sizeof(address);
        auto* const generic = reinterpret_cast<sockaddr*>(&address);
        if (fd_ < 0 || ::bind(fd_, generic, size) != 0 || ::listen(fd_, SOMAXCONN) != 0 ||
            ::getsockname(fd_, generic, &size) != 0) {
            throw std::runtime_error("no listening socket could be made");
        }
        port_ = ntohs(address.sin_port);
    }
    explicit ListeningSocket(const std::string& path) {
        fd_ = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        if (path.size() >= sizeof(address.sun_path)) throw std::runtime_error("path too long");
        std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
        if (fd_ < 0 || ::bind(fd_, reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0 ||
            ::listen(fd_, SOMAXCONN) != 0) {
            throw std::runtime_error("no listening socket could be made at " + path);
        }
    }
    ~ListeningSocket() { ::close(fd_); }
    ListeningSocket(const ListeningSocket&) = delete;
    ListeningSocket& operator=(const ListeningSocket&) = delete;

    int fd() const noexcept { return fd_; }
    int port() const noexcept { return port_; }

private:
    int fd_ = -1;
    int port_ = 0;
};

}  // namespace larder::test
