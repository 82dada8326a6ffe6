// Reads the kernel's small files, of /proc and of control groups.
#pragma once

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <string>

namespace larder::programs {

// All that there is up to the end.
inline std::string read_all(int fd) {
    std::string text;
    std::array<char, 4096> block;
    for (ssize_t got = 0; (got = ::read(fd, block.data(), block.size())) > 0;) {
        text.append(block.data(), static_cast<std::size_t>(got));
    }
    return text;
}

// Empty where there is none, as of a process that ended.
inline std::string read_file(const std::string& path) {
    const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0) return {};
    std::string text = read_all(fd);
    ::close(fd);
    return text;
}

}  // namespace larder::programs
