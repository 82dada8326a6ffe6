#include "files_blobs.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <limits>
#include <map>
#include <set>
#include <system_error>
#include <utility>

#include "storage-kit/file_system.hpp"

namespace larder::files {
namespace {

using storage::FileSystem;

[[noreturn]] void fail(const char* call, const std::string& path, int error = errno) {
    throw std::system_error(error, std::generic_category(), std::string(call) + " " + path);
}

using Inode = std::pair<dev_t, ino_t>;

Inode inode_of(const struct stat& status) { return {status.st_dev, status.st_ino}; }

}  // namespace

// ---- syncing the folder

void SharedSync::sync() {
    std::unique_lock lock(mutex_);
    if (failed_) {
        throw Error(Errc::unavailable, "read-only",
                    "nothing can be stored until the daemon is restarted")
            .because("fsync " + folder_ + " failed before");
    }
    // One that runs already may have begun before our change: the next one is ours.
    const std::uint64_t wanted = begun_ + 1;
    while (done_ < wanted && !failed_) {
        if (running_) {
            ended_.wait(lock);
            continue;
        }
        running_ = true;
        const std::uint64_t mine = ++begun_;
        lock.unlock();
        std::string why;
        try {
            FileSystem::real().sync_directory(folder_);
        } catch (const std::system_error& error) {
            why = error.what();
        }
        lock.lock();
        running_ = false;
        failed_ = failed_ || !why.empty();
        if (!failed_) done_ = mine;
        ended_.notify_all();
    }
    if (failed_) {
        throw Error(Errc::io_failed, "storage-failed", "the disk failed: the file may not be kept")
            .because("fsync " + folder_ + " failed");
    }
}

// ---- staged names

StagedName::~StagedName() {
    if (!path_.empty()) ::unlink(path_.c_str());  // what stays is found at the next start
}

// ---- the folder

Blobs::Blobs(std::string folder)
    : folder_(std::move(folder)),
      staging_(folder_ + "/.staging"),
      trash_(folder_ + "/.trash"),
      partial_(folder_ + "/.tus"),
      sync_(folder_) {
    for (const std::string& path : {folder_, staging_, trash_, partial_}) {
        FileSystem::real().make_directory(path);
    }
}

std::string Blobs::path_of(std::string_view name) const {
    return fmt::format("{}/{}", folder_, name);
}

std::unique_ptr<StagedFile> Blobs::stage() {
    return std::make_unique<StagedFile>(
        fmt::format("{}/{}", staging_, staged_.fetch_add(1, std::memory_order_relaxed)), true);
}

bool Blobs::link(const std::string& staged_path, std::string_view name) {
    const std::string path = path_of(name);
    if (::link(staged_path.c_str(), path.c_str()) == 0) return true;
    if (errno == EEXIST) return false;
    fail("link", staged_path + " to " + path);
}

std::shared_ptr<FileHandle> Blobs::open(std::string_view name) const {
    const std::string path = path_of(name);
    const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd >= 0) return std::make_shared<FileHandle>(fd);
    if (errno == ENOENT || errno == ELOOP) return nullptr;
    fail("open", path);
}

void Blobs::mark_doomed(std::string_view name) {
    const std::string path = path_of(name);
    const std::string doomed = fmt::format("{}/{}", trash_, name);
    if (::link(path.c_str(), doomed.c_str()) == 0 || errno == EEXIST || errno == ENOENT) return;
    fail("link", path + " to " + doomed);
}

void Blobs::spare(std::string_view name) noexcept {
    ::unlink(fmt::format("{}/{}", trash_, name).c_str());
}

// What cannot be removed now is found as doomed at the next start: that name goes last.
void Blobs::remove(std::string_view name) noexcept {
    if (::unlink(path_of(name).c_str()) == 0 || errno == ENOENT) spare(name);
}

std::vector<Blobs::Found> Blobs::list() const {
    std::vector<Found> found;
    for (std::string& name : FileSystem::real().list(folder_)) {
        if (name.starts_with('.') || name.starts_with(kRecordsFile)) continue;
        struct stat status {};
        if (::lstat(path_of(name).c_str(), &status) != 0 || !S_ISREG(status.st_mode)) continue;
        found.push_back({std::move(name), static_cast<std::uint64_t>(status.st_size)});
    }
    return found;
}

std::size_t Blobs::clear_leftovers(const std::function<bool(const std::string&)>& has_record) {
    std::size_t count = 0;
    std::set<Inode> unfinished;
    struct stat status {};
    for (const std::string& folder : {staging_, partial_}) {
        for (const std::string& name : FileSystem::real().list(folder)) {
            const std::string path = fmt::format("{}/{}", folder, name);
            if (::lstat(path.c_str(), &status) != 0 || !S_ISREG(status.st_mode)) continue;
            if (status.st_nlink > 1) unfinished.insert(inode_of(status));
            if (folder == staging_) count += ::unlink(path.c_str()) == 0 ? 1 : 0;
        }
    }
    if (!unfinished.empty()) {
        for (const Found& file : list()) {
            if (has_record(file.name)) continue;
            const std::string path = path_of(file.name);
            const bool ours = ::lstat(path.c_str(), &status) == 0 &&
                              unfinished.find(inode_of(status)) != unfinished.end();
            if (ours) count += ::unlink(path.c_str()) == 0 ? 1 : 0;
        }
    }
    for (const std::string& name : FileSystem::real().list(trash_)) {
        struct stat doomed {};
        const bool same = ::lstat(fmt::format("{}/{}", trash_, name).c_str(), &doomed) == 0 &&
                          ::lstat(path_of(name).c_str(), &status) == 0 &&
                          inode_of(doomed) == inode_of(status);
        if (same && !has_record(name)) {
            remove(name);
        } else {
            spare(name);
        }
        ++count;
    }
    if (count > 0) FileSystem::real().sync_directory(folder_);
    return count;
}

std::string Blobs::twin_of(const std::string& path) const {
    struct stat wanted {};
    if (::lstat(path.c_str(), &wanted) != 0 || wanted.st_nlink < 2) return {};
    for (Found& file : list()) {
        struct stat status {};
        const bool same = ::lstat(path_of(file.name).c_str(), &status) == 0 &&
                          inode_of(status) == inode_of(wanted);
        if (same) return std::move(file.name);
    }
    return {};
}

std::uint64_t Blobs::free_bytes() const {
    struct statvfs status {};
    if (::statvfs(folder_.c_str(), &status) != 0) return std::numeric_limits<std::uint64_t>::max();
    return static_cast<std::uint64_t>(status.f_bavail) * status.f_frsize;
}

}  // namespace larder::files
