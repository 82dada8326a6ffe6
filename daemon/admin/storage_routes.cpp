#include "admin/storage_routes.hpp"

#include <filesystem>
#include <map>
#include <system_error>

#include "admin/answer_schemas.hpp"
#include "admin/answers.hpp"
#include "admin/asker.hpp"
#include "admin/body.hpp"
#include "larder/cleanup.hpp"
#include "larder/usage.hpp"
#include "storage-kit/file_system.hpp"

namespace larder::admin {
namespace {

namespace fs = std::filesystem;

// The sections of one plugin, taken over as a whole when it has told all of them.
class Sections final : public UsageSink {
public:
    void section(std::string_view name) override { sections.emplace_back(name, object()); }
    void count(std::string_view name, std::uint64_t value) override { set(name, value); }
    void percent(std::string_view name, double value) override { set(name, value); }

    std::vector<std::pair<std::string, Object>> sections;

private:
    void set(std::string_view name, const Poco::Dynamic::Var& value) {
        if (sections.empty()) {
            throw Error(Errc::internal, "no-section", "a figure came before its section");
        }
        sections.back().second.set(std::string(name), value);
    }
};

// What was removed, or would be: all of it counted, the first of it named.
class Removals final : public CleanupSink {
public:
    void removed(std::string_view kind, std::string_view name, std::uint64_t bytes) override {
        ++count;
        freed += bytes;
        if (items.size() == kMostNamed) return;
        Object item = object();
        item.set("kind", std::string(kind));
        item.set("name", std::string(name));
        item.set("size", bytes);
        items.add(item);
    }

    std::uint64_t count = 0, freed = 0;
    Array items;

private:
    static constexpr std::size_t kMostNamed = 1000;
};

constexpr std::int64_t kMostBackups = 1000000;

// -1 where it was not asked for.
double days_of(const Members& body, std::string_view name) {
    const auto days = body.number(name);
    if (!days || *days >= 0) return days.value_or(-1);
    throw invalid_field(body.pointer_of(name), std::string(name) + " is a number from 0 on");
}

CleanupRequest cleanup_of(const Request& request) {
    const Members body = Members::of_body(request.body());
    CleanupRequest wanted;
    wanted.dry_run = body.flag("dry_run").value_or(false);
    wanted.only_never_downloaded = body.flag("only_never_downloaded").value_or(true);
    wanted.older_than_days = days_of(body, "older_than_days");
    wanted.metrics_older_than_days = days_of(body, "metrics_older_than_days");
    wanted.keep_backups = integer_of(body, "keep_backups", 1, kMostBackups).value_or(-1);
    body.end();
    return wanted;
}

}  // namespace

void StorageRoutes::declare(Routes& routes) {
    routes.blocking({.method = Method::get,
                     .pattern = "/api/storage/usage",
                     .permission = Permission::read,
                     .summary = "What is stored, by kind, and how much room is left",
                     .answer_schema = kUsageSchema,
                     .problems = "500 storage-failed"},
                    [this](const Request& request) { return usage(request); });
    routes.blocking({.method = Method::post,
                     .pattern = "/api/storage/cleanup",
                     .permission = Permission::admin,
                     .summary = "Remove what is old, of the kinds that the body names, or tell "
                                "what would be removed",
                     .media_types = "application/json",
                     .schema = kCleanupSchema,
                     .answer_schema = kCleanedSchema,
                     .problems = kCleanupProblems},
                    [this](const Request& request) { return clean(request); });
}

// What one plugin could not is told beside what went, which is gone all the same.
Response StorageRoutes::clean(const Request& request) {
    const CleanupRequest wanted = cleanup_of(request);
    const std::unique_lock one_at_a_time(cleaning_, std::try_to_lock);
    if (!one_at_a_time.owns_lock()) {
        throw Error(Errc::conflict, "busy", "another cleanup is under way; wait for its end");
    }
    if (!wanted.dry_run) Asker(request).record(audit_, "storage.cleanup", "", request.body());
    Removals removals;
    Array failed;
    plugins_.with_each_power(kCleanable, [&](const std::string& plugin, void* power) {
        try {
            static_cast<Cleanable*>(power)->clean(wanted, removals);
        } catch (const Error& error) {
            Object row = object();
            row.set("plugin", plugin);
            row.set("code", error.slug());
            row.set("detail", error.detail());
            failed.add(row);
        }
    });
    Object body = object();
    body.set("dry_run", wanted.dry_run);
    body.set("removed", removals.items);
    body.set("count", removals.count);
    body.set("bytes_freed", removals.freed);
    if (failed.size() > 0) body.set("failed", failed);
    return json(body);
}

void StorageRoutes::each_quota(
    const std::function<void(const std::string& section, double used_percent)>& use) const {
    plugins_.with_each_power(kUsage, [&](const std::string& /*plugin*/, void* power) {
        Sections told;
        static_cast<Usage*>(power)->measure(told);
        for (const auto& [name, figures] : told.sections) {
            if (figures.has("quota_used")) use(name, figures.getValue<double>("quota_used"));
        }
    });
}

Response StorageRoutes::usage(const Request& /*request*/) const {
    Object body = object();
    plugins_.with_each_power(kUsage, [&](const std::string& /*plugin*/, void* power) {
        Sections told;
        static_cast<Usage*>(power)->measure(told);
        for (const auto& [name, figures] : told.sections) body.set(name, figures);
    });
    body.set("total", storage::bytes_below(data_directory_));
    std::error_code fault;
    const fs::space_info space = fs::space(data_directory_, fault);
    if (fault) {
        throw Error(Errc::io_failed, "storage-failed",
                    "the file system cannot be asked for its size")
            .because(data_directory_ + ": " + fault.message());
    }
    Object system = object();
    system.set("size", space.capacity);
    system.set("free", space.free);
    system.set("available", space.available);  // to others than root
    body.set("file_system", system);
    return json(body);
}

}  // namespace larder::admin
