// What must be undone in Redis before it is used again: deletions that did not reach it, and keys
// whose values it holds are older than ours. In memory alone, so a restart of the daemon forgets
// it; when there is too much of it, all entries are to go.
#pragma once

#include <cstddef>
#include <mutex>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "cache_match.hpp"

namespace larder::cache {

class Outbox {
public:
    struct Content {
        std::set<std::string> keys;      // entries to delete
        std::vector<Match> matches;      // entries to delete
        std::set<std::string> sessions;  // hashes
        std::set<std::string> users;     // whose sessions are to end

        bool empty() const noexcept {
            return keys.empty() && matches.empty() && sessions.empty() && users.empty();
        }
    };

    // [any]
    void add_key(std::string key) {
        const std::scoped_lock lock(mutex_);
        content_.keys.insert(std::move(key));
        if (content_.keys.size() <= kMost) return;
        content_.keys.clear();
        content_.matches.assign(1, {Match::Kind::all, {}});
    }
    void add(const Match& match) {
        const std::scoped_lock lock(mutex_);
        content_.matches.push_back(match);
        if (content_.matches.size() > kMost) content_.matches.assign(1, {Match::Kind::all, {}});
    }
    void add_session(std::string id) {
        const std::scoped_lock lock(mutex_);
        content_.sessions.insert(std::move(id));
    }
    void add_user(std::string user) {
        const std::scoped_lock lock(mutex_);
        content_.users.insert(std::move(user));
    }

    Content take() {
        const std::scoped_lock lock(mutex_);
        return std::exchange(content_, {});
    }
    // Of a take() that could not be carried out.
    void put_back(Content content) {
        const std::scoped_lock lock(mutex_);
        content_.keys.merge(content.keys);
        content_.matches.insert(content_.matches.end(), content.matches.begin(),
                                content.matches.end());
        content_.sessions.merge(content.sessions);
        content_.users.merge(content.users);
    }
    bool empty() const {
        const std::scoped_lock lock(mutex_);
        return content_.empty();
    }

private:
    static constexpr std::size_t kMost = 10'000;
    mutable std::mutex mutex_;
    Content content_;  // guarded by mutex_
};

}  // namespace larder::cache
