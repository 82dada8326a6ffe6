#include "programs_routes.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <optional>
#include <system_error>
#include <utility>

#include "larder/time.hpp"
#include "programs_route_texts.hpp"
#include "storage-kit/answers.hpp"
#include "storage-kit/file_system.hpp"
#include "storage-kit/json.hpp"
#include "storage-kit/json_members.hpp"
#include "storage-kit/query.hpp"

namespace larder::programs {
namespace {

using storage::json_answer;
using storage::json::quoted;

constexpr std::size_t kMostName = 200;
constexpr std::string_view kListKind = "programs", kFilesKind = "programs.files";

bool is_plain_text(std::string_view text) {
    return !text.empty() && std::none_of(text.begin(), text.end(), [](char c) {
        return static_cast<unsigned char>(c) < 0x20 || c == 0x7F;
    });
}

// Members that a change names.
struct Patch {
    explicit Patch(std::string_view body) {
        const auto members = storage::json::Members::of_body(body);
        original_name = members.text("original_name", kMostName);
        filename = members.text("filename", kMostName);
        main_file = members.text("main_file", kMostName);
        network = members.flag("network");
        members.end();
        for (const auto& [name, text] :
             {std::pair("/original_name", &original_name), std::pair("/filename", &filename)}) {
            if (*text && !is_plain_text(**text)) {
                throw storage::json::invalid_field(name, "a name has no control characters");
            }
        }
    }
    std::optional<std::string> original_name, filename, main_file;
    std::optional<bool> network;
};

Error file_not_found() {
    return {Errc::not_found, "file-not-found", "the program has no such file"};
}

}  // namespace

void ProgramRoutes::declare(Routes& routes) {
    routes.prompt(
        {.method = Method::get,
         .pattern = "/api/programs",
         .permission = Permission::read,
         .summary = "List the programs",
         .queries = "limit,cursor",
         .answer_schema = kProgramsSchema},
        [this](const Request& request, Reply reply) { std::move(reply).send(list(request)); });
    routes.prompt({.method = Method::get,
                   .pattern = "/api/programs/{id}",
                   .permission = Permission::read,
                   .summary = "What is known of a program",
                   .parameters = kIdParameter,
                   .answer_schema = kProgramSchema,
                   .problems = kProgramProblems},
                  [this](const Request& request, Reply reply) {
                      const std::string json = record_json(store_.find(request.param("id")));
                      std::move(reply).send(json_answer(200, json));
                  });
    routes.blocking({.method = Method::patch,
                     .pattern = "/api/programs/{id}",
                     .permission = Permission::write,
                     .summary = "Rename a program, choose its main file, allow it the network",
                     .media_types = "application/merge-patch+json,application/json",
                     .schema = kPatchSchema,
                     .parameters = kIdParameter,
                     .answer_schema = kProgramSchema,
                     .problems = kPatchProblems},
                    [this](const Request& request) { return patch(request); });
    routes.blocking({.method = Method::del,
                     .pattern = "/api/programs/{id}",
                     .permission = Permission::write,
                     .summary = "Delete a program; its runs are stopped, their records stay",
                     .parameters = kIdParameter,
                     .answers = "204",
                     .problems = kProgramProblems},
                    [this](const Request& request) { return remove(request); });
    declare_files(routes);
}

void ProgramRoutes::declare_files(Routes& routes) {
    routes.prompt({.method = Method::get,
                   .pattern = "/api/programs/storage",
                   .permission = Permission::read,
                   .summary = "How many programs there are, and how much room the quota leaves",
                   .answer_schema = kStorageSchema},
                  [this](const Request& /*request*/, Reply reply) {
                      const auto figures = store_.figures();
                      const std::uint64_t available =
                          figures.quota - std::min(figures.quota, figures.used);
                      std::move(reply).send(json_answer(
                          200, fmt::format(R"({{"total_programs":{},"total_projects":{},)"
                                           R"("total_size":{},"quota":{},"available":{}}})",
                                           figures.programs, figures.projects, figures.used,
                                           figures.quota, available)));
                  });
    routes.blocking(
        {.method = Method::get,
         .pattern = "/api/programs/languages",
         .permission = Permission::read,
         .summary = "The interpreters that are installed, and how programs are isolated",
         .answer_schema = kLanguagesSchema},
        [this](const Request& /*request*/) { return languages(); });
    routes.blocking({.method = Method::get,
                     .pattern = "/api/programs/{id}/files",
                     .permission = Permission::read,
                     .summary = "The files of a program, as they are now",
                     .queries = "limit,cursor",
                     .parameters = kIdParameter,
                     .answer_schema = kFilesSchema,
                     .problems = kProgramProblems},
                    [this](const Request& request) { return files(request); });
    routes.blocking({.method = Method::get,
                     .pattern = "/api/programs/{id}/files/{path...}",
                     .permission = Permission::read,
                     .summary = "One file of a program",
                     .parameters = "id: of the program; path: of the file, in its folder",
                     .answers = "200 application/octet-stream",
                     .answer_headers = "Content-Disposition: attachment",
                     .problems = kFileProblems},
                    [this](const Request& request) { return file(request); });
}

Response ProgramRoutes::list(const Request& request) const {
    const std::size_t limit = storage::limit_of(request);
    const auto records = store_.list(storage::after_of(request, kListKind), limit + 1);
    std::string body = R"({"items":[)";
    for (std::size_t i = 0; i < std::min(limit, records.size()); ++i) {
        if (i > 0) body += ',';
        body += record_json(records[i]);
    }
    const std::string next = records.size() > limit ? records[limit - 1].id : std::string();
    return json_answer(200,
                       body + fmt::format(R"(],"next":{}}})", storage::next_json(kListKind, next)));
}

Response ProgramRoutes::patch(const Request& request) {
    const std::string id(request.param("id"));
    const Record before = store_.find(id);
    const Patch patch(request.body());
    if (patch.filename && !before.is_project()) {
        throw storage::json::invalid_field("/filename",
                                           "a script's file keeps its name; change original_name");
    }
    if (patch.main_file) {
        const auto tree = walk_folder(store_.folder_of(id), kMostWalked);
        const bool is_there = std::any_of(tree.begin(), tree.end(), [&](const FolderEntry& entry) {
            return !entry.is_folder && entry.path == *patch.main_file;
        });
        if (!is_there || language_of(*patch.main_file).empty()) {
            throw storage::json::invalid_field(
                "/main_file", "main_file is a .py, .sh or .js file of the program");
        }
    }
    if (patch.network && *patch.network != before.network) {
        if (!request.may(Permission::admin, fmt::format("programs/{}", id))) {
            throw Error(Errc::forbidden, "forbidden", "only an admin allows a program the network");
        }
        AuditRecord record;
        record.actor = request.principal();
        record.action = *patch.network ? "program.allow_network" : "program.deny_network";
        record.target = id;
        record.outcome = "ok";
        record.ip_address = request.peer_address();
        record.request_id = request.id();
        store_.host().audit().record(record);
    }
    const Record after = store_.edit(id, [&](Record& record) {
        if (patch.original_name) record.original_name = *patch.original_name;
        if (patch.filename) record.filename = *patch.filename;
        if (patch.main_file) {
            record.main_file = *patch.main_file;
            record.main_file_reason = "it was chosen";
        }
        if (patch.network) record.network = *patch.network;
    });
    return json_answer(200, record_json(after));
}

Response ProgramRoutes::remove(const Request& request) {
    const std::string id(request.param("id"));
    store_.find(id);
    schedules_.drop(id);
    runner_.cancel_all(id);
    store_.remove(id);
    runner_.remove_log(id);
    Response response;
    response.status = 204;
    return response;
}

Response ProgramRoutes::files(const Request& request) const {
    const std::string id(request.param("id"));
    store_.find(id);
    const std::size_t limit = storage::limit_of(request);
    const std::string after = storage::after_of(request, kFilesKind);
    const auto tree = walk_folder(store_.folder_of(id), kMostWalked);
    auto at = std::upper_bound(
        tree.begin(), tree.end(), after,
        [](const std::string& path, const FolderEntry& entry) { return path < entry.path; });
    if (after.empty()) at = tree.begin();
    std::string body = R"({"items":[)";
    std::string last;
    for (std::size_t count = 0; at != tree.end() && count < limit; ++at, ++count) {
        if (count > 0) body += ',';
        body += fmt::format(R"({{"path":{},"type":"{}","size":{},"modified_at":"{}"}})",
                            quoted(at->path), at->is_folder ? "directory" : "file", at->size,
                            rfc3339(at->modified_ms));
        last = at->path;
    }
    return json_answer(
        200, body + fmt::format(
                        R"(],"next":{}}})",
                        storage::next_json(kFilesKind, at == tree.end() ? std::string() : last)));
}

// Links, which a program may have made in its data/, are not followed, and nothing waits.
Response ProgramRoutes::file(const Request& request) const {
    const std::string id(request.param("id")), path(request.param("path"));
    store_.find(id);
    if (path == kMetadataFile) throw file_not_found();
    std::shared_ptr<FileHandle> handle;
    struct stat status {};
    try {
        const auto folder = storage::open_folder(store_.folder_of(id));
        auto opened = storage::open_beneath(folder.get(), path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
        if (::fstat(opened.get(), &status) != 0 || !S_ISREG(status.st_mode)) throw file_not_found();
        handle = std::make_shared<FileHandle>(opened.release());
    } catch (const std::system_error& error) {
        if (storage::is_out_of_descriptors(error)) throw disk_error(error);
        if (error.code() == std::errc::io_error) throw disk_error(error);
        throw file_not_found();
    }
    Response response;
    response.headers.emplace_back("Content-Type", "application/octet-stream");
    response.headers.emplace_back("Content-Disposition", "attachment");
    response.headers.emplace_back("X-Content-Type-Options", "nosniff");
    response.body = FileRegion{std::move(handle), 0, static_cast<std::uint64_t>(status.st_size)};
    return response;
}

Response ProgramRoutes::languages() const {
    std::string body = R"({"languages":[)";
    for (const Language& language : sandbox_.languages()) {
        if (body.back() == '}') body += ',';
        const bool is_there = ::access(std::string(language.path).c_str(), X_OK) == 0;
        body += fmt::format(
            R"({{"language":"{}","interpreter":"{}","path":"{}","available":{},"version":{}}})",
            language.name, language.interpreter, language.path, is_there,
            language.version.empty() ? "null" : quoted(language.version));
    }
    return json_answer(200, body + fmt::format(R"(],"isolation":{}}})", sandbox_.describe_json()));
}

}  // namespace larder::programs
