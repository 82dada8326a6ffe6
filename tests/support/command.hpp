// Runs a program to its end and keeps what it said: larderd's short errands, curl, openssl. A
// daemon that stays is daemon_process.hpp's.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace larder::test {

struct Ran {
    int exit = -1;  // or 128 + signal; 127: there is no such program
    std::string out, err;
};

// The words are looked up in PATH; `environment` comes on top of ours. Killed after a minute.
Ran run(std::vector<std::string> words,
        const std::vector<std::pair<std::string, std::string>>& environment = {});

bool is_installed(const std::string& program);  // somewhere in PATH

}  // namespace larder::test
