// Watching: from the histories of buckets to the streams of those who watch them. Changes nothing.
//
//   committer → History (memory, bounded) → one fan-out thread → blocks → streams → reactors
//
// The committer only appends to a history and, if somebody watches, wakes the fan-out when that
// sleeps. The fan-out goes in rounds. In a round every watcher gets what came since its position,
// as one block; a block is made once for all who stand at the same place and want the same, so that
// a thousand watchers cost a thousand times a queue's lock, not a thousand times the text. After a
// round it rests for a while that grows with the number of watchers: that bounds what they cost,
// and is the most that a change waits beside the round itself (2 ms for one watcher, 52 ms for a
// thousand, 250 ms at most). A change that comes while it rests already long goes out at once.
// A watcher whose queue is full stays at its position until there is room. If its position falls
// out of the history before, it is cut off, and may come back by its last id as long as that is
// kept.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "kv_buckets.hpp"
#include "kv_history.hpp"
#include "larder/host.hpp"
#include "larder/http.hpp"

namespace larder::kv {

struct WatchOptions {
    std::size_t most_watchers = 0;
    std::uint64_t most_bytes = 0;  // of blocks that have not left yet
};

class Watches {
public:
    Watches(Buckets& buckets, Host& host, WatchOptions options);
    ~Watches();
    Watches(const Watches&) = delete;
    Watches& operator=(const Watches&) = delete;

    // Answers `GET /api/kv/{bucket}?watch=true`. Throws Error{not_found, "bucket-not-found"},
    // Error{bad_request, "invalid-parameter"}, Error{gone, "compacted"},
    // Error{gone, "epoch-changed"}, Error{unavailable, "too-many-watchers"}. [io]
    void open(const Request& request, Reply reply);

    // Sends everybody what there is, tells them where they stand and ends their streams. [control]
    void drain();

    void wake() noexcept;  // something came [any]

private:
    struct Watcher;
    using WatcherPtr = std::shared_ptr<Watcher>;
    class Round;

    void serve();
    void adopt(std::vector<WatcherPtr> fresh);
    bool go_round();  // true: somebody is not up to date yet, and could take more
    bool attend(Watcher& watcher, Round& round);
    static EventStream::Sent give(Watcher& watcher, std::shared_ptr<const std::string> block);
    void beat();
    void end_all();
    void let_go(Watcher& watcher) noexcept;
    std::chrono::milliseconds rest() const;

    Buckets& buckets_;
    const WatchOptions options_;
    Gauge& gauge_;
    Counter& cut_off_;
    std::atomic<std::size_t> active_ = 0;
    std::atomic<bool> work_ = false;
    const std::shared_ptr<std::atomic<std::uint64_t>> outstanding_;  // bytes of blocks that live

    std::mutex mutex_;
    std::condition_variable wake_, drained_;
    std::vector<WatcherPtr> fresh_;                                             // guarded by mutex_
    bool sleeping_ = false, draining_ = false, over_ = false, ending_ = false;  // guarded by mutex_

    // Only the thread.
    std::map<Bucket*, std::vector<WatcherPtr>> watched_;
    std::thread thread_;
};

}  // namespace larder::kv
