// Users and tokens, and the file that keeps them. Not who a request comes from: that is access.hpp.
//
// users.json, written whole at each change (there are few): {"version": 1,
//   "users":  {"ann": {"password": "$scrypt$…", "roles": ["editor"], "disabled": false,
//                      "created_at": "…", "updated_at": "…"}},
//   "tokens": {"3f…": {"name": "ci", "sha256": "…", "scopes": ["kv:read"], "prefixes": [],
//                      "user": "ann" or null, "created_at": "…", "expires_at": "…" or null,
//                      "last_used": "…" or null}}}
// A token's last use is written with the next change, or by keep_last_uses(). No secret is in it.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "access/rights.hpp"
#include "larder/host.hpp"
#include "storage-kit/file_system.hpp"

namespace larder::access {

struct User {
    std::string name, password_hash;
    std::vector<std::string> roles;
    bool disabled = false;
    std::int64_t created_ms = 0, updated_ms = 0;  // Unix
};

struct Token {
    std::string id, name, sha256;  // of its text, lower hex
    std::vector<std::string> scopes, prefixes;
    std::string user;  // whose it is, and within whose rights it acts; empty: nobody's
    std::int64_t created_ms = 0, expires_ms = 0;  // Unix; 0: never
    // Shared by all states, so that it moves without a change. [any]
    std::shared_ptr<std::atomic<std::int64_t>> last_used_ms =
        std::make_shared<std::atomic<std::int64_t>>(0);
};

// One state of all accounts. Immutable once it is in force.
struct Directory {
    std::map<std::string, User, std::less<>> users;    // by name
    std::map<std::string, Token, std::less<>> tokens;  // by id
};

class Accounts {
public:
    // Reads `path`, if it is there. Throws Error{corrupt} for what cannot be read, saying what to
    // do; a file without a version is not ours and is kept aside by the first change. [control]
    Accounts(storage::FileSystem& files, std::string path, Log& log);

    std::shared_ptr<const Directory> now() const;  // [any]
    // Grows with each change, before that returns. [any]
    std::uint64_t version() const noexcept { return version_.load(std::memory_order_acquire); }

    // Carries out a change on a copy, and puts that in force when it is on disk. Throws what
    // `edit` throws, Error{no_space} and {io_failed}: then nothing has changed. [worker]
    void change(const std::function<void(Directory&)>& edit);
    // Writes last uses, if there were any since. [worker]
    void keep_last_uses();

    // For a restore, which puts another file in place: nothing changes between hold(true) and
    // hold(false), which are one thread's. take_over() is called while held, and throws as the
    // constructor does; then all stays as it was.
    void hold(bool on) { on ? changing_.lock() : changing_.unlock(); }
    void take_over();
    static void check(storage::FileSystem& files, const std::string& path);

private:
    void read();
    void write(const Directory& directory);

    storage::FileSystem& files_;
    const std::string path_;
    Log& log_;
    std::mutex changing_;  // one change at a time; guards the two below
    bool foreign_ = false;
    std::int64_t newest_kept_use_ms_ = 0;
    mutable std::mutex mutex_;
    std::shared_ptr<const Directory> now_;  // guarded by mutex_
    std::atomic<std::uint64_t> version_{1};
};

// The text of users.json, and back. The latter throws Error{corrupt} naming `path`.
std::string text_of(const Directory& directory);
Directory directory_of(const std::string& text, const std::string& path);

// Throw std::invalid_argument that says what was expected. [any]
void check_user_name(std::string_view name);
void check_token_name(std::string_view name);
void check_password(std::string_view password);

}  // namespace larder::access
