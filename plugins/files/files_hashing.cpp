#include "files_hashing.hpp"

#include <atomic>
#include <exception>
#include <memory>
#include <utility>

namespace larder::files {
namespace {

constexpr std::size_t kWorthIt = 64U << 10U;  // bytes; less than a hand-over costs

// One piece's work, which belongs to whoever claims it first.
class Turn {
public:
    explicit Turn(const std::function<void()>& work) : work_(work) {}

    void run_if_free() {
        int expected = kFree;
        if (!state_.compare_exchange_strong(expected, kClaimed)) return;
        try {
            work_();
        } catch (const std::exception&) {
            failure_ = std::current_exception();
        }
        state_.store(kDone);
        state_.notify_all();
    }
    void finish() {
        run_if_free();
        state_.wait(kClaimed);
    }
    void rethrow() const {
        if (failure_) std::rethrow_exception(failure_);
    }

private:
    static constexpr int kFree = 0, kClaimed = 1, kDone = 2;

    std::atomic<int> state_{kFree};
    const std::function<void()>& work_;
    std::exception_ptr failure_;  // written before kDone
};

// The other worker looks at what is the caller's: nobody leaves before it is done.
class Finisher {
public:
    explicit Finisher(Turn& turn) : turn_(turn) {}
    ~Finisher() { turn_.finish(); }
    Finisher(const Finisher&) = delete;
    Finisher& operator=(const Finisher&) = delete;

private:
    Turn& turn_;
};

}  // namespace

void hash_beside(Workers& workers, storage::Sha256& sha, std::string_view bytes,
                 const std::function<void()>& work) {
    if (bytes.size() < kWorthIt) {
        sha.update(bytes);
        return work();
    }
    const auto turn = std::make_shared<Turn>(work);
    // Where the queue is full nobody takes it, and it is done below.
    [[maybe_unused]] const bool posted = workers.post([turn] { turn->run_if_free(); });
    {
        const Finisher finisher(*turn);
        sha.update(bytes);
    }
    turn->rethrow();
}

}  // namespace larder::files
