#include "storage-kit/folder_lock.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <system_error>

#include "larder/error.hpp"

namespace larder::storage {

FolderLock::FolderLock(const std::string& folder) {
    const std::string path = folder + "/.lock";
    fd_ = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0640);
    if (fd_ < 0) {
        throw Error(
            Errc::io_failed, "folder-lock",
            fmt::format("cannot make {}: {}", path, std::generic_category().message(errno)));
    }
    if (flock(fd_, LOCK_EX | LOCK_NB) != 0) {
        std::array<char, 32> holder{};
        const ssize_t size = pread(fd_, holder.data(), holder.size() - 1, 0);
        close(fd_);
        throw Error(
            Errc::unavailable, "folder-locked",
            fmt::format("{} is in use by process {}; stop it, or name another folder", folder,
                        size > 0 ? std::string(holder.data()) : std::string("unknown")));
    }
    // For the message above only; the lock is the kernel's.
    const std::string pid = std::to_string(getpid());
    if (ftruncate(fd_, 0) != 0 ||
        pwrite(fd_, pid.data(), pid.size(), 0) != static_cast<ssize_t>(pid.size())) {
        const int error = errno;
        close(fd_);
        throw Error(
            Errc::io_failed, "folder-lock",
            fmt::format("cannot write {}: {}", path, std::generic_category().message(error)));
    }
}

FolderLock::~FolderLock() { close(fd_); }

}  // namespace larder::storage
