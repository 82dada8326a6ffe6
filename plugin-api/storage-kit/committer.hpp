// The committer's thread and the queues it serves. Not what a batch does: that is the store's.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "storage-kit/document_store.hpp"

namespace larder::storage {

class Committer::Impl {
public:
    struct Pending {
        Change change;
        Done done;
    };

    // One store's queue.
    class Lane {
    public:
        Lane() = default;
        virtual ~Lane() = default;
        Lane(const Lane&) = delete;
        Lane& operator=(const Lane&) = delete;
        // Everything that was pending, in order. [committer]
        virtual void commit_batch(std::vector<Pending>& batch) = 0;

    private:
        friend class Impl;
        // guarded by Impl::mutex_
        std::vector<Pending> pending_;
        std::vector<std::function<void()>> tasks_;
        bool queued_ = false;   // in Impl::ready_
        bool running_ = false;  // the committer is at it
    };

    explicit Impl(const std::string& thread_name);
    ~Impl();  // every lane must have been drained
    Impl(const Impl&) = delete;
    Impl& operator=(const Impl&) = delete;

    void enqueue(Lane& lane, Pending pending);  // [any]
    // Runs `task` on the committer between two batches of this lane, and waits for it. [worker]
    void run(Lane& lane, const std::function<void()>& task);
    void hold(bool on);  // no batch and no task is under way, and none begins before hold(false)
    void drain(Lane& lane);  // waits until nothing of it is pending or under way [control]
    Progress progress() const;

private:
    void serve();
    void queue(Lane& lane, std::unique_lock<std::mutex>& lock);
    bool spin() const;

    mutable std::mutex mutex_;
    std::condition_variable wake_, idle_;
    std::vector<Lane*> ready_;        // guarded by mutex_
    bool sleeping_ = false;           // guarded by mutex_
    bool ending_ = false;             // guarded by mutex_
    bool held_ = false;               // guarded by mutex_
    bool busy_ = false;               // guarded by mutex_: lanes are being served
    std::uint64_t turns_ = 0;         // guarded by mutex_: a lane served is one
    std::atomic<bool> work_ = false;  // a hint for spin(): something was queued
    std::thread thread_;              // last: it uses the rest
};

}  // namespace larder::storage
