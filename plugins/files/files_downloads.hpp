// A file going out: whole, in ranges, or not at all where the client has it (RFC 9110 §13-14).
#pragma once

#include "files_store.hpp"
#include "larder/http.hpp"
#include "storage-kit/byte_range.hpp"

namespace larder::files {

class DownloadRoutes {
public:
    explicit DownloadRoutes(Files& files);
    void declare(Routes& routes);

private:
    struct Ask;
    void get(const Request& request, Reply reply);
    Response answer(const Ask& ask, const OpenFile& file);
    Response parts(const OpenFile& file, Response response,
                   const std::vector<storage::ByteRange>& ranges);

    Files& files_;
    const std::string boundary_;  // of multipart/byteranges; nobody can know it beforehand
};

}  // namespace larder::files
