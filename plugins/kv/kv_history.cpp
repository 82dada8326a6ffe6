#include "kv_history.hpp"

#include <algorithm>
#include <utility>

namespace larder::kv {
namespace {

using storage::Event;
using storage::Version;

// What a document costs beside its texts: its own block, the shared count, the event.
constexpr std::uint64_t kPerEvent = 128;

BatchPtr make_batch(std::vector<Event>&& events) {
    auto batch = std::make_shared<Batch>();
    batch->events = std::move(events);
    for (const Event& event : batch->events) {
        batch->bytes += kPerEvent + event.document->key.size() + event.document->value.size() +
                        event.document->metadata.size();
    }
    return batch;
}

}  // namespace

std::uint64_t HistoryPool::bytes() const {
    const std::lock_guard lock(mutex_);
    return bytes_;
}

History::~History() {
    const std::lock_guard lock(pool_.mutex_);
    drop_all();
}

// What goes is let go of by the caller, after the lock.
std::vector<BatchPtr> History::make_room() {
    std::vector<BatchPtr> gone;
    while (pool_.bytes_ > pool_.most_bytes_ && pool_.order_.size() > 1) {
        History& oldest = *pool_.order_.front();
        pool_.order_.pop_front();
        gone.push_back(std::move(oldest.batches_.front()));
        oldest.batches_.pop_front();
        oldest.after_ = gone.back()->last();
        pool_.bytes_ -= gone.back()->bytes;
    }
    return gone;
}

std::vector<BatchPtr> History::drop_all() {
    std::vector<BatchPtr> gone(batches_.begin(), batches_.end());
    batches_.clear();
    for (const BatchPtr& batch : gone) pool_.bytes_ -= batch->bytes;
    if (!gone.empty()) std::erase(pool_.order_, this);
    return gone;
}

void History::tell() {
    if (watchers.load(std::memory_order_acquire) == 0) return;
    dirty.store(true, std::memory_order_release);
    pool_.wake();
}

void History::add(std::vector<Event>&& events) {
    BatchPtr batch = make_batch(std::move(events));
    std::vector<BatchPtr> gone;
    {
        const std::lock_guard lock(pool_.mutex_);
        if (batches_.empty()) after_ = batch->first() - 1;
        newest_ = batch->last();
        pool_.bytes_ += batch->bytes;
        batches_.push_back(std::move(batch));
        pool_.order_.push_back(this);
        gone = make_room();
    }
    tell();
}

void History::opened(const Version& version) {
    const std::lock_guard lock(pool_.mutex_);
    epoch_ = version.epoch;
    if (newest_ == version.revision) return;
    drop_all();
    after_ = newest_ = version.revision;
}

void History::begin_anew(const Version& version) {
    std::vector<BatchPtr> gone;
    {
        const std::lock_guard lock(pool_.mutex_);
        gone = drop_all();
        epoch_ = version.epoch;
        after_ = newest_ = version.revision;
    }
    tell();
}

Version History::newest() const {
    const std::lock_guard lock(pool_.mutex_);
    return {epoch_, newest_};
}

History::Reach History::since(const Version& after, std::uint64_t most_bytes,
                              std::vector<BatchPtr>& batches) const {
    const std::lock_guard lock(pool_.mutex_);
    if (after.epoch != epoch_) return Reach::other_epoch;
    if (after.revision < after_) return Reach::compacted;
    auto batch = std::upper_bound(
        batches_.begin(), batches_.end(), after.revision,
        [](std::uint64_t revision, const BatchPtr& kept) { return revision < kept->last(); });
    std::uint64_t bytes = 0;
    for (; batch != batches_.end() && bytes < most_bytes; ++batch) {
        batches.push_back(*batch);
        bytes += (*batch)->bytes;
    }
    return Reach::whole;
}

}  // namespace larder::kv
