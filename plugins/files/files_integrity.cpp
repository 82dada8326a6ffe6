// Whether files are what they were: verification, what a start finds, and who is told of it. The
// ways of a file in and out are files_store.cpp's.
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>
#include <utility>

#include "files_store.hpp"
#include "larder/time.hpp"
#include "storage-kit/digest.hpp"

namespace larder::files {
namespace {

using storage::StoreState;

constexpr std::size_t kMostNamed = 5;  // names in a message
constexpr std::size_t kReadBlock = 256U << 10U;
constexpr double kQuotaAlert = 0.9;

std::string some_of(const std::set<std::string>& names) {
    std::string text;
    std::size_t count = 0;
    for (const std::string& name : names) {
        if (count++ == kMostNamed) return text + ", …";
        text.append(text.empty() ? "" : ", ").append(name);
    }
    return text;
}

}  // namespace

Integrity Files::verify(const EntryPtr& entry, const std::function<bool(std::uint64_t)>& pace) {
    const Record& record = entry->record;
    Integrity found = Integrity::whole;
    try {
        const auto file = blobs_.open(record.filename);
        if (!file) {
            found = Integrity::missing;
        } else {
            storage::Sha256 sha;
            std::string block(kReadBlock, '\0');
            std::uint64_t offset = 0;
            for (;;) {
                const ssize_t n =
                    ::pread(file->fd(), block.data(), block.size(), static_cast<off_t>(offset));
                if (n < 0 && errno == EINTR) continue;
                if (n < 0) found = Integrity::damaged;  // the disk cannot read it back
                if (n <= 0) break;
                sha.update(std::string_view(block).substr(0, static_cast<std::size_t>(n)));
                offset += static_cast<std::uint64_t>(n);
                if (!pace(static_cast<std::uint64_t>(n))) return Integrity::whole;
            }
            if (sha.finish_hex() != record.hash) found = Integrity::damaged;
        }
    } catch (const std::system_error& error) {
        throw disk_error(error);
    }
    const EntryPtr now = catalog_.find(record.filename);
    if (!now || now->record.hash != record.hash) return Integrity::gone;
    note_integrity(record.filename, found);
    if (found == Integrity::missing ||
        (found == Integrity::damaged) == (now->record.damaged_ms != 0)) {
        return found;
    }
    try {
        catalog_.edit(record.filename, [&](Record& changed) {
            changed.damaged_ms = found == Integrity::damaged ? unix_now_ms() : 0;
        });
    } catch (const Error& error) {
        if (error.code() == Errc::not_found) return Integrity::gone;
        // Known in memory all the same; the next verification writes it down.
        host_.log().write(Level::warning, fmt::format("{}: what was verified is not kept: {}",
                                                      record.filename, error.what()));
    }
    return found;
}

void Files::note_integrity(const std::string& filename, Integrity found) {
    bool changed = false;
    {
        const std::scoped_lock lock(strays_mutex_);
        changed = found == Integrity::missing ? missing_.insert(filename).second
                                              : missing_.erase(filename) > 0;
        changed |= found == Integrity::damaged ? damaged_.insert(filename).second
                                               : damaged_.erase(filename) > 0;
    }
    if (!changed) return;
    open_.forget(filename);
    if (found == Integrity::damaged || found == Integrity::missing) {
        host_.log().write(Level::error,
                          fmt::format("{} is {}: restore it from a backup, or delete it", filename,
                                      found == Integrity::missing ? "missing" : "damaged"));
    }
    report_strays();
}

void Files::reconcile() {
    const auto has_record = [this](const std::string& name) {
        return catalog_.find(name) != nullptr;
    };
    const std::size_t cleared = blobs_.clear_leftovers(has_record);
    if (cleared > 0) {
        host_.log().write(
            Level::info,
            fmt::format("{} leftovers of unfinished uploads and deletes were removed", cleared));
    }
    std::unordered_map<std::string, std::uint64_t> sizes;
    for (Blobs::Found& file : blobs_.list()) {
        if (!has_record(file.name)) {
            orphans_.insert(file.name);
        } else {
            sizes.emplace(std::move(file.name), file.size);
        }
    }
    for (const EntryPtr& entry : catalog_.all()) {
        const Record& record = entry->record;
        const auto size = sizes.find(record.filename);
        if (size == sizes.end()) {
            missing_.insert(record.filename);
        } else if (size->second != record.size || record.damaged_ms != 0) {
            damaged_.insert(record.filename);
        }
    }
    if (!orphans_.empty()) {
        host_.log().write(Level::warning, fmt::format("{} files have no record and are kept: {}",
                                                      orphans_.size(), some_of(orphans_)));
    }
    if (!missing_.empty()) {
        host_.log().write(Level::error, fmt::format("{} records have no file and are kept: {}",
                                                    missing_.size(), some_of(missing_)));
    }
    report_strays();
}

Files::Strays Files::strays() const {
    const std::scoped_lock lock(strays_mutex_);
    return {{orphans_.begin(), orphans_.end()},
            {missing_.begin(), missing_.end()},
            {damaged_.begin(), damaged_.end()}};
}

void Files::report_strays() {
    std::string bad, orphans;
    {
        const std::scoped_lock lock(strays_mutex_);
        if (!missing_.empty()) {
            bad = fmt::format("{} files are missing: {}", missing_.size(), some_of(missing_));
        }
        if (!damaged_.empty()) {
            bad += fmt::format("{}{} files are damaged: {}", bad.empty() ? "" : "; ",
                               damaged_.size(), some_of(damaged_));
        }
        if (!orphans_.empty()) {
            orphans =
                fmt::format("{} files have no record: {}", orphans_.size(), some_of(orphans_));
        }
    }
    const auto tell = [this](std::string_view key, Severity severity, const std::string& text) {
        if (text.empty()) {
            host_.alerts().resolve(key);
        } else {
            host_.alerts().raise(key, severity, text);
        }
    };
    tell("files-damaged", Severity::error, bad);
    tell("files-without-record", Severity::warning, orphans);
    const bool is_bad = !bad.empty();
    set_health("files", is_bad ? StoreState::full : StoreState::open, bad);
}

void Files::report_quota() noexcept {
    const auto figures = quota_.figures();
    used_.set(static_cast<double>(figures.used));
    count_.set(static_cast<double>(catalog_.count()));
    const bool is_full =
        static_cast<double>(figures.used) > kQuotaAlert * static_cast<double>(figures.limit);
    if (quota_raised_.exchange(is_full) == is_full) return;
    if (is_full) {
        host_.alerts().raise("quota", Severity::warning, "over 90 % of the files' quota is used");
    } else {
        host_.alerts().resolve("quota");
    }
}

// The state of one part; StoreState::full stands for "serves, with something to say".
void Files::set_health(const std::string& what, StoreState state, const std::string& why) {
    std::string reasons;
    bool read_only = false;
    {
        const std::scoped_lock lock(health_mutex_);
        if (state == StoreState::open) {
            unwell_.erase(what);
        } else {
            unwell_[what] = {state, why};
        }
        for (const auto& [part, illness] : unwell_) {
            reasons += fmt::format("{}{}: {}", reasons.empty() ? "" : "; ", part, illness.second);
            read_only = read_only || illness.first == StoreState::read_only;
        }
    }
    host_.report(reasons.empty() ? Health::ok
                 : read_only     ? Health::read_only
                                 : Health::degraded,
                 reasons);
}

}  // namespace larder::files
