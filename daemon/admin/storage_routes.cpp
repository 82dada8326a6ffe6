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

// What one plugin removed, or would: figures, and the first of the things that have names.
class Removed final : public CleanupSink {
public:
    static constexpr std::size_t kMostShown = 1000;  // a section

    struct Section {
        std::string name;
        std::uint64_t count = 0, bytes = 0;
        Array items;
    };

    void section(std::string_view name) override {
        sections.push_back({std::string(name), 0, 0, {}});
    }
    void items(std::uint64_t count, std::uint64_t bytes) override {
        Section& section = latest();
        section.count += count;
        section.bytes += bytes;
    }
    void item(std::string_view name, std::uint64_t bytes) override {
        items(1, bytes);
        Section& section = latest();
        if (section.items.size() == kMostShown) return;
        Object row = object();
        row.set("name", std::string(name));
        row.set("bytes", bytes);
        section.items.add(row);
    }

    std::vector<Section> sections;

private:
    Section& latest() {
        if (sections.empty()) {
            throw Error(Errc::internal, "no-section", "a figure came before its section");
        }
        return sections.back();
    }
};

constexpr std::int64_t kMostDays = 36500, kMostBackups = 1000000;

CleanupWish wish_of(const Request& request) {
    const Members body = Members::of_body(request.body());
    CleanupWish wish;
    wish.dry_run = body.flag("dry_run").value_or(false);
    wish.only_never_downloaded = body.flag("only_never_downloaded").value_or(true);
    wish.older_than_days = integer_of(body, "older_than_days", 0, kMostDays).value_or(-1);
    wish.metrics_older_than_days =
        integer_of(body, "metrics_older_than_days", 0, kMostDays).value_or(-1);
    wish.keep_backups = integer_of(body, "keep_backups", 1, kMostBackups).value_or(-1);
    body.end();
    if (wish.older_than_days >= 0 || wish.metrics_older_than_days >= 0 || wish.keep_backups >= 0) {
        return wish;
    }
    throw invalid_field("",
                        "name what is to go: older_than_days, metrics_older_than_days or "
                        "keep_backups");
}

}  // namespace

std::uint64_t bytes_below(const std::string& folder) {
    std::uint64_t bytes = 0;
    std::error_code fault;
    fs::recursive_directory_iterator place(folder, fs::directory_options::skip_permission_denied,
                                           fault);
    for (; !fault && place != fs::recursive_directory_iterator(); place.increment(fault)) {
        std::error_code gone;
        if (!place->is_regular_file(gone) || place->is_symlink(gone)) continue;
        const std::uintmax_t size = place->file_size(gone);
        if (!gone) bytes += size;
    }
    return bytes;
}

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
                     .summary = "Remove old files, metrics and backups, or say what would go",
                     .media_types = "application/json",
                     .schema = kCleanupRequestSchema,
                     .answer_schema = kCleanupSchema,
                     .problems = kCleanupProblems},
                    [this](const Request& request) { return clean_up(request); });
}

Response StorageRoutes::clean_up(const Request& request) {
    const CleanupWish wish = wish_of(request);
    const std::unique_lock one_at_a_time(cleaning_, std::try_to_lock);
    if (!one_at_a_time.owns_lock()) {
        throw Error(Errc::conflict, "busy", "another cleanup is under way; wait for its end");
    }
    if (!wish.dry_run) Asker(request).record(audit_, "storage.cleanup", "", request.body());
    Object sections = object();
    Array failed;
    std::uint64_t count = 0, bytes = 0;
    plugins_.with_each_power(kCleanup, [&](const std::string& plugin, void* power) {
        Removed removed;
        try {
            static_cast<Cleanup*>(power)->clean_up(wish, removed);
        } catch (const Error& error) {
            Object row = object();
            row.set("plugin", plugin);
            row.set("code", error.slug());
            row.set("detail", error.detail());
            failed.add(row);
        }
        for (const auto& section : removed.sections) {
            count += section.count;
            bytes += section.bytes;
            Object row = object();
            row.set("removed", section.count);
            row.set("bytes", section.bytes);
            row.set("items", section.items);
            sections.set(section.name, row);
        }
    });
    Object body = object();
    body.set("dry_run", wish.dry_run);
    body.set("removed", count);
    body.set("bytes_freed", bytes);
    body.set("sections", sections);
    body.set("failed", failed);
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
    body.set("total", bytes_below(data_directory_));
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
