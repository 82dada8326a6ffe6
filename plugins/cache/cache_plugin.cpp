#include "cache_plugin.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <stdexcept>
#include <utility>

#include "cache_answers.hpp"
#include "cache_route_texts.hpp"
#include "larder/export.hpp"
#include "larder/time.hpp"
#include "storage-kit/answers.hpp"
#include "storage-kit/json.hpp"
#include "storage-kit/query.hpp"

namespace larder::cache {
namespace {

constexpr std::size_t kMaxPrefix = 64;

Error bad_setting(const char* key, const char* why) {
    return {Errc::unprocessable, "invalid-setting", fmt::format("cache.{}: {}", key, why)};
}

std::optional<Limit> own_limit(const Settings& settings) {
    try {
        return limit_of_setting(settings.text("limit_requests"));
    } catch (const std::invalid_argument& wrong) {
        throw bad_setting("limit_requests", wrong.what());
    }
}

}  // namespace

void CachePlugin::configure(const Settings& settings) {
    own_limit(settings);
    if (settings.text("redis_prefix").size() > kMaxPrefix) {
        throw bad_setting("redis_prefix", "expected at most 64 bytes");
    }
    if (settings.text("redis_url").empty()) return;
    try {
        RedisAddress::of(settings.text("redis_url"));
    } catch (const std::invalid_argument& wrong) {
        throw bad_setting("redis_url", wrong.what());
    }
}

CachePlugin::Parts::Parts(CachePlugin& plugin, Host& host)
    : tiers(host.settings().bytes("memory"), steady_ms),
      memory_sessions(host.settings().bytes("session_memory")),
      memory_boards(host.settings().bytes("board_memory")),
      link(plugin.make_link(tiers)),
      shared_sessions(link
                          ? std::make_unique<SharedSessions>(*link, memory_sessions, tiers.outbox())
                          : nullptr),
      shared_limits(link ? std::make_unique<SharedLimits>(*link, memory_limits) : nullptr),
      shared_boards(link ? std::make_unique<SharedBoards>(*link, memory_boards) : nullptr),
      own_limit(memory_limits),
      warming(tiers, host),
      upkeep(
          steady_ms,
          [this](std::int64_t& next_ms) {
              entries.answer_late(flights.take_late(steady_ms(), next_ms));
          },
          [this] {
              tiers.memory().sweep();
              memory_sessions.sweep(unix_now_ms());
              memory_limits.sweep();
          }),
      entries(tiers, flights, host, [this] { upkeep.look(); }),
      sessions(either_sessions(), link != nullptr, host),
      limits(either_limits(), link != nullptr),
      boards(either_boards(), link != nullptr),
      feed(either_boards(), host, [this] { warming.run(false); }) {
    tiers.use(link.get());
}

Sessions& CachePlugin::Parts::either_sessions() {
    return shared_sessions ? static_cast<Sessions&>(*shared_sessions) : memory_sessions;
}

Limits& CachePlugin::Parts::either_limits() {
    return shared_limits ? static_cast<Limits&>(*shared_limits) : memory_limits;
}

Boards& CachePlugin::Parts::either_boards() {
    return shared_boards ? static_cast<Boards&>(*shared_boards) : memory_boards;
}

std::unique_ptr<RedisLink> CachePlugin::make_link(Tiers& tiers) {
    const Settings& settings = host_.settings();
    if (settings.text("redis_url").empty()) return nullptr;
    LinkOptions options;
    options.address = RedisAddress::of(settings.text("redis_url"));
    options.prefix = settings.text("redis_prefix");
    options.timeout = settings.duration("redis_timeout");
    LinkHooks hooks;
    hooks.went = [this, &tiers](const std::string& why) { redis_went(tiers, why); };
    hooks.before_return = [&tiers](RedisConnection& connection) { tiers.replay(connection); };
    hooks.returned = [this, &tiers] { redis_returned(tiers); };
    hooks.published = [&tiers](std::string_view message) { tiers.published(message); };
    hooks.flushed = [&tiers] { tiers.forget_all(); };
    hooks.has_leftovers = [&tiers] { return tiers.has_leftovers(); };
    return std::make_unique<RedisLink>(std::move(options), std::move(hooks));
}

void CachePlugin::redis_went(Tiers& tiers, const std::string& why) {
    tiers.forget_redis();
    if (why == std::exchange(told_, why)) return;
    host_.report(Health::degraded, why + "; memory alone answers until it is back");
    host_.alerts().raise("redis-away", Severity::warning, why);
    host_.log().write(Level::warning,
                      why + "; memory alone answers, and Redis is tried again and again");
}

// What we kept meanwhile, others may have changed.
void CachePlugin::redis_returned(Tiers& tiers) {
    tiers.forget_all();
    if (!std::exchange(told_, {}).empty()) host_.log().write(Level::notice, "Redis is back");
    host_.report(Health::ok, "");
    host_.alerts().resolve("redis-away");
}

void CachePlugin::start(Routes& routes) {
    parts_ = std::make_unique<Parts>(*this, host_);
    Parts& parts = *parts_;
    parts.own_limit.set(own_limit(host_.settings()));
    host_.services().offer(kRateLimiter, static_cast<RateLimiter*>(&parts.own_limit));
    declare_stats(routes);
    parts.entries.declare(routes);
    parts.sessions.declare(routes);
    parts.limits.declare(routes);
    parts.boards.declare(routes);
    parts.upkeep.start();
    if (parts.link) parts.link->start();
    parts.feed.start();
    parts.warm_job = host_.scheduler().add(
        {"warm", "every 4m", false, {}, [this](JobRun&) { parts_->warming.run(false); }});
}

void CachePlugin::drain() noexcept {
    if (!parts_) return;
    parts_->entries.answer_late(parts_->flights.close());
}

void CachePlugin::stop() noexcept {
    if (!parts_) return;
    parts_->warm_job.reset();
    parts_->feed.stop();
    parts_->upkeep.stop();
    if (parts_->link) parts_->link->stop();
    parts_.reset();
}

void* CachePlugin::extension(std::string_view id) noexcept {
    if (id == kReloadable) return static_cast<Reloadable*>(this);
    return nullptr;
}

// The other live settings are read whenever they are wanted.
void CachePlugin::reload(const Settings& now) {
    if (parts_) parts_->own_limit.set(own_limit(now));
}

void CachePlugin::declare_stats(Routes& routes) {
    routes.prompt({.method = Method::get,
                   .pattern = "/api/cache/stats",
                   .permission = Permission::read,
                   .summary = "Hits and misses of each tier, what is kept, why entries went",
                   .answer_schema = kStatsSchema},
                  [this](const Request&, Reply reply) {
                      std::move(reply).send(storage::json_answer(200, stats_json()));
                  });
    routes.blocking(
        {.method = Method::post,
         .pattern = "/api/cache/warm",
         .permission = Permission::write,
         .summary = "Fill the cache with the configured buckets and the latest programs",
         .queries = "dry_run",
         .parameters = kWarmParameters,
         .answer_schema = kWarmedSchema},
        [this](const Request& request) {
            const bool is_dry = storage::flag_of(request, "dry_run");
            const Warmed warmed = parts_->warming.run(is_dry);
            std::string missing;
            for (const std::string& name : warmed.missing) {
                missing += fmt::format("{}\"{}\"", missing.empty() ? "" : ",", name);
            }
            return storage::json_answer(
                200, fmt::format(R"({{"warmed":{},"dry_run":{},"missing":[{}]}})", warmed.count,
                                 is_dry, missing));
        });
}

std::string CachePlugin::stats_json() const {
    Parts& parts = *parts_;
    const MemoryFacts facts = parts.tiers.memory().facts();
    const TierCounts &first = parts.tiers.first(), &second = parts.tiers.second();
    LinkFacts link;
    if (parts.link) link = parts.link->facts();
    const char* const state = !parts.link ? "none" : link.ready ? "ok" : "away";
    std::string text = fmt::format(
        R"({{"l1":{{"hits":{},"stale_hits":{},"misses":{},"entries":{},"bytes":{},"capacity":{},)"
        R"("evictions":{{"size":{},"rejected":{},"expired":{},"invalidated":{}}}}},)",
        first.hits.load(), first.stale_hits.load(), first.misses.load(), facts.entries, facts.bytes,
        facts.capacity, facts.evictions.size, facts.evictions.rejected, facts.evictions.expired,
        facts.evictions.invalidated);
    text += fmt::format(
        R"("l2":{{"configured":{},"state":"{}","reason":{},"since":{},"hits":{},"stale_hits":{},)"
        R"("misses":{},"errors":{},"returns":{}}},)",
        parts.link != nullptr, state, storage::json::quoted(link.why),
        parts.link ? fmt::format("\"{}\"", rfc3339(link.since_ms)) : "null", second.hits.load(),
        second.stale_hits.load(), second.misses.load(), link.errors, link.returns);
    return text +
           fmt::format(R"("fills":{{"waiting":{},"stale_fills":{}}},)"
                       R"("sessions":{{"in_memory":{},"bytes":{}}},"limits":{{"in_memory":{}}}}})",
                       parts.flights.waiting(), parts.entries.stale_fills(),
                       parts.memory_sessions.count(), parts.memory_sessions.bytes(),
                       parts.memory_limits.count());
}

}  // namespace larder::cache

namespace {

constinit const std::array<larder::Setting, 11> kSettings = {{
    {"memory", "bytes", "64MiB", "4MiB", "1TiB",
     "How much memory entries may take, with all that is around them.", false, false},
    {"default_ttl", "duration", "300s", "1s", "365d",
     "How long an entry is kept that was stored without a ttl.", true, false},
    {"session_ttl", "duration", "1h", "1s", "365d",
     "How long after the last read a session ends that was begun without a ttl.", true, false},
    {"session_max_age", "duration", "7d", "1s", "3650d",
     "How long after its beginning a session ends in any case.", true, false},
    {"session_memory", "bytes", "32MiB", "1MiB", "1TiB",
     "How much memory sessions may take that are not in Redis.", false, false},
    {"board_memory", "bytes", "32MiB", "1MiB", "1TiB",
     "How much memory leaderboards and lists may take that are not in Redis.", false, false},
    {"redis_url", "text", "", nullptr, nullptr,
     "The Redis to share with other daemons, redis://[user:password@]host[:port][/database] or "
     "redis+unix:///path; empty for none.",
     false, true},
    {"redis_prefix", "text", "larder:", nullptr, nullptr, "What all keys in Redis begin with.",
     false, false},
    {"redis_timeout", "duration", "250ms", "10ms", "30s",
     "How long Redis may take to answer before it is held to be away.", false, false},
    {"limit_requests", "text", "off", nullptr, nullptr,
     "How many requests one client address or token may send to the daemon: off, 600 (a minute), "
     "100/10s or 5000/1h.",
     true, false},
    {"warm_buckets", "text", "server_config", nullptr, nullptr,
     "The kv buckets, with commas between them, that are put into the cache at the start and kept "
     "there.",
     true, false},
}};

constinit const larder::PluginEntry kEntry = {
    "cache",
    LARDER_PLUGIN_VERSION,
    "Entries that may be lost, sessions, rate limits, leaderboards; in memory, shared by Redis",
    "/api/cache,/api/sessions,/api/ratelimit",
    "",
    kSettings.data(),
    kSettings.size(),
    [](larder::Host& host) -> larder::Plugin* { return new larder::cache::CachePlugin(host); },
    [](larder::Plugin* plugin) noexcept {
        delete static_cast<larder::cache::CachePlugin*>(plugin);
    },
};

}  // namespace

LARDER_PLUGIN(kEntry)
