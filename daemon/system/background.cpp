#include "system/background.hpp"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <string>
#include <utility>

#include "larder/error.hpp"

namespace larder::system {
namespace {

int verdict_fd = -1;

void write_all(int fd, std::string_view text) {
    while (!text.empty()) {
        const ssize_t sent = write(fd, text.data(), text.size());
        if (sent < 0 && errno == EINTR) continue;
        if (sent <= 0) return;  // the parent was killed: nobody wants to know
        text.remove_prefix(static_cast<std::size_t>(sent));
    }
}

std::string read_all(int fd) {
    std::string text;
    std::array<char, 4096> buffer{};
    for (;;) {
        const ssize_t got = read(fd, buffer.data(), buffer.size());
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) return text;
        text.append(buffer.data(), static_cast<std::size_t>(got));
    }
}

[[noreturn]] void wait_for_verdict(int fd) {
    const std::string verdict = read_all(fd);  // its code in one byte, then the text
    if (verdict.empty()) {
        write_all(STDERR_FILENO,
                  "larderd: it ended before it was ready; start it without --daemon to see why\n");
        _exit(EXIT_FAILURE);
    }
    write_all(STDERR_FILENO, std::string_view(verdict).substr(1));
    _exit(static_cast<unsigned char>(verdict.front()));
}

}  // namespace

void begin_background() {
    std::array<int, 2> ends{};
    const pid_t child = pipe2(ends.data(), O_CLOEXEC) == 0 ? fork() : -1;
    if (child < 0) {
        throw Error(Errc::unavailable, "no-background",
                    "no process could be made; try again later");
    }
    if (child == 0) {
        close(ends[0]);
        verdict_fd = ends[1];
        return;
    }
    close(ends[1]);
    wait_for_verdict(ends[0]);
}

bool tell(int code, std::string_view text) {
    if (verdict_fd < 0) return false;
    const int fd = std::exchange(verdict_fd, -1);
    write_all(fd, std::string(1, static_cast<char>(code)) + std::string(text));
    close(fd);
    return true;
}

}  // namespace larder::system
