#include "backup_aftermath.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <system_error>
#include <thread>

#include "backup_members.hpp"
#include "backup_paths.hpp"
#include "larder/alerts.hpp"
#include "storage-kit/atomic_file.hpp"
#include "storage-kit/json.hpp"

namespace larder::backup {
namespace {

namespace fs = std::filesystem;
namespace json = storage::json;
using storage::FileSystem;

constexpr std::string_view kNote = "restore.json";
constexpr auto kPatience = std::chrono::seconds(60);

struct Note {
    std::string backup_id, path, staged, actor, ip_address, request_id;
    std::vector<std::string> components;
};

Note read_note(const std::string& staging) {
    const std::string text =
        storage::read_file(FileSystem::real(), fmt::format("{}/{}", staging, kNote));
    const Members members = Members::of_body(text);
    return {text_of(members, "backup_id"),  text_of(members, "path"),
            text_of(members, "staged"),     text_of(members, "actor"),
            text_of(members, "ip_address"), text_of(members, "request_id"),
            members.texts("components")};
}

void lay_beside(const Site& site, const Note& note, const std::string& staging) {
    const std::string from = fmt::format("{}/{}", staging, kAuditBeside);
    auto& files = FileSystem::real();
    if (!files.exists(from)) return;
    const std::string folder = fmt::format("{}/{}", site.catalog.data_directory(), kDatabases);
    files.make_directory(folder);
    files.rename(from, fmt::format("{}audit_{}.db", folder, note.backup_id));
    files.sync_directory(folder);
}

void tell_audit(const Site& site, const Note& note) {
    const std::string details = fmt::format(R"({{"components":{}}})", json_list(note.components));
    AuditRecord told;
    told.actor = note.actor;
    told.action = "restored";
    told.target = note.backup_id;
    told.outcome = "ok";
    told.ip_address = note.ip_address;
    told.request_id = note.request_id;
    told.details = details;
    try {
        site.host.audit().record(told);
    } catch (const Error& error) {
        site.host.log().write(Level::error,
                              fmt::format("the audit did not take the restore of {}: {}",
                                          note.backup_id, error.detail()));
    }
}

// The swap is over: what was staged is in place, or where it was.
bool is_in_place(const Site& site, const Note& note) {
    const auto at = [&](const std::string& path) {
        return fmt::format("{}/{}", site.catalog.data_directory(), path);
    };
    return note.staged.empty() ? !fs::exists(at(note.path)) : !fs::exists(at(note.staged));
}

void finish_cut_restore(const Site& site, const std::string& staging) {
    const bool has_note = fs::exists(fmt::format("{}/{}", staging, kNote));
    if (has_note && is_in_place(site, read_note(staging))) {
        finish_restore(site, staging);
    } else {
        site.host.log().write(Level::notice,
                              "a restore was cut short, and nothing was changed by it");
    }
    fs::remove_all(staging);
}

}  // namespace

void note_restore(const std::string& staging, const Record& record, const Asked& asked,
                  const Plan& plan) {
    const auto staged = std::find_if(plan.swaps.begin(), plan.swaps.end(),
                                     [](const SwapItem& item) { return !item.staged.empty(); });
    SwapItem witness;  // none where only the audit is laid beside
    if (!plan.swaps.empty()) witness = staged == plan.swaps.end() ? plan.swaps.front() : *staged;
    storage::write_atomically(
        FileSystem::real(), fmt::format("{}/{}", staging, kNote),
        fmt::format(R"({{"backup_id":{},"path":{},"staged":{},"actor":{},"ip_address":{},)"
                    R"("request_id":{},"components":{}}})",
                    json::quoted(record.backup_id), json::quoted(witness.path),
                    json::quoted(witness.staged), json::quoted(asked.actor),
                    json::quoted(asked.ip_address), json::quoted(asked.request_id),
                    json_list(plan.components)));
}

void finish_restore(const Site& site, const std::string& staging) {
    const Note note = read_note(staging);
    lay_beside(site, note, staging);
    tell_audit(site, note);
    // Told at least once, under one request id: a kill from here on finds no note.
    FileSystem::real().remove(fmt::format("{}/{}", staging, kNote));
    site.host.log().write(Level::notice, fmt::format("{} was restored: {}", note.backup_id,
                                                     fmt::join(note.components, ", ")));
}

void finish_cut_restores(const Site& site, Operations& operations) {
    const std::string folder = fmt::format("{}/{}", site.catalog.data_directory(), kRestoring);
    if (!fs::exists(folder)) return;
    operations.begin("restore", "(cut short)", [&site, folder](Operation& operation) {
        // The host ends its swap when all plugins have started; and what is told before there is
        // somebody to keep it is in memory alone.
        const std::string journal = site.catalog.data_directory() + "/.swap.json";
        const auto deadline = std::chrono::steady_clock::now() + kPatience;
        while (fs::exists(journal) || !site.host.services().lease(kAuditSink)) {
            operation.check();
            if (std::chrono::steady_clock::now() > deadline) {
                if (fs::exists(journal)) return Answered{200, "{}"};
                break;  // there is no audit here
            }
            std::this_thread::sleep_for(std::chrono::milliseconds(20));
        }
        for (const std::string& name : FileSystem::real().list(folder)) {
            finish_cut_restore(site, fmt::format("{}/{}", folder, name));
        }
        fs::remove_all(folder);
        return Answered{200, "{}"};
    });
}

}  // namespace larder::backup
