// The words that bubblewrap is started with. Not what starts it.
#pragma once

#include <string>
#include <vector>

#include "larder_run/run_request.hpp"

namespace larder::programs {

// Descriptors that bubblewrap gets besides the standard ones.
inline constexpr int kArgumentsFd = 9, kFilterFd = 10, kStatusFd = 11, kPasswdFd = 12,
                     kEmptyFd = 13, kBeginFd = 14;

// Bytes of the temporary file systems of a run.
inline constexpr const char *kSharedMemory = "16777216", *kTemporary = "33554432";

// Where bubblewrap finds them: it runs as the program's user already.
struct HostPlaces {
    std::string folder;   // empty: no program's
    std::string limiter;  // larder-limit
};

// What goes through --args, without the command.
std::vector<std::string> sandbox_arguments(const RunRequest& request, const HostPlaces& places);
// What stands behind "--": the command, its limits of processes and memory set in the sandbox,
// where they count its own processes alone: `most_tasks` of them.
std::vector<std::string> limited_command(const RunRequest& request, const std::string& limiter,
                                         std::uint64_t most_tasks);

}  // namespace larder::programs
