// What the processes below one use, as /proc tells it: for machines that grant no control group.
// A glance, not an account: what begins and ends between two of them is not seen.
#pragma once

#include <sys/types.h>

#include <cstdint>

namespace larder::programs {

struct TreeUse {
    std::uint64_t resident = 0;  // bytes, of all together
    std::uint64_t cpu_us = 0;    // of those that live, and their dead
    std::uint64_t tasks = 0;     // threads
};

TreeUse look_at_tree(pid_t root);
// Kills and reaps all children, and what becomes our child by that. For a subreaper.
void kill_children();

}  // namespace larder::programs
