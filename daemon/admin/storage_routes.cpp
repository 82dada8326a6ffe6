#include "admin/storage_routes.hpp"

#include <charconv>
#include <filesystem>
#include <map>
#include <system_error>

#include "admin/answer_schemas.hpp"
#include "admin/answers.hpp"
#include "larder/cleanup.hpp"
#include "larder/usage.hpp"
#include "storage-kit/json.hpp"

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

namespace {

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

Error invalid_field(std::string_view member, std::string detail) {
    return std::move(Error(Errc::unprocessable, "invalid-field", std::move(detail))
                         .with("pointer", storage::json::quoted("/" + std::string(member))));
}

double number_of(std::string_view member, std::string_view value) {
    double number = -1;
    const auto read = std::from_chars(value.data(), value.data() + value.size(), number);
    if (read.ec == std::errc() && read.ptr == value.data() + value.size() && number >= 0) {
        return number;
    }
    throw invalid_field(member, std::string(member) + " is a number from 0 on");
}

bool flag_of(std::string_view member, std::string_view value) {
    if (value == "true" || value == "false") return value == "true";
    throw invalid_field(member, std::string(member) + " is true or false");
}

CleanupRequest cleanup_of(std::string_view body) {
    std::string text;
    try {
        text = storage::json::compact(body);
    } catch (const storage::json::InvalidJson& error) {
        throw Error(Errc::bad_request, "invalid-json",
                    std::string("the body is no JSON value: ") + error.what())
            .with("offset", std::to_string(error.offset()));
    }
    if (!text.starts_with('{')) {
        throw Error(Errc::unprocessable, "invalid-field", "the body must be a JSON object")
            .with("pointer", "\"\"");
    }
    CleanupRequest wanted;
    for (storage::json::Walk member(text); member.next();) {
        const std::string name = storage::json::unquoted(member.name());
        if (name == "dry_run") {
            wanted.dry_run = flag_of(name, member.value());
        } else if (name == "only_never_downloaded") {
            wanted.only_never_downloaded = flag_of(name, member.value());
        } else if (name == "older_than_days") {
            wanted.older_than_days = number_of(name, member.value());
        } else if (name == "metrics_older_than_days") {
            wanted.metrics_older_than_days = number_of(name, member.value());
        } else if (name == "keep_backups") {
            constexpr double kMost = 1e9;
            const double keep = number_of(name, member.value());
            if (keep < 1 || keep > kMost) throw invalid_field(name, "keep_backups is 1 or more");
            wanted.keep_backups = static_cast<std::int64_t>(keep);
        } else {
            throw invalid_field(name,
                                "known are older_than_days, only_never_downloaded, "
                                "metrics_older_than_days, keep_backups and dry_run");
        }
    }
    return wanted;
}

}  // namespace

void StorageRoutes::declare(Routes& routes) {
    routes.blocking(
        {.method = Method::post,
         .pattern = "/api/storage/cleanup",
         .permission = Permission::admin,
         .summary = "Remove what is old, of the kinds that the body names, or tell what "
                    "would be removed",
         .media_types = "application/json",
         .schema = kCleanupSchema,
         .answer_schema = kCleanedSchema,
         .problems = "500 storage-failed; 503 read-only"},
        [this](const Request& request) { return clean(request); });
    routes.blocking({.method = Method::get,
                     .pattern = "/api/storage/usage",
                     .permission = Permission::read,
                     .summary = "What is stored, by kind, and how much room is left",
                     .answer_schema = kUsageSchema,
                     .problems = "500 storage-failed"},
                    [this](const Request& request) { return usage(request); });
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

Response StorageRoutes::clean(const Request& request) const {
    const CleanupRequest wanted = cleanup_of(request.body());
    Removals removals;
    plugins_.with_each_power(kCleanable, [&](const std::string& /*plugin*/, void* power) {
        static_cast<Cleanable*>(power)->clean(wanted, removals);
    });
    Object body = object();
    body.set("dry_run", wanted.dry_run);
    body.set("removed", removals.items);
    body.set("count", removals.count);
    body.set("bytes_freed", removals.freed);
    return json(body);
}

}  // namespace larder::admin
