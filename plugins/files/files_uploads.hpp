// Whole files coming in: PUT with a raw body, POST with a form. Not those that come in pieces over
// several requests: files_tus.hpp.
#pragma once

#include "files_store.hpp"
#include "larder/http.hpp"

namespace larder::files {

class UploadRoutes {
public:
    explicit UploadRoutes(Files& files) : files_(files) {}
    void declare(Routes& routes);

private:
    std::unique_ptr<Upload> put(const Request& request);
    std::unique_ptr<Upload> post(const Request& request);

    Files& files_;
};

}  // namespace larder::files
