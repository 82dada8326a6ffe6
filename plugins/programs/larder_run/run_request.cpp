#include "larder_run/run_request.hpp"

#include <charconv>
#include <string_view>

#include "run_protocol.hpp"

namespace larder::programs {

RunRequest parse_request(const std::string& items) {
    RunRequest request;
    protocol::each_item(items, [&](std::string_view name, std::string_view value) {
        std::int64_t number = 0;
        std::from_chars(value.data(), value.data() + value.size(), number);
        const auto size = static_cast<std::uint64_t>(number);
        if (name == "arg") request.command.emplace_back(value);
        if (name == "env") request.environment.emplace_back(value);
        if (name == "isolation") request.isolation = value;
        if (name == "folder") request.folder = value;
        if (name == "data") request.has_data = number != 0;
        if (name == "metadata") request.has_metadata = number != 0;
        if (name == "network") request.network = number != 0;
        if (name == "proc") request.proc = number != 0;
        if (name == "no_userns") request.no_userns = number != 0;
        if (name == "cgroup") request.cgroup = number != 0;
        if (name == "sweep") request.sweep = number != 0;
        if (name == "uid") request.uid = number;
        if (name == "wall_ms") request.wall_ms = number;
        if (name == "cpu_ms") request.cpu_ms = number;
        if (name == "memory") request.memory = size;
        if (name == "address_space") request.address_space = size;
        if (name == "processes") request.processes = size;
        if (name == "output") request.output = size;
        if (name == "data_quota") request.data_quota = size;
    });
    return request;
}

}  // namespace larder::programs
