// What larder-run is asked to run, within which limits. Not how: that is sandbox_arguments.hpp's.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace larder::programs {

struct RunRequest {
    std::string isolation = "bwrap";  // or "none": the admin's own word
    std::string folder;               // the program's, on the host
    bool has_data = false, has_metadata = false;
    bool network = false;
    bool proc = true;       // a /proc of its own can be had
    bool no_userns = true;  // --disable-userns can be had
    bool cgroup = true;     // is to be used where it can be had
    bool sweep = false;     // remove what killed runs left behind
    std::int64_t uid = -1;  // to be taken on before anything is started; -1: stay
    std::int64_t wall_ms = 30'000, cpu_ms = 30'000;
    std::uint64_t memory = 512U << 20U, address_space = 0;  // bytes; 0: no limit
    std::uint64_t processes = 64;
    std::uint64_t output = 512U << 10U;  // bytes of each stream that are kept
    std::uint64_t data_quota = 64U << 20U;
    std::vector<std::string> command, environment;  // "NAME=value"
};

// Of the items of a request. What is no number is 0.
RunRequest parse_request(const std::string& items);

}  // namespace larder::programs
