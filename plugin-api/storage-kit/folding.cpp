// Checkpoints while commits go on, the emptying of a store, its clean end. Not the files' bytes
// (checkpoint.cpp), nor which segment is where (journal_files.cpp).
//
//   checkpointing   rotate, walk, publish
//   clearing, closing
#include <utility>

#include "storage-kit/document_store_impl.hpp"

namespace larder::storage {
namespace {

constexpr std::size_t kWalkChunk = 1000;           // documents read under the lock at once
constexpr std::size_t kInPlaceBytes = 16U << 20U;  // folded in a moment, with the committer stopped

}  // namespace

// ---- checkpointing

std::uint64_t DocumentStore::Impl::checkpoint() {
    const std::lock_guard lock(checkpoint_mutex_);
    if (closed_ || state_.load() == StoreState::read_only) throw read_only(paths_.json);
    if (revision_.load(std::memory_order_acquire) == folded_) return folded_;
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
    return folded_;
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

// ---- clearing, closing

// The .meta decides: once the new one is in place, whatever else stands there is of an epoch that
// is over.
void DocumentStore::Impl::clear() {
    const std::lock_guard lock(checkpoint_mutex_);
    std::optional<Error> failed;
    Index gone;
    committer_.run(*this, [&] {
        if (closed_ || state_.load() == StoreState::read_only) {
            failed = read_only(paths_.json);
            return;
        }
        try {
            write_cleared();
            remove_all_but_meta();
        } catch (const std::system_error& error) {
            failed = as_error(error);
            return;
        }
        {
            const std::unique_lock map_lock(map_mutex_);
            std::swap(gone, index_);
            epoch_.fetch_add(1, std::memory_order_release);
            cleared_ = true;
            count_up();
        }
        set_state(StoreState::open, {});
        folded_ = revision_.load();
        json_sha256_.clear();
        if (options_.cleared) options_.cleared(version_now());
    });
    if (failed) throw Error(*failed);
}

// Leaves everything as it was where it throws. On a full disk the journal, which goes anyway, lends
// what it has reserved.
void DocumentStore::Impl::write_cleared() {
    checkpoint::Head head;
    head.epoch = epoch_ + 1;
    head.revision = head.folded = revision_;
    head.previous_sha256 = json_sha256_;
    files_.make_directory(paths_.folder);
    try {
        try {
            checkpoint::write_cleared(files_, paths_, head);
        } catch (const std::system_error& error) {
            if (!is_no_space(error) || !journal_.has_current()) throw;
            journal_.lend_reserve();
            checkpoint::write_cleared(files_, paths_, head);
        }
    } catch (const std::system_error&) {
        files_.remove(paths_.meta_tmp);
        journal_.regain_reserve();
        throw;
    }
}

void DocumentStore::Impl::remove_all_but_meta() {
    try {
        files_.rename(paths_.meta_tmp, paths_.meta);
        files_.sync_directory(paths_.folder);
        files_.remove(paths_.json);
        files_.remove(paths_.json_tmp);  // of a checkpoint that a crash broke off
        files_.sync_directory(paths_.folder);
        journal_.remove_all();
    } catch (const std::system_error& error) {
        // Which .meta a crash would leave is not known.
        set_state(StoreState::read_only, error.what());
        throw;
    }
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

}  // namespace larder::storage
