// Changes judged one after another against a map they do not touch yet: what each leaves is laid
// over it, and its journal text collected. Not durable and not visible: the store does both
// afterwards.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "storage-kit/document_store.hpp"
#include "storage-kit/index.hpp"

namespace larder::storage {

class Judge final : public Transaction {
public:
    // Whether a change changed anything, and whether it only removes.
    struct Verdict {
        bool changed = false, removal_only = true;
    };

    // `recording`: events() are kept.
    Judge(const Index& index, bool recording) : index_(index), recording_(recording) {}

    // ---- a batch [committer]
    void begin_batch(std::uint64_t last_revision, std::int64_t now_ms);
    std::string& line() noexcept { return line_; }  // of the journal, open until it is closed
    std::uint64_t revision_after() const noexcept { return last_revision_; }
    bool changed() const noexcept { return any_; }
    // Puts what the batch left into `index`, which must be the one it was judged against.
    void apply(Index& index);
    // What the accepted changes of the batch did, in order.
    std::vector<Event>& events() noexcept { return events_; }
    void end_batch();  // lets go of what was replaced: not under a lock

    // ---- an expiry: a change by itself, to be accepted or undone as any other
    Verdict expire(std::string_view key);

    // ---- a change
    void begin_change();
    Verdict end_change();  // adds the change to line()
    void accept(const Verdict& verdict);
    void undo();  // after end_change() or in its stead: nothing of the change stays

    // ---- Transaction
    DocumentPtr get(std::string_view key) const override;
    void set(std::string_view key, std::string_view value, std::int64_t expires_ms,
             std::string_view metadata) override;
    void remove(std::string_view key) override;
    std::int64_t now_ms() const override { return now_ms_; }
    std::uint64_t revision() const override { return last_revision_ + 1; }

private:
    // A key that the batch looked at to change it.
    struct Entry {
        DocumentPtr anchor;  // owns the bytes of the entry's key
        DocumentPtr base;    // what stands in the index
        DocumentPtr before;  // what the change that is judged found
        DocumentPtr now;     // what it leaves, null: removed
        std::uint64_t change = 0;
    };
    using Overlay = std::map<std::string_view, Entry>;
    void put(std::string_view key, DocumentPtr document);
    void record();

    const Index& index_;
    const bool recording_;
    std::uint64_t last_revision_ = 0;
    std::int64_t now_ms_ = 0;
    std::string line_;
    bool any_ = false;
    Overlay overlay_;
    std::uint64_t change_ = 0;             // counts the changes of the batch
    std::vector<Entry*> touched_;          // by the change that is judged
    std::vector<std::string_view> names_;  // theirs, in the same order
    std::size_t line_before_ = 0;
    bool first_ = true;
    bool expiring_ = false;  // the change is an expiry
    std::vector<Event> events_;
};

}  // namespace larder::storage
