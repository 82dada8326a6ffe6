// openat2(2) where there is one, else a walk that follows no link. Not realpath(3), which looks
// first and opens later.
#include "storage-kit/safe_name.hpp"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>
#include <utility>

#include "storage-kit/json.hpp"

namespace larder::storage {
namespace {

constexpr std::size_t kMostBytes = 255;

[[noreturn]] void fail(int error, const std::string& path) {
    throw std::system_error(error, std::generic_category(), "open " + path);
}

bool makes_files(int flags) { return (flags & O_CREAT) != 0 || (flags & O_TMPFILE) == O_TMPFILE; }

}  // namespace

bool is_plain_name(std::string_view name) {
    if (name.empty() || name.size() > kMostBytes) return false;
    if (name.front() == '.' || name.front() == '-') return false;
    const auto bad = [](char c) {
        return c == '/' || (c >= 0 && static_cast<unsigned char>(c) < 0x20) || c == 0x7F;
    };
    return std::none_of(name.begin(), name.end(), bad) &&
           json::invalid_utf8(name) == std::string_view::npos;
}

OwnedFd::~OwnedFd() {
    if (fd_ >= 0) ::close(fd_);
}
OwnedFd& OwnedFd::operator=(OwnedFd&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
}
int OwnedFd::release() noexcept { return std::exchange(fd_, -1); }

OwnedFd open_folder(const std::string& path) {
    const int fd = ::open(path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) fail(errno, path);
    return OwnedFd(fd);
}

OwnedFd open_beneath(int folder, const std::string& path, int flags, unsigned mode) {
    // A NUL would end the name early for the kernel alone.
    if (path.find('\0') != std::string::npos) fail(EINVAL, path);
    open_how how{};
    how.flags = static_cast<std::uint64_t>(flags | O_CLOEXEC);
    how.mode = makes_files(flags) ? mode : 0;
    how.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS;
    for (;;) {
        const long fd = ::syscall(SYS_openat2, folder, path.c_str(), &how, sizeof how);
        if (fd >= 0) return OwnedFd(static_cast<int>(fd));
        // EAGAIN: something was renamed meanwhile, and the kernel could not tell whether it
        // mattered.
        if (errno == EINTR || errno == EAGAIN) continue;
        // EPERM is what container filters say that know the call and not its number.
        if (errno == ENOSYS || errno == EPERM)
            return open_beneath_by_steps(folder, path, flags, mode);
        fail(errno, path);
    }
}

OwnedFd open_beneath_by_steps(int folder, const std::string& path, int flags, unsigned mode) {
    if (path.empty()) fail(ENOENT, path);
    if (path.find('\0') != std::string::npos) fail(EINVAL, path);
    if (path.front() == '/') fail(EXDEV, path);
    OwnedFd held;
    int at = folder;
    for (std::size_t begin = 0;;) {
        const std::size_t slash = path.find('/', begin);
        const std::string step = path.substr(begin, slash - begin);
        if (step == "..") fail(EXDEV, path);  // also where it would lead back inside
        const bool last = slash == std::string::npos;
        const int how = last ? flags : O_PATH | O_DIRECTORY;
        const char* const name = step.empty() ? "." : step.c_str();
        int fd = -1;
        do {
            fd = ::openat(at, name, how | O_NOFOLLOW | O_CLOEXEC, mode);
        } while (fd < 0 && errno == EINTR);
        if (fd < 0) fail(errno == ENOTDIR && !last ? ELOOP : errno, path);
        held = OwnedFd(fd);
        if (last) return held;
        at = held.get();
        begin = slash + 1;
    }
}

}  // namespace larder::storage
