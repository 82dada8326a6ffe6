// The bounded pool of threads that blocking work runs on. Not a scheduler: tasks run in the order
// they came, as soon as a worker is free.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <string_view>
#include <thread>
#include <vector>

#include "larder/host.hpp"

namespace larder::jobs {

class WorkerPool final : public Workers {
public:
    // Threads start when there is first work for them. `complain` hears of tasks that throw. [any]
    WorkerPool(std::size_t threads, std::size_t queue,
               std::function<void(std::string_view what)> complain);
    ~WorkerPool();  // runs what is queued, then ends
    WorkerPool(const WorkerPool&) = delete;
    WorkerPool& operator=(const WorkerPool&) = delete;

    static constexpr std::size_t kMostBeside = 16;

    bool post(Task task) override;
    // For the next step of work that was admitted by post(): never refused, goes before the rest.
    void resume(Task task);

    // On a thread beyond the limit, before the rest: for an admin's work, which must go on when all
    // others hang. False: kMostBeside of them are under way. [any]
    [[nodiscard]] bool post_beside(Task task);

    std::size_t queued() const;   // [any]
    std::size_t running() const;  // [any]
    // How many tasks were ever begun, and whether one waits that no thread is free for. [any]
    struct Progress {
        std::uint64_t begun;
        bool waiting;
    };
    Progress progress() const;

private:
    void run();
    void start_one_if_wanted();
    void leave_beside();

    const std::size_t max_threads_, max_queue_;
    const std::function<void(std::string_view)> complain_;

    mutable std::mutex mutex_;  // guards all below
    std::condition_variable work_;
    std::deque<Task> queue_;
    std::vector<std::thread> threads_;
    std::size_t idle_ = 0, beside_ = 0;
    std::uint64_t begun_ = 0;
    bool stopping_ = false;
};

}  // namespace larder::jobs
