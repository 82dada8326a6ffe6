// A file that is open already is answered on the reactor; any other is opened by a worker first.
#include "files_downloads.hpp"

#include <fmt/format.h>

#include <random>
#include <utility>

#include "files_answers.hpp"
#include "files_name.hpp"
#include "files_route_texts.hpp"
#include "larder/time.hpp"
#include "storage-kit/query.hpp"
#include "storage-kit/range_request.hpp"

namespace larder::files {
namespace {

std::string random_boundary() {
    std::random_device source;
    std::string text = "larder-";
    for (int i = 0; i < 4; ++i) text += fmt::format("{:08x}", source());
    return text;
}

void set_header(Headers& headers, std::string_view name, std::string value) {
    for (auto& [known, text] : headers) {
        if (known != name) continue;
        text = std::move(value);
        return;
    }
    headers.emplace_back(name, std::move(value));
}

}  // namespace

// What was asked, kept beyond the request.
struct DownloadRoutes::Ask {
    explicit Ask(const Request& request)
        : of(request), is_inline(storage::flag_of(request, "inline")) {}

    storage::RangeRequest of;
    bool is_inline;
};

DownloadRoutes::DownloadRoutes(Files& files) : files_(files), boundary_(random_boundary()) {}

void DownloadRoutes::declare(Routes& routes) {
    routes.prompt({.method = Method::get,
                   .pattern = "/api/files/{filename}",
                   .permission = Permission::read,
                   .summary = "The bytes of a file, all of them or ranges",
                   .queries = "inline",
                   .parameters = kDownloadParameters,
                   .answers = "200 */*; 206 */*",
                   .answer_headers = kDownloadHeaders,
                   .problems = kDownloadProblems},
                  [this](const Request& request, Reply reply) { get(request, std::move(reply)); });
}

void DownloadRoutes::get(const Request& request, Reply reply) {
    const std::string_view filename = request.param("filename");
    Ask ask(request);
    if (const OpenFilePtr file = files_.find_open(filename)) {
        return std::move(reply).send(answer(ask, *file));
    }
    const EntryPtr entry = files_.find(filename);
    const auto held = std::make_shared<Reply>(std::move(reply));
    storage::on_worker(files_.host(), held, [this, held, entry, ask = std::move(ask)] {
        std::move(*held).send(answer(ask, *files_.open(entry)));
    });
}

Response DownloadRoutes::answer(const Ask& ask, const OpenFile& file) {
    const Record& record = file.entry->record;
    const std::int64_t modified = record.uploaded_ms / 1000;
    Response response;
    if (ask.of.is_known(file.etag, modified, "the file")) {
        response.status = 304;
        response.headers = file.unmodified;
        return response;
    }
    response.headers.reserve(file.headers.size() + 2);
    response.headers = file.headers;
    if (ask.is_inline) {
        set_header(response.headers, "Content-Disposition",
                   content_disposition("inline", record.original_name));
        response.headers.emplace_back("X-Content-Type-Options", "nosniff");
        response.headers.emplace_back("Content-Security-Policy", "default-src 'none'; sandbox");
    }
    const storage::Ranges ranges = ask.of.ranges(file.etag, modified, record.size);
    if (ranges.kind == storage::Ranges::Kind::unsatisfiable) {
        return ask.of.unsatisfiable(record.size, "the file");
    }
    const bool whole = ranges.kind == storage::Ranges::Kind::whole;
    if (!ask.of.is_head() && (whole || ranges.parts.front().first == 0)) {
        files_.catalog().count_download(*file.entry, unix_now_ms());
        files_.downloads().add();
    }
    if (!whole) return parts(file, std::move(response), ranges.parts);
    if (record.size > 0) response.body = FileRegion{file.file, 0, record.size};
    if (record.size == 0) response.body = std::string();
    return response;
}

Response DownloadRoutes::parts(const OpenFile& file, Response response,
                               const std::vector<storage::ByteRange>& ranges) {
    const Record& record = file.entry->record;
    response.status = 206;
    if (ranges.size() == 1) {
        response.headers.emplace_back("Content-Range",
                                      storage::content_range(ranges.front(), record.size));
        response.body = FileRegion{file.file, ranges.front().first, ranges.front().length};
        return response;
    }
    set_header(response.headers, "Content-Type", "multipart/byteranges; boundary=" + boundary_);
    Segments segments;
    for (const storage::ByteRange& range : ranges) {
        segments.emplace_back(fmt::format("{}--{}\r\nContent-Type: {}\r\nContent-Range: {}\r\n\r\n",
                                          segments.empty() ? "" : "\r\n", boundary_,
                                          record.mime_type,
                                          storage::content_range(range, record.size)));
        segments.emplace_back(FileRegion{file.file, range.first, range.length});
    }
    segments.emplace_back(fmt::format("\r\n--{}--\r\n", boundary_));
    response.body = std::move(segments);
    return response;
}

}  // namespace larder::files
