// Notes over HTTP, by all three kinds of routes: prompt ones in memory or answered by the commit, a
// blocking one, an upload; and a stream for those who watch. Knows no files.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "larder/host.hpp"
#include "larder/http.hpp"
#include "storage-kit/document_store.hpp"

namespace notes {

class NotesRoutes {
public:
    NotesRoutes(larder::storage::DocumentStore& store, larder::Host& host);

    void declare(larder::Routes& routes);
    void end_watches() noexcept;  // [control]

private:
    class Import;
    using Watches = std::vector<std::shared_ptr<larder::EventStream>>;

    void list(const larder::Request& request, larder::Reply reply);
    void watch(larder::Reply reply);
    void create(const larder::Request& request, larder::Reply reply);
    void get(const larder::Request& request, larder::Reply reply);
    void remove(const larder::Request& request, larder::Reply reply);
    larder::Response as_text(const larder::Request& request);
    std::unique_ptr<larder::Upload> import(const larder::Request& request);

    void check_note(std::string_view text) const;
    void tell(const std::string& note_json);

    larder::storage::DocumentStore& store_;
    const larder::Settings& settings_;
    larder::Counter& written_;

    std::mutex mutex_;
    Watches watches_;  // guarded by mutex_
};

}  // namespace notes
