// Descriptors as larder-run uses them. All are closed on exec.
#pragma once

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <string_view>

namespace larder::programs {

struct Pipe {
    int read_end = -1, write_end = -1;
    bool open() {
        int ends[2];
        if (::pipe2(ends, O_CLOEXEC) != 0) return false;
        read_end = ends[0];
        write_end = ends[1];
        return true;
    }
};

inline void close_fd(int& fd) {
    if (fd >= 0) ::close(fd);
    fd = -1;
}

// A file in memory, rewound; -1 where there is no room for it.
inline int memory_file(const char* name, std::string_view bytes) {
    const int fd = ::memfd_create(name, MFD_CLOEXEC);
    if (fd < 0) return -1;
    for (std::size_t at = 0; at < bytes.size();) {
        const ssize_t wrote = ::write(fd, bytes.data() + at, bytes.size() - at);
        if (wrote <= 0) {
            ::close(fd);
            return -1;
        }
        at += static_cast<std::size_t>(wrote);
    }
    ::lseek(fd, 0, SEEK_SET);
    return fd;
}

}  // namespace larder::programs
