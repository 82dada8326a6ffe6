// Both tiers together: what a look finds, what a change must touch, and in which order, so that no
// tier keeps what another knows to be over. It knows no HTTP.
//
// Without a link everything returns at once [any]; with one, all but look() asks Redis [worker].
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "cache_memory.hpp"
#include "redis_link.hpp"
#include "redis_outbox.hpp"

namespace larder::cache {

// Where an invalidation stood when a fill was begun. Text for a client to hand back.
struct FillToken {
    std::uint64_t daemon = 0, number = 0;  // of the daemon's ledger
    std::string epoch;                     // of Redis; empty: it was not asked
    std::uint64_t shared_number = 0;

    std::string text() const;
    static std::optional<FillToken> of(std::string_view text);
};

struct Found {
    EntryPtr entry;  // null: a miss
    bool in_redis = false;
    FillToken token;  // for who fills it
};

struct TierCounts {
    std::atomic<std::uint64_t> hits{0}, stale_hits{0}, misses{0};
};

class Tiers {
public:
    // `link` may be null, and is set before the first call.
    Tiers(std::size_t capacity, Clock clock);

    void use(RedisLink* link) noexcept { link_ = link; }
    bool has_redis() const noexcept { return link_ != nullptr; }
    bool redis_is_ready() const noexcept { return link_ != nullptr && link_->is_ready(); }

    // In memory alone. [any]
    Found look(std::uint64_t hash, std::string_view key);
    // In Redis, and what is found there is kept in memory. A miss when it is away.
    Found look_in_redis(std::uint64_t hash, std::string_view key);
    // Sets its times from `ttl_ms` and `stale_ms`. False: the token is older than an invalidation.
    bool put(std::uint64_t hash, const std::shared_ptr<Entry>& entry, std::int64_t ttl_ms,
             std::int64_t stale_ms, const std::optional<FillToken>& token, EntryPtr& stored);
    void erase(std::uint64_t hash, std::string_view key);
    // How many different keys went, of both tiers together. Takes long. [worker]
    std::uint64_t erase(const Match& match);

    // ---- for the link's keeper
    void published(std::string_view message);
    void replay(RedisConnection& connection);  // throws RedisFailed
    bool has_leftovers() const { return !outbox_.empty(); }
    void forget_redis() {
        memory_.drop_if([](const Entry& entry) { return entry.from_redis; });
    }
    void forget_all() { memory_.invalidate({Match::Kind::all, {}}); }

    Memory& memory() noexcept { return memory_; }
    Outbox& outbox() noexcept { return outbox_; }
    const TierCounts& first() const noexcept { return first_; }
    const TierCounts& second() const noexcept { return second_; }

private:
    bool put_shared(std::uint64_t hash, const EntryPtr& entry,
                    const std::optional<FillToken>& token);
    template <class Run> std::uint64_t erase_with(const Match& match, Run run);
    void left_over(std::string_view key);
    FillToken own_token(std::uint64_t number) const;

    const std::uint64_t daemon_;  // random: who published what
    const std::string name_;      // the same, as text
    Memory memory_;
    Outbox outbox_;
    RedisLink* link_ = nullptr;
    TierCounts first_, second_;
};

}  // namespace larder::cache
