#include "redis_connection.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <memory>
#include <stdexcept>
#include <system_error>
#include <utility>

namespace larder::cache {
namespace {

constexpr const char* kWanted =
    "expected redis://[user:password@]host[:port][/database] or redis+unix:///path[?db=n]";

std::string why_not(int error) { return std::generic_category().message(error); }

std::string decoded(std::string_view text) {
    std::string plain;
    for (std::size_t i = 0; i < text.size(); ++i) {
        unsigned char byte = static_cast<unsigned char>(text[i]);
        if (text[i] == '%') {
            if (i + 2 >= text.size() ||
                std::from_chars(text.data() + i + 1, text.data() + i + 3, byte, 16).ptr !=
                    text.data() + i + 3) {
                throw std::invalid_argument(kWanted);
            }
            i += 2;
        }
        plain += static_cast<char>(byte);
    }
    return plain;
}

template <class Number> Number number_of(std::string_view text, Number most) {
    Number number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc() || end != text.data() + text.size() || number < 0 || number > most) {
        throw std::invalid_argument(kWanted);
    }
    return number;
}

constexpr int kMostDatabases = 65535;

void read_host(RedisAddress& address, std::string_view rest) {
    const std::size_t slash = std::min(rest.find('/'), rest.size());
    std::string_view host = rest.substr(0, slash);
    const std::string_view database = rest.substr(std::min(slash + 1, rest.size()));
    if (!database.empty()) address.database = number_of<int>(database, kMostDatabases);
    const std::size_t colon = host.rfind(':');
    if (colon != std::string_view::npos && host.find(']', colon) == std::string_view::npos) {
        address.port = static_cast<std::uint16_t>(number_of<int>(host.substr(colon + 1), 65535));
        host = host.substr(0, colon);
    }
    if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
    if (host.empty() || address.port == 0) throw std::invalid_argument(kWanted);
    address.host = host;
}

void read_path(RedisAddress& address, std::string_view rest) {
    const std::size_t mark = std::min(rest.find('?'), rest.size());
    const std::string_view query = rest.substr(mark);
    if (query.starts_with("?db=")) {
        address.database = number_of<int>(query.substr(4), kMostDatabases);
    } else if (!query.empty()) {
        throw std::invalid_argument(kWanted);
    }
    address.path = decoded(rest.substr(0, mark));
    if (!address.path.starts_with('/') || address.path.size() >= sizeof(sockaddr_un::sun_path)) {
        throw std::invalid_argument(kWanted);
    }
}

struct Target {
    sockaddr_storage address{};
    socklen_t size = 0;
    int family = AF_UNSPEC;
};

std::vector<Target> targets_of(const RedisAddress& address) {
    std::vector<Target> targets;
    if (address.host.empty()) {
        Target target;
        sockaddr_un unix_address{};
        unix_address.sun_family = AF_UNIX;
        address.path.copy(unix_address.sun_path, sizeof(unix_address.sun_path) - 1);
        std::memcpy(&target.address, &unix_address, sizeof(unix_address));
        target.size = sizeof(unix_address);
        target.family = AF_UNIX;
        return {target};
    }
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = AI_ADDRCONFIG | AI_NUMERICSERV;
    addrinfo* found = nullptr;
    const int error =
        getaddrinfo(address.host.c_str(), std::to_string(address.port).c_str(), &hints, &found);
    if (error != 0) {
        throw RedisFailed(fmt::format("{} has no address: {}", address.host, gai_strerror(error)));
    }
    const std::unique_ptr<addrinfo, void (*)(addrinfo*)> held(found, freeaddrinfo);
    for (const addrinfo* one = found; one != nullptr; one = one->ai_next) {
        Target target;
        std::memcpy(&target.address, one->ai_addr, one->ai_addrlen);
        target.size = one->ai_addrlen;
        target.family = one->ai_family;
        targets.push_back(target);
    }
    return targets;
}

}  // namespace

RedisAddress RedisAddress::of(std::string_view url) {
    RedisAddress address;
    constexpr std::string_view kTcp = "redis://", kUnix = "redis+unix://";
    const bool over_tcp = url.starts_with(kTcp);
    if (!over_tcp && !url.starts_with(kUnix)) throw std::invalid_argument(kWanted);
    std::string_view rest = url.substr(over_tcp ? kTcp.size() : kUnix.size());
    const std::size_t at = rest.rfind('@');
    if (at != std::string_view::npos) {
        const std::string_view who = rest.substr(0, at);
        const std::size_t colon = who.find(':');
        // A lone word is a user without a password, which Redis knows no use for.
        if (colon == std::string_view::npos) throw std::invalid_argument(kWanted);
        address.user = decoded(who.substr(0, colon));
        address.password = decoded(who.substr(colon + 1));
        rest = rest.substr(at + 1);
    }
    over_tcp ? read_host(address, rest) : read_path(address, rest);
    return address;
}

std::string RedisAddress::name() const {
    return host.empty() ? path : fmt::format("{}:{}", host, port);
}

RedisConnection::RedisConnection(const RedisAddress& address, Deadline deadline) {
    try {
        connect(address, deadline);
        std::string commands;
        std::size_t count = 0;
        if (!address.password.empty()) {
            std::vector<std::string_view> words{"AUTH"};
            if (!address.user.empty()) words.emplace_back(address.user);
            words.emplace_back(address.password);
            append_command(commands, words);
            ++count;
        }
        const std::string database = std::to_string(address.database);
        append_command(commands, {"SELECT", database});
        ++count;
        for (const RedisReply& reply : exchange(commands, count, deadline)) {
            if (reply.kind == RedisReply::Kind::status && reply.text == "OK") continue;
            throw RedisFailed(reply.kind == RedisReply::Kind::error
                                  ? fmt::format("it says '{}'", reply.text)
                                  : "it answers a greeting with something else than OK");
        }
    } catch (...) {
        if (fd_ >= 0) ::close(fd_);
        throw;
    }
}

RedisConnection::~RedisConnection() { ::close(fd_); }

void RedisConnection::connect(const RedisAddress& address, Deadline deadline) {
    std::string why = "it has no address";
    for (const Target& target : targets_of(address)) {
        if (fd_ >= 0) ::close(fd_);
        fd_ = ::socket(target.family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd_ < 0) throw RedisFailed(why_not(errno));
        const auto* const generic = reinterpret_cast<const sockaddr*>(&target.address);
        int error = 0;
        if (::connect(fd_, generic, target.size) != 0) {
            error = errno;
            if (error == EINPROGRESS) {
                socklen_t size = sizeof(error);
                if (!wait(POLLOUT, deadline)) {
                    error = ETIMEDOUT;
                } else if (::getsockopt(fd_, SOL_SOCKET, SO_ERROR, &error, &size) != 0) {
                    error = errno;
                }
            }
        }
        if (error == 0) {
            const int on = 1;
            if (target.family != AF_UNIX) {
                (void)::setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
            }
            return;
        }
        why = why_not(error);
    }
    throw RedisFailed(std::move(why));
}

bool RedisConnection::wait(short events, Deadline deadline) const {
    for (;;) {
        const auto left = std::chrono::ceil<std::chrono::milliseconds>(
            deadline - std::chrono::steady_clock::now());
        pollfd one{fd_, events, 0};
        const int ready =
            ::poll(&one, 1, static_cast<int>(std::max<std::int64_t>(left.count(), 0)));
        if (ready > 0) return true;
        if (ready == 0) return false;
        if (errno != EINTR) throw RedisFailed(why_not(errno));
    }
}

void RedisConnection::send(std::string_view bytes, Deadline deadline) {
    while (!bytes.empty()) {
        const ssize_t sent = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
        if (sent >= 0) {
            bytes.remove_prefix(static_cast<std::size_t>(sent));
        } else if (errno == EAGAIN) {
            if (!wait(POLLOUT, deadline)) throw RedisFailed("it takes nothing in time");
        } else if (errno != EINTR) {
            throw RedisFailed(why_not(errno));
        }
    }
}

bool RedisConnection::fill(Deadline deadline) {
    std::array<char, 16384> bytes;
    for (;;) {
        const ssize_t got = ::recv(fd_, bytes.data(), bytes.size(), 0);
        if (got > 0) {
            reader_.feed({bytes.data(), static_cast<std::size_t>(got)});
            return true;
        }
        if (got == 0) throw RedisFailed("it closed the connection");
        if (errno == EAGAIN) {
            if (!wait(POLLIN, deadline)) return false;
        } else if (errno != EINTR) {
            throw RedisFailed(why_not(errno));
        }
    }
}

std::optional<RedisReply> RedisConnection::try_read(Deadline deadline) {
    try {
        for (;;) {
            if (auto reply = reader_.next()) return reply;
            if (!fill(deadline)) return std::nullopt;
            // A peer that trickles bytes must not hold us beyond the deadline.
            if (std::chrono::steady_clock::now() > deadline && !reader_.is_empty()) {
                auto reply = reader_.next();
                if (reply) return reply;
                throw RedisFailed("it does not answer in time");
            }
        }
    } catch (const BadReply& bad) {
        throw RedisFailed(bad.what());
    }
}

std::vector<RedisReply> RedisConnection::exchange(std::string_view commands, std::size_t count,
                                                  Deadline deadline) {
    if (!reader_.is_empty()) throw RedisFailed("it said more than it was asked");
    send(commands, deadline);
    std::vector<RedisReply> replies;
    while (replies.size() < count) {
        auto reply = try_read(deadline);
        if (!reply) throw RedisFailed("it does not answer in time");
        replies.push_back(std::move(*reply));
    }
    if (!reader_.is_empty()) throw RedisFailed("it said more than it was asked");
    return replies;
}

RedisReply RedisConnection::ask(const std::vector<std::string_view>& words, Deadline deadline) {
    std::string command;
    append_command(command, words);
    return std::move(exchange(command, 1, deadline).front());
}

}  // namespace larder::cache
