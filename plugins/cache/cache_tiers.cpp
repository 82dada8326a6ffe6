// Contents: tokens · looking · putting · erasing · what the keeper does.
#include "cache_tiers.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <utility>
#include <vector>

#include "cache_envelope.hpp"
#include "redis_scripts.hpp"
#include "storage-kit/random.hpp"

namespace larder::cache {
namespace {

bool take_hex(std::string_view& text, std::uint64_t& number) {
    const std::size_t end = std::min(text.find('-'), text.size());
    const auto read = std::from_chars(text.data(), text.data() + end, number, 16);
    if (end == 0 || read.ec != std::errc() || read.ptr != text.data() + end) return false;
    text.remove_prefix(std::min(end + 1, text.size()));
    return true;
}

std::uint64_t number_of(std::string_view text) {
    std::uint64_t number = 0;
    (void)std::from_chars(text.data(), text.data() + text.size(), number);
    return number;
}

// What Redis answers with a number; anything else is no answer of our scripts.
std::uint64_t counted(const RedisReply& reply) {
    if (reply.kind != RedisReply::Kind::integer || reply.integer < 0) throw RedisAway();
    return static_cast<std::uint64_t>(reply.integer);
}

}  // namespace

// ---- tokens

std::string FillToken::text() const {
    std::string text = fmt::format("{:x}-{:x}", daemon, number);
    if (!epoch.empty()) text += fmt::format("-{}-{:x}", epoch, shared_number);
    return text;
}

std::optional<FillToken> FillToken::of(std::string_view text) {
    FillToken token;
    if (text.size() > 100 || text.ends_with('-') || !take_hex(text, token.daemon) ||
        !take_hex(text, token.number)) {
        return std::nullopt;
    }
    if (text.empty()) return token;
    const std::size_t end = std::min(text.find('-'), text.size());
    token.epoch = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    const bool plain = std::all_of(token.epoch.begin(), token.epoch.end(), [](char c) {
        return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
    });
    if (token.epoch.empty() || !plain || !take_hex(text, token.shared_number) || !text.empty()) {
        return std::nullopt;
    }
    return token;
}

Tiers::Tiers(std::size_t capacity, Clock clock)
    : daemon_(storage::random_number()),
      name_(fmt::format("{:x}", daemon_)),
      memory_(capacity, clock) {}

FillToken Tiers::own_token(std::uint64_t number) const { return {daemon_, number, {}, 0}; }

// ---- looking

Found Tiers::look(std::uint64_t hash, std::string_view key) {
    const std::uint64_t then = memory_.ledger().now();
    Found found{memory_.get(hash, key), false, own_token(then)};
    if (!found.entry) {
        first_.misses.fetch_add(1, std::memory_order_relaxed);
    } else if (found.entry->fresh_until_ms <= memory_.now_ms()) {
        first_.stale_hits.fetch_add(1, std::memory_order_relaxed);
    } else {
        first_.hits.fetch_add(1, std::memory_order_relaxed);
    }
    return found;
}

Found Tiers::look_in_redis(std::uint64_t hash, std::string_view key) {
    const std::uint64_t then = memory_.ledger().now();
    Found found{nullptr, true, own_token(then)};
    try {
        const RedisReply reply = link_->run(scripts::get_entry(), {key, scripts::fresh_epoch()});
        const auto& items = reply.items;
        if (items.size() != 4 || !items[0].is_text() || !items[2].is_text() ||
            !items[3].is_text() || items[1].kind != RedisReply::Kind::integer) {
            return found;
        }
        found.entry = opened(key, items[0].text, items[1].integer, memory_.now_ms());
        found.token.epoch = items[2].text;
        found.token.shared_number = number_of(items[3].text);
    } catch (const RedisAway&) {
        return found;
    }
    if (!found.entry) {
        second_.misses.fetch_add(1, std::memory_order_relaxed);
        return found;
    }
    const bool stale = found.entry->fresh_until_ms <= memory_.now_ms();
    (stale ? second_.stale_hits : second_.hits).fetch_add(1, std::memory_order_relaxed);
    // Kept only while we hear of its end.
    if (redis_is_ready()) memory_.put_if_untouched(hash, found.entry, then);
    return found;
}

// ---- putting

void Tiers::left_over(std::string_view key) {
    outbox_.add_key(std::string(key));
    link_->kick();
}

// Redis first, so that whoever hears of it finds the new value there. Another change of the key
// meanwhile makes ours of no use in memory, where nobody could say which of the two is the later.
bool Tiers::put_shared(std::uint64_t hash, const EntryPtr& entry,
                       const std::optional<FillToken>& token) {
    const std::string key = entry->key;
    const std::uint64_t mine = token ? memory_.ledger().now() : memory_.ledger().note_key(hash);
    memory_.erase(hash, key);
    bool in_redis = false;
    try {
        const std::string total = std::to_string(entry->stale_until_ms - entry->stored_ms);
        const std::string number = token ? std::to_string(token->shared_number) : std::string();
        const std::string_view epoch = token ? std::string_view(token->epoch) : std::string_view();
        const RedisReply reply =
            link_->run(scripts::put_entry(),
                       {key, sealed(*entry), joined_tags(*entry), total, name_, epoch, number});
        if (counted(reply) == 0) return false;
        in_redis = true;
    } catch (const RedisAway&) {
        left_over(key);
        if (token && token->daemon != daemon_) return false;
    }
    if (!memory_.put_if_untouched(hash, entry, mine)) memory_.erase(hash, key);
    // A look that read Redis before this may be about to store what it read.
    if (in_redis && !token) memory_.ledger().note_key(hash);
    return true;
}

bool Tiers::put(std::uint64_t hash, const std::shared_ptr<Entry>& entry, std::int64_t ttl_ms,
                std::int64_t stale_ms, const std::optional<FillToken>& token, EntryPtr& stored) {
    entry->stored_ms = memory_.now_ms();
    entry->fresh_until_ms = entry->stored_ms + ttl_ms;
    entry->stale_until_ms = entry->fresh_until_ms + stale_ms;
    stored = entry;
    const bool ours = token && token->daemon == daemon_;
    if (ours && !memory_.ledger().is_untouched(token->number, hash, entry->key, entry->tags)) {
        return false;
    }
    if (redis_is_ready()) {
        // A token from when Redis was away says nothing of what other daemons did.
        if (token && token->epoch.empty()) return false;
        return put_shared(hash, stored, token);
    }
    if (token && !ours) return false;  // another daemon's, or from before a restart
    if (link_ != nullptr) left_over(entry->key);
    if (token) return memory_.put_if_untouched(hash, stored, token->number);
    memory_.ledger().note_key(hash);
    memory_.put(hash, stored);
    return true;
}

// ---- erasing

void Tiers::erase(std::uint64_t hash, std::string_view key) {
    memory_.invalidate(hash, key);
    if (link_ == nullptr) return;
    try {
        if (!redis_is_ready()) throw RedisAway();
        link_->run(scripts::delete_entries(), {name_, key});
    } catch (const RedisAway&) {
        left_over(key);
    }
    memory_.invalidate(hash, key);  // a look may have read it before Redis forgot it
}

std::uint64_t Tiers::erase(const Match& match) {
    const std::uint64_t in_memory = memory_.invalidate(match);
    if (link_ == nullptr) return in_memory;
    std::uint64_t removed = in_memory;
    try {
        if (!redis_is_ready()) throw RedisAway();
        removed =
            std::max(removed, erase_with(match, [this](const auto& script, const auto& words) {
                         return script != nullptr ? link_->run(*script, words) : link_->ask(words);
                     }));
    } catch (const RedisAway&) {
        outbox_.add(match);
        link_->kick();
    }
    memory_.invalidate(match);
    return removed;
}

// Marks, deletes in steps, tells. `run` runs a script, or, of a null one, a command.
template <class Run> std::uint64_t Tiers::erase_with(const Match& match, Run run) {
    const char kind[] = {static_cast<char>(match.kind), '\0'};
    const std::string literal =
        match.kind == Match::Kind::pattern ? literal_prefix(match.text) : match.text;
    run(&scripts::mark_broad(),
        std::vector<std::string_view>{kind, match.text, literal, scripts::fresh_epoch()});
    std::uint64_t removed = 0;
    if (match.kind == Match::Kind::tag) {
        for (bool more = true; more;) {
            const RedisReply reply =
                run(&scripts::drop_tagged(), std::vector<std::string_view>{match.text});
            if (reply.items.size() != 2) throw RedisAway();
            removed += counted(reply.items[0]);
            more = counted(reply.items[1]) != 0;
        }
    } else {
        const std::string head = link_->prefix() + "cache:";
        const std::string pattern =
            glob_escaped(head) +
            (match.kind == Match::Kind::pattern ? match.text : glob_escaped(match.text) + "*");
        std::string cursor = "0";
        do {
            const RedisReply page = run(
                static_cast<const Script*>(nullptr),
                std::vector<std::string_view>{"SCAN", cursor, "MATCH", pattern, "COUNT", "500"});
            if (page.items.size() != 2 || !page.items[0].is_text()) throw RedisAway();
            cursor = page.items[0].text;
            std::vector<std::string_view> keys;
            for (const RedisReply& key : page.items[1].items) {
                if (!key.text.starts_with(head)) throw RedisAway();
                keys.push_back(std::string_view(key.text).substr(head.size()));
            }
            if (!keys.empty()) removed += counted(run(&scripts::drop_entries(), keys));
        } while (cursor != "0");
    }
    const std::string channel = link_->prefix() + "changes";
    const std::string message = fmt::format("{} {}{}", name_, kind, match.text);
    run(static_cast<const Script*>(nullptr),
        std::vector<std::string_view>{"PUBLISH", channel, message});
    return removed;
}

// ---- what the keeper does

void Tiers::published(std::string_view message) {
    const std::size_t blank = message.find(' ');
    if (blank == std::string_view::npos || blank + 1 >= message.size()) return;
    if (message.substr(0, blank) == name_) return;
    const char kind = message[blank + 1];
    const std::string_view text = message.substr(blank + 2);
    switch (kind) {
        case '-': memory_.invalidate(hash_of(text), text); break;
        // A fill: what we have is over, but who is filling it, too, is not to be refused for it.
        case '=': memory_.erase(hash_of(text), text); break;
        case 'p':
        case 'g':
        case 't':
        case 'a': memory_.invalidate({static_cast<Match::Kind>(kind), std::string(text)}); break;
        default: break;
    }
}

void Tiers::replay(RedisConnection& connection) {
    Outbox::Content content = outbox_.take();
    const auto run = [&](const Script* script, const std::vector<std::string_view>& words) {
        if (script != nullptr) return link_->run_on(connection, *script, words);
        return connection.ask(words, std::chrono::steady_clock::now() + std::chrono::seconds(1));
    };
    try {
        // Sessions first: they are what must not come back.
        for (const std::string& id : content.sessions) run(&scripts::end_sessions(), {id});
        for (const std::string& user : content.users) run(&scripts::end_sessions_of(), {user});
        for (const Match& match : content.matches) erase_with(match, run);
        for (const std::string& key : content.keys) run(&scripts::delete_entries(), {name_, key});
    } catch (const RedisAway&) {
        outbox_.put_back(std::move(content));
        throw RedisFailed("it answers our scripts with something else");
    } catch (const RedisFailed&) {
        outbox_.put_back(std::move(content));
        throw;
    }
}

}  // namespace larder::cache
