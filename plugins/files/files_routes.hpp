// Files as records: lists, metadata, removal, how much is stored, verification. Their bytes come in
// by files_uploads.hpp and go out by files_downloads.hpp.
#pragma once

#include "files_store.hpp"
#include "larder/http.hpp"

namespace larder::files {

class RecordRoutes {
public:
    explicit RecordRoutes(Files& files) : files_(files) {}
    void declare(Routes& routes);

private:
    void declare_reads(Routes& routes);
    Response list(const Request& request);
    Response metadata(const Request& request);
    Response patch(const Request& request);
    Response remove(const Request& request);
    Response storage(const Request& request);
    Response verify_one(const Request& request);
    Response verify_all(const Request& request);

    Files& files_;
};

}  // namespace larder::files
