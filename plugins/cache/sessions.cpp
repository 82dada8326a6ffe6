// Contents: in memory · in Redis · both.
#include "sessions.hpp"

#include <algorithm>
#include <charconv>
#include <utility>

#include "larder/error.hpp"
#include "redis_scripts.hpp"

namespace larder::cache {

// ---- in memory

MemorySessions::Table::iterator MemorySessions::find_live(const std::string& id,
                                                          std::int64_t now_ms) {
    const auto found = sessions_.find(id);
    if (found == sessions_.end() || found->second.expires_ms > now_ms) return found;
    remove(found);
    return sessions_.end();
}

void MemorySessions::remove(Table::iterator session) {
    bytes_ -= session->second.bytes();
    const auto user = by_user_.find(session->second.user_id);
    user->second.erase(session->first);
    if (user->second.empty()) by_user_.erase(user);
    sessions_.erase(session);
}

bool MemorySessions::create(const std::string& id, Session session) {
    session.expires_ms = std::min(session.created_ms + session.ttl_ms, session.until_ms);
    const std::scoped_lock lock(mutex_);
    if (bytes_ + session.bytes() > most_bytes_) return false;
    bytes_ += session.bytes();
    by_user_[session.user_id].insert(id);
    sessions_.insert_or_assign(id, std::move(session));
    return true;
}

std::optional<Session> MemorySessions::touch(const std::string& id, std::int64_t now_ms) {
    return change(id, now_ms, [](Session&) {});
}

std::optional<Session> MemorySessions::change(const std::string& id, std::int64_t now_ms,
                                              const SessionEdit& edit) {
    const std::scoped_lock lock(mutex_);
    const auto found = find_live(id, now_ms);
    if (found == sessions_.end()) return std::nullopt;
    Session changed = found->second;
    edit(changed);
    changed.last_ms = now_ms;
    changed.expires_ms = std::min(now_ms + changed.ttl_ms, changed.until_ms);
    bytes_ += changed.bytes();
    bytes_ -= found->second.bytes();
    found->second = std::move(changed);
    return found->second;
}

bool MemorySessions::end(const std::string& id) {
    const std::scoped_lock lock(mutex_);
    const auto found = sessions_.find(id);
    if (found == sessions_.end()) return false;
    remove(found);
    return true;
}

std::uint64_t MemorySessions::end_of(const std::string& user_id) {
    const std::scoped_lock lock(mutex_);
    const auto user = by_user_.find(user_id);
    if (user == by_user_.end()) return 0;
    const std::set<std::string> ids = std::move(user->second);
    by_user_.erase(user);
    for (const std::string& id : ids) {
        const auto session = sessions_.find(id);
        bytes_ -= session->second.bytes();
        sessions_.erase(session);
    }
    return ids.size();
}

std::vector<Session> MemorySessions::list(const std::string& user_id, std::int64_t now_ms) {
    std::vector<Session> listed;
    const std::scoped_lock lock(mutex_);
    const auto add = [&](const std::string& id, const Session& session) {
        if (session.expires_ms <= now_ms) return;
        Session& shown = listed.emplace_back();
        shown.id = id;
        shown.user_id = session.user_id;
        shown.ip_address = session.ip_address;
        shown.created_ms = session.created_ms;
        shown.last_ms = session.last_ms;
        shown.expires_ms = session.expires_ms;
    };
    if (user_id.empty()) {
        for (const auto& [id, session] : sessions_) add(id, session);
    } else if (const auto user = by_user_.find(user_id); user != by_user_.end()) {
        for (const std::string& id : user->second) add(id, sessions_.at(id));
    }
    return listed;
}

void MemorySessions::sweep(std::int64_t now_ms) {
    const std::scoped_lock lock(mutex_);
    for (auto session = sessions_.begin(); session != sessions_.end();) {
        const auto next = std::next(session);
        if (session->second.expires_ms <= now_ms) remove(session);
        session = next;
    }
}

std::size_t MemorySessions::count() const {
    const std::scoped_lock lock(mutex_);
    return sessions_.size();
}

std::size_t MemorySessions::bytes() const {
    const std::scoped_lock lock(mutex_);
    return bytes_;
}

// ---- in Redis

namespace {

std::int64_t number_of(std::string_view text) {
    std::int64_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    // What is no number was not put there by us.
    if (error != std::errc() || end != text.data() + text.size()) throw RedisAway();
    return number;
}

std::optional<Session> session_of(const RedisReply& reply) {
    const auto& items = reply.items;
    if (reply.kind == RedisReply::Kind::array && items.empty()) return std::nullopt;
    if (items.size() != 7 || !std::all_of(items.begin(), items.end(),
                                          [](const RedisReply& item) { return item.is_text(); })) {
        throw RedisAway();
    }
    Session session;
    session.user_id = items[0].text;
    session.data = items[1].text;
    session.created_ms = number_of(items[2].text);
    session.last_ms = number_of(items[3].text);
    session.expires_ms = number_of(items[4].text);
    session.ip_address = items[5].text;
    session.ttl_ms = number_of(items[6].text);
    return session;
}

}  // namespace

bool RedisSessions::create(const std::string& id, Session session) {
    link_.run(
        scripts::create_session(),
        {id, std::to_string(session.created_ms), std::to_string(session.ttl_ms),
         std::to_string(session.until_ms), session.user_id, session.data, session.ip_address});
    return true;
}

std::optional<Session> RedisSessions::touch(const std::string& id, std::int64_t now_ms) {
    return session_of(link_.run(scripts::touch_session(), {id, std::to_string(now_ms)}));
}

std::optional<Session> RedisSessions::change(const std::string& id, std::int64_t now_ms,
                                             const SessionEdit& edit) {
    constexpr int kTries = 16;
    for (int i = 0; i < kTries; ++i) {
        auto session = touch(id, now_ms);
        if (!session) return std::nullopt;
        const std::string before = session->data;
        edit(*session);
        const RedisReply changed =
            link_.run(scripts::change_session(),
                      {id, before, session->data, std::to_string(session->ttl_ms)});
        // Once more, for the end that its new time to live gives it.
        if (changed.integer == 1) return touch(id, now_ms);
    }
    throw Error(Errc::conflict, "session-busy", "others change this session all the time");
}

bool RedisSessions::end(const std::string& id) {
    return link_.run(scripts::end_sessions(), {id}).integer > 0;
}

std::uint64_t RedisSessions::end_of(const std::string& user_id) {
    const RedisReply reply = link_.run(scripts::end_sessions_of(), {user_id});
    return static_cast<std::uint64_t>(std::max<std::int64_t>(reply.integer, 0));
}

// Page by page: all that a user has may be more than a reply holds.
std::vector<std::string> RedisSessions::ids(const std::string& user_id) {
    const std::string set = link_.prefix() + "user:" + user_id, head = link_.prefix() + "session:";
    const std::string pattern = glob_escaped(head) + "*";
    const std::size_t skipped = user_id.empty() ? head.size() : 0;
    std::set<std::string> seen;  // a scan may tell of one twice
    std::string cursor = "0";
    do {
        const RedisReply page = user_id.empty()
                                    ? link_.ask({"SCAN", cursor, "MATCH", pattern, "COUNT", "500"})
                                    : link_.ask({"SSCAN", set, cursor, "COUNT", "500"});
        if (page.items.size() != 2 || !page.items[0].is_text()) throw RedisAway();
        cursor = page.items[0].text;
        for (const RedisReply& found : page.items[1].items) {
            if (found.text.size() > skipped) seen.insert(found.text.substr(skipped));
        }
    } while (cursor != "0");
    return {seen.begin(), seen.end()};
}

std::vector<Session> RedisSessions::list(const std::string& user_id, std::int64_t now_ms) {
    constexpr std::size_t kAtOnce = 200;  // Redis serves nobody else meanwhile
    const std::vector<std::string> all = ids(user_id);
    const std::string now = std::to_string(now_ms);
    std::vector<Session> listed;
    for (std::size_t first = 0; first < all.size(); first += kAtOnce) {
        const std::size_t count = std::min(kAtOnce, all.size() - first);
        const auto begin = all.begin() + static_cast<std::ptrdiff_t>(first);
        std::vector<std::string_view> arguments{now};
        arguments.insert(arguments.end(), begin, begin + static_cast<std::ptrdiff_t>(count));
        const RedisReply reply = link_.run(scripts::show_sessions(), arguments);
        if (reply.items.size() != count) throw RedisAway();
        for (std::size_t i = 0; i < count; ++i) {
            auto session = session_of(reply.items[i]);
            if (!session) continue;  // it ended since
            session->id = all[first + i];
            listed.push_back(std::move(*session));
        }
    }
    return listed;
}

// ---- both

bool SharedSessions::create(const std::string& id, Session session) {
    try {
        if (link_.is_ready()) return redis_.create(id, session);
    } catch (const RedisAway&) {  // below
    }
    return memory_.create(id, std::move(session));
}

std::optional<Session> SharedSessions::touch(const std::string& id, std::int64_t now_ms) {
    try {
        if (link_.is_ready()) {
            if (auto found = redis_.touch(id, now_ms)) return found;
        }
    } catch (const RedisAway&) {  // below
    }
    return memory_.touch(id, now_ms);
}

std::optional<Session> SharedSessions::change(const std::string& id, std::int64_t now_ms,
                                              const SessionEdit& edit) {
    try {
        if (link_.is_ready()) {
            if (auto found = redis_.change(id, now_ms, edit)) return found;
        }
    } catch (const RedisAway&) {  // below
    }
    return memory_.change(id, now_ms, edit);
}

bool SharedSessions::end(const std::string& id) {
    const bool was_here = memory_.end(id);
    try {
        if (!link_.is_ready()) throw RedisAway();
        return redis_.end(id) || was_here;
    } catch (const RedisAway&) {
        // Whether it is there nobody can say; if it is, it is not to come back.
        outbox_.add_session(id);
        link_.kick();
        return true;
    }
}

std::uint64_t SharedSessions::end_of(const std::string& user_id) {
    const std::uint64_t here = memory_.end_of(user_id);
    try {
        if (!link_.is_ready()) throw RedisAway();
        return redis_.end_of(user_id) + here;
    } catch (const RedisAway&) {
        outbox_.add_user(user_id);
        link_.kick();
        return here;
    }
}

std::vector<Session> SharedSessions::list(const std::string& user_id, std::int64_t now_ms) {
    std::vector<Session> all = memory_.list(user_id, now_ms);
    try {
        if (link_.is_ready()) {
            auto more = redis_.list(user_id, now_ms);
            all.insert(all.end(), std::make_move_iterator(more.begin()),
                       std::make_move_iterator(more.end()));
        }
    } catch (const RedisAway&) {  // what is here is what can be shown
    }
    return all;
}

}  // namespace larder::cache
