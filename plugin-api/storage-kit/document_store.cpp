// The engine: recovery's result in memory, batches from the committer to the journal. Not the
// formats (journal.cpp, checkpoint.cpp) nor the rules of opening (recovery.cpp), nor checkpoints
// (folding.cpp).
//
//   opening         from recover() to a store that may be written
//   committing      end what is due, judge, write, sync, show, answer
//   the public part
#include "storage-kit/document_store.hpp"

#include <algorithm>
#include <condition_variable>
#include <utility>

#include "storage-kit/document_store_impl.hpp"
#include "storage-kit/recovery.hpp"

namespace larder::storage {
namespace {

constexpr std::size_t kBatchBytes = 8U << 20U;  // more is left to the next batch
constexpr std::size_t kToldAtOnce = 1000;       // events of the journal, when it is opened

Error no_descriptors(const std::string& internal) {
    return Error(Errc::unavailable, "overloaded", "too many files are open: nothing was changed")
        .with_header("Retry-After", "1")
        .because(internal);
}
}  // namespace

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
Error as_error(const std::system_error& error) {
    return is_no_space(error) ? disk_full(error.what()) : storage_failed(error.what());
}

// ---- opening

void DocumentStore::Impl::open() {
    Recovered found;
    try {
        found = recover(files_, paths_, options_.clock_ms(), options_.report,
                        static_cast<bool>(options_.changed));
    } catch (const Error& error) {
        if (options_.report) options_.report({Finding::Kind::unreadable, error.internal()});
        throw;
    }
    index_ = std::move(found.index);
    epoch_ = found.epoch;
    revision_ = found.revision;
    folded_ = found.folded;
    json_sha256_ = std::move(found.json_sha256);
    cleared_ = found.cleared;
    count_up();
    tell(std::move(found.events));
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
    const Document* const due = index_.first_due();
    next_expiry_ms_.store(due != nullptr ? due->expires_ms : 0, std::memory_order_relaxed);
}

// A long journal's events in pieces, so that a history that keeps less may drop the first ones.
void DocumentStore::Impl::tell(std::vector<Event>&& events) const {
    const std::vector<Event> all = std::move(events);
    std::vector<Event> some;
    for (const Event& event : all) {
        some.push_back(event);
        if (some.size() < kToldAtOnce || !event.last) continue;
        options_.changed(std::exchange(some, {}));
    }
    if (!some.empty()) options_.changed(std::move(some));
}

Version DocumentStore::Impl::version() const {
    for (;;) {
        const std::uint64_t epoch = epoch_.load(std::memory_order_acquire);
        const std::uint64_t revision = revision_.load(std::memory_order_acquire);
        if (epoch_.load(std::memory_order_relaxed) == epoch) return {epoch, revision};
    }
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
        const bool all_ended = end_what_is_due();
        while (all_ended && next < batch.size() &&
               (next == first || judge_.line().size() < kBatchBytes)) {
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
            next = std::max(next, first + 1);
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

// Puts an expiry before the changes for each document whose time has come. False: the line is full
// of them, and changes must wait for the next one.
bool DocumentStore::Impl::end_what_is_due() {
    bool all = true;
    index_.walk_due(judge_.now_ms(), [&](const Document& document) {
        all = judge_.line().size() < kBatchBytes;
        if (!all) return false;
        const Judge::Verdict verdict = judge_.expire(document.key);
        if (lack_of_room(verdict.removal_only)) {
            judge_.undo();
            return false;
        }
        judge_.accept(verdict);
        return true;
    });
    return all;
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
        cleared_.store(false, std::memory_order_relaxed);
        count_up();
    }
    if (options_.changed) options_.changed(std::move(judge_.events()));
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

Version DocumentStore::version() const { return impl_->version(); }
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

std::int64_t DocumentStore::next_expiry_ms() const {
    return impl_->next_expiry_ms_.load(std::memory_order_relaxed);
}
void DocumentStore::expire() {
    commit([](Transaction&) {}, {});
}

std::uint64_t DocumentStore::checkpoint() { return impl_->checkpoint(); }
bool DocumentStore::wants_checkpoint() const {
    return journal_bytes() >= impl_->options_.checkpoint_bytes;
}
void DocumentStore::clear() { impl_->clear(); }
bool DocumentStore::is_cleared() const { return impl_->cleared_.load(std::memory_order_relaxed); }
void DocumentStore::close() { impl_->close(); }

}  // namespace larder::storage
