// Memory follows the store: what its commits tell, in their order, is put into the indexes.
//
//   opening, looking up
//   lists
//   memory
//   changes
#include "files_catalog.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <limits>
#include <utility>

#include "larder/time.hpp"

namespace larder::files {
namespace {

using storage::DocumentPtr;
using storage::Event;
using storage::Outcome;
using storage::Transaction;

constexpr std::size_t kMostSeen = 100'000;  // entries that a page looks at
constexpr std::size_t kCountsAtOnce = 500;  // records in a commit of counts

EntryPtr make_entry(Record record, std::shared_ptr<Counts> counts) {
    auto entry = std::make_shared<Entry>();
    if (!counts) {
        counts = std::make_shared<Counts>();
        counts->downloads = record.download_count;
        counts->accessed_ms = record.accessed_ms;
    }
    entry->indexed_downloads = counts->downloads;
    entry->record = std::move(record);
    entry->counts = std::move(counts);
    return entry;
}

void store_record(Transaction& transaction, const Record& record) {
    transaction.set(record.filename, stored_json(record), 0, stored_metadata(record));
}

}  // namespace

Error file_not_found() { return {Errc::not_found, "file-not-found", "there is no such file"}; }

Record Entry::now() const {
    Record copy = record;
    copy.download_count = counts->downloads.load(std::memory_order_relaxed);
    copy.accessed_ms = counts->accessed_ms.load(std::memory_order_relaxed);
    return copy;
}

storage::Shape Catalog::shape() { return {"files", "total_size", "size", "file_count"}; }

Catalog::Catalog(const std::string& path, Quota& quota, const Report& report,
                 StateChanged state_changed, Changed changed)
    : quota_(quota), changed_(std::move(changed)), committer_("larder-files") {
    indexes_[0] = Index(Less{true});
    storage::StoreOptions options;
    options.shape = shape();
    options.report = report;
    options.state_changed = std::move(state_changed);
    options.changed = [this](std::vector<Event>&& events) {
        // What the journal brings while the store is opened is listed below.
        if (store_) apply(events);
    };
    auto opened = std::make_unique<storage::DocumentStore>(storage::FileSystem::real(), path,
                                                           committer_, std::move(options));
    for (const DocumentPtr& document :
         opened->list({}, {}, std::numeric_limits<std::size_t>::max())) {
        auto record = record_of(*document);
        if (!record) {
            report({storage::Finding::Kind::damaged,
                    fmt::format("the record of {} has no size or no SHA-256: it is kept, but the "
                                "file is not served",
                                document->key)});
            continue;
        }
        quota_.add_used(record->size);
        put(make_entry(std::move(*record), nullptr));
    }
    store_ = std::move(opened);
}

EntryPtr Catalog::find(std::string_view filename) const {
    const std::shared_lock lock(mutex_);
    const auto found = entries_.find(filename);
    return found == entries_.end() ? nullptr : found->second;
}

std::size_t Catalog::count() const {
    const std::shared_lock lock(mutex_);
    return entries_.size();
}

std::vector<EntryPtr> Catalog::all() const {
    const std::shared_lock lock(mutex_);
    std::vector<EntryPtr> all;
    all.reserve(entries_.size());
    for (const Key& key : indexes_[0]) all.push_back(entries_.at(key.entry->record.filename));
    return all;
}

std::vector<EntryPtr> Catalog::due(std::int64_t now_ms, std::size_t most) const {
    const std::shared_lock lock(mutex_);
    std::vector<EntryPtr> due;
    for (const auto& [expires_ms, entry] : expiring_) {
        if (expires_ms > now_ms || due.size() == most) break;
        due.push_back(entries_.at(entry->record.filename));
    }
    return due;
}

// ---- lists

Catalog::Probe Catalog::Less::probe(const Key& key) const {
    return {key.number, by_name ? std::string_view(key.entry->record.original_name) : "",
            key.entry->record.filename};
}

std::uint64_t Catalog::number_of(Sort sort, const Entry& entry) const {
    switch (sort) {
        case Sort::name: return 0;
        case Sort::size: return entry.record.size;
        case Sort::uploaded_at: return static_cast<std::uint64_t>(entry.record.uploaded_ms);
        case Sort::downloads: return entry.indexed_downloads;
    }
    return 0;
}

// "<number> NUL <original name, where sorted by it> NUL <stored name>": neither holds a NUL.
std::string Catalog::position_of(Sort sort, const Key& key) const {
    const Probe probe = indexes_[static_cast<std::size_t>(sort)].key_comp().probe(key);
    std::string position = std::to_string(probe.number);
    return position.append(1, '\0').append(probe.text).append(1, '\0').append(probe.filename);
}

ListPage Catalog::list(const ListQuery& query) {
    if (query.sort == Sort::downloads) {
        const std::unique_lock lock(mutex_);
        index_downloads();
    }
    const std::shared_lock lock(mutex_);
    const Index& index = indexes_[static_cast<std::size_t>(query.sort)];
    const bool by_name = query.sort == Sort::name;
    // Both ends of the walk; names that begin with the prefix stand beside each other.
    auto first = index.begin(), last = index.end();
    if (by_name && !query.prefix.empty()) {
        first = index.lower_bound(Probe{0, query.prefix, {}});
        std::string beyond = query.prefix;
        while (!beyond.empty() && static_cast<unsigned char>(beyond.back()) == 0xFF) {
            beyond.pop_back();
        }
        if (!beyond.empty()) {
            beyond.back() = static_cast<char>(static_cast<unsigned char>(beyond.back()) + 1);
            last = index.lower_bound(Probe{0, beyond, {}});
        }
    }
    if (!query.after.empty()) {
        const std::string_view text = query.after;
        const std::size_t one = text.find('\0');
        const std::size_t two = one == std::string_view::npos ? one : text.find('\0', one + 1);
        if (two == std::string_view::npos) return {};
        std::uint64_t number = 0;
        std::from_chars(text.data(), text.data() + one, number);
        const Probe from{number, text.substr(one + 1, two - one - 1), text.substr(two + 1)};
        const auto at = query.descending ? index.lower_bound(from) : index.upper_bound(from);
        const auto precedes = [&](auto one_end, auto other) {
            if (one_end == index.end()) return false;
            return other == index.end() || index.key_comp()(*one_end, *other);
        };
        if (query.descending && precedes(at, last)) last = at;
        if (!query.descending && precedes(first, at)) first = at;
        if (precedes(last, first)) return {};
    }
    ListPage page;
    const std::int64_t now = unix_now_ms();
    std::size_t seen = 0;
    std::string position;
    const auto visit = [&](const Key& key) {
        const Record& record = key.entry->record;
        const bool shown = is_live(record, now) && record.original_name.starts_with(query.prefix) &&
                           record.mime_type.starts_with(query.mime);
        if (seen++ == kMostSeen || (shown && page.entries.size() == query.limit)) {
            page.next = position;
            return false;
        }
        position = position_of(query.sort, key);
        if (shown) page.entries.push_back(entries_.at(record.filename));
        return true;
    };
    if (query.descending) {
        while (last != first && visit(*std::prev(last))) --last;
    } else {
        while (first != last && visit(*first)) ++first;
    }
    return page;
}

// ---- memory

void Catalog::put(EntryPtr entry) {
    for (std::size_t i = 0; i < indexes_.size(); ++i) {
        indexes_[i].insert({number_of(static_cast<Sort>(i), *entry), entry.get()});
    }
    const Record& record = entry->record;
    if (record.expires_ms != 0) expiring_.emplace(record.expires_ms, entry.get());
    entries_.emplace(record.filename, std::move(entry));
}

void Catalog::drop(const EntryPtr& entry) {
    for (std::size_t i = 0; i < indexes_.size(); ++i) {
        indexes_[i].erase(Key{number_of(static_cast<Sort>(i), *entry), entry.get()});
    }
    expiring_.erase({entry->record.expires_ms, entry.get()});
    entries_.erase(entry->record.filename);
}

// Brings the downloads that came since into the order; they are sorted when somebody asks.
void Catalog::index_downloads() {
    std::vector<std::string> changed;
    {
        const std::scoped_lock lock(dirty_mutex_);
        changed = dirty_;
    }
    Index& index = indexes_[static_cast<std::size_t>(Sort::downloads)];
    for (const std::string& name : changed) {
        const auto found = entries_.find(name);
        if (found == entries_.end()) continue;
        const Entry& entry = *found->second;
        index.erase(Key{entry.indexed_downloads, &entry});
        entry.indexed_downloads = entry.counts->downloads.load(std::memory_order_relaxed);
        index.insert({entry.indexed_downloads, &entry});
    }
}

void Catalog::count_download(const Entry& entry, std::int64_t now_ms) noexcept {
    Counts& counts = *entry.counts;
    counts.downloads.fetch_add(1, std::memory_order_relaxed);
    counts.accessed_ms.store(now_ms, std::memory_order_relaxed);
    if (counts.dirty.exchange(true)) return;
    const std::scoped_lock lock(dirty_mutex_);
    dirty_.push_back(entry.record.filename);
}

void Catalog::apply(const std::vector<Event>& events) {
    for (const Event& event : events) {
        const std::string filename(event.document->key);
        EntryPtr before, after;
        std::optional<Record> record;
        if (event.kind == Event::Kind::set) record = record_of(*event.document);
        {
            const std::unique_lock lock(mutex_);
            const auto found = entries_.find(filename);
            if (found != entries_.end()) before = found->second;
            if (before) drop(before);
            if (record) {
                after = make_entry(std::move(*record), before ? before->counts : nullptr);
                put(after);
            }
            const auto arriving = arriving_.find(filename);
            if (before && !after) {
                quota_.remove_used(before->record.size);
            } else if (after && !before && arriving != arriving_.end()) {
                quota_.settle(*arriving->second, after->record.size);
            } else if (after && !before) {
                quota_.add_used(after->record.size);
            }
        }
        changed_(filename, after);
    }
}

// ---- changes

void Catalog::check(const Outcome& outcome) const {
    if (outcome.refused) throw Error(*outcome.refused);
}

void Catalog::add(std::vector<Arrival> arrivals) {
    {
        const std::unique_lock lock(mutex_);
        for (const Arrival& arrival : arrivals) {
            arriving_.emplace(arrival.record.filename, arrival.room);
        }
    }
    const Outcome outcome = store_->commit_and_wait([&arrivals](Transaction& transaction) {
        for (const Arrival& arrival : arrivals) store_record(transaction, arrival.record);
    });
    {
        const std::unique_lock lock(mutex_);
        for (const Arrival& arrival : arrivals) arriving_.erase(arrival.record.filename);
    }
    check(outcome);
}

void Catalog::remove(const std::string& filename, const std::function<void(const Record&)>& judge) {
    check(store_->commit_and_wait([&](Transaction& transaction) {
        const DocumentPtr document = transaction.get(filename);
        const auto record = document ? record_of(*document) : std::nullopt;
        if (!record) throw file_not_found();
        judge(*record);
        transaction.remove(filename);
    }));
}

Record Catalog::edit(const std::string& filename, const std::function<void(Record&)>& edit) {
    std::optional<Record> record;
    check(store_->commit_and_wait([&](Transaction& transaction) {
        const DocumentPtr document = transaction.get(filename);
        record = document ? record_of(*document) : std::nullopt;
        if (!record) throw file_not_found();
        edit(*record);
        store_record(transaction, *record);
    }));
    return *record;
}

void Catalog::write_counts() {
    std::vector<std::string> names;
    {
        const std::scoped_lock lock(dirty_mutex_);
        names.swap(dirty_);
    }
    for (std::size_t from = 0; from < names.size(); from += kCountsAtOnce) {
        const std::size_t to = std::min(names.size(), from + kCountsAtOnce);
        const Outcome outcome = store_->commit_and_wait([&](Transaction& transaction) {
            for (std::size_t i = from; i < to; ++i) {
                const EntryPtr entry = find(names[i]);
                const DocumentPtr document = transaction.get(names[i]);
                auto record = entry && document ? record_of(*document) : std::nullopt;
                if (!record) continue;
                entry->counts->dirty = false;  // first: what comes from here on is written later
                record->download_count = entry->counts->downloads;
                record->accessed_ms = entry->counts->accessed_ms;
                store_record(transaction, *record);
            }
        });
        if (!outcome.refused) continue;
        const std::scoped_lock lock(dirty_mutex_);
        for (std::size_t i = from; i < to; ++i) {
            const EntryPtr entry = find(names[i]);
            if (entry && !entry->counts->dirty.exchange(true)) dirty_.push_back(names[i]);
        }
    }
}

}  // namespace larder::files
