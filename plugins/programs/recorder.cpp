#include "recorder.hpp"

#include <fmt/format.h>
#include <pthread.h>

#include <utility>

namespace larder::programs {

Recorder::Recorder(ExecutionRecords& records, Log& log)
    : records_(records), log_(log), thread_([this] { loop(); }) {
    pthread_setname_np(thread_.native_handle(), "programs-record");
}

Recorder::~Recorder() {
    {
        const std::scoped_lock lock(mutex_);
        ending_ = true;
        held_ = false;
    }
    changed_.notify_all();
    thread_.join();
}

void Recorder::begin(const ExecutionRequest& request, Execution& execution, BeginDone done) {
    const std::scoped_lock lock(mutex_);
    waiting_.push_back({&request, &execution, nullptr, std::move(done), {}, {}, {}});
    changed_.notify_all();
}

void Recorder::end(const Execution& execution, std::function<void()> beside, EndDone done) {
    const std::scoped_lock lock(mutex_);
    waiting_.push_back({nullptr, nullptr, &execution, {}, std::move(beside), std::move(done), {}});
    changed_.notify_all();
}

void Recorder::hold(bool on) {
    std::unique_lock lock(mutex_);
    held_ = on;
    changed_.notify_all();
    if (on) changed_.wait(lock, [this] { return !busy_; });
}

void Recorder::loop() {
    std::unique_lock lock(mutex_);
    for (;;) {
        changed_.wait(lock, [this] { return !held_ && (!waiting_.empty() || ending_); });
        if (waiting_.empty()) return;
        std::vector<Job> jobs = std::exchange(waiting_, {});
        busy_ = true;
        lock.unlock();
        write(jobs);
        lock.lock();
        busy_ = false;
        ++done_;
        changed_.notify_all();
    }
}

Recorder::Standing Recorder::progress() {
    const std::scoped_lock lock(mutex_);
    return {done_, busy_ || !waiting_.empty()};
}

void Recorder::write(std::vector<Job>& jobs) {
    for (const Job& job : jobs) {
        if (job.beside) job.beside();
    }
    std::optional<Error> failed;
    try {
        records_.write([&](storage::sqlite::Connection& connection) {
            for (Job& job : jobs) {
                if (job.request == nullptr) {
                    ExecutionRecords::end(connection, *job.ended);
                    continue;
                }
                job.outcome = {};
                try {
                    const auto earlier =
                        ExecutionRecords::add(connection, *job.request, *job.begun);
                    job.outcome.is_repeated = earlier.has_value();
                    job.outcome.id = earlier.value_or(job.begun->id);
                } catch (const Error& error) {
                    if (error.code() != Errc::unprocessable) throw;
                    job.outcome.refused = error;  // it alone
                }
            }
        });
    } catch (const Error& error) {
        log_.write(Level::error, fmt::format("executions were not recorded: {} ({})", error.what(),
                                             error.internal()));
        failed = error;
    }
    for (Job& job : jobs) {
        if (job.request == nullptr) {
            job.end_done(failed);
        } else {
            if (failed) job.outcome.refused = failed;
            job.begin_done(job.outcome);
        }
    }
}

}  // namespace larder::programs
