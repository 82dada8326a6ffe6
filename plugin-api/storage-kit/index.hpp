// The ordered map of a store's documents, and how one document is laid out in memory. Not guarded:
// the store holds its lock around it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <set>
#include <string_view>

#include "storage-kit/document_store.hpp"

namespace larder::storage {

struct Stamp {
    std::uint64_t revision = 0;
    std::int64_t created_ms = 0, updated_ms = 0, expires_ms = 0;
};

// A document whose bytes stand in the same block as itself. [any]
DocumentPtr make_document(const Stamp& stamp, std::string_view key, std::string_view value,
                          std::string_view metadata);

class Index {
    struct Entry {
        mutable DocumentPtr document;  // replaced in place; its key stays
    };
    struct Less {
        using is_transparent = void;
        static std::string_view key(const Entry& entry) { return entry.document->key; }
        static std::string_view key(std::string_view text) { return text; }
        template <typename A, typename B> bool operator()(const A& a, const B& b) const {
            return key(a) < key(b);
        }
    };
    using Set = std::set<Entry, Less>;

public:
    const DocumentPtr& find(std::string_view key) const;  // null where absent
    void put(DocumentPtr document);                       // fastest in ascending order
    void erase(std::string_view key);

    // The document that expires first, null where none does.
    const Document* first_due() const noexcept { return due_.empty() ? nullptr : *due_.begin(); }
    // Calls visit(document) in the order of their deadlines for those that are due at `now_ms`,
    // until it returns false.
    template <typename Visit> void walk_due(std::int64_t now_ms, Visit visit) const {
        for (const Document* const document : due_) {
            if (document->expires_ms > now_ms || !visit(*document)) return;
        }
    }

    // Calls visit(document) in byte order for those after `after` (exclusive), or from the start,
    // that begin with `prefix`, until it returns false.
    template <typename Visit>
    void walk(std::string_view prefix, const std::string_view* after, Visit visit) const {
        auto at = after != nullptr && *after >= prefix ? entries_.upper_bound(*after)
                                                       : entries_.lower_bound(prefix);
        for (; at != entries_.end() && at->document->key.starts_with(prefix); ++at) {
            if (!visit(at->document)) return;
        }
    }

    std::size_t size() const noexcept { return entries_.size(); }
    std::uint64_t bytes() const noexcept { return bytes_; }  // keys and values

private:
    static std::uint64_t bytes_of(const Document& document) {
        return document.key.size() + document.value.size();
    }
    struct Sooner {
        bool operator()(const Document* a, const Document* b) const noexcept {
            return a->expires_ms != b->expires_ms ? a->expires_ms < b->expires_ms : a->key < b->key;
        }
    };
    void forget(const Document& document);  // before it goes
    void note(const Document& document);    // that came

    Set entries_;
    std::set<const Document*, Sooner> due_;  // those of entries_ that expire
    std::uint64_t bytes_ = 0;
};

}  // namespace larder::storage
