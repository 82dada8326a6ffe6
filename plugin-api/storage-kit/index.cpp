// Documents in one block each, in a tree. Not the place for their meaning.
#include "storage-kit/index.hpp"

#include <algorithm>
#include <utility>

namespace larder::storage {
namespace {

// What an allocation for make_document needs beyond the object, and where that came to lie.
struct Tail {
    std::size_t bytes;
    char* begin;
};

// Adds the tail to whatever block allocate_shared asks for. The tail is only looked at there: the
// copy that stays in the block for deallocate() must not follow the pointer.
template <typename T> class WithTail {
public:
    using value_type = T;
    explicit WithTail(Tail* tail) : tail_(tail) {}
    template <typename U> WithTail(const WithTail<U>& other) : tail_(other.tail()) {}

    T* allocate(std::size_t n) {
        const std::size_t own = n * sizeof(T);
        char* const block = static_cast<char*>(::operator new(own + tail_->bytes));
        tail_->begin = block + own;
        return reinterpret_cast<T*>(block);
    }
    void deallocate(T* block, std::size_t) noexcept { ::operator delete(block); }
    Tail* tail() const noexcept { return tail_; }
    template <typename U> bool operator==(const WithTail<U>&) const noexcept { return true; }

private:
    Tail* tail_;
};

}  // namespace

DocumentPtr make_document(const Stamp& stamp, std::string_view key, std::string_view value,
                          std::string_view metadata) {
    Tail tail{key.size() + value.size() + metadata.size(), nullptr};
    const auto made = std::allocate_shared<Document>(WithTail<Document>(&tail));
    made->revision = stamp.revision;
    made->created_ms = stamp.created_ms;
    made->updated_ms = stamp.updated_ms;
    made->expires_ms = stamp.expires_ms;
    char* at = tail.begin;
    const auto keep = [&at](std::string_view text) {
        char* const begin = at;
        at = std::copy(text.begin(), text.end(), at);
        return std::string_view(begin, text.size());
    };
    made->key = keep(key);
    made->value = keep(value);
    made->metadata = keep(metadata);
    return made;
}

const DocumentPtr& Index::find(std::string_view key) const {
    static const DocumentPtr kAbsent;
    const auto found = entries_.find(key);
    return found == entries_.end() ? kAbsent : found->document;
}

void Index::note(const Document& document) {
    bytes_ += bytes_of(document);
    if (document.expires_ms != 0) due_.insert(&document);
}

void Index::forget(const Document& document) {
    bytes_ -= bytes_of(document);
    if (document.expires_ms != 0) due_.erase(&document);
}

void Index::put(DocumentPtr document) {
    const Document& fresh = *document;
    if (entries_.empty() || std::prev(entries_.end())->document->key < fresh.key) {
        entries_.insert(entries_.end(), Entry{std::move(document)});
    } else if (const auto found = entries_.find(fresh.key); found != entries_.end()) {
        forget(*found->document);  // first: two with one key and deadline are the same to due_
        found->document = std::move(document);
    } else {
        entries_.insert(Entry{std::move(document)});
    }
    note(fresh);
}

void Index::erase(std::string_view key) {
    const auto found = entries_.find(key);
    if (found == entries_.end()) return;
    forget(*found->document);
    entries_.erase(found);
}

}  // namespace larder::storage
