// Work on backups: one piece after the other on a thread of its own, with progress that anybody may
// follow and answers that hold no worker while they wait. Knows nothing of what the work is.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "larder/host.hpp"
#include "larder/http.hpp"

namespace larder::backup {

// One piece of work, from being asked for to being over.
class Operation {
public:
    enum class State : std::uint8_t { queued = 1, running, done, failed };

    Operation(std::string its_kind, std::string of_backup)
        : kind(std::move(its_kind)), backup_id(std::move(of_backup)) {}

    const std::string kind, backup_id;  // "create" "verify" "restore" "copy"…
    // Set by the work, read by anybody. `total` 0: not known.
    std::atomic<std::uint64_t> bytes{0}, total{0}, files{0};

    void phase(std::string_view name);  // "archive" "verify"…; counts begin anew [worker]
    // Throws Error{unavailable, "cancelled"} when it is to end. [worker]
    void check() const;
    void cancel() noexcept { cancelled_ = true; }  // [any]
    State state() const;                           // [any]
    std::string json() const;                      // a JSON object [any]
    // Of one that is over: what it answered, or why it failed. [any]
    std::optional<Error> fault() const;
    // Waits until it is over, as long as `go_on` says so, asked ten times a second. [worker]
    void wait(const std::function<bool()>& go_on);

private:
    friend class Operations;
    std::atomic<bool> cancelled_{false};
    mutable std::mutex mutex_;
    std::condition_variable over_;
    State state_ = State::queued;  // guarded by mutex_, as all below
    std::string phase_;
    int status_ = 200;
    std::string body_;
    std::optional<Error> fault_;
};
using OperationPtr = std::shared_ptr<Operation>;

struct Answered {
    int status = 200;
    std::string body;  // JSON
};
// Throws Error, std::system_error. [the operations' thread]
using Work = std::function<Answered(Operation&)>;

class Operations {
public:
    explicit Operations(Host& host);
    ~Operations();
    Operations(const Operations&) = delete;
    Operations& operator=(const Operations&) = delete;

    // Throws Error{unavailable, "overloaded"} where too many wait already. [any]
    OperationPtr begin(std::string kind, std::string backup_id, Work work);
    // The same under an id that `choose` makes and no other that is known has.
    using Choose = std::function<std::string(const std::function<bool(const std::string&)>& taken)>;
    OperationPtr begin(std::string kind, const Choose& choose, Work work);
    // The latest of this backup, also some time after it was over; of this kind where one is
    // named. Null: none. [any]
    OperationPtr find(std::string_view backup_id, std::string_view kind = {}) const;
    std::vector<OperationPtr> under_way() const;

    // Answers when it is over; without that within `patience`, with 202 and where to look. [any]
    void answer(const OperationPtr& operation, Reply reply,
                std::optional<std::chrono::milliseconds> patience);
    // Sends its progress until it is over. [any]
    void follow(const OperationPtr& operation, Reply reply);

    // Ends what is under way, answers who waits. [control]
    void drain() noexcept;

private:
    using Clock = std::chrono::steady_clock;
    struct Queued {
        OperationPtr operation;
        Work work;
    };
    struct Waiting {
        OperationPtr operation;
        Reply reply;
        std::optional<Clock::time_point> deadline;
    };
    struct Follower {
        OperationPtr operation;
        std::shared_ptr<EventStream> stream;
        std::string last;  // what it was told
        Clock::time_point told;
    };

    OperationPtr enqueue(std::string kind, std::string backup_id, Work work);
    void run();
    void carry_out(const Queued& next);
    void tell();
    void answer_due(bool ending);
    void feed_followers(bool ending);

    Host& host_;
    mutable std::mutex mutex_;
    std::condition_variable changed_;
    bool ending_ = false;  // guarded by mutex_, as all below
    std::deque<Queued> queue_;
    std::deque<OperationPtr> latest_;  // newest last
    std::vector<Waiting> waiting_;
    std::vector<Follower> followers_;
    std::thread runner_, teller_;
};

// `wait=60` of a Prefer header (RFC 7240); nothing where it asks for none.
std::optional<std::chrono::milliseconds> wait_of(const Request& request);
bool wants_async(const Request& request);  // `respond-async`
// 202, and where to look.
Response accepted(const Operation& operation);

}  // namespace larder::backup
