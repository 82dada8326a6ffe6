// One run while somebody may wait for it or watch it: what it printed so far, who is to be told.
// Not the process: that is the runner's.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "execution.hpp"
#include "larder/error.hpp"
#include "larder/http.hpp"
#include "run_protocol.hpp"

namespace larder::programs {

class Run : public std::enable_shared_from_this<Run> {
public:
    explicit Run(ExecutionRequest request);

    const ExecutionRequest request;
    std::atomic<bool> cancel_wanted{false};
    // A run's sandbox is made while its row is written; its program begins once that is durable.
    enum class Standing : std::uint8_t { arriving = 1, recorded, refused };
    std::atomic<Standing> standing{Standing::arriving};

    // ---- by the runner

    // The row as the recorder writes it; nobody else looks at it before complete().
    Execution& record() noexcept { return record_; }
    void begin(std::int64_t start_ms, std::string_view isolation);
    void take(protocol::Frame kind, std::string_view bytes);
    // From the items of the last frame; fills record().
    void finish(std::string_view items, std::int64_t end_ms);
    void finish_without_run(std::string_view state, std::string_view why, std::int64_t end_ms);
    // Answers all who wait, ends all streams. `failed`: the record could not be written. [any]
    void complete(const std::optional<Error>& failed);
    // What the sandbox said when it could not begin. Empty: it could.
    const std::string& sandbox_fault() const noexcept { return fault_; }

    // ---- by requests [any]

    void await(Reply reply);
    void watch(Reply reply);
    Execution now() const;  // with its output so far
    void heartbeat();

private:
    struct Watcher {
        std::shared_ptr<EventStream> stream;
        std::size_t out_at = 0, err_at = 0;        // in the first parts
        std::uint64_t out_seen = 0, err_seen = 0;  // bytes of the streams
        bool blocked = false, gone = false, told = false;
    };
    void attend(Watcher& watcher);                        // with mutex_ held
    bool send(Watcher& watcher, std::string block);       // with mutex_ held
    bool send_first(Watcher& watcher, bool is_err);       // with mutex_ held
    void send_live(bool is_err, std::string_view bytes);  // with mutex_ held
    void answer(Reply reply) const;                       // once it is over

    Execution record_;
    std::string fault_;
    mutable std::mutex mutex_;  // guards what follows
    std::string out_first_, err_first_, out_last_, err_last_;
    Execution shown_;  // the state that others see
    bool over_ = false;
    std::optional<Error> failed_;
    std::vector<Reply> waiting_;
    std::vector<std::shared_ptr<Watcher>> watchers_;
};

// "event: NAME\ndata: DATA\n\n"
std::string event_block(std::string_view name, std::string_view data);
// The stream of a run that is over. [any]
std::string replay(const Execution& execution);

}  // namespace larder::programs
