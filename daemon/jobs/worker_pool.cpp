#include "jobs/worker_pool.hpp"

#include <pthread.h>

#include <exception>
#include <utility>

namespace larder::jobs {

WorkerPool::WorkerPool(std::size_t threads, std::size_t queue,
                       std::function<void(std::string_view)> complain)
    : max_threads_(threads), max_queue_(queue), complain_(std::move(complain)) {}

WorkerPool::~WorkerPool() {
    std::vector<std::thread> threads;
    {
        const std::scoped_lock lock(mutex_);
        stopping_ = true;
        threads.swap(threads_);
    }
    work_.notify_all();
    for (std::thread& thread : threads) thread.join();
}

bool WorkerPool::post(Task task) {
    const std::scoped_lock lock(mutex_);
    if (stopping_ || queue_.size() >= max_queue_) return false;
    queue_.push_back(std::move(task));
    start_one_if_wanted();
    work_.notify_one();
    return true;
}

void WorkerPool::resume(Task task) {
    const std::scoped_lock lock(mutex_);
    queue_.push_front(std::move(task));
    start_one_if_wanted();
    work_.notify_one();
}

void WorkerPool::start_one_if_wanted() {
    if (queue_.size() <= idle_ || threads_.size() >= max_threads_ + beside_ || stopping_) return;
    threads_.emplace_back([this] { run(); });
}

bool WorkerPool::post_beside(Task task) {
    const std::scoped_lock lock(mutex_);
    if (stopping_ || beside_ == kMostBeside) return false;
    ++beside_;
    queue_.push_front([this, task = std::move(task)]() mutable {
        struct Leaver {
            WorkerPool& pool;
            ~Leaver() { pool.leave_beside(); }
        } const leaver{*this};
        task();
    });
    start_one_if_wanted();
    work_.notify_one();
    return true;
}

// Its thread stays, idle: there are never more of them than kMostBeside.
void WorkerPool::leave_beside() {
    const std::scoped_lock lock(mutex_);
    --beside_;
}

void WorkerPool::run() {
    pthread_setname_np(pthread_self(), "larder-worker");
    std::unique_lock lock(mutex_);
    for (;;) {
        ++idle_;
        work_.wait(lock, [this] { return !queue_.empty() || stopping_; });
        --idle_;
        if (queue_.empty()) return;
        {
            Task task = std::move(queue_.front());
            queue_.pop_front();
            ++begun_;
            lock.unlock();
            try {
                task();
            } catch (const std::exception& error) {
                complain_(error.what());
            } catch (...) {
                complain_("threw something that is no std::exception");
            }
        }
        lock.lock();
    }
}

std::size_t WorkerPool::queued() const {
    const std::scoped_lock lock(mutex_);
    return queue_.size();
}

WorkerPool::Progress WorkerPool::progress() const {
    const std::scoped_lock lock(mutex_);
    return {begun_, !queue_.empty()};
}

std::size_t WorkerPool::running() const {
    const std::scoped_lock lock(mutex_);
    return threads_.size() - idle_;
}

}  // namespace larder::jobs
