// The segments of one store's journal: which one commits go to, and the order in which they are
// made, moved and removed. Not their bytes (journal.hpp) nor when a checkpoint is due.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string_view>

#include "storage-kit/checkpoint.hpp"
#include "storage-kit/file_system.hpp"
#include "storage-kit/journal.hpp"
#include "storage-kit/recovery.hpp"

namespace larder::storage {

// Everything throws std::system_error; what then stands on disk is good for recover().
class JournalFiles {
public:
    JournalFiles(FileSystem& files, const checkpoint::Paths& paths)
        : files_(files), paths_(paths) {}

    // ---- opening [control]

    // Puts what was recovered into service. After it nothing that is served depends on pages that
    // only memory may hold.
    void start(const Recovered& found, std::uint64_t epoch, bool has_documents);

    // ---- committing [committer]

    // Journal::Segment::has_room(); a store without a segment gets its first one, with `first` for
    // header, where there is room for that.
    bool has_room(std::uint64_t length, bool removal_only, bool may_grow,
                  const journal::Header& first);
    bool has_current() const noexcept { return current_ != nullptr; }
    void append(std::string_view line);
    void sync() { current_->sync(); }

    // ---- a full disk [committer]

    std::uint64_t spare() const noexcept { return current_->spare(); }  // allocated and not used
    void lend_reserve() { current_->lend_reserve(); }
    void regain_reserve();  // where it can be had
    // For when a checkpoint holds all that the segments hold. They go first: what they hold of the
    // disk may be all that a new one can have. Without one the next commit makes it.
    void replace_all(const journal::Header& header);

    // ---- checkpoints; only one at a time

    // A new segment of so many bytes, not in service yet. [worker]
    std::unique_ptr<journal::Segment> prepare(std::uint64_t bytes = journal::kFirstBytes);
    // Failure leaves everything as it was. [committer]
    void write_header(journal::Segment& next, const journal::Header& header);
    // `next` becomes the current segment, the current one the old. After a failure nothing may be
    // written any more. [committer]
    void move(std::unique_ptr<journal::Segment> next);
    bool has_old() const noexcept { return has_old_; }  // [worker]
    void remove_old();                                  // [worker]
    void remove_all();                                  // [control, committer]

    std::uint64_t bytes() const noexcept { return current_bytes_ + old_bytes_; }  // [any]

private:
    std::unique_ptr<journal::Segment> fresh(const journal::Header& header);
    void adopt(std::unique_ptr<journal::Segment> segment);
    void combine(const Recovered& found, std::uint64_t epoch);
    void refresh(const Recovered& found);

    FileSystem& files_;
    const checkpoint::Paths& paths_;
    std::unique_ptr<journal::Segment> current_;  // null until a commit needs it
    bool has_old_ = false;                       // the committer writes it while a worker waits
    std::atomic<std::uint64_t> current_bytes_ = 0, old_bytes_ = 0;
};

}  // namespace larder::storage
