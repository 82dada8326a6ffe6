// What happens between larder-run's fork and the program: its descriptors, its limits, its user,
// and then bubblewrap.
#pragma once

#include <cstdint>

#include "larder_run/cgroups.hpp"
#include "larder_run/run_request.hpp"

namespace larder::programs {

// Of the processes in the sandbox, bubblewrap's first is no part of what a program may have.
inline constexpr std::uint64_t kSandboxProcesses = 1;

// The writing ends of the program's pipes, and of bubblewrap's for its status; the reading end of
// the one by which it is told to begin.
struct ChildFiles {
    int out, err, status, begin;
};

// Becomes the program. What hinders it is said on its standard error.
[[noreturn]] void run_child(const RunRequest& request, const RunCgroup* cgroup,
                            const ChildFiles& files);

}  // namespace larder::programs
