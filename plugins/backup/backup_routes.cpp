// Contents: what a request wants · the declarations · reading · work
#include "backup_routes.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <system_error>
#include <utility>

#include "backup_answers.hpp"
#include "backup_downloads.hpp"
#include "backup_imports.hpp"
#include "backup_maker.hpp"
#include "backup_members.hpp"
#include "backup_restore.hpp"
#include "backup_retention.hpp"
#include "backup_route_texts.hpp"
#include "backup_upkeep.hpp"
#include "backup_verify.hpp"
#include "storage-kit/json.hpp"
#include "storage-kit/query.hpp"

namespace larder::backup {
namespace {

namespace json = storage::json;

constexpr std::string_view kCursor = "backups";
constexpr std::uint64_t kMostBody = 64U << 10U, kMostImport = 1ULL << 50U;
constexpr std::size_t kMostNote = 4096;
constexpr std::array<std::string_view, 9> kComponents = {
    "storage.json", "users.json", "plugins.json", "jobs.json", "config",
    "kv",           "files",      "programs",     "db"};

Wanted wanted_of(const Request& request, const Site& site) {
    const Members body = members_of_body(request.body());
    Wanted wanted;
    const std::string type = body.text("type", kMostNote).value_or("full");
    if (type != "full" && type != "incremental") {
        throw invalid_field("/type", "type is full or incremental");
    }
    wanted.incremental = type == "incremental";
    wanted.encrypt = flag_of(body, "encrypt");
    wanted.note = body.text("note", kMostNote).value_or(std::string());
    const auto asked = body.texts("components");
    body.end();
    wanted.components = component_names(asked);
    for (std::size_t i = 0; i < asked.size(); ++i) {
        const std::string name = component_names({asked[i]}).front();
        const bool is_known =
            std::find(kComponents.begin(), kComponents.end(), name) != kComponents.end() ||
            std::filesystem::exists(fmt::format("{}/{}", site.catalog.data_directory(), name));
        if (is_known && name != kFolder) continue;
        throw invalid_field(fmt::format("/components/{}", i),
                            fmt::format("there is no component {}; there are {}", name,
                                        fmt::join(kComponents, ", ")));
    }
    if (wanted.encrypt && site.options().key_file.empty()) {
        throw Error(Errc::conflict, "no-key",
                    "there is no key to encrypt with; set backup.key_file first");
    }
    if (wanted.incremental) parent_for(site.catalog, wanted.components);
    return wanted;
}

}  // namespace

void BackupRoutes::declare(Routes& routes) {
    declare_reads(routes);
    routes.prompt(
        {.method = Method::post,
         .pattern = "/api/backups",
         .permission = Permission::admin,
         .summary = "Make a backup of one moment",
         .media_types = "application/json",
         .schema = kCreateSchema,
         .max_body = kMostBody,
         .parameters = kWaitParameters,
         .answers = "201 application/json; 202 application/json",
         .answer_schema = kRecordSchema,
         .answer_headers = kLocation,
         .problems = kCreateProblems},
        [this](const Request& request, Reply reply) { create(request, std::move(reply)); });
    routes.prompt(
        {.method = Method::post,
         .pattern = "/api/backups/{id}/verify",
         .permission = Permission::admin,
         .summary = "Read a backup to its end and check all that is in it",
         .parameters = kVerifyParameters,
         .answers = "200 application/json; 202 application/json",
         .answer_schema = kVerifiedSchema,
         .answer_headers = kLocation,
         .problems = kVerifyProblems},
        [this](const Request& request, Reply reply) { verify(request, std::move(reply)); });
    routes.prompt(
        {.method = Method::post,
         .pattern = "/api/backups/{id}/restore",
         .permission = Permission::admin,
         .summary = "Put back what a backup has, all of it or some components",
         .media_types = "application/json",
         .schema = kAskRestoreSchema,
         .max_body = kMostBody,
         .parameters = kIdWaitParameters,
         .answers = "200 application/json; 202 application/json",
         .answer_schema = kRestoredSchema,
         .answer_headers = kLocation,
         .problems = kRestoreProblems},
        [this](const Request& request, Reply reply) { restore(request, std::move(reply)); });
    routes.blocking({.method = Method::del,
                     .pattern = "/api/backups/{id}",
                     .permission = Permission::admin,
                     .summary = "Delete a backup",
                     .parameters = kIdParameter,
                     .answers = "204",
                     .problems = kDeleteProblems},
                    [this](const Request& request) { return remove(request); });
    routes.blocking({.method = Method::post,
                     .pattern = "/api/backups/cleanup",
                     .permission = Permission::admin,
                     .summary = "Delete the backups that no rule keeps",
                     .media_types = "application/json",
                     .schema = kAskCleanupSchema,
                     .max_body = kMostBody,
                     .answer_schema = kCleanupSchema,
                     .problems = "500 storage-failed; 503 read-only"},
                    [this](const Request& request) { return cleanup(request); });
    routes.upload({.method = Method::post,
                   .pattern = "/api/backups/import",
                   .permission = Permission::admin,
                   .summary = "Take in an archive, once it is judged",
                   .media_types = "application/gzip,application/x-gzip,application/octet-stream",
                   .max_body = kMostImport,  // backup.max_import is asked for each
                   .answers = "201 application/json",
                   .answer_schema = kRecordSchema,
                   .answer_headers = kLocation,
                   .problems = kImportProblems},
                  [this](const Request& request, std::shared_ptr<Cancel> cancel) {
                      return begin_import(site_, request, std::move(cancel));
                  });
}

void BackupRoutes::declare_reads(Routes& routes) {
    routes.blocking({.method = Method::get,
                     .pattern = "/api/backups",
                     .permission = Permission::read,
                     .summary = "List the backups",
                     .queries = "limit,cursor",
                     .answer_schema = kListSchema},
                    [this](const Request& request) { return list(request); });
    routes.blocking({.method = Method::get,
                     .pattern = "/api/backups/{id}",
                     .permission = Permission::read,
                     .summary = "A backup with its manifest",
                     .parameters = kIdParameter,
                     .answer_schema = kRecordSchema,
                     .problems = kReadProblems},
                    [this](const Request& request) { return get(request); });
    routes.blocking({.method = Method::get,
                     .pattern = "/api/backups/{id}/archive",
                     .permission = Permission::admin,
                     .summary = "The archive itself, all of it or a range",
                     .parameters = kArchiveParameters,
                     .answers = "200 */*; 206 */*",
                     .answer_headers = kArchiveHeaders,
                     .problems = kArchiveProblems},
                    [this](const Request& request) { return archive(request); });
    routes.prompt(
        {.method = Method::get,
         .pattern = "/api/backups/{id}/progress",
         .permission = Permission::read,
         .summary = "How far the latest work on a backup is, to its end",
         .parameters = kIdParameter,
         .answers = "200 text/event-stream",
         .problems = kProgressProblems},
        [this](const Request& request, Reply reply) { progress(request, std::move(reply)); });
}

// ---- reading

// Newest first, since ids are times.
Response BackupRoutes::list(const Request& request) {
    const std::size_t limit = storage::limit_of(request);
    const std::string after = storage::after_of(request, kCursor);
    std::string body = R"({"items":[)", last;
    std::size_t count = 0;
    auto records = site_.catalog.all();
    std::sort(records.begin(), records.end(),
              [](const Record& a, const Record& b) { return a.backup_id > b.backup_id; });
    bool more = false;
    for (const Record& record : records) {
        if (!after.empty() && record.backup_id >= after) continue;
        more = count == limit;
        if (more) break;
        if (count++ > 0) body += ',';
        body += record_json(record);
        last = record.backup_id;
    }
    if (!more) last.clear();
    return json_answer(200,
                       body + fmt::format(R"(],"next":{}}})", storage::next_json(kCursor, last)));
}

Response BackupRoutes::get(const Request& request) {
    const std::string_view id = request.param("id");
    const auto record = site_.catalog.find(id);
    if (!record) {
        const OperationPtr making = operations_.find(id, "create");
        if (!making || making->state() == Operation::State::done) throw backup_not_found();
        return json_answer(200, making->json());
    }
    try {
        Manifest manifest = site_.catalog.manifest(*record);
        return json_answer(200, record_json(*record, "," + file_members(manifest)));
    } catch (const Error& error) {
        // Its record is known all the same, and says what became of it.
        if (error.code() != Errc::corrupt && error.code() != Errc::not_found) throw;
        Record known = *record;
        known.is_damaged = true;
        return json_answer(200, record_json(known));
    } catch (const std::system_error& error) {
        throw disk_error(error);
    }
}

Response BackupRoutes::archive(const Request& request) {
    const Record record = site_.catalog.get(request.param("id"));
    try {
        return archive_answer(request, record, site_.catalog.archive_path(record));
    } catch (const std::system_error& error) {
        throw disk_error(error);
    }
}

void BackupRoutes::progress(const Request& request, Reply reply) {
    std::string id(request.param("id"));
    const auto record = site_.catalog.find(id);
    if (record) id = record->backup_id;
    OperationPtr latest = operations_.find(id);
    if (!latest && !record) throw backup_not_found();
    if (latest) return operations_.follow(latest, std::move(reply));
    auto stream = std::move(reply).stream({});
    stream->send(std::make_shared<const std::string>(fmt::format(
        "event: done\ndata: {{\"backup_id\":{},\"operation\":null,\"state\":\"done\"}}\n\n",
        json::quoted(id))));
    stream->close();
}

// ---- work

void BackupRoutes::create(const Request& request, Reply reply) {
    const Wanted wanted = wanted_of(request, site_);
    const OperationPtr operation = begin_backup(site_, operations_, wanted);
    const auto patience = wait_of(request);
    if (!patience) return std::move(reply).send(accepted(*operation));
    operations_.answer(operation, std::move(reply), patience);
}

void BackupRoutes::verify(const Request& request, Reply reply) {
    const Record record = site_.catalog.get(request.param("id"));
    const OperationPtr operation = operations_.begin(
        "verify", record.backup_id, [this, id = record.backup_id](Operation& running) {
            return Answered{200, faults_json(verify_backup(site_, running, site_.catalog.get(id)))};
        });
    if (wants_async(request)) return std::move(reply).send(accepted(*operation));
    operations_.answer(operation, std::move(reply), wait_of(request));
}

void BackupRoutes::restore(const Request& request, Reply reply) {
    const Record record = site_.catalog.get(request.param("id"));
    const Members body = members_of_body(request.body());
    Asked asked{component_names(body.texts("components")), flag_of(body, "dry_run"),
                std::string(request.principal()), std::string(request.peer_address()),
                std::string(request.id())};
    body.end();
    check_components(record, asked.components);
    const bool is_dry = asked.dry_run;
    const OperationPtr operation = operations_.begin(
        "restore", record.backup_id, [this, id = record.backup_id, asked](Operation& running) {
            return restore_backup(site_, running, site_.catalog.get(id), asked);
        });
    const auto patience = wait_of(request);
    if (!is_dry && !patience) return std::move(reply).send(accepted(*operation));
    operations_.answer(operation, std::move(reply), patience);
}

Response BackupRoutes::remove(const Request& request) {
    const std::string id = site_.catalog.get(request.param("id")).backup_id;
    for (const OperationPtr& operation : operations_.under_way()) {
        if (operation->backup_id != id) continue;
        throw Error(Errc::conflict, "in-use",
                    "it is being made, verified or restored; wait for that to end");
    }
    try {
        site_.catalog.remove(id);
    } catch (const std::system_error& error) {
        throw disk_error(error);
    }
    Response response;
    response.status = 204;
    return response;
}

Response BackupRoutes::cleanup(const Request& request) {
    const Members body = members_of_body(request.body());
    Keep keep{whole_of(body, "keep_count"), whole_of(body, "keep_daily"),
              whole_of(body, "keep_weekly"), whole_of(body, "keep_monthly")};
    const bool is_dry = flag_of(body, "dry_run");
    body.end();
    const bool has_rule = body.value("keep_count") || body.value("keep_daily") ||
                          body.value("keep_weekly") || body.value("keep_monthly");
    const auto records = site_.catalog.all();
    if (!has_rule) {
        keep = site_.options().keep;
        if (!keep.any()) keep.count = records.size();  // no rule anywhere: all stay
    }
    auto decisions = decide(records, keep);
    std::uint64_t freed = 0;
    try {
        if (!is_dry) freed = carry_out(site_.catalog, decisions);
    } catch (const std::system_error& error) {
        throw disk_error(error);
    }
    std::string items;
    std::size_t removed = 0;
    for (const Decision& decision : decisions) {
        if (!decision.keep) ++removed;
        if (is_dry && !decision.keep) freed += decision.size;
        items += fmt::format(R"({}{{"backup_id":{},"action":"{}","reason":{},"size":{}}})",
                             items.empty() ? "" : ",", json::quoted(decision.backup_id),
                             decision.keep ? "keep" : "remove", json::quoted(decision.reason),
                             decision.size);
    }
    return json_answer(
        200, fmt::format(R"({{"items":[{}],"next":null,"removed":{},"freed":{},"dry_run":{}}})",
                         items, removed, freed, is_dry));
}

}  // namespace larder::backup
