// One connection to a Redis: where it is, how it is opened, commands and their replies under a
// deadline. After any failure it is of no use any more. Who holds many of them is redis_link.
//
// Poco::Redis is not used: it takes a cut reply for a whole one and believes any length. Of hiredis
// only what reads and writes bytes in memory is: time-outs of its connections begin anew with every
// byte.
#pragma once

#include <chrono>
#include <cstdint>
#include <exception>
#include <string>
#include <string_view>
#include <vector>

#include "redis_reply.hpp"

namespace larder::cache {

// redis://[user[:password]@]host[:port][/database], or redis+unix://[user[:password]@]/path[?db=n]
struct RedisAddress {
    std::string host;  // empty: `path` is a Unix socket
    std::string path;
    std::uint16_t port = 6379;
    int database = 0;
    std::string user, password;

    // Throws std::invalid_argument that says what was expected and shows no password.
    static RedisAddress of(std::string_view url);
    std::string name() const;  // for messages: no user, no password
};

// The connection failed, was too slow, or said what no Redis says.
class RedisFailed : public std::exception {
public:
    explicit RedisFailed(std::string why) : why_(std::move(why)) {}
    const char* what() const noexcept override { return why_.c_str(); }

private:
    std::string why_;
};

// [one thread at a time]
class RedisConnection {
public:
    using Deadline = std::chrono::steady_clock::time_point;

    // Connects, and says who we are. Throws RedisFailed. Looks a name up, which may take longer.
    RedisConnection(const RedisAddress& address, Deadline deadline);
    ~RedisConnection();
    RedisConnection(const RedisConnection&) = delete;
    RedisConnection& operator=(const RedisConnection&) = delete;

    // Sends all of it and reads `count` replies. Throws RedisFailed.
    std::vector<RedisReply> exchange(std::string_view commands, std::size_t count,
                                     Deadline deadline);
    RedisReply ask(const std::vector<std::string_view>& words, Deadline deadline);

    // For a subscription: sends, and reads what comes by itself.
    void send(std::string_view bytes, Deadline deadline);
    // Nothing when no whole reply is there by then. Throws RedisFailed.
    std::optional<RedisReply> try_read(Deadline deadline);
    int fd() const noexcept { return fd_; }

private:
    void connect(const RedisAddress& address, Deadline deadline);
    bool wait(short events, Deadline deadline) const;
    bool fill(Deadline deadline);

    int fd_ = -1;
    ReplyReader reader_;
};

}  // namespace larder::cache
