// The engine: recovery's result in memory, batches from the committer to the journal, checkpoints.
// Not the formats (journal.cpp, checkpoint.cpp) nor the rules of opening (recovery.cpp).
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

#include "storage-kit/checkpoint.hpp"
#include "storage-kit/committer.hpp"
#include "storage-kit/index.hpp"
#include "storage-kit/journal.hpp"
#include "storage-kit/judge.hpp"
#include "storage-kit/recovery.hpp"

namespace larder::storage {
namespace {

constexpr std::size_t kBatchBytes = 8U << 20U;     // more is left to the next batch
constexpr std::size_t kWalkChunk = 1000;           // documents read under the lock at once
constexpr std::size_t kInPlaceBytes = 16U << 20U;  // folded in a moment, with the committer stopped

std::int64_t system_ms() {
    return std::chrono::duration_cast<std::chrono::milliseconds>(
               std::chrono::system_clock::now().time_since_epoch())
        .count();
}

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
    using Segment = journal::Segment;

public:
    Impl(FileSystem& files, std::string path, Committer& committer, StoreOptions options)
        : files_(files),
          paths_(path),
          committer_(committer.impl()),
          options_(std::move(options)),
          judge_(index_) {
        if (!options_.clock_ms) options_.clock_ms = system_ms;
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
    std::atomic<std::uint64_t> journal_bytes_ = 0;  // of the current segment
    std::atomic<StoreState> state_ = StoreState::open;
    mutable std::mutex reason_mutex_;
    std::string reason_;  // guarded by reason_mutex_
    std::atomic<bool> closed_ = false;

    // ---- the committer's alone (and open's, and close's when nothing is pending)
    std::unique_ptr<Segment> segment_;  // null until the first commit needs it
    Judge judge_;
    std::vector<Outcome> outcomes_;
    bool grew_in_vain_ = false;  // in this batch

    // ---- the checkpoint's, guarded by checkpoint_mutex_
    std::mutex checkpoint_mutex_;
    std::uint64_t folded_ = 0;
    std::string json_sha256_;
    bool has_old_ = false;                      // <file>.journal.old is there
    std::atomic<std::uint64_t> old_bytes_ = 0;  // of it

private:
    // opening
    void start_journal(const Recovered& found);
    void combine(const Recovered& found);
    void refresh(const Recovered& found);
    std::unique_ptr<Segment> fresh_segment(std::uint64_t after);
    void adopt(std::unique_ptr<Segment> segment);

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
    void replace_segments();
    void rotate();
    void move_segments(std::unique_ptr<Segment> next);
    void write_checkpoint();
    void remove_journals();
};

// ---- opening

void DocumentStore::Impl::open() {
    Recovered found = recover(files_, paths_, options_.clock_ms(), options_.report);
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
    start_journal(found);
}

// After this nothing that is served depends on pages that only memory may hold.
void DocumentStore::Impl::start_journal(const Recovered& found) {
    try {
        if (found.has_records) {
            combine(found);
        } else if (index_.size() > 0) {
            // Made now, not by the first commit: its reserve is for a disk that is full by then.
            adopt(fresh_segment(folded_));
        } else if (found.has_journal) {
            remove_journals();
        }
    } catch (const std::system_error& error) {
        if (!is_no_space(error)) throw;
        files_.remove(paths_.journal_new);
        if (found.has_records) return refresh(found);
        remove_journals();
    }
}

std::unique_ptr<journal::Segment> DocumentStore::Impl::fresh_segment(std::uint64_t after) {
    const auto make = [&](std::uint64_t bytes) {
        auto made = Segment::create(files_, paths_.journal_new, bytes);
        made->write_header({epoch_, after});
        return made;
    };
    files_.make_directory(paths_.folder);
    try {
        return make(journal::kFirstBytes);
    } catch (const std::system_error& error) {
        if (!is_no_space(error)) throw;
    }
    try {
        return make(journal::kLeastBytes);
    } catch (const std::system_error& error) {
        if (is_no_space(error)) files_.remove(paths_.journal_new);
        throw;
    }
}

// Puts a segment made as .journal.new into service, in the stead of all others.
void DocumentStore::Impl::adopt(std::unique_ptr<Segment> segment) {
    files_.rename(paths_.journal_new, paths_.journal);
    files_.sync_directory(paths_.folder);
    if (files_.exists(paths_.journal_old)) {
        files_.remove(paths_.journal_old);
        files_.sync_directory(paths_.folder);
    }
    segment_ = std::move(segment);
    journal_bytes_ = segment_->used();
}

// One new segment of all that is good in the old ones.
void DocumentStore::Impl::combine(const Recovered& found) {
    auto made = fresh_segment(folded_);
    std::uint64_t last = folded_;
    std::string line;
    const auto flush = [&] {
        journal::close_line(line);
        if (!made->has_room(line.size(), false, true)) {
            throw std::system_error(std::make_error_code(std::errc::no_space_on_device),
                                    "allocate " + paths_.journal_new);
        }
        made->append(line);
        line.clear();
    };
    const auto take = [&](const journal::Commit& commit) -> std::string {
        if (commit.revision != last + 1) return {};
        last = commit.revision;
        const bool first = line.empty();
        if (first) line = journal::open_line();
        journal::begin_commit(line, commit.revision, commit.at_ms, first);
        for (const journal::Change& change : commit.changes) {
            if (change.remove) {
                journal::append_remove(line, change.key);
            } else {
                journal::append_set(line, change.key, change.value, change.created_ms,
                                    change.expires_ms, change.metadata);
            }
        }
        journal::end_commit(line);
        if (line.size() >= (1U << 20U)) flush();
        return {};
    };
    for (const auto& [path, end] : {std::pair(&paths_.journal_old, found.old_end),
                                    std::pair(&paths_.journal, found.journal_end)}) {
        if (end == 0) continue;
        const auto file = files_.open_read(*path);
        journal::read_segment(*file, *path, take);
    }
    if (!line.empty()) flush();
    made->sync();
    adopt(std::move(made));
}

// The same without needing space: every segment is written over with what was read of it.
void DocumentStore::Impl::refresh(const Recovered& found) {
    if (found.journal_end == 0) {
        files_.rename(paths_.journal_old, paths_.journal);
        files_.sync_directory(paths_.folder);
        segment_ = Segment::rewrite(files_, paths_.journal, found.old_end);
    } else {
        if (found.old_end != 0) {
            Segment::rewrite(files_, paths_.journal_old, found.old_end);
            old_bytes_ = found.old_end;
            has_old_ = true;
        }
        segment_ = Segment::rewrite(files_, paths_.journal, found.journal_end);
    }
    journal_bytes_ = segment_->used();
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
    try {
        if (!segment_ && !grew_in_vain_) {
            adopt(fresh_segment(revision_.load(std::memory_order_relaxed)));
        }
    } catch (const std::system_error& error) {
        // A store that has no journal yet has nothing to lose by trying again.
        if (is_out_of_descriptors(error)) return no_descriptors(error.what());
        if (!is_no_space(error)) throw;
        grew_in_vain_ = true;
    }
    const bool fits = segment_ && segment_->has_room(judge_.line().size() + kClosing, removal_only,
                                                     !grew_in_vain_);
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
        segment_->append(judge_.line());
    } catch (const std::system_error& error) {
        return as_error(error);
    }
    try {
        segment_->sync();
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
    journal_bytes_.store(segment_->used(), std::memory_order_relaxed);
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
    if (!has_old_) rotate();
    write_checkpoint();
    files_.remove(paths_.journal_old);
    files_.sync_directory(paths_.folder);
    has_old_ = false;
    old_bytes_ = 0;
}

// For a full disk, where only this makes room of what was removed: with commits stopped no second
// segment is wanted beside the first. The first one's reserve is lent to a checkpoint that it is
// enough for; to others not, since on a disk that others fill it would be lost to them.
void DocumentStore::Impl::fold_in_place() {
    std::optional<std::system_error> failed;
    committer_.run(*this, [&] {
        if (!segment_ || state_.load() == StoreState::read_only) return;
        try {
            if (checkpoint_bytes_about() <= segment_->spare()) segment_->lend_reserve();
            write_checkpoint();
            replace_segments();
        } catch (const std::system_error& error) {
            failed = error;
        }
        try {
            // The reserve again, where it can be had.
            if (segment_) segment_->has_room(0, false, true);
        } catch (const std::system_error& error) {
            failed = error;
        }
    });
    if (failed) throw *failed;
}

// Of both files together, with two pages for their ends.
std::uint64_t DocumentStore::Impl::checkpoint_bytes_about() const {
    constexpr std::uint64_t kLineBytes = 256;  // what a key's lines hold beside key and value
    return value_bytes_.load(std::memory_order_relaxed) +
           count_.load(std::memory_order_relaxed) * kLineBytes + (8U << 10U);
}

// All that the segments hold is in the checkpoint. They go first: what they hold of the disk may be
// all that a new one can have. Without one the next commit makes it.
void DocumentStore::Impl::replace_segments() {
    segment_.reset();
    remove_journals();
    adopt(fresh_segment(folded_));
}

// A new segment is made here and put in place by the committer, between two batches.
void DocumentStore::Impl::rotate() {
    std::unique_ptr<Segment> next;
    std::optional<std::system_error> failed;
    try {
        next = Segment::create(files_, paths_.journal_new, journal::kFirstBytes);
        committer_.run(*this, [&] {
            try {
                move_segments(std::move(next));
            } catch (const std::system_error& error) {
                failed = error;
            }
        });
    } catch (const std::system_error& error) {
        failed = error;
    }
    if (!failed) return;
    if (!has_old_) files_.remove(paths_.journal_new);
    throw *failed;
}

void DocumentStore::Impl::move_segments(std::unique_ptr<Segment> next) {
    if (state_.load() == StoreState::read_only) {
        throw std::system_error(std::make_error_code(std::errc::io_error), paths_.journal);
    }
    next->write_header({epoch_, revision_.load(std::memory_order_relaxed)});
    files_.rename(paths_.journal, paths_.journal_old);
    try {
        files_.rename(paths_.journal_new, paths_.journal);
        files_.sync_directory(paths_.folder);
    } catch (const std::system_error& error) {
        // Commits would go to a file whose name is in doubt.
        set_state(StoreState::read_only, error.what());
        throw;
    }
    old_bytes_ = segment_->used();
    has_old_ = true;
    segment_ = std::move(next);
    journal_bytes_ = segment_->used();
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

void DocumentStore::Impl::remove_journals() {
    files_.remove(paths_.journal_old);
    files_.remove(paths_.journal);
    files_.sync_directory(paths_.folder);
    old_bytes_ = 0;
    journal_bytes_ = 0;
    has_old_ = false;
}

void DocumentStore::Impl::close() {
    const std::lock_guard lock(checkpoint_mutex_);
    committer_.drain(*this);
    if (closed_.exchange(true) || state_.load() == StoreState::read_only) return;
    try {
        if (revision_.load() != folded_) write_checkpoint();
        if (!segment_ && !has_old_) return;
        segment_.reset();
        remove_journals();
    } catch (const std::system_error& error) {
        throw as_error(error);
    }
}

// ---- the public part

DocumentStore::DocumentStore(FileSystem& files, std::string path, Committer& committer,
                             StoreOptions options)
    : impl_(std::make_unique<Impl>(files, std::move(path), committer, std::move(options))) {
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
std::uint64_t DocumentStore::journal_bytes() const {
    return impl_->journal_bytes_.load(std::memory_order_relaxed) +
           impl_->old_bytes_.load(std::memory_order_relaxed);
}

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
