// An overlay with one step of undo. Not for other threads.
#include "storage-kit/judge.hpp"

#include <utility>

#include "larder/error.hpp"
#include "storage-kit/journal.hpp"
#include "storage-kit/json.hpp"

namespace larder::storage {

void Judge::begin_batch(std::uint64_t last_revision, std::int64_t now_ms) {
    last_revision_ = last_revision;
    now_ms_ = now_ms;
    line_ = journal::open_line();
    any_ = false;
    first_ = true;
    change_ = 0;
}

void Judge::apply(Index& index) {
    for (auto& [key, entry] : overlay_) {
        if (entry.now == entry.base) continue;
        if (entry.now) {
            index.put(entry.now);
        } else {
            index.erase(key);
        }
    }
}

void Judge::end_batch() {
    overlay_.clear();
    events_.clear();
    if (line_.capacity() > (1U << 20U)) line_ = {};
}

void Judge::begin_change() {
    ++change_;
    touched_.clear();
    names_.clear();
    line_before_ = line_.size();
    expiring_ = false;
}

Judge::Verdict Judge::expire(std::string_view key) {
    begin_change();
    expiring_ = true;
    put(key, nullptr);
    return end_change();
}

Judge::Verdict Judge::end_change() {
    Verdict verdict;
    for (std::size_t i = 0; i < touched_.size(); ++i) {
        const Entry& entry = *touched_[i];
        if (entry.now == entry.before) continue;
        if (!std::exchange(verdict.changed, true)) {
            journal::begin_commit(line_, revision(), now_ms_, first_);
        }
        if (!entry.now) {
            journal::append_remove(line_, names_[i], expiring_);
            continue;
        }
        verdict.removal_only = false;
        const Document& now = *entry.now;
        journal::append_set(line_, now.key, now.value, now.created_ms, now.expires_ms,
                            now.metadata);
    }
    if (verdict.changed) journal::end_commit(line_);
    return verdict;
}

void Judge::accept(const Verdict& verdict) {
    if (!verdict.changed) return;
    if (recording_) record();
    ++last_revision_;
    any_ = true;
    first_ = false;
}

void Judge::record() {
    for (std::size_t i = 0; i < touched_.size(); ++i) {
        const Entry& entry = *touched_[i];
        if (entry.now == entry.before) continue;
        if (entry.now) {
            events_.push_back({Event::Kind::set, false, entry.now});
            continue;
        }
        events_.push_back({expiring_ ? Event::Kind::expire : Event::Kind::remove, false,
                           make_document({revision(), 0, now_ms_, 0}, names_[i], {}, {})});
    }
    events_.back().last = true;
}

void Judge::undo() {
    for (Entry* const entry : touched_) entry->now = entry->before;
    line_.resize(line_before_);
}

DocumentPtr Judge::get(std::string_view key) const {
    const auto found = overlay_.find(key);
    const DocumentPtr& now = found == overlay_.end() ? index_.find(key) : found->second.now;
    // Still there only where the journal had no room for its end.
    if (now && now->expires_ms != 0 && now->expires_ms <= now_ms_) return nullptr;
    return now;
}

void Judge::set(std::string_view key, std::string_view value, std::int64_t expires_ms,
                std::string_view metadata) {
    if (json::invalid_utf8(key) != std::string_view::npos) {
        throw Error(Errc::bad_request, "invalid-key", "a key must be utf-8");
    }
    // A line break would end the journal's line: the one thing that must be right about a value
    // here.
    if (value.empty() || value.find('\n') != std::string_view::npos ||
        metadata.find('\n') != std::string_view::npos) {
        throw Error(Errc::internal, "not-compact", "a value is stored that is not compact json");
    }
    const DocumentPtr before = get(key);
    const std::int64_t created_ms = before ? before->created_ms : now_ms_;
    put(key, make_document({revision(), created_ms, now_ms_, expires_ms}, key, value, metadata));
}

void Judge::remove(std::string_view key) {
    if (get(key)) put(key, nullptr);
}

void Judge::put(std::string_view key, DocumentPtr document) {
    auto found = overlay_.find(key);
    if (found == overlay_.end()) {
        Entry entry;
        entry.base = index_.find(key);
        entry.anchor = entry.base ? entry.base : document;
        entry.now = entry.base;
        const std::string_view name = entry.anchor->key;
        found = overlay_.emplace(name, std::move(entry)).first;
    }
    Entry& entry = found->second;
    if (entry.change != change_) {
        entry.change = change_;
        entry.before = entry.now;
        touched_.push_back(&entry);
        names_.push_back(found->first);
    }
    entry.now = std::move(document);
}

}  // namespace larder::storage
