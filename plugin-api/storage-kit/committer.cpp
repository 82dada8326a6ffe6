// One thread that takes turns among the stores. A batch is whatever came while the last one was on
// its way to the disk, so that load makes batches larger, not waits longer.
#include "storage-kit/committer.hpp"

#include <pthread.h>

#include <chrono>
#include <utility>

#if defined(__SSE2__)
#include <immintrin.h>
#endif

namespace larder::storage {
namespace {

// What a client needs to get its answer and ask again, about; a sleep and a wake cost as much.
constexpr std::chrono::microseconds kSpin{50};

void pause() noexcept {
#if defined(__SSE2__)
    _mm_pause();
#endif
}

}  // namespace

Committer::Impl::Impl(const std::string& thread_name) : thread_([this] { serve(); }) {
    // The kernel keeps 15 bytes; the name is for people who look at threads.
    ::pthread_setname_np(thread_.native_handle(), thread_name.substr(0, 15).c_str());
}

Committer::Impl::~Impl() {
    {
        const std::lock_guard lock(mutex_);
        ending_ = true;
        work_.store(true, std::memory_order_release);
    }
    wake_.notify_one();
    thread_.join();
}

void Committer::Impl::queue(Lane& lane, std::unique_lock<std::mutex>& lock) {
    if (!lane.queued_) {
        lane.queued_ = true;
        ready_.push_back(&lane);
        work_.store(true, std::memory_order_release);
    }
    const bool wake = std::exchange(sleeping_, false);
    lock.unlock();
    if (wake) wake_.notify_one();
}

void Committer::Impl::enqueue(Lane& lane, Pending pending) {
    std::unique_lock lock(mutex_);
    lane.pending_.push_back(std::move(pending));
    queue(lane, lock);
}

void Committer::Impl::run(Lane& lane, const std::function<void()>& task) {
    bool done = false;
    {
        std::unique_lock lock(mutex_);
        lane.tasks_.emplace_back([&] {
            task();
            const std::lock_guard inner(mutex_);
            done = true;
        });
        queue(lane, lock);
    }
    std::unique_lock lock(mutex_);
    idle_.wait(lock, [&] { return done; });
}

void Committer::Impl::hold(bool on) {
    std::unique_lock lock(mutex_);
    held_ = on;
    wake_.notify_all();
    if (on) idle_.wait(lock, [&] { return !busy_; });
}

void Committer::Impl::drain(Lane& lane) {
    std::unique_lock lock(mutex_);
    idle_.wait(lock, [&] { return !lane.queued_ && !lane.running_; });
}

Committer::Progress Committer::Impl::progress() const {
    const std::lock_guard lock(mutex_);
    // Held back by a snapshot, it does not hang.
    return {turns_, !held_ && (busy_ || !ready_.empty())};
}

bool Committer::Impl::spin() const {
    const auto until = std::chrono::steady_clock::now() + kSpin;
    do {
        for (int i = 0; i < 16; ++i) {
            if (work_.load(std::memory_order_acquire)) return true;
            pause();
        }
    } while (std::chrono::steady_clock::now() < until);
    return false;
}

void Committer::Impl::serve() {
    std::vector<Lane*> lanes;
    std::vector<Pending> batch;
    std::vector<std::function<void()>> tasks;
    bool just_worked = false;
    for (;;) {
        if (just_worked) spin();
        std::unique_lock lock(mutex_);
        while (held_ || (ready_.empty() && !ending_)) {
            sleeping_ = true;
            wake_.wait(lock);
            sleeping_ = false;
        }
        if (ready_.empty()) return;
        lanes.swap(ready_);
        busy_ = true;
        work_.store(ending_, std::memory_order_relaxed);
        for (Lane* const lane : lanes) {
            lane->queued_ = false;
            lane->running_ = true;
            batch.swap(lane->pending_);
            tasks.swap(lane->tasks_);
            lock.unlock();
            for (const auto& task : tasks) task();
            if (!batch.empty()) lane->commit_batch(batch);
            tasks.clear();
            batch.clear();
            lock.lock();
            lane->running_ = false;
            ++turns_;
            idle_.notify_all();
        }
        lanes.clear();
        busy_ = false;
        if (held_) idle_.notify_all();
        just_worked = true;
    }
}

Committer::Committer(const std::string& thread_name) : impl_(std::make_unique<Impl>(thread_name)) {}
Committer::~Committer() = default;
void Committer::hold(bool on) { impl_->hold(on); }
Committer::Progress Committer::progress() const { return impl_->progress(); }

}  // namespace larder::storage
