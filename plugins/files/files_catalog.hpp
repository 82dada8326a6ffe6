// All records: kept by a document store, found and sorted in memory. Knows nothing of the files'
// bytes, and changes nothing in memory that is not durable, but for the counts of downloads.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <set>
#include <shared_mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "files_quota.hpp"
#include "files_record.hpp"
#include "storage-kit/document_store.hpp"

namespace larder::files {

// What downloads do to a record; written down now and then, not at each.
struct Counts {
    std::atomic<std::uint64_t> downloads{0};
    std::atomic<std::int64_t> accessed_ms{0};
    std::atomic<bool> dirty{false};
};

// A record as it is in force; replaced as a whole by a change.
struct Entry {
    Record record;  // its counts as they were when it was stored
    std::shared_ptr<Counts> counts;
    mutable std::uint64_t indexed_downloads = 0;  // the catalog's

    Record now() const;  // with the counts of this moment [any]
};
using EntryPtr = std::shared_ptr<const Entry>;

enum class Sort : std::uint8_t { name = 0, size, uploaded_at, downloads };
inline constexpr std::array<std::string_view, 4> kSortWords = {"name", "size", "uploaded_at",
                                                               "downloads"};

struct ListQuery {
    Sort sort = Sort::name;
    bool descending = false;
    std::string prefix, mime;  // of the original name, of the type; empty: any
    std::size_t limit = 100;
    std::string after;  // where the page before ended; empty: from the start
};
struct ListPage {
    std::vector<EntryPtr> entries;
    std::string next;  // empty at the end
};

// A file that is about to have a record; the room it holds becomes used room with it.
struct Arrival {
    Record record;
    Quota::Reservation* room;
};

class Catalog {
public:
    using Report = std::function<void(const storage::Finding&)>;
    using StateChanged = std::function<void(storage::StoreState, const std::string&)>;
    // A record was changed (`after` in force) or removed (`after` null). [committer]
    using Changed = std::function<void(const std::string& filename, const EntryPtr& after)>;

    // Opens the store at `path`. Throws what DocumentStore's constructor throws. [control]
    Catalog(const std::string& path, Quota& quota, const Report& report, StateChanged state_changed,
            Changed changed);

    EntryPtr find(std::string_view filename) const;  // null where absent; expired ones too [any]
    std::size_t count() const;                       // [any]
    std::vector<EntryPtr> all() const;               // [any]
    ListPage list(const ListQuery& query);           // [worker]
    // Entries whose time has come at `now_ms`, at most so many.
    std::vector<EntryPtr> due(std::int64_t now_ms, std::size_t most) const;

    void count_download(const Entry& entry, std::int64_t now_ms) noexcept;  // [any]

    // The changes throw the Error of the store's outcome where it refused. [worker]

    // All of them or none.
    void add(std::vector<Arrival> arrivals);
    // `judge` may throw to refuse; it is shown the record that it is about. Throws
    // Error{not_found, "file-not-found"}.
    void remove(const std::string& filename, const std::function<void(const Record&)>& judge);
    // `edit` changes the record, or throws to refuse. Returns the changed one.
    Record edit(const std::string& filename, const std::function<void(Record&)>& edit);
    void write_counts();  // those that downloads changed since

    storage::DocumentStore& store() noexcept { return *store_; }
    storage::Committer& committer() noexcept { return committer_; }
    static storage::Shape shape();

private:
    struct Key {
        std::uint64_t number;
        const Entry* entry;
    };
    struct Probe {
        std::uint64_t number;
        std::string_view text, filename;
    };
    struct Less {
        using is_transparent = void;
        bool by_name = false;
        Probe probe(const Key& key) const;
        static Probe probe(const Probe& probe) { return probe; }
        template <class A, class B> bool operator()(const A& a, const B& b) const {
            const Probe x = probe(a), y = probe(b);
            if (x.number != y.number) return x.number < y.number;
            const int order = x.text.compare(y.text);
            return order != 0 ? order < 0 : x.filename < y.filename;
        }
    };
    using Index = std::set<Key, Less>;

    void apply(const std::vector<storage::Event>& events);
    void put(EntryPtr entry);          // with mutex_ held
    void drop(const EntryPtr& entry);  // with mutex_ held
    void index_downloads();            // with mutex_ held
    std::uint64_t number_of(Sort sort, const Entry& entry) const;
    std::string position_of(Sort sort, const Key& key) const;
    void check(const storage::Outcome& outcome) const;

    Quota& quota_;
    const Changed changed_;

    mutable std::shared_mutex mutex_;  // guards what follows, up to the next one
    std::unordered_map<std::string_view, EntryPtr> entries_;
    std::array<Index, 4> indexes_;
    std::set<std::pair<std::int64_t, const Entry*>> expiring_;
    std::unordered_map<std::string, Quota::Reservation*> arriving_;

    std::mutex dirty_mutex_;
    std::vector<std::string> dirty_;  // filenames with counts to write; guarded by dirty_mutex_

    storage::Committer committer_;
    std::unique_ptr<storage::DocumentStore> store_;
};

Error file_not_found();

}  // namespace larder::files
