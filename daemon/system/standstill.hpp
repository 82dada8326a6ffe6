// Finds who stands still with work waiting, from what is seen of everybody at one look and the
// next. Knows no thread and no clock: whoever looks decides how often.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace larder::system {

// One that works, as it is seen at one moment.
struct Pulse {
    std::string name;
    std::uint64_t done;  // grows with each piece of work that it ends
    bool waiting;        // something is under way on it, or waits for it
};

// One thread at a time.
class Standstill {
public:
    // The names of those that had work waiting at the last look, have some now, and ended nothing
    // between; in the order seen. Who comes anew or is gone stands still at no look.
    std::vector<std::string> look(const std::vector<Pulse>& seen);

private:
    std::map<std::string, std::uint64_t> waiting_;  // at the last look, and what they had done
};

}  // namespace larder::system
