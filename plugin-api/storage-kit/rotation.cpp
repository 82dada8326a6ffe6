#include "storage-kit/rotation.hpp"

#include <unistd.h>

#include <cerrno>
#include <cstdio>

namespace larder::storage {

int rotate_file(const std::string& path, std::size_t keep) noexcept {
    if (keep == 0) return ::unlink(path.c_str()) == 0 || errno == ENOENT ? 0 : errno;
    for (std::size_t number = keep; number > 0; --number) {
        const std::string from = number == 1 ? path : path + "." + std::to_string(number - 1);
        const std::string to = path + "." + std::to_string(number);
        if (std::rename(from.c_str(), to.c_str()) != 0 && errno != ENOENT) return errno;
    }
    return 0;
}

}  // namespace larder::storage
