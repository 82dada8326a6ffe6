// SO_REUSEADDR yes, SO_REUSEPORT no: with it two daemons would share a port and nobody would see.
#include "http/listener.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstring>
#include <system_error>
#include <utility>

#include <fmt/format.h>

#include "larder/error.hpp"

namespace larder::http {

namespace {

constexpr int kBacklog = 4096;
constexpr int kTurn = 64;  // accepted before the thread looks at other listeners and its mail
constexpr std::chrono::milliseconds kRest{100};

[[noreturn]] void refuse(const std::string& address, const std::string& what) {
    throw Error(Errc::unavailable, "listen-failed",
                fmt::format("cannot listen on {}: {}", address, what));
}

[[noreturn]] void refuse_errno(const std::string& address, const char* call) {
    refuse(address, fmt::format("{}: {}", call, std::system_category().message(errno)));
}

std::string text_of(const sockaddr_storage& address, std::uint16_t& port) {
    std::string text(INET6_ADDRSTRLEN, '\0');
    if (address.ss_family == AF_INET) {
        sockaddr_in v4{};
        std::memcpy(&v4, &address, sizeof v4);
        port = ntohs(v4.sin_port);
        inet_ntop(AF_INET, &v4.sin_addr, text.data(), INET6_ADDRSTRLEN);
    } else {
        sockaddr_in6 v6{};
        std::memcpy(&v6, &address, sizeof v6);
        port = ntohs(v6.sin6_port);
        // A caller over IPv4 on a socket for both is known by its IPv4 address.
        if (IN6_IS_ADDR_V4MAPPED(&v6.sin6_addr)) {
            inet_ntop(AF_INET, &v6.sin6_addr.s6_addr[12], text.data(), INET6_ADDRSTRLEN);
        } else {
            inet_ntop(AF_INET6, &v6.sin6_addr, text.data(), INET6_ADDRSTRLEN);
        }
    }
    text.resize(text.find('\0'));
    return text;
}

// sockaddr is the one type for all families; the cast is how the sockets interface is meant.
sockaddr* generic(void* address) { return static_cast<sockaddr*>(address); }

Peer peer_of(int fd, const sockaddr_storage& address) {
    Peer peer;
    if (address.ss_family == AF_INET || address.ss_family == AF_INET6) {
        peer.address = text_of(address, peer.port);
        return peer;
    }
    ucred credentials{};
    socklen_t size = sizeof credentials;
    if (::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &size) == 0) {
        peer.local = true;
        peer.uid = credentials.uid;
        peer.pid = credentials.pid;
        peer.address = fmt::format("unix:uid={}", credentials.uid);
    } else {
        peer.address = "unix:";
    }
    return peer;
}

}  // namespace

Accepted::~Accepted() {
    if (fd_ >= 0) ::close(fd_);
}

Listener::Listener(const ListenerSpec& spec) : tls_(spec.tls), inherited_(spec.inherited_fd >= 0) {
    try {
        if (spec.inherited_fd >= 0) {
            fd_ = spec.inherited_fd;
        } else if (spec.address.starts_with("unix:")) {
            bind_unix(spec.address.substr(5));
        } else {
            bind_tcp(spec.address);
        }
        sockaddr_storage bound{};
        socklen_t size = sizeof bound;
        if (::getsockname(fd_, generic(&bound), &size) != 0)
            refuse_errno(spec.address, "getsockname");
        family_ = bound.ss_family;
        if (family_ == AF_UNIX) {
            if (tls_) refuse(spec.address, "TLS is for TCP; a unix socket needs none");
            sockaddr_un local{};
            std::memcpy(&local, &bound, std::min<std::size_t>(size, sizeof local));
            if (path_.empty()) path_ = local.sun_path;
            address_ = "unix:" + path_;
        } else {
            std::uint16_t port = 0;
            const std::string host = text_of(bound, port);
            address_ = fmt::format("{}://{}:{}", tls_ ? "https" : "http",
                                   family_ == AF_INET6 ? "[" + host + "]" : host, port);
        }
        const int flags = ::fcntl(fd_, F_GETFL);
        if (flags < 0 || ::fcntl(fd_, F_SETFL, flags | O_NONBLOCK) != 0 ||
            ::fcntl(fd_, F_SETFD, FD_CLOEXEC) != 0) {
            refuse_errno(spec.address, "fcntl");
        }
        if (::listen(fd_, kBacklog) != 0) refuse_errno(spec.address, "listen");
    } catch (const Error&) {
        if (fd_ >= 0) ::close(fd_);
        if (owns_path_) ::unlink(path_.c_str());
        throw;
    }
}

Listener::~Listener() {
    if (fd_ >= 0) ::close(fd_);
    if (spare_ >= 0) ::close(spare_);
    if (owns_path_) ::unlink(path_.c_str());
}

std::string Listener::address() const { return address_; }

void Listener::bind_tcp(const std::string& address) {
    const std::size_t colon = address.rfind(':');
    if (colon == std::string::npos) {
        refuse(address, "there is no port; expected host:port, [ipv6]:port or unix:path");
    }
    std::string host = address.substr(0, colon);
    const std::string port = address.substr(colon + 1);
    // getaddrinfo takes 65536 for 0.
    unsigned number = 0;
    const auto [end, fault] = std::from_chars(port.data(), port.data() + port.size(), number);
    if (fault != std::errc{} || end != port.data() + port.size() || number > 65535) {
        refuse(address, fmt::format("the port '{}' is no number from 0 to 65535", port));
    }
    if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
    addrinfo wanted{};
    wanted.ai_socktype = SOCK_STREAM;
    wanted.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
    addrinfo* found = nullptr;
    const int error =
        ::getaddrinfo(host.empty() ? nullptr : host.c_str(), port.c_str(), &wanted, &found);
    if (error != 0) refuse(address, ::gai_strerror(error));
    const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> owner(found, ::freeaddrinfo);
    fd_ = ::socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd_ < 0) refuse_errno(address, "socket");
    const int yes = 1;
    ::setsockopt(fd_, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (::bind(fd_, found->ai_addr, found->ai_addrlen) != 0) refuse_errno(address, "bind");
}

void Listener::bind_unix(const std::string& path) {
    const std::string address = "unix:" + path;
    sockaddr_un local{};
    local.sun_family = AF_UNIX;
    if (path.empty() || path.size() >= sizeof local.sun_path) {
        refuse(address, fmt::format("the path has {} bytes; 1 to {} are possible", path.size(),
                                    sizeof local.sun_path - 1));
    }
    std::memcpy(local.sun_path, path.data(), path.size());
    fd_ = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd_ < 0) refuse_errno(address, "socket");
    if (::connect(fd_, generic(&local), sizeof local) == 0 || errno == EAGAIN) {
        refuse(address, "another process answers there; stop it first");
    }
    struct stat status {};
    if (::lstat(path.c_str(), &status) == 0) {
        if (!S_ISSOCK(status.st_mode)) refuse(address, "a file that is no socket stands there");
        ::unlink(path.c_str());  // left by a daemon that is gone
    }
    // The file gets its mode before anybody can connect: nobody listens yet.
    if (::bind(fd_, generic(&local), sizeof local) != 0) refuse_errno(address, "bind");
    path_ = path;
    owns_path_ = true;
    if (::chmod(path.c_str(), 0660) != 0) refuse_errno(address, "chmod");
}

void Listener::start(Reactor& reactor, Take take, std::function<std::string()> refusal) {
    reactor_ = &reactor;
    take_ = std::move(take);
    refusal_ = std::move(refusal);
    spare_ = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
    watch();
}

void Listener::stop() {
    if (reactor_ == nullptr || fd_ < 0) return;
    // What waits at a socket of our own would be reset with it; at an inherited one it waits for
    // the next daemon.
    if (!inherited_) accept_some(kBacklog);
    unwatch();
    ::close(std::exchange(fd_, -1));
    if (owns_path_) ::unlink(path_.c_str());
    owns_path_ = false;
}

// By level, not by edge: a turn need not take all that waits.
void Listener::watch() {
    watched_ = reactor_->poller().add(fd_, EPOLLIN, *this);
    if (!watched_) rest();
}

void Listener::rest() {
    resting_ = true;
    reactor_->hold_wheel(true);
    reactor_->wheel().set(*this, Clock::now() + kRest);
}

void Listener::unwatch() {
    if (watched_) reactor_->poller().remove(fd_, *this);
    if (resting_) reactor_->hold_wheel(false);
    watched_ = resting_ = false;
    reactor_->wheel().remove(*this);
}

void Listener::on_events(std::uint32_t) noexcept {
    if (accept_some(kTurn)) return;
    unwatch();
    rest();
}

void Listener::on_deadline() {
    unwatch();
    watch();
}

bool Listener::accept_some(int limit) {
    for (int i = 0; i < limit; ++i) {
        sockaddr_storage address{};
        socklen_t size = sizeof address;
        const int fd = ::accept4(fd_, generic(&address), &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0) {
            if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
                if (!refuse_one()) return false;
                continue;
            }
            if (errno == EINTR || errno == ECONNABORTED) continue;
            return true;
        }
        if (family_ != AF_UNIX) {
            const int yes = 1;
            ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
        }
        address.ss_family = static_cast<sa_family_t>(family_);
        Peer peer = peer_of(fd, address);
        peer.tls = tls_;
        take_(Accepted(fd, family_, std::move(peer)));
    }
    return true;
}

// Descriptors have run out: one that was kept for this makes room to accept a client, tell it, and
// let it go. Without this the backlog would hang, and epoll would spin.
bool Listener::refuse_one() {
    if (spare_ < 0) spare_ = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (spare_ < 0) return false;
    ::close(std::exchange(spare_, -1));
    const int fd = ::accept4(fd_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) {
        if (!tls_) {
            const std::string text = refusal_();
            (void)::send(fd, text.data(), text.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
        }
        ::shutdown(fd, SHUT_WR);
        // Read what has come, or closing would reset the connection and take the refusal with it.
        std::string sink(16384, '\0');
        while (::recv(fd, sink.data(), sink.size(), MSG_DONTWAIT) > 0) {
        }
        ::close(fd);
        reactor_->environment().connections_refused.fetch_add(1, std::memory_order_relaxed);
    }
    spare_ = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
    return fd >= 0 && spare_ >= 0;
}

}  // namespace larder::http
