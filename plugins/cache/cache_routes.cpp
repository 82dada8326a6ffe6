// Contents: keys and parameters · routes · reading, and waiting · writing · invalidating.
#include "cache_routes.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

#include "cache_answers.hpp"
#include "cache_route_texts.hpp"
#include "storage-kit/answers.hpp"
#include "storage-kit/json.hpp"
#include "storage-kit/query.hpp"

namespace larder::cache {
namespace {

constexpr std::size_t kMaxKey = 1024, kMaxType = 255, kMaxTags = 16, kMaxTag = 64,
                      kMaxPattern = 1024;
constexpr std::size_t kShareFrom = 8U << 10U;  // smaller values are cheaper to copy
constexpr double kMostSeconds = 315'576'000;   // ten years
constexpr double kLeastSeconds = 0.001, kMostWait = 30;
constexpr std::string_view kPlainBytes = "application/octet-stream";

Error invalid_key(std::string detail) {
    return {Errc::bad_request, "invalid-key", std::move(detail)};
}

std::string_view key_of(const Request& request) {
    const std::string_view key = request.param("key");
    if (key.empty() || key.size() > kMaxKey ||
        storage::json::invalid_utf8(key) != std::string_view::npos) {
        throw invalid_key(fmt::format("a key is 1 to {} bytes of UTF-8", kMaxKey));
    }
    const std::string_view first = key.substr(0, key.find('/'));
    for (const std::string_view kept : {"stats", "warm", "leaderboards", "lists"}) {
        if (first == kept) {
            throw invalid_key(fmt::format("{} is kept for the cache itself: choose another", kept));
        }
    }
    return key;
}

std::string_view checked_tag(std::string_view tag) {
    const bool plain = std::all_of(tag.begin(), tag.end(), [](char c) {
        return static_cast<unsigned char>(c) > ' ' && c != ',' && c != 0x7F;
    });
    if (plain && !tag.empty() && tag.size() <= kMaxTag) return tag;
    throw storage::invalid_parameter(
        "tags", fmt::format("a tag is 1 to {} bytes without blanks and commas", kMaxTag));
}

std::vector<std::string> tags_of(const Request& request) {
    std::vector<std::string> tags;
    std::string_view rest = request.query("tags").value_or("");
    while (!rest.empty()) {
        const std::size_t end = std::min(rest.find(','), rest.size());
        const std::string_view tag = checked_tag(rest.substr(0, end));
        if (std::find(tags.begin(), tags.end(), tag) == tags.end()) tags.emplace_back(tag);
        rest.remove_prefix(std::min(end + 1, rest.size()));
    }
    if (tags.size() > kMaxTags) {
        throw storage::invalid_parameter("tags", fmt::format("at most {} tags", kMaxTags));
    }
    return tags;
}

std::optional<FillToken> token_of(const Request& request) {
    const auto text = request.header("Larder-Fill-Token");
    if (!text) return std::nullopt;
    if (auto token = FillToken::of(*text)) return token;
    throw Error(Errc::bad_request, "invalid-fill-token",
                "Larder-Fill-Token is not one that a miss gave");
}

std::string type_of(const Request& request) {
    const std::string_view type = request.header("Content-Type").value_or("");
    if (type.empty() || type.size() > kMaxType) return std::string(kPlainBytes);
    return std::string(type);
}

// What no browser runs, whatever is in it, as long as it does not guess.
bool is_inert(std::string_view type) {
    static constexpr std::array<std::string_view, 3> kInert = {"application/json", "text/plain",
                                                               kPlainBytes};
    type = type.substr(0, type.find(';'));
    return std::find(kInert.begin(), kInert.end(), type) != kInert.end();
}

Match match_of(const Request& request) {
    std::optional<Match> match;
    const auto choose = [&](const char* name, Match::Kind kind) {
        const auto text = request.query(name);
        if (!text) return;
        if (match)
            throw storage::invalid_parameter(name, "one of pattern, prefix, tag and all is enough");
        if (text->empty() || text->size() > kMaxPattern) {
            throw storage::invalid_parameter(name,
                                             fmt::format("{} is 1 to {} bytes", name, kMaxPattern));
        }
        match = Match{kind, std::string(*text)};
    };
    choose("pattern", Match::Kind::pattern);
    choose("prefix", Match::Kind::prefix);
    choose("tag", Match::Kind::tag);
    if (storage::flag_of(request, "all")) {
        if (match)
            throw storage::invalid_parameter("all",
                                             "one of pattern, prefix, tag and all is enough");
        match = Match{Match::Kind::all, {}};
    }
    if (match) return *match;
    throw storage::invalid_parameter("all", "say what: pattern, prefix or tag; or all=true");
}

}  // namespace

// ---- routes

CacheRoutes::CacheRoutes(Tiers& tiers, Flights& flights, Host& host, std::function<void()> waits)
    : tiers_(tiers),
      flights_(flights),
      host_(host),
      waits_(std::move(waits)),
      l1_hits_(host.metrics().counter("larder_cache_hits_total", "Entries found, by tier.",
                                      "tier=\"l1\"")),
      l2_hits_(host.metrics().counter("larder_cache_hits_total", "Entries found, by tier.",
                                      "tier=\"l2\"")),
      stale_hits_(host.metrics().counter("larder_cache_stale_hits_total",
                                         "Entries given past their time, as stale.")),
      misses_(host.metrics().counter("larder_cache_misses_total", "Keys asked for in vain.")) {}

void CacheRoutes::declare(Routes& routes) {
    routes.prompt({.method = Method::get,
                   .pattern = "/api/cache/{key...}",
                   .permission = Permission::read,
                   .summary = "Read an entry, or wait for whoever fills it",
                   .queries = "wait",
                   .parameters = kGetParameters,
                   .answers = "200 */*",
                   .answer_headers = kGetHeaders,
                   .problems = kGetProblems},
                  [this](const Request& request, Reply reply) { get(request, std::move(reply)); });
    const bool has_redis = tiers_.has_redis();
    cache::declare(routes, has_redis,
                   {.method = Method::put,
                    .pattern = "/api/cache/{key...}",
                    .permission = Permission::write,
                    .summary = "Store an entry, for a while",
                    .queries = "ttl,stale,tags",
                    .media_types = "*/*",
                    .parameters = kPutParameters,
                    .answers = "204",
                    .problems = kPutProblems},
                   [this](const Request& request) { return put(request); });
    cache::declare(routes, has_redis,
                   {.method = Method::del,
                    .pattern = "/api/cache/{key...}",
                    .permission = Permission::write,
                    .summary = "Invalidate a key, whether it is there or not",
                    .parameters = kKeyParameter,
                    .answers = "204",
                    .problems = kKeyProblems},
                   [this](const Request& request) { return remove(request); });
    routes.blocking({.method = Method::del,
                     .pattern = "/api/cache",
                     .permission = Permission::write,
                     .summary = "Invalidate what a pattern, a prefix or a tag means, or everything",
                     .queries = "pattern,prefix,tag,all",
                     .parameters = kEraseParameters,
                     .answer_schema = kRemovedSchema},
                    [this](const Request& request) { return invalidate(request); });
}

// ---- reading, and waiting

Response CacheRoutes::hit(const Entry& entry, const EntryPtr& held, std::string_view how) const {
    Response response;
    response.headers.reserve(6);
    response.headers.emplace_back("Content-Type", entry.type);
    response.headers.emplace_back("Larder-Cache", how);
    const std::int64_t age = std::max<std::int64_t>(0, tiers_.memory().now_ms() - entry.stored_ms);
    response.headers.emplace_back("Age", std::to_string(age / 1000));
    response.headers.emplace_back("X-Content-Type-Options", "nosniff");
    // Somebody else's page must not act in the name of this daemon's own.
    if (!is_inert(entry.type)) response.headers.emplace_back("Content-Security-Policy", "sandbox");
    if (entry.value.size() < kShareFrom) {
        response.body = entry.value;
    } else {
        response.body = SharedBytes{held, entry.value};
    }
    return response;
}

void CacheRoutes::get(const Request& request, Reply reply) {
    const std::string_view key = key_of(request);
    const std::int64_t wait_ms = seconds_of(request, "wait", 0, kMostWait).value_or(0);
    const std::uint64_t hash = hash_of(key);
    Found found = tiers_.look(hash, key);
    if (found.entry && found.entry->fresh_until_ms > tiers_.memory().now_ms()) {
        l1_hits_.add();
        return std::move(reply).send(hit(*found.entry, found.entry, "l1-hit"));
    }
    Waiter waiter{std::string(key), hash, 0, std::move(reply)};
    if (!tiers_.redis_is_ready()) return give(std::move(waiter), found, wait_ms);
    const auto held = std::make_shared<Waiter>(std::move(waiter));
    const bool posted =
        host_.workers().post([this, held, wait_ms] { get_on_worker(std::move(*held), wait_ms); });
    // All workers are busy: that costs a hit, and nothing else.
    if (!posted) give(std::move(*held), found, wait_ms);
}

void CacheRoutes::get_on_worker(Waiter waiter, std::int64_t wait_ms) {
    Found found = tiers_.look_in_redis(waiter.hash, waiter.key);
    if (!found.entry) {  // it may have gone away just now
        Found here{tiers_.memory().get(waiter.hash, waiter.key), false, found.token};
        if (here.entry) found = std::move(here);
    }
    give(std::move(waiter), found, wait_ms);
}

void CacheRoutes::give(Waiter waiter, const Found& found, std::int64_t wait_ms) {
    if (!found.entry) return answer_miss(std::move(waiter), found, wait_ms);
    const std::int64_t now = tiers_.memory().now_ms();
    if (found.entry->fresh_until_ms > now) {
        (found.in_redis ? l2_hits_ : l1_hits_).add();
        return std::move(waiter.reply)
            .send(hit(*found.entry, found.entry, found.in_redis ? "l2-hit" : "l1-hit"));
    }
    stale_hits_.add();
    Response response = hit(*found.entry, found.entry, "stale");
    if (flights_.lead(waiter.hash, now)) {
        response.headers.emplace_back("Larder-Fill-Token", found.token.text());
    }
    std::move(waiter.reply).send(std::move(response));
}

void CacheRoutes::answer_miss(Waiter waiter, const Found& found, std::int64_t wait_ms) {
    const std::int64_t now = tiers_.memory().now_ms();
    if (!flights_.lead(waiter.hash, now) && wait_ms > 0) {
        waiter.until_ms = now + wait_ms;
        bool parked = false;
        const std::string key = waiter.key;
        const EntryPtr entry = flights_.park(
            waiter, [&] { return tiers_.memory().get(waiter.hash, key); }, parked);
        if (parked) return waits_();
        if (entry) {
            l1_hits_.add();
            return std::move(waiter.reply).send(hit(*entry, entry, "l1-hit"));
        }
    }
    misses_.add();
    std::move(waiter.reply)
        .fail(Error(Errc::not_found, "cache-miss", "there is nothing under this key")
                  .with_header("Larder-Cache", "miss")
                  .with_header("Larder-Fill-Token", found.token.text()));
}

void CacheRoutes::answer_late(std::vector<Waiter> waiters) {
    for (Waiter& waiter : waiters) {
        const auto held = std::make_shared<Waiter>(std::move(waiter));
        // Another daemon may have filled it.
        if (tiers_.redis_is_ready() &&
            host_.workers().post([this, held] { get_on_worker(std::move(*held), 0); })) {
            continue;
        }
        Found found = tiers_.look(held->hash, held->key);
        give(std::move(*held), found, 0);
    }
}

// ---- writing

Response CacheRoutes::put(const Request& request) {
    auto entry = std::make_shared<Entry>();
    entry->key = key_of(request);
    entry->type = type_of(request);
    entry->tags = tags_of(request);
    const std::int64_t ttl = seconds_of(request, "ttl", kLeastSeconds, kMostSeconds)
                                 .value_or(host_.settings().duration("default_ttl").count());
    const std::int64_t stale = seconds_of(request, "stale", 0, kMostSeconds).value_or(0);
    const auto token = token_of(request);
    entry->value = request.body();
    const std::uint64_t hash = hash_of(entry->key);
    EntryPtr stored;
    if (!tiers_.put(hash, entry, ttl, stale, token, stored)) {
        stale_fills_.fetch_add(1, std::memory_order_relaxed);
        pass_on(hash, entry->key);
        throw Error(Errc::conflict, "stale-fill",
                    "the key was invalidated since the token was given; make the value anew");
    }
    for (Waiter& waiter : flights_.land(hash, entry->key)) {
        l1_hits_.add();
        std::move(waiter.reply).send(hit(*stored, stored, "l1-hit"));
    }
    return {204, {}, {}, {}};
}

// Who was to fill it cannot any more: the next who waits is asked to.
void CacheRoutes::pass_on(std::uint64_t hash, std::string_view key) {
    for (Waiter& waiter : flights_.pass_on(hash, key, tiers_.memory().now_ms())) {
        Found found =
            tiers_.redis_is_ready() ? tiers_.look_in_redis(hash, key) : tiers_.look(hash, key);
        give(std::move(waiter), found, 0);
    }
}

Response CacheRoutes::remove(const Request& request) {
    const std::string_view key = key_of(request);
    const std::uint64_t hash = hash_of(key);
    tiers_.erase(hash, key);
    pass_on(hash, key);
    return {204, {}, {}, {}};
}

// ---- invalidating

Response CacheRoutes::invalidate(const Request& request) {
    const std::uint64_t removed = tiers_.erase(match_of(request));
    return storage::json_answer(200, fmt::format(R"({{"removed":{}}})", removed));
}

}  // namespace larder::cache
