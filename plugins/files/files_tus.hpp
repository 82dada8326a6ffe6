// Resumable uploads over HTTP: tus 1.0.0 with its extensions. What an upload is between requests is
// files_tus_uploads.hpp's.
#pragma once

#include <memory>

#include "files_store.hpp"
#include "files_tus_uploads.hpp"
#include "larder/http.hpp"

namespace larder::files {

class TusRoutes {
public:
    TusRoutes(Files& files, TusUploads& uploads) : files_(files), uploads_(uploads) {}
    void declare(Routes& routes);

private:
    void declare_uploads(Routes& routes);
    Response options(std::string_view allow) const;
    std::unique_ptr<Upload> create(const Request& request);
    std::unique_ptr<Upload> patch(const Request& request);
    std::unique_ptr<Upload> post(const Request& request);
    Response head(const Request& request);
    Response terminate(const Request& request);

    Files& files_;
    TusUploads& uploads_;
};

}  // namespace larder::files
