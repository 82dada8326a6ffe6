// flock(2) on a file that names its holder. Not fcntl(2)'s locks, which any close of the file
// drops.
#include "storage-kit/folder_lock.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <system_error>

#include "larder/error.hpp"

namespace larder::storage {
namespace {

std::string holder_of(int fd) {
    std::array<char, 32> text{};
    const ssize_t n = ::pread(fd, text.data(), text.size(), 0);
    std::string pid(text.data(), n > 0 ? static_cast<std::size_t>(n) : 0);
    pid.resize(std::min(pid.find_first_not_of("0123456789"), pid.size()));
    return pid.empty() ? "a process that did not leave its pid" : "process " + pid;
}

}  // namespace

FolderLock::FolderLock(const std::string& folder) {
    const std::string path = folder + "/.lock";
    fd_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0640);
    if (fd_ < 0) throw std::system_error(errno, std::generic_category(), "open " + path);
    while (::flock(fd_, LOCK_EX | LOCK_NB) != 0) {
        const int error = errno;
        if (error == EINTR) continue;
        const std::string holder = holder_of(fd_);
        ::close(fd_);
        if (error != EWOULDBLOCK) throw std::system_error(error, std::generic_category(), path);
        throw Error(Errc::unavailable, "locked", "the data folder is in use by another process")
            .because(fmt::format("{}: held by {}: stop that one first, or give this one another "
                                 "data folder",
                                 path, holder));
    }
    // For people and for the message above; the lock itself does not need it.
    const std::string pid = fmt::format("{}\n", ::getpid());
    const bool told = ::ftruncate(fd_, 0) == 0 && ::pwrite(fd_, pid.data(), pid.size(), 0) > 0;
    if (!told && errno != ENOSPC && errno != EDQUOT) {
        const int error = errno;
        ::close(fd_);
        throw std::system_error(error, std::generic_category(), "write " + path);
    }
}

FolderLock::~FolderLock() { ::close(fd_); }

}  // namespace larder::storage
