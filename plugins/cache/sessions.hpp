// Sessions: who is logged in where. One interface, kept in memory or in Redis; both know a session
// by the SHA-256 of its id alone. They end after `ttl_ms` without a read, and at `until_ms` in any
// case. Not the ids and no HTTP: that is session_routes.hpp.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "cache_match.hpp"
#include "redis_link.hpp"
#include "redis_outbox.hpp"

namespace larder::cache {

// Times are Unix milliseconds.
struct Session {
    std::string user_id, data, ip_address;  // `data` is a JSON object
    std::int64_t created_ms = 0, last_ms = 0, expires_ms = 0, ttl_ms = 0, until_ms = 0;
    std::string id;  // the hash; set in lists only, which leave `data` empty

    std::size_t bytes() const noexcept {
        return 512 + 2 * user_id.size() + data.size() + ip_address.size();
    }
};

// Changes `data` and `ttl_ms` in place. May throw, then nothing is changed.
using SessionEdit = std::function<void(Session&)>;

// `id` is the hash, in hex. Those of Redis throw RedisAway. [worker, with Redis; any, without]
class Sessions {
public:
    // False: there is no room for it.
    virtual bool create(const std::string& id, Session session) = 0;
    // Slides its end, and shows it. Nothing when it is not there or has ended.
    virtual std::optional<Session> touch(const std::string& id, std::int64_t now_ms) = 0;
    // Touches and changes it. Throws Error{conflict, "session-busy"} when others are always faster.
    virtual std::optional<Session> change(const std::string& id, std::int64_t now_ms,
                                          const SessionEdit& edit) = 0;
    virtual bool end(const std::string& id) = 0;
    virtual std::uint64_t end_of(const std::string& user_id) = 0;  // how many there were
    // In no order and without their data; of all users for an empty name.
    virtual std::vector<Session> list(const std::string& user_id, std::int64_t now_ms) = 0;

protected:
    ~Sessions() = default;
};

class MemorySessions final : public Sessions {
public:
    explicit MemorySessions(std::size_t most_bytes) : most_bytes_(most_bytes) {}

    bool create(const std::string& id, Session session) override;
    std::optional<Session> touch(const std::string& id, std::int64_t now_ms) override;
    std::optional<Session> change(const std::string& id, std::int64_t now_ms,
                                  const SessionEdit& edit) override;
    bool end(const std::string& id) override;
    std::uint64_t end_of(const std::string& user_id) override;
    std::vector<Session> list(const std::string& user_id, std::int64_t now_ms) override;

    void sweep(std::int64_t now_ms);
    std::size_t count() const;
    std::size_t bytes() const;

private:
    using Table = std::map<std::string, Session>;
    Table::iterator find_live(const std::string& id, std::int64_t now_ms);
    void remove(Table::iterator session);

    const std::size_t most_bytes_;
    mutable std::mutex mutex_;  // guards all below
    Table sessions_;
    std::map<std::string, std::set<std::string>> by_user_;
    std::size_t bytes_ = 0;
};

class RedisSessions final : public Sessions {
public:
    explicit RedisSessions(RedisLink& link) : link_(link) {}

    bool create(const std::string& id, Session session) override;
    std::optional<Session> touch(const std::string& id, std::int64_t now_ms) override;
    std::optional<Session> change(const std::string& id, std::int64_t now_ms,
                                  const SessionEdit& edit) override;
    bool end(const std::string& id) override;
    std::uint64_t end_of(const std::string& user_id) override;
    std::vector<Session> list(const std::string& user_id, std::int64_t now_ms) override;

private:
    std::vector<std::string> ids(const std::string& user_id);

    RedisLink& link_;
};

// Redis while it is there, memory else. Sessions of Redis are not found while it is away; those
// that were begun meanwhile stay in memory until they end. What was ended meanwhile is ended in
// Redis before it is used again.
class SharedSessions final : public Sessions {
public:
    SharedSessions(RedisLink& link, MemorySessions& memory, Outbox& outbox)
        : link_(link), redis_(link), memory_(memory), outbox_(outbox) {}

    bool create(const std::string& id, Session session) override;
    std::optional<Session> touch(const std::string& id, std::int64_t now_ms) override;
    std::optional<Session> change(const std::string& id, std::int64_t now_ms,
                                  const SessionEdit& edit) override;
    bool end(const std::string& id) override;
    std::uint64_t end_of(const std::string& user_id) override;
    std::vector<Session> list(const std::string& user_id, std::int64_t now_ms) override;

private:
    RedisLink& link_;
    RedisSessions redis_;
    MemorySessions& memory_;
    Outbox& outbox_;
};

}  // namespace larder::cache
