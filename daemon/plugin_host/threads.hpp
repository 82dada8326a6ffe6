// Finds threads that a plugin left behind, by the names that larder/plugin.hpp asks for. A
// heuristic: a thread that bears another name is not seen.
#pragma once

#include <chrono>
#include <cstddef>
#include <string>
#include <vector>

namespace larder::plugin_host {

// Stands for a thread that is the host's own although it bears a plugin's name; counted out below.
class OwnThread {
public:
    OwnThread();  // the calling thread
    ~OwnThread();
    OwnThread(const OwnThread&) = delete;
    OwnThread& operator=(const OwnThread&) = delete;

private:
    const int id_;
};

// Names of the plugin's threads that still run after `patience`: one that was joined is seen for a
// moment yet. [control]
std::vector<std::string> threads_left(const std::string& plugin,
                                      std::chrono::milliseconds patience);

}  // namespace larder::plugin_host
