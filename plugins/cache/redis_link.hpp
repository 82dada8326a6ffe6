// A Redis as the rest of the plugin sees it: there, or away. It keeps connections, tells when
// Redis goes and comes back, and hands on what other daemons publish. What is kept in Redis, it
// does not know.
//
// Any failure is taken for Redis being away: from then on nobody waits for it until the keeper's
// thread (cache-redis) has reached it again.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "redis_connection.hpp"

namespace larder::cache {

// Redis is not to be had now: answer without it.
class RedisAway : public std::exception {
public:
    const char* what() const noexcept override { return "Redis is away"; }
};

// A Lua script: one atomic step. Made once, kept for ever.
class Script {
public:
    explicit Script(std::string_view source);
    std::string_view source() const noexcept { return source_; }
    const std::string& sha1() const noexcept { return sha1_; }

private:
    std::string_view source_;
    std::string sha1_;
};

struct LinkOptions {
    RedisAddress address;
    std::string prefix;  // of all keys
    std::chrono::milliseconds timeout{250};
    std::size_t most_idle = 16;  // connections kept
};

// Called by the keeper's thread, one at a time; must not throw.
struct LinkHooks {
    std::function<void(const std::string& why)> went;  // also when the first try fails
    // Redis is reached and not yet used: make it right before it is. Throws RedisFailed.
    std::function<void(RedisConnection&)> before_return;
    std::function<void()> returned;  // just before it is used again
    std::function<void(std::string_view message)> published;
    std::function<void()> flushed;        // all that was in Redis is gone
    std::function<bool()> has_leftovers;  // before_return is wanted again
};

struct LinkFacts {
    bool ready = false;
    std::string why;  // while it is away
    std::uint64_t errors = 0, returns = 0;
    std::int64_t since_ms = 0;  // Unix
};

class RedisLink {
public:
    RedisLink(LinkOptions options, LinkHooks hooks);
    ~RedisLink();
    RedisLink(const RedisLink&) = delete;
    RedisLink& operator=(const RedisLink&) = delete;

    // Begins; returns when Redis was reached, or the first try has failed. [control]
    void start();
    void stop() noexcept;  // waits for the keeper [control]

    bool is_ready() const noexcept { return ready_.load(std::memory_order_acquire); }
    // Throws RedisAway. An error that Redis answers is one, too; it closes nothing unless it is of
    // Redis' own state. [worker]
    RedisReply run(const Script& script, const std::vector<std::string_view>& arguments);
    RedisReply ask(const std::vector<std::string_view>& words);
    // Leftovers are there: the keeper looks to them soon. [any]
    void kick() noexcept;

    // The same for the keeper's hooks, on a connection of theirs. Throws RedisFailed.
    RedisReply run_on(RedisConnection& connection, const Script& script,
                      const std::vector<std::string_view>& arguments) const;
    const std::string& prefix() const noexcept { return options_.prefix; }
    LinkFacts facts() const;  // [any]

private:
    using Clock = std::chrono::steady_clock;
    Clock::time_point deadline() const { return Clock::now() + options_.timeout; }
    void fail(std::uint64_t era, std::string why);
    template <class Ask> RedisReply guarded(Ask ask);

    void keep();
    void come_back();
    void serve();
    void look_after(RedisConnection& connection);
    void set_away(const std::string& why);
    bool pause(std::chrono::milliseconds time);

    const LinkOptions options_;
    const LinkHooks hooks_;
    std::atomic<bool> ready_{false};

    mutable std::mutex mutex_;  // guards all below
    std::vector<std::unique_ptr<RedisConnection>> idle_;
    std::uint64_t era_ = 0;  // raised whenever it goes; what was opened before is not kept
    std::string why_;
    std::uint64_t errors_ = 0, returns_ = 0;
    std::int64_t since_ms_ = 0;
    bool stopping_ = false, tried_ = false, kicked_ = false;
    std::condition_variable changed_;

    // only the keeper
    std::unique_ptr<RedisConnection> commands_, subscription_;
    std::string epoch_;
    int wake_fd_ = -1;  // fixed after construction
    std::thread keeper_;
};

}  // namespace larder::cache
