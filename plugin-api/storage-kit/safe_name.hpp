// Names that came from outside, used as files: judged as text, and opened so that the kernel keeps
// them beneath their folder. Not a naming scheme: what a stored file is called is its plugin's to
// say.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace larder::storage {

// Whether `name` can only be an entry of the folder it is put into: 1-255 bytes of UTF-8 without
// '/', NUL, control characters, not "." nor "..", and no leading '-' or '.' that other programs
// would take for something else. [any]
bool is_plain_name(std::string_view name);

// An open descriptor with a life of its own; -1 is none.
class OwnedFd {
public:
    explicit OwnedFd(int fd = -1) noexcept : fd_(fd) {}
    ~OwnedFd();
    OwnedFd(OwnedFd&& other) noexcept : fd_(other.release()) {}
    OwnedFd& operator=(OwnedFd&& other) noexcept;
    OwnedFd(const OwnedFd&) = delete;
    OwnedFd& operator=(const OwnedFd&) = delete;
    int get() const noexcept { return fd_; }
    int release() noexcept;

private:
    int fd_;
};

// A folder to open things in by relative paths. Throws std::system_error. [any]
OwnedFd open_folder(const std::string& path);

// Opens `path`, relative, so that no "..", absolute or magic link leads out of `folder`; symbolic
// links that stay inside are followed. Such a way out is std::system_error with EXDEV. `flags` are
// open(2)'s; O_CLOEXEC is added. Where the kernel has no openat2(2), symbolic links are refused
// with ELOOP. [any]
OwnedFd open_beneath(int folder, const std::string& path, int flags, unsigned mode = 0640);

// open_beneath() as it is on a kernel without openat2(2).
OwnedFd open_beneath_by_steps(int folder, const std::string& path, int flags, unsigned mode = 0640);

}  // namespace larder::storage
