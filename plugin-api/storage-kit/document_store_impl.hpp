// The engine's inside: state, and who may touch what. Only for the files that make up the engine:
// document_store.cpp (opening, committing) and folding.cpp (checkpoints, clearing, closing).
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>
#include <optional>
#include <shared_mutex>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "larder/time.hpp"
#include "storage-kit/checkpoint.hpp"
#include "storage-kit/committer.hpp"
#include "storage-kit/document_store.hpp"
#include "storage-kit/index.hpp"
#include "storage-kit/journal_files.hpp"
#include "storage-kit/judge.hpp"

namespace larder::storage {

// What the engine refuses with; `internal` is for the log.
Error disk_full(const std::string& internal);
Error storage_failed(const std::string& internal);
Error read_only(const std::string& internal);
Error as_error(const std::system_error& error);  // one of the first two

class DocumentStore::Impl final : public Committer::Impl::Lane {
    using Pending = Committer::Impl::Pending;

public:
    Impl(FileSystem& files, const std::string& path, Committer& committer, StoreOptions options)
        : files_(files),
          paths_(path, options.shape),
          committer_(committer.impl()),
          options_(std::move(options)),
          journal_(files, paths_),
          judge_(index_, static_cast<bool>(options_.changed)) {
        if (!options_.clock_ms) options_.clock_ms = unix_now_ms;
    }

    void open();
    void commit_batch(std::vector<Pending>& batch) override;
    std::uint64_t checkpoint();
    void clear();
    void close();
    std::string reason() const;
    Version version() const;

    // ---- constant after construction
    FileSystem& files_;
    const checkpoint::Paths paths_;
    Committer::Impl& committer_;
    StoreOptions options_;

    // ---- guarded by map_mutex_; the committer, which alone writes, reads without it
    mutable std::shared_mutex map_mutex_;
    Index index_;

    // ---- written by the committer (and open), read by any
    std::atomic<std::uint64_t> epoch_ = 1, revision_ = 0, count_ = 0, value_bytes_ = 0;
    std::atomic<std::int64_t> next_expiry_ms_ = 0;
    std::atomic<bool> cleared_ = false;
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
    bool end_what_is_due();
    Outcome judge(const Change& change);
    std::optional<Error> lack_of_room(bool removal_only);
    std::optional<Error> write_batch();
    void show();
    void refuse(std::vector<Pending>& batch, std::size_t from, std::size_t to, const Error& error);
    void set_state(StoreState state, const std::string& why);
    Version version_now() const { return {epoch_, revision_.load(std::memory_order_relaxed)}; }
    void count_up();
    void tell(std::vector<Event>&& events) const;

    // checkpointing
    void fold();
    void fold_in_place();
    std::uint64_t checkpoint_bytes_about() const;
    void rotate();
    void write_checkpoint();

    // clearing
    void write_cleared();
    void remove_all_but_meta();
};

}  // namespace larder::storage
