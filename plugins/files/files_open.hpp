// Files that were downloaded lately, kept open with the headers of their answers. A cache: what it
// forgets is opened anew.
#pragma once

#include <cstddef>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>

#include "files_catalog.hpp"
#include "larder/http.hpp"

namespace larder::files {

struct OpenFile {
    EntryPtr entry;
    std::shared_ptr<FileHandle> file;
    std::string etag;    // with its quotes
    Headers unmodified;  // of a 304
    Headers headers;     // of a 200 as an attachment
};
using OpenFilePtr = std::shared_ptr<const OpenFile>;

class OpenFiles {
public:
    explicit OpenFiles(std::size_t most) : most_(most) {}

    OpenFilePtr find(std::string_view filename);  // null where it is not kept [any]
    // Keeps it if `is_current(entry)` still holds, which is asked under the cache's lock, so that a
    // forget() that follows a change is never overtaken. [any]
    void keep(const OpenFilePtr& file, const std::function<bool(const EntryPtr&)>& is_current);
    void forget(std::string_view filename);  // [any]

private:
    using Order = std::list<OpenFilePtr>;  // latest first

    const std::size_t most_;
    std::mutex mutex_;
    Order order_;                                                   // guarded by mutex_, as below
    std::unordered_map<std::string_view, Order::iterator> places_;  // keys in the entries
};

}  // namespace larder::files
