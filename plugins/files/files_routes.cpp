// Reads are answered from memory; changes go through the store, and are answered when durable.
//
//   Patch       what a merge patch wants of a record
//   Verified    what a verification found
//   routes, reads, changes, verification
#include "files_routes.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "files_answers.hpp"
#include "files_name.hpp"
#include "files_route_texts.hpp"
#include "larder/conditional.hpp"
#include "storage-kit/json.hpp"
#include "storage-kit/json_members.hpp"
#include "storage-kit/json_merge.hpp"
#include "storage-kit/query.hpp"
#include "storage-kit/timestamps.hpp"

namespace larder::files {
namespace {

using storage::invalid_parameter;
using storage::json::quoted;
using storage::json::unquoted;

constexpr std::uint64_t kMaxPatch = 64U << 10U, kMaxTags = 4096;  // bytes of JSON
constexpr std::size_t kMostStrays = 100;                          // names of a kind in an answer
constexpr std::string_view kConditions = "if-match,if-none-match,if-unmodified-since";

Error invalid_field(std::string_view member, std::string_view detail) {
    return storage::json::invalid_field(fmt::format("/{}", member), std::string(detail));
}

// What a merge patch wants of a record. Read before the change is judged, so that a bad one costs
// no commit.
struct Patch {
    explicit Patch(const Files& files, std::string_view body);
    void apply(Record& record) const;

    std::optional<std::string> original_name, mime_type, tags;
    std::optional<std::int64_t> expires_ms;

private:
    void take(const Files& files, const std::string& name, std::string_view value);
};

void check_tags(std::string_view tags) {
    if (!tags.starts_with('[') && !tags.starts_with('{')) {
        throw invalid_field("tags", "tags are an array, or an object, of strings");
    }
    for (storage::json::Walk tag(tags); tag.next();) {
        if (tag.value().starts_with('"')) continue;
        throw invalid_field("tags", "tags are an array, or an object, of strings");
    }
    if (tags.size() > kMaxTags) {
        throw invalid_field("tags", fmt::format("tags may hold {} bytes of JSON", kMaxTags));
    }
}

Patch::Patch(const Files& files, std::string_view body) {
    std::string text;
    try {
        text = storage::json::compact(body);
    } catch (const storage::json::InvalidJson& error) {
        throw Error(Errc::bad_request, "invalid-json",
                    fmt::format("the patch is no JSON value: {}", error.what()))
            .with("offset", std::to_string(error.offset()));
    }
    if (!text.starts_with('{')) {
        throw storage::json::invalid_field("", "the patch must be a JSON object");
    }
    for (storage::json::Walk member(text); member.next();) {
        take(files, unquoted(member.name()), member.value());
    }
}

void Patch::take(const Files& files, const std::string& name, std::string_view value) {
    const bool is_text = value.starts_with('"');
    const bool is_null = value == "null";
    if (name == "original_name") {
        if (!is_text) throw invalid_field(name, "original_name is a string");
        original_name = files.checked_name(unquoted(value));
        if (original_name->empty()) throw invalid_field(name, "nothing of this name can be kept");
    } else if (name == "mime_type") {
        mime_type = is_text ? unquoted(value) : "";
        if (!is_media_type(*mime_type)) {
            throw invalid_field(name, "mime_type is a media type such as text/plain");
        }
    } else if (name == "tags") {
        tags = is_null ? "[]" : std::string(value);
        if (!value.starts_with('{')) check_tags(*tags);
    } else if (name == "expires_at") {
        const auto time = is_text ? storage::parse_any_time(unquoted(value)) : std::nullopt;
        if (!time && !is_null) {
            throw invalid_field(name, "expires_at is null or a time such as 2026-01-01T00:00:00Z");
        }
        expires_ms = is_null ? 0 : std::max<std::int64_t>(*time, 1);
    } else {
        throw invalid_field(name,
                            "these may be changed: original_name, mime_type, tags, expires_at");
    }
}

void Patch::apply(Record& record) const {
    if (original_name) record.original_name = *original_name;
    if (mime_type) record.mime_type = *mime_type;
    if (expires_ms) record.expires_ms = *expires_ms;
    if (!tags) return;
    record.tags = tags->starts_with('{')
                      ? storage::json::merge_patch(record.tags, *tags, kMaxTags + kMaxPatch)
                      : *tags;
    check_tags(record.tags);
}

void append_list(std::string& out, std::string_view name, const std::vector<std::string>& items,
                 std::size_t most) {
    out.append("\"").append(name).append("\":[");
    for (std::size_t i = 0; i < std::min(items.size(), most); ++i) {
        if (i > 0) out += ',';
        storage::json::append_quoted(out, items[i]);
    }
    out += ']';
}

// What a verification found.
struct Verified {
    std::uint64_t checked = 0;
    std::vector<std::string> damaged, missing;

    void add(const std::string& filename, Integrity found) {
        if (found == Integrity::gone) return;
        ++checked;
        if (found == Integrity::damaged) damaged.push_back(filename);
        if (found == Integrity::missing) missing.push_back(filename);
    }
    Response answer() const {
        std::string body = fmt::format(R"({{"checked":{},)", checked);
        append_list(body, "damaged", damaged, damaged.size());
        body += ',';
        append_list(body, "missing", missing, missing.size());
        return json_answer(200, body + "}");
    }
};

}  // namespace

void RecordRoutes::declare(Routes& routes) {
    declare_reads(routes);
    routes.blocking({.method = Method::patch,
                     .pattern = "/api/files/{filename}/metadata",
                     .permission = Permission::write,
                     .summary = "Change what is known of a file by a merge patch",
                     .media_types = "application/merge-patch+json,application/json",
                     .schema = kPatchSchema,
                     .max_body = kMaxPatch,
                     .parameters = kFileParameters,
                     .answer_schema = kRecordSchema,
                     .problems = kPatchProblems},
                    [this](const Request& request) { return patch(request); });
    routes.blocking({.method = Method::del,
                     .pattern = "/api/files/{filename}",
                     .permission = Permission::write,
                     .summary = "Delete a file",
                     .conditions = kConditions,
                     .parameters = kFileParameters,
                     .answers = "204",
                     .problems = kFileProblems},
                    [this](const Request& request) { return remove(request); });
    routes.blocking({.method = Method::post,
                     .pattern = "/api/files/{filename}/verify",
                     .permission = Permission::write,
                     .summary = "Read a file again and compare its SHA-256",
                     .parameters = kFileParameters,
                     .answer_schema = kVerifiedSchema,
                     .problems = kFileProblems},
                    [this](const Request& request) { return verify_one(request); });
    routes.blocking({.method = Method::post,
                     .pattern = "/api/files/verify",
                     .permission = Permission::write,
                     .summary = "Read all files again and compare their SHA-256",
                     .answer_schema = kVerifiedSchema},
                    [this](const Request& request) { return verify_all(request); });
}

void RecordRoutes::declare_reads(Routes& routes) {
    routes.blocking({.method = Method::get,
                     .pattern = "/api/files",
                     .permission = Permission::read,
                     .summary = "List the files",
                     .queries = "prefix,mime,sort,order,limit,cursor",
                     .parameters = kListParameters,
                     .answer_schema = kListSchema},
                    [this](const Request& request) { return list(request); });
    routes.prompt(
        {.method = Method::get,
         .pattern = "/api/files/{filename}/metadata",
         .permission = Permission::read,
         .summary = "What is known of a file",
         .parameters = kFileParameters,
         .answer_schema = kRecordSchema,
         .problems = kFileProblems},
        [this](const Request& request, Reply reply) { std::move(reply).send(metadata(request)); });
    routes.prompt(
        {.method = Method::get,
         .pattern = "/api/files/storage",
         .permission = Permission::read,
         .summary = "How much is stored, how much room the quota leaves, and what is not "
                    "as it should be",
         .answer_schema = kStorageSchema},
        [this](const Request& request, Reply reply) { std::move(reply).send(storage(request)); });
}

Response RecordRoutes::list(const Request& request) {
    ListQuery query;
    const std::string_view sort = request.query("sort").value_or(kSortWords[0]);
    const auto word = std::find(kSortWords.begin(), kSortWords.end(), sort);
    if (word == kSortWords.end()) {
        throw invalid_parameter("sort", "sort is name, size, uploaded_at or downloads");
    }
    query.sort = static_cast<Sort>(word - kSortWords.begin());
    const std::string_view order = request.query("order").value_or("asc");
    if (order != "asc" && order != "desc") throw invalid_parameter("order", "order is asc or desc");
    query.descending = order == "desc";
    query.prefix = request.query("prefix").value_or("");
    query.mime = request.query("mime").value_or("");
    query.limit = storage::limit_of(request);
    const std::string kind = fmt::format("files.{}.{}", sort, order);
    query.after = storage::after_of(request, kind);
    const ListPage page = files_.catalog().list(query);
    std::string body = R"({"items":[)";
    for (const EntryPtr& entry : page.entries) {
        if (body.back() == '}') body += ',';
        body += answer_json(entry->now());
    }
    return json_answer(200,
                       body + fmt::format(R"(],"next":{}}})", storage::next_json(kind, page.next)));
}

Response RecordRoutes::metadata(const Request& request) {
    return json_answer(200, answer_json(files_.find(request.param("filename"))->now()));
}

Response RecordRoutes::patch(const Request& request) {
    const std::string filename(request.param("filename"));
    const EntryPtr entry = files_.find(filename);
    const Patch patch(files_, request.body());
    Record record = files_.catalog().edit(filename, [&](Record& now) { patch.apply(now); });
    record.download_count = entry->counts->downloads;
    record.accessed_ms = entry->counts->accessed_ms;
    return json_answer(200, answer_json(record));
}

Response RecordRoutes::remove(const Request& request) {
    const std::string filename(request.param("filename"));
    const Preconditions wanted = Preconditions::of(request);
    files_.find(filename);
    files_.remove(filename, [&](const Record& record) {
        const std::string_view failing =
            wanted.failing(fmt::format("\"{}\"", record.hash), record.uploaded_ms / 1000);
        if (failing.empty()) return;
        throw Error(Errc::precondition_failed, "precondition-failed",
                    fmt::format("{} does not hold for the file", failing))
            .with("condition", quoted(failing));
    });
    Response response;
    response.status = 204;
    return response;
}

// The origin's fields, and what it had no word for.
Response RecordRoutes::storage(const Request& /*request*/) {
    constexpr double kMiB = 1024.0 * 1024.0, kGiB = kMiB * 1024.0;
    const auto figures = files_.quota().figures();
    const auto used = static_cast<double>(figures.used), most = static_cast<double>(figures.limit);
    std::string body = fmt::format(
        R"({{"used_bytes":{},"used_mb":{:.2f},"used_gb":{:.4f},"max_bytes":{},"max_gb":{:.4f},)"
        R"("available_bytes":{},"usage_percent":{:.2f},"file_count":{},"reserved_bytes":{},)"
        R"("max_file_size":{},)",
        figures.used, used / kMiB, used / kGiB, figures.limit, most / kGiB, figures.available(),
        most > 0 ? used / most * 100.0 : 100.0, files_.catalog().count(), figures.reserved,
        files_.max_file_size());
    const Files::Strays strays = files_.strays();
    body += fmt::format(R"("orphan_count":{},"missing_count":{},"damaged_count":{},)",
                        strays.orphans.size(), strays.missing.size(), strays.damaged.size());
    append_list(body, "orphans", strays.orphans, kMostStrays);
    body += ',';
    append_list(body, "missing", strays.missing, kMostStrays);
    body += ',';
    append_list(body, "damaged", strays.damaged, kMostStrays);
    return json_answer(200, body + "}");
}

Response RecordRoutes::verify_one(const Request& request) {
    const EntryPtr entry = files_.find(request.param("filename"));
    const auto cancel = request.cancel();
    const Integrity found =
        files_.verify(entry, [&](std::uint64_t) { return !cancel->cancelled(); });
    if (found == Integrity::gone) throw file_not_found();
    Verified verified;
    verified.add(entry->record.filename, found);
    return verified.answer();
}

Response RecordRoutes::verify_all(const Request& request) {
    const auto cancel = request.cancel();
    Verified verified;
    for (const EntryPtr& entry : files_.catalog().all()) {
        if (cancel->cancelled()) break;
        verified.add(entry->record.filename,
                     files_.verify(entry, [&](std::uint64_t) { return !cancel->cancelled(); }));
    }
    return verified.answer();
}

}  // namespace larder::files
