// A server that answers as a test wants it to, to show what a client makes of a peer that cuts,
// lies, trickles or says nothing. It understands nothing that it is sent.
#pragma once

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <functional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "support/listening_socket.hpp"

namespace larder::test {

class LyingServer {
public:
    // `talk` has a connection for itself until it returns, then the connection is closed. It must
    // return soon once ended() is true.
    using Talk = std::function<void(const LyingServer&, int fd)>;

    explicit LyingServer(Talk talk) : talk_(std::move(talk)), acceptor_([this] { accept(); }) {}
    ~LyingServer() {
        ended_ = true;
        acceptor_.join();
        for (std::thread& thread : talks_) thread.join();
    }
    LyingServer(const LyingServer&) = delete;
    LyingServer& operator=(const LyingServer&) = delete;

    int port() const noexcept { return socket_.port(); }
    bool ended() const noexcept { return ended_; }
    int connections() const noexcept { return connections_; }

    // What came, at least a byte; empty at the end.
    std::string read(int fd) const {
        std::array<char, 65536> bytes;
        while (!ended_) {
            pollfd one{fd, POLLIN, 0};
            if (::poll(&one, 1, 20) <= 0) continue;
            const ssize_t got = ::recv(fd, bytes.data(), bytes.size(), 0);
            return got > 0 ? std::string(bytes.data(), static_cast<std::size_t>(got)) : "";
        }
        return {};
    }
    static void say(int fd, std::string_view text) {
        (void)!::send(fd, text.data(), text.size(), MSG_NOSIGNAL);
    }

private:
    void accept() {
        while (!ended_) {
            pollfd one{socket_.fd(), POLLIN, 0};
            if (::poll(&one, 1, 20) <= 0) continue;
            const int fd = ::accept4(socket_.fd(), nullptr, nullptr, SOCK_CLOEXEC);
            if (fd < 0) continue;
            ++connections_;
            talks_.emplace_back([this, fd] {
                talk_(*this, fd);
                ::close(fd);
            });
        }
    }

    ListeningSocket socket_;
    const Talk talk_;
    std::atomic<bool> ended_{false};
    std::atomic<int> connections_{0};
    std::vector<std::thread> talks_;  // only the acceptor, and whoever joined it
    std::thread acceptor_;
};

}  // namespace larder::test
