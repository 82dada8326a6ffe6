// Runs that are asked for become runs that are over: a bounded queue, so many at once, one thread
// that watches all their processes. Each is recorded before it begins and before anybody is told of
// its end.
//
//   submit → queue → runner's thread: larder-run makes the sandbox ─┐
//          → recorder: a row ───────────────────────────────────────┴→ the program begins → its
//   result → recorder: the row → the program's counts → who waits is answered
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "execution_records.hpp"
#include "larder/host.hpp"
#include "programs_store.hpp"
#include "recorder.hpp"
#include "run.hpp"
#include "sandbox.hpp"

namespace larder::programs {

using RunPtr = std::shared_ptr<Run>;

class Runner {
public:
    Runner(Host& host, ProgramStore& store, ExecutionRecords& records, const Sandbox& sandbox);
    ~Runner();
    Runner(const Runner&) = delete;
    Runner& operator=(const Runner&) = delete;

    // Throws Error{too_many_requests, "queue-full"}, Error{unavailable}. `begun` is called once the
    // run is recorded, or refused: with the run, or of one that an earlier request with the same
    // key began and that is over, with its id alone. [any; begun: recorder]
    using Begun = std::function<void(const std::optional<Error>&, const RunPtr&, std::int64_t id)>;
    void submit(ExecutionRequest request, Begun begun);

    RunPtr find(std::int64_t id) const;  // null: it is over, or never was [any]
    // False where there is none under way. [any]
    bool cancel(std::int64_t id);
    void cancel_all(std::string_view program_id);
    std::size_t active(std::string_view program_id) const;  // queued and running

    void drain();  // cancels all, waits until all are over [control]
    Recorder& recorder() noexcept { return *recorder_; }
    void hold(bool on);  // for snapshots: no row and no count is written meanwhile
    void append_log(const Execution& execution);
    void remove_log(std::string_view program_id);  // of one that is gone
    std::string log_path(std::string_view program_id) const;

private:
    struct Process {
        RunPtr run;
        RunProcess process;
        FrameReader frames;
        std::string result, fault;  // why it could not be started
        bool may_begin = false, is_stopped = false, is_over = false;
    };
    void loop();
    void settle();
    void start_ready();
    void start(const RunPtr& run);
    void read(Process& process);
    void end(Process& process);
    void record_end(const RunPtr& run);
    void conclude(const RunPtr& run, const std::optional<Error>& failed);
    void stop_cancelled();
    void wake() const noexcept;
    std::size_t most_at_once() const;

    Host& host_;
    ProgramStore& store_;
    const Sandbox& sandbox_;
    Counter& begun_;
    Gauge &running_gauge_, &queued_gauge_;

    mutable std::mutex mutex_;  // guards what follows, up to the next one
    std::condition_variable idle_;
    std::map<std::int64_t, RunPtr> active_;
    std::deque<RunPtr> queue_;   // perhaps not recorded yet
    std::size_t submitted_ = 0;  // not over yet
    std::size_t waiting_ = 0;    // of them, not begun yet
    bool draining_ = false, ending_ = false;

    std::vector<std::unique_ptr<Process>> processes_;  // the thread's
    int epoll_ = -1, wake_fd_ = -1;
    std::mutex log_mutex_;  // guards the log files
    std::unique_ptr<Recorder> recorder_;
    std::thread thread_;
};

}  // namespace larder::programs
