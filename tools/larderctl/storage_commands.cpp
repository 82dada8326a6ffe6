// The commands about room: what is stored, and what may go.
#include <Poco/JSON/Array.h>
#include <Poco/JSON/Object.h>
#include <fmt/format.h>

#include <iostream>
#include <sstream>

#include "answers.hpp"
#include "command.hpp"
#include "config/value.hpp"
#include "progress.hpp"
#include "table.hpp"

namespace larder::ctl {
namespace {

using Poco::JSON::Object;

// Every figure of a section but its size, as it is named.
std::string other_figures(const Object::Ptr& section) {
    std::string all;
    for (const auto& name : section->getNames()) {
        if (name == "size") continue;
        all += fmt::format("{}{} {}", all.empty() ? "" : ", ", name, section->get(name).toString());
    }
    return all;
}

int storage_usage(Context& context) {
    const Client client = context.client();
    if (context.json) return print_json(client.demand("GET", "/api/storage/usage"));
    const auto usage = client.object("GET", "/api/storage/usage");
    Table table({"WHAT", "SIZE", "FIGURES"});
    for (const auto& name : usage->getNames()) {
        if (name == "total" || name == "file_system") continue;
        const auto section = usage->getObject(name);
        table.add(
            {name, size_text(section->optValue<std::uint64_t>("size", 0)), other_figures(section)});
    }
    table.add(
        {"total", size_text(usage->getValue<std::uint64_t>("total")), "all of the data folder"});
    const auto disk = usage->getObject("file_system");
    table.add({"free", size_text(disk->getValue<std::uint64_t>("available")),
               "of " + size_text(disk->getValue<std::uint64_t>("size")) + " of the file system"});
    table.print();
    return kOk;
}

void add_number(const Context& context, std::string_view option, const char* member, Object& body) {
    const auto given = context.words.value(option);
    if (!given) return;
    try {
        body.set(member, config::parse_integer(*given));
    } catch (const config::ValueError& error) {
        throw UsageError(fmt::format("{}: {}", option, error.what()));
    }
}

int storage_cleanup(Context& context) {
    Object wish(Poco::JSON_PRESERVE_KEY_ORDER);
    add_number(context, "--older-than", "older_than_days", wish);
    add_number(context, "--metrics-older-than", "metrics_older_than_days", wish);
    add_number(context, "--keep-backups", "keep_backups", wish);
    if (wish.size() == 0) {
        throw UsageError(
            "say what is to go: --older-than, --metrics-older-than or --keep-backups; --dry-run "
            "shows what would");
    }
    wish.set("only_never_downloaded", !context.words.flag("--downloaded-too"));
    wish.set("dry_run", context.words.flag("--dry-run"));
    std::ostringstream text;
    wish.stringify(text);
    const Answer answer = context.client().demand("POST", "/api/storage/cleanup", text.str());
    if (context.json) return print_json(answer);
    const auto done = object_of(answer);
    const bool dry = done->getValue<bool>("dry_run");
    Table table({"KIND", dry ? "WOULD GO" : "GONE", "SIZE"});
    const auto removed = done->getArray("removed");
    for (unsigned i = 0; i < removed->size(); ++i) {
        const auto item = removed->getObject(i);
        table.add({item->getValue<std::string>("kind"), item->getValue<std::string>("name"),
                   size_text(item->getValue<std::uint64_t>("size"))});
    }
    const auto unnamed = done->getValue<std::uint64_t>("count") - removed->size();
    if (unnamed > 0) table.add({"", fmt::format("and {} more", unnamed), ""});
    table.add({"all", done->get("count").toString(),
               size_text(done->getValue<std::uint64_t>("bytes_freed"))});
    table.print();
    if (!done->has("failed")) return kOk;
    const auto failed = done->getArray("failed");
    for (unsigned i = 0; i < failed->size(); ++i) {
        const auto fault = failed->getObject(i);
        std::cerr << printable(fmt::format(
            "larderctl: {} could not clean up: {} ({})\n", fault->getValue<std::string>("plugin"),
            fault->getValue<std::string>("detail"), fault->getValue<std::string>("code")));
    }
    return kRefused;
}

int storage_optimize(Context& context) {
    const bool dry = context.words.flag("--dry-run");
    const Answer answer = context.client().demand("POST", "/api/metrics/optimize",
                                                  dry ? R"({"dry_run":true})" : "{}");
    if (context.json) return print_json(answer);
    Table table({"DATABASE", "BEFORE", dry ? "AT MOST AFTER" : "AFTER"});
    const auto databases = object_of(answer)->getArray("databases");
    for (unsigned i = 0; i < databases->size(); ++i) {
        const auto database = databases->getObject(i);
        table.add({text_of(database, "name"),
                   size_text(database->getValue<std::uint64_t>("bytes_before")),
                   size_text(database->getValue<std::uint64_t>("bytes_after"))});
    }
    table.print();
    return kOk;
}

}  // namespace

std::vector<Command> storage_commands() {
    return {
        {"storage usage",
         "",
         0,
         0,
         "Tell what is stored, and how much room is left",
         {},
         storage_usage},
        {"storage cleanup",
         "",
         0,
         0,
         "Remove old files, metrics and backups",
         {{"--older-than", "DAYS", "files that were uploaded longer ago"},
          {"--downloaded-too", "", "of these also such as somebody fetched"},
          {"--metrics-older-than", "DAYS", "metrics"},
          {"--keep-backups", "N", "all but the latest N backups"},
          {"--dry-run", "", "show what would go, and touch nothing"}},
         storage_cleanup},
        {"storage optimize",
         "",
         0,
         0,
         "Rebuild the databases' indexes and statistics, give free pages back",
         {{"--dry-run", "", "show what there is to give back, and touch nothing"}},
         storage_optimize},
    };
}

}  // namespace larder::ctl
