// Loaded into larderd before the C library: every write to a file stops half-way, and every third
// is interrupted first, as POSIX allows. Not a test of its own; short_write_test.cpp loads it.
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>

extern "C" __attribute__((visibility("default"))) ssize_t pwritev(int fd, const iovec* vectors,
                                                                  int count, off_t offset) {
    static std::atomic<unsigned> calls{0};
    if (calls.fetch_add(1) % 3 == 2) {
        errno = EINTR;
        return -1;
    }
    if (count == 0) return 0;
    const std::size_t whole = vectors[0].iov_len;
    const std::size_t part = std::max<std::size_t>(whole / 2, std::min<std::size_t>(whole, 1));
    return syscall(SYS_pwrite64, fd, vectors[0].iov_base, part, offset);
}
