// How far a transfer has come, on a terminal's last line. Prints nothing where there is no
// terminal.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace larder::ctl {

class Progress {
public:
    // `total` bytes of what is called `name`; 0 where nobody knows.
    Progress(std::string name, std::uint64_t total);
    ~Progress();  // takes its line away
    Progress(const Progress&) = delete;
    Progress& operator=(const Progress&) = delete;

    void add(std::uint64_t bytes);

private:
    void show(std::chrono::steady_clock::time_point now);

    const std::string name_;
    const std::uint64_t total_;
    const bool shown_;
    const std::chrono::steady_clock::time_point began_;
    std::chrono::steady_clock::time_point next_;
    std::uint64_t done_ = 0;
    bool has_line_ = false;
};

// "1.4 MiB". [any]
std::string size_text(std::uint64_t bytes);

}  // namespace larder::ctl
