// A control group for one run, of either kernel interface: limits of memory and processes that
// hold for all of its processes together, and a way to kill them all. Nothing where the machine
// grants none: v2 wants a delegated subtree, v1 wants root.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "larder_run/run_request.hpp"

namespace larder::programs {

class RunCgroup {
public:
    // Null where there is none to be had.
    static std::unique_ptr<RunCgroup> make(const RunRequest& request);
    // Removes what runs that were killed left behind.
    static void sweep();
    ~RunCgroup();  // kills what is in it, and removes it
    RunCgroup(const RunCgroup&) = delete;
    RunCgroup& operator=(const RunCgroup&) = delete;

    bool enter() const;  // in the child, before it gives up its rights
    bool out_of_memory() const;
    bool out_of_processes() const;
    std::uint64_t cpu_us() const;
    std::uint64_t peak() const;  // bytes, what is cached included
    void kill() const;           // returns when none is left, or after two seconds

private:
    struct Folder {
        std::string path;
        bool has_memory, has_processes, has_cpu;
    };
    RunCgroup() = default;
    bool make_v1(const RunRequest& request);
    bool make_v2(const RunRequest& request);
    std::vector<int> members() const;

    bool v2_ = false;
    std::vector<Folder> folders_;
};

}  // namespace larder::programs
