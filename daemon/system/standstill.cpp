#include "system/standstill.hpp"

namespace larder::system {

std::vector<std::string> Standstill::look(const std::vector<Pulse>& seen) {
    std::vector<std::string> still;
    std::map<std::string, std::uint64_t> waiting;
    for (const Pulse& pulse : seen) {
        if (!pulse.waiting) continue;
        waiting.emplace(pulse.name, pulse.done);
        const auto before = waiting_.find(pulse.name);
        if (before != waiting_.end() && before->second == pulse.done) still.push_back(pulse.name);
    }
    waiting_ = std::move(waiting);
    return still;
}

}  // namespace larder::system
