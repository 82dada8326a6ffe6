#include "backup_restore.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <set>
#include <system_error>
#include <utility>

#include "backup_aftermath.hpp"
#include "backup_maker.hpp"
#include "backup_members.hpp"
#include "backup_paths.hpp"
#include "backup_verify.hpp"
#include "larder/time.hpp"
#include "storage-kit/json.hpp"
#include "storage-kit/safe_name.hpp"

namespace larder::backup {
namespace {

namespace fs = std::filesystem;
namespace json = storage::json;

constexpr std::string_view kAudit = "db/audit.db";
// These are only ever replaced: without users nobody could do anything about their being gone.
constexpr std::string_view kDaemon = "larderd";

// May be asked for though a backup has none of them: then there was none at its moment.
constexpr std::array<std::string_view, 5> kUsual = {"storage.json", "config", "kv", "files",
                                                    "programs"};

bool contains(const std::vector<std::string>& names, std::string_view name) {
    return std::find(names.begin(), names.end(), name) != names.end();
}

// What is there now, was not in the backup, and would have been.
Owners gone_in(const Chain& chain, const Owners& present) {
    Owners gone;
    const Record& last = chain.links.back();
    for (const auto& [path, plugin] : present) {
        const bool was_asked = !last.is_partial || contains(last.components, component_of(path));
        const bool goes = was_asked && path != kAudit && plugin != kDaemon &&
                          contains(chain.plugins, plugin) && !chain.state.contains(path);
        if (goes) gone.emplace(path, plugin);
    }
    return gone;
}

// The entries of two folders, sorted.
std::set<std::string> entries_of(const std::string& a, const std::string& b) {
    std::set<std::string> names;
    for (const std::string& folder : {a, b}) {
        std::error_code fault;
        for (const auto& entry : fs::directory_iterator(folder, fault)) {
            names.insert(entry.path().filename().string());
        }
    }
    return names;
}

class Planner {
public:
    Planner(const std::string& data_directory, const std::string& staging)
        : data_(data_directory), staging_(staging) {}

    void put(Plan& plan, const std::string& path) const {
        const std::string staged = fmt::format("{}/{}", staging_, path);
        const bool is_staged = fs::exists(fmt::format("{}/{}", data_, staged));
        if (!is_staged && !fs::exists(fmt::format("{}/{}", data_, path))) return;
        plan.swaps.push_back({path, is_staged ? staged : std::string()});
    }
    // Entry by entry: what stands in programs/db is other plugins'.
    void swap_programs(Plan& plan) const {
        const std::string mine = fmt::format("{}/programs", data_);
        const std::string staged = fmt::format("{}/{}/programs", data_, staging_);
        for (const std::string& name : entries_of(mine, staged)) {
            // What goes along with another file is swapped with it.
            const bool goes_along = name.find(".json.") != std::string::npos;
            if (name != "db" && !goes_along) put(plan, "programs/" + name);
        }
    }
    void swap_databases(Plan& plan, const Owners& gone) const {
        const std::string staged = fmt::format("{}/{}/programs/db", data_, staging_);
        std::set<std::string> paths;
        for (const std::string& name : entries_of(staged, staged)) {
            paths.insert(fmt::format("{}{}", kDatabases, name));
        }
        for (const auto& [path, plugin] : gone) {
            if (path.starts_with(kArchivedDatabases)) paths.insert(data_path(path));
        }
        for (const std::string& path : paths) {
            put(plan, path);
            for (const char* suffix : {"-wal", "-shm"}) {
                if (fs::exists(fmt::format("{}/{}{}", data_, path, suffix))) {
                    plan.swaps.push_back({path + suffix, {}});
                }
            }
        }
    }

private:
    const std::string &data_, &staging_;
};

void sync_all(const std::string& folder) {
    const storage::OwnedFd fd(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (fd.get() < 0 || ::syncfs(fd.get()) != 0) {
        throw std::system_error(errno, std::generic_category(), "sync " + folder);
    }
}

std::set<std::string> components_of(const Chain& chain, const Owners& gone) {
    std::set<std::string> names;
    for (const auto& [path, source] : chain.state) names.insert(component_of(path));
    for (const auto& [path, plugin] : gone) names.insert(component_of(path));
    return names;
}

void refuse_unknown(const std::set<std::string>& known, const std::vector<std::string>& asked) {
    for (std::size_t i = 0; i < asked.size(); ++i) {
        const std::string place = fmt::format("/components/{}", i);
        if (!known.contains(asked[i])) {
            throw invalid_field(place, fmt::format("the backup has no component {}; it has {}",
                                                   asked[i], fmt::join(known, ", ")));
        }
    }
}

// The whole chain, verified; what is wanted of it unpacked.
void unpack(const Site& site, Operation& operation, const Chain& chain,
            const std::vector<std::string>& components, const std::string& folder) {
    for (std::size_t i = 0; i < chain.links.size(); ++i) {
        operation.phase("unpack");
        operation.total = chain.links[i].size;
        const auto where = [&](const std::string& path) -> std::string {
            const auto found = chain.state.find(path);
            const bool is_wanted = found != chain.state.end() && found->second.link == i &&
                                   (components.empty() || contains(components, component_of(path)));
            return is_wanted ? data_path(path) : std::string();
        };
        Unpacker unpacker(folder, where, operation);
        const auto faults = judge_archive(site, chain.links[i], operation, unpacker);
        if (!faults.empty()) throw not_whole(faults);
    }
}

std::string changes_json(const Chain& chain, const FileMap& present, const Owners& gone,
                         const std::vector<std::string>& components) {
    const auto is_wanted = [&](const std::string& path) {
        return !path.ends_with(".meta") && path != kAudit &&
               (components.empty() || contains(components, component_of(path)));
    };
    std::string list;
    const auto tell = [&](const std::string& path, const char* change, std::uint64_t size) {
        list += fmt::format(R"({}{{"path":{},"change":"{}","size":{}}})", list.empty() ? "" : ",",
                            json::quoted(path), change, size);
    };
    for (const auto& [path, source] : chain.state) {
        if (!is_wanted(path)) continue;
        const auto now = present.find(path);
        if (now == present.end()) {
            tell(path, "add", source.file.size);
        } else if (now->second.sha256 != source.file.sha256) {
            tell(path, "replace", source.file.size);
        }
    }
    for (const auto& [path, now] : present) {
        if (is_wanted(path) && gone.contains(path)) tell(path, "remove", now.size);
    }
    return list;
}

// Removed at the end of the scope, whatever happens; but not while a swap may need it.
class Staging {
public:
    Staging(std::string data_directory, std::string path)
        : data_(std::move(data_directory)), path_(std::move(path)) {
        storage::FileSystem::real().make_directory(absolute());
    }
    ~Staging() {
        std::error_code left;
        if (fs::exists(data_ + "/.swap.json", left)) return;
        fs::remove_all(absolute(), left);
        fs::remove(storage::parent_of(absolute()), left);
    }
    Staging(const Staging&) = delete;
    Staging& operator=(const Staging&) = delete;
    const std::string& path() const noexcept { return path_; }
    std::string absolute() const { return fmt::format("{}/{}", data_, path_); }

private:
    const std::string data_, path_;
};

std::string done_json(const Record& record, const Chain& chain, const Plan& plan, bool dry_run) {
    return fmt::format(
        R"({{"backup_id":{},"dry_run":{},"components":{},"kept":{},"total_files":{})",
        json::quoted(record.backup_id), dry_run, json_list(plan.components), json_list(plan.kept),
        chain.state.size());
}

}  // namespace

std::vector<std::string> component_names(const std::vector<std::string>& asked) {
    std::vector<std::string> names;
    for (std::string name : asked) {
        if (name.ends_with('/')) name.pop_back();
        if (!is_inner_path(name) || name.find('/') != std::string::npos) {
            throw invalid_field(fmt::format("/components/{}", names.size()),
                                "a component is a top-level name such as storage.json or files/");
        }
        names.push_back(component_of(name));
    }
    std::sort(names.begin(), names.end());
    names.erase(std::unique(names.begin(), names.end()), names.end());
    return names;
}

void check_components(const Record& record, const std::vector<std::string>& asked) {
    std::set<std::string> known(record.components.begin(), record.components.end());
    if (!record.is_partial) known.insert(kUsual.begin(), kUsual.end());
    refuse_unknown(known, asked);
}

Plan plan_of(const Chain& chain, const std::vector<std::string>& components, const Owners& present,
             const std::string& data_directory, const std::string& staging) {
    Plan plan;
    const Owners gone = gone_in(chain, present);
    const Planner planner(data_directory, staging);
    for (const std::string& component : components_of(chain, gone)) {
        if (!components.empty() && !contains(components, component)) continue;
        plan.components.push_back(component);
        if (component == "programs") {
            planner.swap_programs(plan);
        } else if (component == "db") {
            planner.swap_databases(plan, gone);
            if (chain.state.contains(kAudit)) plan.kept.emplace_back(kAudit);
        } else {
            planner.put(plan, component);
        }
    }
    return plan;
}

Answered restore_backup(const Site& site, Operation& operation, const Record& record,
                        const Asked& asked) {
    Chain chain;
    try {
        chain = chain_of(site.catalog, record);
    } catch (const Error& error) {
        if (error.slug() == "missing-parent")
            throw not_whole({{record.backup_id, "missing-parent"}});
        if (error.slug() == "archive-missing") {
            throw not_whole({{record.backup_id, "archive-missing"}});
        }
        if (error.code() == Errc::corrupt) throw not_whole({{record.backup_id, "manifest"}});
        throw;
    }
    check_components(record, asked.components);
    const Staging staging(site.catalog.data_directory(),
                          fmt::format("{}/{}", kRestoring, unix_now_ms()));
    unpack(site, operation, chain, asked.components, staging.absolute());
    // Not swapped, so it must not stand where what is swapped does.
    const std::string audit = fmt::format("{}/{}audit.db", staging.absolute(), kDatabases);
    if (fs::exists(audit))
        fs::rename(audit, fmt::format("{}/{}", staging.absolute(), kAuditBeside));
    operation.phase("compare");
    const Owners present = present_owners(site.host, operation);
    const Plan plan =
        plan_of(chain, asked.components, present, site.catalog.data_directory(), staging.path());
    if (asked.dry_run) {
        const FileMap state = present_state(site.host, operation);
        return {200,
                fmt::format(R"({},"changes":[{}]}})", done_json(record, chain, plan, true),
                            changes_json(chain, state, gone_in(chain, present), asked.components))};
    }
    note_restore(staging.absolute(), record, asked, plan);
    operation.phase("sync");
    sync_all(staging.absolute());
    operation.check();
    operation.phase("swap");
    if (!plan.swaps.empty()) site.host.maintenance().swap(plan.swaps);
    finish_restore(site, staging.absolute());
    return {200, done_json(record, chain, plan, false) + "}"};
}

}  // namespace larder::backup
