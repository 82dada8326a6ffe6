// One listening socket: binding, accepting until there is nothing more, and what to do when no
// descriptor is left. Not what becomes of a connection: that is handed on.
#pragma once

#include <sys/socket.h>

#include <cstddef>
#include <functional>
#include <memory>
#include <string>

#include "http/http.hpp"
#include "http/poller.hpp"
#include "http/reactor.hpp"

namespace larder::http {

// An accepted socket on its way to a reactor. Closes what nobody took.
class Accepted {
public:
    Accepted(int fd, int family, Peer peer) : fd_(fd), family_(family), peer_(std::move(peer)) {}
    Accepted(Accepted&& other) noexcept
        : fd_(std::exchange(other.fd_, -1)),
          family_(other.family_),
          peer_(std::move(other.peer_)) {}
    Accepted(const Accepted&) = delete;
    Accepted& operator=(const Accepted&) = delete;
    Accepted& operator=(Accepted&&) = delete;
    ~Accepted();

    int fd() const noexcept { return fd_; }
    int release() noexcept { return std::exchange(fd_, -1); }
    int family() const noexcept { return family_; }
    Peer& peer() noexcept { return peer_; }

private:
    int fd_;
    int family_;
    Peer peer_;
};

class Listener final : private Watched, private Timed {
public:
    using Take = std::function<void(Accepted&&)>;

    // Binds and listens, or takes over the inherited socket. Throws Error{unavailable}. [control]
    explicit Listener(const ListenerSpec& spec);
    Listener(const Listener&) = delete;
    Listener& operator=(const Listener&) = delete;
    ~Listener();  // closes; a Unix socket's file that it made is unlinked

    bool tls() const noexcept { return tls_; }
    std::string address() const;  // "http://127.0.0.1:41234", "unix:/run/x.sock" [any]

    // Accepts on this reactor and hands each on. `refusal` makes what a client reads when there is
    // no descriptor left for it (plain sockets). [io]
    void start(Reactor& reactor, Take take, std::function<std::string()> refusal);
    // Takes what has queued (leaves it to the next daemon where the socket is inherited), then
    // closes. [io]
    void stop();

private:
    void bind_tcp(const std::string& address);
    void bind_unix(const std::string& path);
    void on_events(std::uint32_t events) noexcept override;
    void on_deadline() override;  // after a rest
    void watch();
    void rest();  // and watch again later
    void unwatch();
    // At most `limit`; false: come back later, there is no descriptor left.
    bool accept_some(int limit);
    bool refuse_one();

    bool tls_;
    bool inherited_;
    int fd_ = -1;
    int family_ = AF_UNSPEC;
    std::string path_;  // of a Unix socket
    bool owns_path_ = false;
    std::string address_;

    // Only the reactor.
    Reactor* reactor_ = nullptr;
    Take take_;
    std::function<std::string()> refusal_;
    int spare_ = -1;  // given up for a moment to accept and refuse when descriptors have run out
    bool watched_ = false, resting_ = false;
};

}  // namespace larder::http
