#include "system/descriptors.hpp"

#include <sys/resource.h>

#include <algorithm>

namespace larder::system {
namespace {

// About 20 are open in an idle daemon with one plugin, and each bucket or database wants a few.
constexpr std::size_t kReserve = 512;

std::size_t limit_in_force() {
    rlimit limit{};
    if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return 1024;  // what most systems begin with
    return static_cast<std::size_t>(limit.rlim_cur);
}

}  // namespace

std::size_t raise_descriptor_limit() {
    rlimit limit{};
    if (::getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        // Where it is refused the old one stays, and connections_within_limit() goes by that.
        (void)::setrlimit(RLIMIT_NOFILE, &limit);
    }
    return limit_in_force();
}

std::size_t connections_within_limit(std::size_t wanted) {
    const std::size_t limit = limit_in_force();
    const std::size_t reserve = std::min(kReserve, limit / 2);
    return std::clamp<std::size_t>(limit - reserve, 1, std::max<std::size_t>(wanted, 1));
}

}  // namespace larder::system
