// The recent changes of buckets, kept in memory so that watchers can go on where they left off.
// Knows no watchers and no HTTP.
//
// Batches are immutable and shared; what all buckets keep together is bounded, the oldest go first.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include "storage-kit/document_store.hpp"

namespace larder::kv {

// Whole commits of one bucket, in order; never empty.
struct Batch {
    std::vector<storage::Event> events;
    std::uint64_t bytes = 0;  // of memory, about

    std::uint64_t first() const { return events.front().document->revision; }
    std::uint64_t last() const { return events.back().document->revision; }
};
using BatchPtr = std::shared_ptr<const Batch>;

class History;

// What the histories of all buckets share. Must outlive them.
class HistoryPool {
public:
    explicit HistoryPool(std::uint64_t most_bytes) : most_bytes_(most_bytes) {}
    std::uint64_t bytes() const;  // [any]

    // Called after a bucket that is watched has changed. Set before anybody watches. [control]
    std::function<void()> wake;

private:
    friend class History;
    const std::uint64_t most_bytes_;
    mutable std::mutex mutex_;
    // Guarded by mutex_, as are the batches of every history.
    std::uint64_t bytes_ = 0;
    std::deque<History*> order_;  // whose batch is the next oldest
};

// One bucket's.
class History {
public:
    explicit History(HistoryPool& pool) : pool_(pool) {}
    ~History();
    History(const History&) = delete;
    History& operator=(const History&) = delete;

    // ---- [committer, or whoever opens the store]
    void add(std::vector<storage::Event>&& events);
    void opened(const storage::Version& version);  // after what add() got of the journal
    void begin_anew(const storage::Version& version);

    // ---- [any]
    storage::Version newest() const;
    enum class Reach : std::uint8_t { whole = 1, compacted, other_epoch };
    // The batches that hold what came after `after`, oldest first, until they have `most_bytes`.
    // `compacted`: some of it is not kept any more.
    Reach since(const storage::Version& after, std::uint64_t most_bytes,
                std::vector<BatchPtr>& batches) const;

    std::atomic<std::size_t> watchers = 0;
    std::atomic<bool> dirty = false;  // something came, or somebody can take more

private:
    void tell();
    std::vector<BatchPtr> make_room();
    std::vector<BatchPtr> drop_all();

    HistoryPool& pool_;
    // Guarded by the pool's mutex.
    std::deque<BatchPtr> batches_;
    std::uint64_t epoch_ = 0, after_ = 0, newest_ = 0;  // kept is what came in (after_, newest_]
};

}  // namespace larder::kv
