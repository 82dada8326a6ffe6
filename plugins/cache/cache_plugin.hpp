// The cache plugin's life: settings in, memory made, Redis reached for, routes declared.
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "board_routes.hpp"
#include "boards.hpp"
#include "cache_feed.hpp"
#include "cache_routes.hpp"
#include "cache_tiers.hpp"
#include "cache_upkeep.hpp"
#include "cache_warming.hpp"
#include "larder/plugin.hpp"
#include "limit_routes.hpp"
#include "redis_link.hpp"
#include "session_routes.hpp"
#include "sessions.hpp"

namespace larder::cache {

class CachePlugin final : public Plugin, public Reloadable {
public:
    explicit CachePlugin(Host& host) : host_(host) {}

    void configure(const Settings& settings) override;
    void start(Routes& routes) override;
    void drain() noexcept override;
    void stop() noexcept override;
    void* extension(std::string_view id) noexcept override;

    void reload(const Settings& now) override;

private:
    // What is there while it runs; in the order in which they need each other.
    struct Parts {
        Parts(CachePlugin& plugin, Host& host);

        Tiers tiers;
        Flights flights;
        MemorySessions memory_sessions;
        MemoryLimits memory_limits;
        MemoryBoards memory_boards;
        std::unique_ptr<RedisLink> link;  // null without Redis, as the three below
        std::unique_ptr<SharedSessions> shared_sessions;
        std::unique_ptr<SharedLimits> shared_limits;
        std::unique_ptr<SharedBoards> shared_boards;
        OwnLimit own_limit;
        Warming warming;
        Upkeep upkeep;
        CacheRoutes entries;
        SessionRoutes sessions;
        LimitRoutes limits;
        BoardRoutes boards;
        Feed feed;
        std::unique_ptr<Ticket> warm_job;

        Sessions& either_sessions();
        Limits& either_limits();
        Boards& either_boards();
    };

    std::unique_ptr<RedisLink> make_link(Tiers& tiers);
    void redis_went(Tiers& tiers, const std::string& why);
    void redis_returned(Tiers& tiers);
    void declare_stats(Routes& routes);
    std::string stats_json() const;

    Host& host_;
    std::unique_ptr<Parts> parts_;
    std::string told_;  // why Redis is away, as it was told last; only the link's keeper
};

}  // namespace larder::cache
