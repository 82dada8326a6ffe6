// The engine: recovery's result in memory, batches from the committer to the journal, checkpoints.
// Not the formats (journal.cpp, checkpoint.cpp) nor the rules of opening (recovery.cpp), nor which
// segment is where (journal_files.cpp).
//
//   Impl            state, and who may touch what
//   opening         from recover() to a store that may be written
//   committing      judge, write, sync, show, answer
//   checkpointing   rotate, walk, publish; close
#include "storage-kit/document_store.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <shared_mutex>
#include <utility>

#include "larder/time.hpp"
#include "storage-kit/checkpoint.hpp"
#include "storage-kit/committer.hpp"
#include "storage-kit/index.hpp"
#include "storage-kit/journal_files.hpp"
#include "storage-kit/judge.hpp"
#include "storage-kit/recovery.hpp"

namespace larder::storage {
namespace {

constexpr std::size_t kBatchBytes = 8U << 20U;     // more is left to the next batch
constexpr std::size_t kWalkChunk = 1000;           // documents read under the lock at once
constexpr std::size_t kInPlaceBytes = 16U << 20U;  // folded in a moment, with the committer stopped

Error disk_full(const std::string& internal) {
    return Error(Errc::no_space, "disk-full", "the disk is full: nothing was changed")
        .because(internal);
}
Error storage_failed(const std::string& internal) {
    return Error(Errc::io_failed, "storage-failed", "the disk failed: the change may not be kept")
        .because(internal);
}
Error read_only(const std::string& internal) {
    return Error(Errc::unavailable, "read-only",
                 "the store cannot be written until it is restarted")
        .because(internal);
}
Error no_descriptors(const std::string& internal) {
    return Error(Errc::unavailable, "overloaded", "too many files are open: nothing was changed")
        .with_header("Retry-After", "1")
        .because(internal);
}
Error as_error(const std::system_error& error) {
    return is_no_space(error) ? disk_full(error.what()) : storage_failed(error.what());
}

}  // namespace

class DocumentStore::Impl final : public Committer::Impl::Lane {
    using Pending = Committer::Impl::Pending;

public:
    Impl(FileSystem& files, const std::string& path, Committer& committer, StoreOptions options)
        : files_(files),
          paths_(path),
          committer_(committer.impl()),
          options_(std::move(options)),
          journal_(files, paths_),
          judge_(index_) {
        if (!options_.clock_ms) options_.clock_ms = unix_now_ms;
    }

    void open();
    void commit_batch(std::vector<Pending>& batch) override;
    void checkpoint();
    void close();
    std::string reason() const;

    // ---- constant after construction
    FileSystem& files_;
    const checkpoint::Paths paths_;
    Committer::Impl& committer_;
    StoreOptions options_;

    // ---- guarded by map_mutex_; the committer, which alone writes, reads without it
    mutable std::shared_mutex map_mutex_;
    Index index_;

    // ---- written by the committer (and open), read by any
    std::uint64_t epoch_ = 1;  // constant after open
    std::atomic<std::uint64_t> revision_ = 0, count_ = 0, value_bytes_ = 0;
    std::atomic<StoreState> state_ = StoreState::open;
    mutable std::mutex reason_mutex_;
    std::string reason_;  // guarded by reason_mutex_
    std::atomic<bool> closed_ = false;

    // ---- the committer's alone (and open's, and close's when nothing is pending)
    JournalFiles journal_;
    Judge judge_;
    std::vector<Outcome> outcomes_;
    bool grew_in_vain_ = false;  // in this batch

    // ---- the checkpoint's, guarded by checkpoint_mutex_
    std::mutex checkpoint_mutex_;
    std::uint64_t folded_ = 0;
    std::string json_sha256_;

private:
    // committing
    std::size_t commit_some(std::vector<Pending>& batch, std::size_t first);
    Outcome judge(const Change& change);
    std::optional<Error> lack_of_room(bool removal_only);
    std::optional<Error> write_batch();
    void show();
    void refuse(std::vector<Pending>& batch, std::size_t from, std::size_t to, const Error& error);
    void set_state(StoreState state, const std::string& why);
    Version version_now() const { return {epoch_, revision_.load(std::memory_order_relaxed)}; }
    void count_up();

    // checkpointing
    void fold();
    void fold_in_place();
    std::uint64_t checkpoint_bytes_about() const;
    void rotate();
    void write_checkpoint();
};

// ---- opening

void DocumentStore::Impl::open() {
    Recovered found;
    try {
        found = recover(files_, paths_, options_.clock_ms(), options_.report);
    } catch (const Error& error) {
        if (options_.report) options_.report({Finding::Kind::unreadable, error.internal()});
        throw;
    }
    index_ = std::move(found.index);
    epoch_ = found.epoch;
    revision_ = found.revision;
    folded_ = found.folded;
    json_sha256_ = std::move(found.json_sha256);
    count_up();
    if (!found.damage.empty()) return set_state(StoreState::read_only, found.damage);
    if (found.must_fold) {
        write_checkpoint();
        found.has_records = false;
    }
    journal_.start(found, epoch_, index_.size() > 0);
}

void DocumentStore::Impl::count_up() {
    count_.store(index_.size(), std::memory_order_relaxed);
    value_bytes_.store(index_.bytes(), std::memory_order_relaxed);
}

// ---- committing

void DocumentStore::Impl::commit_batch(std::vector<Pending>& batch) {
    std::size_t next = 0;
    while (next < batch.size()) next = commit_some(batch, next);
}

// Returns the first change that was not answered yet.
std::size_t DocumentStore::Impl::commit_some(std::vector<Pending>& batch, std::size_t first) {
    if (state_.load(std::memory_order_relaxed) == StoreState::read_only || closed_) {
        refuse(batch, first, batch.size(),
               read_only(closed_ ? paths_.json + ": closed" : reason()));
        return batch.size();
    }
    judge_.begin_batch(revision_.load(std::memory_order_relaxed), options_.clock_ms());
    outcomes_.clear();
    grew_in_vain_ = false;
    std::size_t next = first;
    std::optional<Error> failure;
    try {
        while (next < batch.size() && (next == first || judge_.line().size() < kBatchBytes)) {
            outcomes_.push_back(judge(batch[next].change));
            ++next;
        }
        if (judge_.changed()) failure = write_batch();
    } catch (const std::system_error& error) {
        failure = storage_failed(error.what());
    }
    if (failure) {
        if (failure->code() == Errc::no_space) {
            set_state(StoreState::full, failure->internal());
        } else {
            set_state(StoreState::read_only, failure->internal());
            next = batch.size();
        }
        judge_.end_batch();
        refuse(batch, first, next, *failure);
        return next;
    }
    if (judge_.changed()) show();
    judge_.end_batch();
    for (std::size_t i = first; i < next; ++i) {
        if (batch[i].done) batch[i].done(outcomes_[i - first]);
    }
    return next;
}

Outcome DocumentStore::Impl::judge(const Change& change) {
    Outcome outcome;
    judge_.begin_change();
    try {
        change(judge_);
    } catch (const Error& error) {
        outcome.refused = error;
    } catch (const std::exception& error) {
        outcome.refused = Error(Errc::internal, "internal", "the change could not be judged")
                              .because(error.what());
    }
    if (!outcome.refused) {
        const Judge::Verdict verdict = judge_.end_change();
        if (verdict.changed) outcome.refused = lack_of_room(verdict.removal_only);
        if (!outcome.refused) judge_.accept(verdict);
    }
    if (outcome.refused) judge_.undo();
    outcome.version = {epoch_, judge_.revision_after()};
    return outcome;
}

// Why the journal cannot take what line() holds now, if it cannot.
std::optional<Error> DocumentStore::Impl::lack_of_room(bool removal_only) {
    constexpr std::size_t kClosing = 2;
    const std::uint64_t length = judge_.line().size() + kClosing;
    bool fits = false;
    try {
        fits = journal_.has_room(length, removal_only, !grew_in_vain_,
                                 {epoch_, revision_.load(std::memory_order_relaxed)});
    } catch (const std::system_error& error) {
        // A store that has no journal yet has nothing to lose by trying again.
        if (journal_.has_current() || !is_out_of_descriptors(error)) throw;
        return no_descriptors(error.what());
    }
    if (!fits) {
        grew_in_vain_ = true;
        const std::string why = paths_.journal + ": no space to grow";
        set_state(StoreState::full, why);
        return disk_full(why);
    }
    if (!removal_only && state_.load(std::memory_order_relaxed) == StoreState::full) {
        set_state(StoreState::open, {});
    }
    return std::nullopt;
}

// What happened instead, if it is not on disk now.
std::optional<Error> DocumentStore::Impl::write_batch() {
    journal::close_line(judge_.line());
    try {
        journal_.append(judge_.line());
    } catch (const std::system_error& error) {
        return as_error(error);
    }
    try {
        journal_.sync();
    } catch (const std::system_error& error) {
        return storage_failed(error.what());  // whatever it was: it is not known what is on disk
    }
    return std::nullopt;
}

void DocumentStore::Impl::show() {
    {
        const std::unique_lock lock(map_mutex_);
        judge_.apply(index_);
        revision_.store(judge_.revision_after(), std::memory_order_release);
        count_up();
    }
}

void DocumentStore::Impl::refuse(std::vector<Pending>& batch, std::size_t from, std::size_t to,
                                 const Error& error) {
    for (std::size_t i = from; i < to; ++i) {
        if (batch[i].done) batch[i].done({error, version_now()});
    }
}

void DocumentStore::Impl::set_state(StoreState state, const std::string& why) {
    {
        const std::lock_guard lock(reason_mutex_);
        const StoreState present = state_.load(std::memory_order_relaxed);
        if (present == state || present == StoreState::read_only) return;
        reason_ = why;
        state_.store(state, std::memory_order_release);
    }
    if (options_.state_changed) options_.state_changed(state, why);
}

std::string DocumentStore::Impl::reason() const {
    const std::lock_guard lock(reason_mutex_);
    return reason_;
}

// ---- checkpointing

void DocumentStore::Impl::checkpoint() {
    const std::lock_guard lock(checkpoint_mutex_);
    if (closed_ || state_.load() == StoreState::read_only) throw read_only(paths_.json);
    if (revision_.load(std::memory_order_acquire) == folded_) return;
    try {
        try {
            fold();
        } catch (const std::system_error& error) {
            const bool small = value_bytes_.load(std::memory_order_relaxed) <= kInPlaceBytes;
            if (!is_no_space(error) || !small) throw;
            fold_in_place();
        }
    } catch (const std::system_error& error) {
        throw as_error(error);
    }
}

void DocumentStore::Impl::fold() {
    if (!journal_.has_old()) rotate();
    write_checkpoint();
    journal_.remove_old();
}

// For a full disk, where only this makes room of what was removed: with commits stopped no second
// segment is wanted beside the first. The first one's reserve is lent to a checkpoint that it is
// enough for; to others not, since on a disk that others fill it would be lost to them.
void DocumentStore::Impl::fold_in_place() {
    std::optional<std::system_error> failed;
    committer_.run(*this, [&] {
        if (!journal_.has_current() || state_.load() == StoreState::read_only) return;
        try {
            if (checkpoint_bytes_about() <= journal_.spare()) journal_.lend_reserve();
            write_checkpoint();
            journal_.replace_all({epoch_, folded_});
        } catch (const std::system_error& error) {
            failed = error;
        }
        try {
            journal_.regain_reserve();
        } catch (const std::system_error& error) {
            failed = error;
        }
    });
    if (failed) throw std::system_error(*failed);
}

// Of both files together, with two pages for their ends.
std::uint64_t DocumentStore::Impl::checkpoint_bytes_about() const {
    constexpr std::uint64_t kLineBytes = 256;  // what a key's lines hold beside key and value
    return value_bytes_.load(std::memory_order_relaxed) +
           count_.load(std::memory_order_relaxed) * kLineBytes + (8U << 10U);
}

// A new segment is made here and put in place by the committer, between two batches.
void DocumentStore::Impl::rotate() {
    std::unique_ptr<journal::Segment> next = journal_.prepare();
    std::optional<std::system_error> failed;
    committer_.run(*this, [&] {
        try {
            journal_.write_header(*next, {epoch_, revision_.load(std::memory_order_relaxed)});
        } catch (const std::system_error& error) {
            failed = error;
            return;
        }
        try {
            journal_.move(std::move(next));
        } catch (const std::system_error& error) {
            // Commits would go to a file whose name is in doubt.
            set_state(StoreState::read_only, error.what());
            failed = error;
        }
    });
    if (failed) throw std::system_error(*failed);
}

// Writes what is in memory, while commits go on, and puts it in place.
void DocumentStore::Impl::write_checkpoint() {
    checkpoint::Head head;
    head.epoch = epoch_;
    head.previous_sha256 = json_sha256_;
    try {
        checkpoint::Writer writer(files_, paths_);
        std::vector<DocumentPtr> chunk;
        std::optional<std::string> after;
        do {
            chunk.clear();
            {
                const std::shared_lock lock(map_mutex_);
                if (!after) head.folded = revision_.load(std::memory_order_relaxed);
                head.revision = revision_.load(std::memory_order_relaxed);
                std::string_view last;
                if (after) last = *after;
                index_.walk({}, after ? &last : nullptr, [&](const DocumentPtr& document) {
                    chunk.push_back(document);
                    return chunk.size() < kWalkChunk;
                });
            }
            for (const DocumentPtr& document : chunk) writer.add(*document);
            if (!chunk.empty()) after = std::string(chunk.back()->key);
        } while (chunk.size() == kWalkChunk);
        writer.finish(head);
        // Whichever rename a crash takes back, the file is to be found under its other name.
        files_.sync_directory(paths_.folder);
        files_.rename(paths_.meta_tmp, paths_.meta);
    } catch (const std::system_error&) {
        files_.remove(paths_.json_tmp);
        files_.remove(paths_.meta_tmp);
        throw;
    }
    try {
        files_.rename(paths_.json_tmp, paths_.json);
        files_.sync_directory(paths_.folder);
    } catch (const std::system_error& error) {
        // Which of the files a crash would leave is not known; the journal still leads to both.
        set_state(StoreState::read_only, error.what());
        throw;
    }
    folded_ = head.folded;
    json_sha256_ = head.json_sha256;
}

void DocumentStore::Impl::close() {
    const std::lock_guard lock(checkpoint_mutex_);
    committer_.drain(*this);
    if (closed_.exchange(true) || state_.load() == StoreState::read_only) return;
    try {
        if (revision_.load() != folded_) write_checkpoint();
        journal_.remove_all();
    } catch (const std::system_error& error) {
        throw as_error(error);
    }
}

// ---- the public part

DocumentStore::DocumentStore(FileSystem& files, const std::string& path, Committer& committer,
                             StoreOptions options)
    : impl_(std::make_unique<Impl>(files, path, committer, std::move(options))) {
    try {
        impl_->open();
    } catch (const std::system_error& error) {
        throw as_error(error);
    }
}

DocumentStore::~DocumentStore() { impl_->committer_.drain(*impl_); }

DocumentPtr DocumentStore::get(std::string_view key) const {
    const std::shared_lock lock(impl_->map_mutex_);
    return impl_->index_.find(key);
}

std::vector<DocumentPtr> DocumentStore::list(std::string_view prefix, std::string_view after,
                                             std::size_t limit) const {
    std::vector<DocumentPtr> found;
    if (limit == 0) return found;
    const std::shared_lock lock(impl_->map_mutex_);
    impl_->index_.walk(prefix, after.empty() ? nullptr : &after, [&](const DocumentPtr& document) {
        found.push_back(document);
        return found.size() < limit;
    });
    return found;
}

Version DocumentStore::version() const {
    return {impl_->epoch_, impl_->revision_.load(std::memory_order_acquire)};
}
std::size_t DocumentStore::count() const { return impl_->count_.load(std::memory_order_relaxed); }
std::uint64_t DocumentStore::value_bytes() const {
    return impl_->value_bytes_.load(std::memory_order_relaxed);
}
StoreState DocumentStore::state() const { return impl_->state_.load(std::memory_order_acquire); }
std::string DocumentStore::state_reason() const { return impl_->reason(); }
std::uint64_t DocumentStore::journal_bytes() const { return impl_->journal_.bytes(); }

void DocumentStore::commit(Change change, Done done) {
    impl_->committer_.enqueue(*impl_, {std::move(change), std::move(done)});
}

Outcome DocumentStore::commit_and_wait(Change change) {
    std::mutex mutex;
    std::condition_variable answered;
    std::optional<Outcome> result;
    commit(std::move(change), [&](const Outcome& outcome) {
        // Under the lock to the end: the waiter's stack goes as soon as it sees the result.
        const std::lock_guard lock(mutex);
        result = outcome;
        answered.notify_one();
    });
    std::unique_lock lock(mutex);
    answered.wait(lock, [&] { return result.has_value(); });
    return *std::move(result);
}

void DocumentStore::checkpoint() { impl_->checkpoint(); }
bool DocumentStore::wants_checkpoint() const {
    return journal_bytes() >= impl_->options_.checkpoint_bytes;
}
void DocumentStore::close() { impl_->close(); }

}  // namespace larder::storage
