#include "access/accounts.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <stdexcept>

#include "larder/error.hpp"
#include "storage-kit/atomic_file.hpp"
#include "storage-kit/json.hpp"

namespace larder::access {
namespace {

constexpr std::size_t kLeastPassword = 8, kMostPassword = 1024;  // bytes

std::int64_t newest_use(const Directory& directory) {
    std::int64_t newest = 0;
    for (const auto& [id, token] : directory.tokens) {
        newest = std::max(newest, token.last_used_ms->load(std::memory_order_relaxed));
    }
    return newest;
}

bool has_version(const std::string& text) {
    storage::json::Walk members(text);
    while (members.next()) {
        if (members.name() == "\"version\"") return true;
    }
    return false;
}

bool is_json(const std::string& text) {
    try {
        storage::json::check(text);
        return true;
    } catch (const storage::json::InvalidJson&) {  // told by directory_of()
        return false;
    }
}

}  // namespace

Accounts::Accounts(storage::FileSystem& files, std::string path, Log& log)
    : files_(files), path_(std::move(path)), log_(log) {
    read();
}

void Accounts::read() {
    auto directory = std::make_shared<Directory>();
    bool foreign = false;
    if (files_.exists(path_)) {
        const std::string text = storage::read_file(files_, path_);
        foreign = is_json(text) && !has_version(text);
        if (foreign) {
            log_.write(Level::warning,
                       fmt::format("{} is not of this daemon's making, so its users are not taken "
                                   "over; the first user that is added moves it to {}.origin",
                                   path_, path_));
        } else {
            *directory = directory_of(text, path_);
        }
    }
    foreign_ = foreign;
    newest_kept_use_ms_ = newest_use(*directory);
    const std::scoped_lock lock(mutex_);
    now_ = std::move(directory);
}

void Accounts::take_over() {
    read();
    version_.fetch_add(1, std::memory_order_release);
}

void Accounts::check(storage::FileSystem& files, const std::string& path) {
    const std::string text = storage::read_file(files, path);
    if (!is_json(text) || has_version(text)) directory_of(text, path);
}

std::shared_ptr<const Directory> Accounts::now() const {
    const std::scoped_lock lock(mutex_);
    return now_;
}

void Accounts::change(const std::function<void(Directory&)>& edit) {
    const std::scoped_lock one_at_a_time(changing_);
    auto fresh = std::make_shared<Directory>(*now());
    edit(*fresh);
    write(*fresh);
    {
        const std::scoped_lock lock(mutex_);
        now_ = std::move(fresh);
    }
    version_.fetch_add(1, std::memory_order_release);
}

void Accounts::keep_last_uses() {
    const std::scoped_lock one_at_a_time(changing_);
    const auto directory = now();
    if (newest_use(*directory) > newest_kept_use_ms_) write(*directory);
}

// With changing_ held.
void Accounts::write(const Directory& directory) {
    const std::int64_t newest = newest_use(directory);
    try {
        if (foreign_) files_.rename(path_, path_ + ".origin");
        foreign_ = false;
        storage::write_atomically(files_, path_, text_of(directory));
    } catch (const std::system_error& error) {
        const bool full = storage::is_no_space(error);
        throw Error(full ? Errc::no_space : Errc::io_failed, full ? "disk-full" : "storage-failed",
                    "users and tokens could not be written, so nothing was changed")
            .because(fmt::format("{}: {}", path_, error.what()));
    }
    newest_kept_use_ms_ = newest;
}

void check_user_name(std::string_view name) {
    static constexpr std::array<std::string_view, 3> kTaken{"local", "token", "anonymous"};
    const auto is_letter = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    };
    const bool good = !name.empty() && name.size() <= 64 && is_letter(name.front()) &&
                      std::all_of(name.begin(), name.end(), [&](char c) {
                          return is_letter(c) || c == '.' || c == '_' || c == '-' || c == '@';
                      });
    if (!good) {
        throw std::invalid_argument(
            "expected 1 to 64 letters, digits, '.', '_', '-' or '@', the first a letter or digit");
    }
    if (std::find(kTaken.begin(), kTaken.end(), name) != kTaken.end()) {
        throw std::invalid_argument("this name means something else in records; choose another");
    }
}

void check_token_name(std::string_view name) {
    const bool good = !name.empty() && name.size() <= 64 &&
                      std::all_of(name.begin(), name.end(),
                                  [](char c) { return c > ' ' && c < '\x7F' && c != '/'; });
    if (good) return;
    throw std::invalid_argument(
        "expected 1 to 64 visible ASCII characters without '/', which tell what it is for");
}

void check_password(std::string_view password) {
    if (password.size() >= kLeastPassword && password.size() <= kMostPassword) return;
    throw std::invalid_argument(
        fmt::format("expected {} to {} bytes", kLeastPassword, kMostPassword));
}

}  // namespace larder::access
