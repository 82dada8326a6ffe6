// The one thread that writes what runs begin and end with: all that waits goes into one
// transaction, so that many share a sync. Reads go past it.
#pragma once

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "execution_records.hpp"
#include "larder/error.hpp"
#include "larder/host.hpp"

namespace larder::programs {

class Recorder {
public:
    struct Begun {
        std::optional<Error> refused;
        std::int64_t id = 0;
        bool is_repeated = false;  // an earlier request with this key began it
    };
    using BeginDone = std::function<void(const Begun&)>;
    using EndDone = std::function<void(const std::optional<Error>&)>;

    Recorder(ExecutionRecords& records, Log& log);
    ~Recorder();  // writes what waits
    Recorder(const Recorder&) = delete;
    Recorder& operator=(const Recorder&) = delete;

    // `done` is called once, when it is durable or refused. Both arguments must live till then.
    // `beside` is called before that: what it starts goes to the disk meanwhile.
    // [any; beside, done: recorder]
    void begin(const ExecutionRequest& request, Execution& execution, BeginDone done);
    void end(const Execution& execution, std::function<void()> beside, EndDone done);
    // Waits until nothing is under way, and keeps it so. [any]
    void hold(bool on);
    struct Standing {
        std::uint64_t done;  // transactions
        bool waiting;
    };
    Standing progress();  // [any]

private:
    struct Job {
        const ExecutionRequest* request;  // null: an end
        Execution* begun;
        const Execution* ended;
        BeginDone begin_done;
        std::function<void()> beside;
        EndDone end_done;
        Begun outcome;
    };
    void loop();
    void write(std::vector<Job>& jobs);

    ExecutionRecords& records_;
    Log& log_;
    std::mutex mutex_;
    std::condition_variable changed_;
    std::vector<Job> waiting_;  // guarded by mutex_, as all below
    bool ending_ = false, held_ = false, busy_ = false;
    std::uint64_t done_ = 0;
    std::thread thread_;
};

}  // namespace larder::programs
