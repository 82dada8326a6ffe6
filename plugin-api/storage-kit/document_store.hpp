// The one engine under every JSON store: an ordered map in memory, a journal on disk, a readable
// JSON file as checkpoint. FORMAT.md describes the bytes. Not a bucket: it knows no HTTP and no
// names.
//
//   commit(change) → committer: judge all pending, one write, one fdatasync → visible →
//   done(outcome)
//
// Nothing is visible to readers before it is durable.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "larder/error.hpp"
#include "storage-kit/file_system.hpp"

namespace larder::storage {

// One key's state; immutable once published. Times are Unix milliseconds, 0 is none.
struct Document {
    std::uint64_t revision;
    std::int64_t created_ms, updated_ms, expires_ms;
    std::string_view key, value,
        metadata;  // inside the document's own block; metadata may be empty
};
using DocumentPtr = std::shared_ptr<const Document>;

// One key's change, as a history of the store tells it: what the commit left of the key, however
// often it touched it.
struct Event {
    enum class Kind : std::uint8_t { set = 1, remove, expire };
    Kind kind;
    bool last;             // of its commit
    DocumentPtr document;  // of a removal only its key, revision and time, with an empty value
};

struct Version {
    std::uint64_t epoch = 1, revision = 0;
};

// What a change may look at and do, while it is judged on the committer. Reads see what commits
// before it in the same batch did. A document whose time has come is not there: it was removed, in
// a commit of its own, before the batch was judged. [committer]
class Transaction {
public:
    virtual DocumentPtr get(std::string_view key) const = 0;
    // `value` must be compact JSON, `metadata` as well or empty; `key` UTF-8, or
    // Error{bad_request}. created_ms is kept where the key exists.
    virtual void set(std::string_view key, std::string_view value, std::int64_t expires_ms,
                     std::string_view metadata) = 0;
    virtual void remove(std::string_view key) = 0;  // of what is not there: no effect
    virtual std::int64_t now_ms() const = 0;
    virtual std::uint64_t revision()
        const = 0;  // the one this change will get, if it changes anything

protected:
    ~Transaction() = default;
};

// Judges and changes; throws larder::Error to refuse, and then nothing of it happens. Another
// std::exception refuses it as Error{internal}. Called once, on the committer; must not block.
// [committer]
using Change = std::function<void(Transaction&)>;

struct Outcome {
    std::optional<Error> refused;  // the change's own Error, or no_space, io_failed, unavailable
    Version version;               // of the store after this change
};
using Done = std::function<void(const Outcome&)>;  // must neither block nor throw [committer]

// What was found at open that an admin should hear of.
struct Finding {
    enum class Kind : std::uint8_t {
        torn_tail = 1,
        damaged,
        edited,
        edited_aside,
        recovered,
        unreadable
    };
    Kind kind;
    std::string text;
};

// full: what sets is refused with Error{no_space,"disk-full"}, what only removes goes on; it ends
// by itself. read_only: everything is refused with Error{unavailable,"read-only"} until the store
// is opened anew; reads go on.
enum class StoreState : std::uint8_t { open = 1, full, read_only };

class DocumentStore;

// The thread that commits for any number of stores: one batch a store, in turn.
class Committer {
public:
    explicit Committer(const std::string& thread_name);
    ~Committer();
    Committer(const Committer&) = delete;
    Committer& operator=(const Committer&) = delete;
    // hold(true) returns when no commit is under way in any of its stores; those that come wait for
    // hold(false). [any, one at a time]
    void hold(bool on);
    // How much it has done, and whether anything is under way or waits (larder/progress.hpp). [any]
    struct Progress {
        std::uint64_t done;
        bool waiting;
    };
    Progress progress() const;

    class Impl;
    Impl& impl() noexcept { return *impl_; }

private:
    std::unique_ptr<Impl> impl_;
};

// How the readable file looks around its keys: one object of them, or, with `member`, an object
// that has them in the member of that name and sums behind it:
// {"files": {…}, "total_size": 7, "file_count": 2}. Only the keys are read back.
struct Shape {
    std::string member = {};            // "files"; empty: the keys are the object's own
    std::string sum = {}, sum_of = {};  // "total_size": the sum of the values' integers "size"
    std::string count = {};             // "file_count": how many keys there are
};

struct StoreOptions {
    Shape shape;
    std::uint64_t checkpoint_bytes = 64U << 20U;  // journal size that asks for a checkpoint
    std::function<std::int64_t()> clock_ms;       // Unix ms; the system's if empty
    std::function<void(const Finding&)> report;
    // Called whenever state() changes, with the reason (empty for open). May be called from inside
    // the constructor and checkpoint(). [committer, or whoever opens or checkpoints]
    std::function<void(StoreState, const std::string& why)> state_changed;
    // What a batch changed, in order, once it is visible and before it is answered. From inside the
    // constructor also what the journal still holds, if the epoch is still the same. Must not
    // block. [committer, or whoever opens]
    std::function<void(std::vector<Event>&& events)> changed;
    // After clear(): this is where the history begins anew. [committer]
    std::function<void(const Version&)> cleared;
};

class DocumentStore {
public:
    // Recovers what stands at `path` (the readable file), its .meta and .journal. A store that
    // never was has no files until its first commit. Throws Error{corrupt} where nothing can be
    // served ("unreadable", "newer-format"), Error{no_space} or Error{io_failed} where the disk
    // fails.
    DocumentStore(FileSystem& files, const std::string& path, Committer& committer,
                  StoreOptions options);
    ~DocumentStore();  // waits for pending commits; does not checkpoint
    DocumentStore(const DocumentStore&) = delete;
    DocumentStore& operator=(const DocumentStore&) = delete;

    DocumentPtr get(std::string_view key) const;  // null where absent [any]
    // Up to `limit` documents after `after` (exclusive; empty: from the start) that begin with
    // `prefix`, in byte order. [any]
    std::vector<DocumentPtr> list(std::string_view prefix, std::string_view after,
                                  std::size_t limit) const;
    Version version() const;              // [any]
    std::size_t count() const;            // [any]
    std::uint64_t value_bytes() const;    // keys and values [any]
    StoreState state() const;             // [any]
    std::string state_reason() const;     // [any]
    std::uint64_t journal_bytes() const;  // since the last checkpoint [any]

    // Queues a change; `done` is called exactly once, after it is durable or refused. Refusals are
    // answered after everything they were judged against is durable. [any]
    void commit(Change change, Done done);
    Outcome commit_and_wait(Change change);  // not on the committer [worker]

    // The earliest deadline of a document in Unix milliseconds, 0 where none has one. [any]
    std::int64_t next_expiry_ms() const;
    // Has everything removed whose time has come. Any other commit does the same. [any]
    void expire();

    // Folds the journal into the readable file; writers go on meanwhile. Returns the revision up to
    // which the file has everything. Throws Error{no_space, io_failed}; the store then goes on with
    // its journal. [worker]
    std::uint64_t checkpoint();
    bool wants_checkpoint() const;  // [any]
    // Removes every key and all files but the .meta, which keeps the revision and tells of the next
    // epoch; durable on return. Throws as checkpoint() does, and Error{unavailable, "read-only"}:
    // all is then as it was, or, where the disk failed in the midst, read-only. [worker]
    void clear();
    // Nothing was committed since clear(). [any]
    bool is_cleared() const;
    // Checkpoints if anything changed, and removes the journal. What is committed afterwards is
    // refused with Error{unavailable}. Throws as checkpoint() does; the journal then stays, and
    // nothing is lost. [control]
    void close();

private:
    class Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace larder::storage
