#include "backup_downloads.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <cerrno>
#include <system_error>
#include <utility>

#include "larder/conditional.hpp"
#include "larder/time.hpp"
#include "storage-kit/byte_range.hpp"
#include "storage-kit/json.hpp"

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

Response out_of_range(std::string_view request_id, std::uint64_t size) {
    Response response;
    response.status = 416;
    response.headers.emplace_back("Content-Type", "application/problem+json");
    response.headers.emplace_back("Content-Range", fmt::format("bytes */{}", size));
    response.body = fmt::format(
        R"({{"type":"urn:larder:problem:range-not-satisfiable","title":"Range Not Satisfiable",)"
        R"("status":416,"detail":"no range asked for lies in the archive",)"
        R"("code":"range-not-satisfiable","request_id":{}}})",
        storage::json::quoted(request_id));
    return response;
}

}  // namespace

Response archive_answer(const Request& request, const Record& record, const std::string& path) {
    const std::string etag = fmt::format("\"{}\"", record.archive_sha256);
    const std::int64_t modified = record.created_ms / 1000;
    const Preconditions wanted = Preconditions::of(request);
    const std::string_view failing = wanted.failing(etag, modified);
    Response response;
    if (!failing.empty() && failing != "if-none-match") {
        throw Error(Errc::precondition_failed, "precondition-failed",
                    fmt::format("{} does not hold for the archive", failing))
            .with("condition", storage::json::quoted(failing));
    }
    bool is_known = failing == "if-none-match";
    if (const auto header = request.header("If-Modified-Since"); header && !wanted.if_none_match) {
        const auto since = parse_http_date(*header);
        is_known = since && modified <= *since;
    }
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
    const auto range = request.header("Range"), if_range = request.header("If-Range");
    const bool is_in_time = !if_range || *if_range == etag || *if_range == http_date(modified);
    if (range && is_in_time && request.method() == Method::get) {
        const auto ranges = storage::parse_ranges(*range, region.length);
        if (ranges.kind == storage::Ranges::Kind::unsatisfiable) {
            return out_of_range(request.id(), region.length);
        }
        if (ranges.parts.size() == 1) {
            const storage::ByteRange& part = ranges.parts.front();
            response.status = 206;
            response.headers.emplace_back("Content-Range",
                                          storage::content_range(part, region.length));
            region.offset = part.first;
            region.length = part.length;
        }
    }
    response.body = std::move(region);
    return response;
}

}  // namespace larder::backup
