// The commands about backups: create, list, verify, restore, cleanup, and extract, which needs no
// daemon. What a backup is, the plugin's README tells.
#include <fmt/format.h>

#include <cctype>
#include <filesystem>
#include <iostream>
#include <limits>
#include <optional>
#include <system_error>

#include "backup_operations.hpp"
#include "backup_paths.hpp"
#include "backup_reader.hpp"
#include "backup_verify.hpp"
#include "command.hpp"
#include "progress.hpp"
#include "storage-kit/json.hpp"
#include "table.hpp"

namespace larder::ctl {
namespace {

namespace fs = std::filesystem;
namespace json = storage::json;

constexpr int kSilence = 120;  // seconds; the daemon tells every 15 that it lives

std::string url_of(const std::string& id) { return "/api/backups/" + escaped(id); }

void print_line(const std::string& text) {
    std::cout << text << (text.ends_with('\n') ? "" : "\n");
}

// A value as a person reads it: of a string its text, of anything else the JSON.
std::string member_of(std::string_view object, std::string_view name) {
    for (json::Walk walk(object); walk.next();) {
        if (json::unquoted(walk.name()) != name) continue;
        const std::string_view value = walk.value();
        if (value.starts_with('"')) return json::unquoted(value);
        return value == "null" ? std::string() : std::string(value);
    }
    return {};
}

std::uint64_t number_of(const std::string& text) {
    return text.empty() || !std::isdigit(static_cast<unsigned char>(text[0])) ? 0
                                                                              : std::stoull(text);
}

// Follows a backup's progress to its end; true when that was a good one.
bool follow(const Client& client, const std::string& id, std::string& last) {
    std::string buffer, phase;
    std::optional<Progress> bar;
    std::uint64_t shown = 0;
    client.stream(url_of(id) + "/progress", {}, kSilence, [&](std::string_view block) {
        buffer += block;
        for (std::size_t end = 0; (end = buffer.find("\n\n")) != std::string::npos;) {
            const std::string event = buffer.substr(0, end);
            buffer.erase(0, end + 2);
            const std::size_t data = event.find("data: ");
            if (data == std::string::npos) continue;
            last = event.substr(data + 6);
            if (const std::string now = member_of(last, "phase"); now != phase || !bar) {
                phase = now;
                bar.emplace(phase, number_of(member_of(last, "total_bytes")));
                shown = 0;
            }
            const std::uint64_t bytes = number_of(member_of(last, "bytes"));
            if (bytes > shown) bar->add(bytes - shown);
            shown = std::max(bytes, shown);
        }
        return true;
    });
    return member_of(last, "state") == "done";
}

int tell_end(const Context& context, const std::string& last, bool good, const std::string& said) {
    if (context.json) {
        print_line(last);
    } else if (good) {
        print_line(said);
    } else {
        std::cerr << "larderctl: " << printable(member_of(last, "error")) << '\n';
    }
    return good ? kOk : kRefused;
}

std::string components_of(const Context& context, std::size_t from) {
    std::string list;
    for (std::size_t i = from; i < context.words.arguments.size(); ++i) {
        list += (list.empty() ? "" : ",") + json::quoted(context.words.arguments[i]);
    }
    return "[" + list + "]";
}

int create(Context& context) {
    const Client client = context.client();
    const std::string body = fmt::format(
        R"({{"type":"{}","encrypt":{},"note":{},"components":{}}})",
        context.words.flag("--incremental") ? "incremental" : "full",
        context.words.flag("--encrypt"), json::quoted(context.words.value("--note").value_or("")),
        components_of(context, 0));
    const std::string id = member_of(client.demand("POST", "/api/backups", body).body, "backup_id");
    std::string last;
    if (!follow(client, id, last)) return tell_end(context, last, false, {});
    const std::string record = client.demand("GET", url_of(id)).body;
    if (context.json) {
        print_line(record);
        return kOk;
    }
    std::cout << fmt::format("{}  {}{}\n", id, size_text(number_of(member_of(record, "size"))),
                             member_of(record, "verified_at").empty() ? "" : ", verified");
    return kOk;
}

int list(Context& context) {
    const Client client = context.client();
    if (context.json) {
        print_line(client.demand("GET", "/api/backups?limit=1000").body);
        return kOk;
    }
    Table table({"BACKUP", "TYPE", "SIZE", "FILES", "STATE", "VERIFIED", "NOTE"});
    for (const auto& backup : client.items("/api/backups")) {
        table.add({backup->optValue<std::string>("backup_id", ""),
                   backup->optValue<std::string>("type", ""),
                   size_text(backup->optValue<std::uint64_t>("size", 0)),
                   std::to_string(backup->optValue<std::uint64_t>("total_files", 0)),
                   backup->optValue<std::string>("state", ""),
                   backup->optValue<std::string>("verified_at", "-"),
                   printable(backup->optValue<std::string>("note", ""))});
    }
    table.print();
    return kOk;
}

int print_faults(std::string_view faults) {
    int count = 0;
    for (json::Walk walk(faults); walk.next(); ++count) {
        const std::string path = member_of(walk.value(), "path");
        std::cout << fmt::format("{:<18} {}\n", member_of(walk.value(), "kind"),
                                 path.empty() ? "the archive" : printable(path));
    }
    return count;
}

int verify(Context& context) {
    const Client client = context.client();
    const std::string found =
        client.demand("POST", url_of(context.words.arguments[0]) + "/verify").body;
    const bool good = member_of(found, "ok") == "true";
    if (context.json) {
        print_line(found);
    } else if (print_faults(member_of(found, "faults")) == 0) {
        std::cout << "whole\n";
    }
    return good ? kOk : kRefused;
}

int restore(Context& context) {
    const Client client = context.client();
    const std::string id = context.words.arguments[0], url = url_of(id) + "/restore";
    const std::string components = components_of(context, 1);
    if (context.words.flag("--dry-run")) {
        const std::string plan =
            client
                .demand("POST", url,
                        fmt::format(R"({{"dry_run":true,"components":{}}})", components))
                .body;
        if (context.json) {
            print_line(plan);
            return kOk;
        }
        const std::string changes = member_of(plan, "changes");
        bool any = false;
        for (json::Walk walk(changes); walk.next(); any = true) {
            std::cout << fmt::format("{:<8} {}\n", member_of(walk.value(), "change"),
                                     printable(member_of(walk.value(), "path")));
        }
        if (!any) std::cout << "nothing would change\n";
        return kOk;
    }
    const std::string begun =
        client.demand("POST", url, fmt::format(R"({{"components":{}}})", components)).body;
    std::string last;
    const bool good = follow(client, member_of(begun, "backup_id"), last);
    return tell_end(context, last, good, "restored");
}

int cleanup(Context& context) {
    std::string body = fmt::format(R"({{"dry_run":{})", context.words.flag("--dry-run"));
    for (const char* rule : {"count", "daily", "weekly", "monthly"}) {
        const auto value = context.words.value(fmt::format("--keep-{}", rule));
        if (!value) continue;
        if (value->empty() || value->find_first_not_of("0123456789") != std::string::npos) {
            throw UsageError(fmt::format("--keep-{} takes a number", rule));
        }
        body += fmt::format(R"(,"keep_{}":{})", rule, *value);
    }
    const Client client = context.client();
    const std::string done = client.demand("POST", "/api/backups/cleanup", body + "}").body;
    if (context.json) {
        print_line(done);
        return kOk;
    }
    const std::string items = member_of(done, "items");
    for (json::Walk walk(items); walk.next();) {
        std::cout << fmt::format("{:<7} {}  {}\n", member_of(walk.value(), "action"),
                                 member_of(walk.value(), "backup_id"),
                                 printable(member_of(walk.value(), "reason")));
    }
    return kOk;
}

// An archive into a folder, judged on the way. What is not whole stays, and is named.
int extract(Context& context) {
    const std::string archive = context.words.arguments[0];
    const fs::path folder = context.words.arguments[1];
    std::error_code fault;
    if (fs::exists(folder) && !fs::is_empty(folder, fault)) {
        throw UsageError(fmt::format("{} is not empty; name a folder that is, or is not there",
                                     folder.string()));
    }
    backup::Operation operation("extract", archive);
    const std::uint64_t size = fs::file_size(archive, fault);
    if (fault) throw LocalError(fmt::format("{} cannot be read: {}", archive, fault.message()));
    backup::Reading reading;
    try {
        Progress progress(fs::path(archive).filename().string(), size);
        std::uint64_t shown = 0;
        const backup::ReadOptions options{context.words.value("--key-file").value_or(""),
                                          [&](std::uint64_t bytes) {
                                              progress.add(bytes - shown);
                                              shown = bytes;
                                          }};
        backup::Unpacker unpacker(
            folder.string(), [](const std::string& path) { return backup::data_path(path); },
            operation);
        reading = backup::read_archive(archive, options, &unpacker);
    } catch (const Error& error) {
        throw LocalError(fmt::format("{}: {}", archive, error.detail()));
    } catch (const std::system_error& error) {
        throw LocalError(error.what());
    }
    const std::string found = backup::faults_json(reading.faults);
    if (context.json) {
        print_line(found);
    } else {
        print_faults(member_of(found, "faults"));
        std::cout << fmt::format("{} files into {}\n", reading.found.size(),
                                 printable(folder.string()));
        if (reading.manifest.incremental) {
            std::cout << fmt::format("only what changed since {}\n", reading.manifest.parent);
        }
    }
    return reading.faults.empty() ? kOk : kRefused;
}

}  // namespace

std::vector<Command> backup_commands() {
    constexpr std::size_t kMany = 100;
    return {
        {"backup create",
         "[COMPONENT...]",
         0,
         kMany,
         "Make a backup, of everything or of some components",
         {{"--incremental", "", "only what changed since the latest"},
          {"--encrypt", "", "with the key of backup.key_file"},
          {"--note", "TEXT", "kept with it"}},
         create},
        {"backup list", "", 0, 0, "List the backups", {}, list},
        {"backup verify", "BACKUP", 1, 1, "Read a backup to its end and check it", {}, verify},
        {"backup restore",
         "BACKUP [COMPONENT...]",
         1,
         kMany,
         "Put back what a backup has",
         {{"--dry-run", "", "only say what would change"}},
         restore},
        {"backup cleanup",
         "",
         0,
         0,
         "Delete the backups that no rule keeps",
         {{"--keep-count", "N", "the newest so many"},
          {"--keep-daily", "N", "the newest of each of so many days"},
          {"--keep-weekly", "N", "and of so many weeks"},
          {"--keep-monthly", "N", "and of so many months"},
          {"--dry-run", "", "only say what would go"}},
         cleanup},
        {"backup extract",
         "ARCHIVE FOLDER",
         2,
         2,
         "Unpack an archive as a data directory, without a daemon",
         {{"--key-file", "FILE", "the key of an encrypted one"}},
         extract,
         false},
    };
}

}  // namespace larder::ctl
