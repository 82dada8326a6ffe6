#include "backup_downloads.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <cerrno>
#include <system_error>
#include <utility>

#include "larder/time.hpp"
#include "storage-kit/range_request.hpp"

namespace larder::backup {
namespace {

FileRegion opened(const std::string& path) {
    auto file = std::make_shared<FileHandle>(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    struct stat status {};
    if (file->fd() < 0 || fstat(file->fd(), &status) != 0) {
        if (errno == ENOENT) {
            throw Error(Errc::not_found, "archive-missing", "the backup's archive is not there");
        }
        throw std::system_error(errno, std::generic_category(), path);
    }
    return {std::move(file), 0, static_cast<std::uint64_t>(status.st_size)};
}

}  // namespace

Response archive_answer(const Request& request, const Record& record, const std::string& path) {
    const std::string etag = fmt::format("\"{}\"", record.archive_sha256);
    const std::int64_t modified = record.created_ms / 1000;
    const storage::RangeRequest asked(request);
    const bool is_known = asked.is_known(etag, modified, "the archive");
    Response response;
    response.headers = {
        {"ETag", etag}, {"Last-Modified", http_date(modified)}, {"Accept-Ranges", "bytes"}};
    if (is_known) {
        response.status = 304;
        return response;
    }
    FileRegion region = opened(path);
    const std::string name = path.substr(path.rfind('/') + 1);
    response.headers.emplace_back(
        "Content-Type", record.is_encrypted ? "application/octet-stream" : "application/gzip");
    response.headers.emplace_back("Content-Disposition",
                                  fmt::format("attachment; filename=\"{}\"", name));
    const storage::Ranges ranges = asked.ranges(etag, modified, region.length);
    if (ranges.kind == storage::Ranges::Kind::unsatisfiable) {
        return asked.unsatisfiable(region.length, "the archive");
    }
    if (ranges.parts.size() == 1) {
        const storage::ByteRange& part = ranges.parts.front();
        response.status = 206;
        response.headers.emplace_back("Content-Range", storage::content_range(part, region.length));
        region.offset = part.first;
        region.length = part.length;
    }
    response.body = std::move(region);
    return response;
}

}  // namespace larder::backup
