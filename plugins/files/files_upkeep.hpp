// What is done to files by themselves: counts of downloads written down, journals folded, expired
// files removed, all of them verified now and then. Not at requests: those are the routes'.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "files_store.hpp"
#include "larder/host.hpp"

namespace larder::files {

class TusUploads;

class Upkeep {
public:
    // Starts its thread and its jobs. [control]
    Upkeep(Files& files, TusUploads& uploads);
    ~Upkeep();
    Upkeep(const Upkeep&) = delete;
    Upkeep& operator=(const Upkeep&) = delete;

private:
    void keep_up();
    void fold(storage::DocumentStore& store, std::chrono::steady_clock::time_point& folded);
    void expire(JobRun& run);
    void scrub(JobRun& run);

    Files& files_;
    TusUploads& uploads_;

    std::mutex mutex_;
    std::condition_variable wake_;
    bool ending_ = false;  // guarded by mutex_
    std::thread thread_;
    std::vector<std::unique_ptr<Ticket>> jobs_;
};

}  // namespace larder::files
