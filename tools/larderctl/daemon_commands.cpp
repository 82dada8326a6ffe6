// The commands about the daemon itself: how it stands, its plugins, jobs and alerts.
#include <Poco/JSON/Array.h>
#include <Poco/JSON/Object.h>
#include <Poco/JSON/Parser.h>
#include <fmt/format.h>

#include <iostream>

#include "answers.hpp"
#include "command.hpp"
#include "table.hpp"

namespace larder::ctl {
namespace {

using Poco::JSON::Object;

std::string plugin_path(const Context& context, const std::string& action = {}) {
    return "/api/plugins/" + escaped(context.words.arguments[0]) + action;
}

int status(Context& context) {
    const Client client = context.client();
    if (context.json) return print_json(client.demand("GET", "/api/status"));
    const auto now = client.object("GET", "/api/status");
    std::string listeners, plugins;
    for (const auto& address : *now->getArray("listeners")) listeners += address.toString() + " ";
    const auto rows = now->getArray("plugins");
    for (unsigned i = 0; i < rows->size(); ++i) {
        const auto plugin = rows->getObject(i);
        plugins += fmt::format("{} ({}) ", text_of(plugin, "name"), text_of(plugin, "state"));
    }
    Table table({"larderd", text_of(now, "version")});
    table.add({"pid", text_of(now, "pid")});
    table.add({"started", text_of(now, "started_at")});
    table.add({"uptime", fmt::format("{:.0f} s", now->getValue<double>("uptime"))});
    table.add({"listeners", listeners});
    table.add({"data", text_of(now, "data_directory")});
    table.add({"connections", text_of(now->getObject("connections"), "open")});
    table.add({"memory",
               fmt::format("{:.1f} MiB", now->getObject("memory")->getValue<double>("resident") /
                                             (1024 * 1024))});
    table.add({"plugins", plugins});
    table.print();
    return kOk;
}

int health(Context& context) {
    const Answer answer = context.client().ask("GET", "/readyz");
    // 503 has the same body; anything else is no word about health.
    if (!answer.is_good() && answer.status != 503) throw Refused(answer);
    if (context.json) return print_json(answer);
    Poco::JSON::Parser parser;
    const auto now = parser.parse(answer.body).extract<Object::Ptr>();
    if (!now->has("items")) throw Refused(answer);
    Table table({"NAME", "STATE", "SINCE", "REASON"});
    const auto items = now->getArray("items");
    for (unsigned i = 0; i < items->size(); ++i) {
        const auto item = items->getObject(i);
        table.add({text_of(item, "name"), text_of(item, "state"), text_of(item, "since"),
                   item->optValue<std::string>("reason", "")});
    }
    std::cout << text_of(now, "status") << '\n';
    table.print();
    return answer.is_good() ? kOk : kRefused;
}

int plugin_list(Context& context) {
    const Client client = context.client();
    if (context.json) return print_json(client.demand("GET", "/api/plugins?limit=1000"));
    Table table({"NAME", "STATE", "ENABLED", "VERSION", "SUMMARY OR REASON"});
    for (const auto& plugin : client.items("/api/plugins")) {
        const auto reason = plugin->optValue<std::string>("reason", "");
        table.add({text_of(plugin, "name"), text_of(plugin, "state"),
                   plugin->getValue<bool>("enabled") ? "yes" : "no", text_of(plugin, "version"),
                   reason.empty() ? text_of(plugin, "summary") : reason});
    }
    table.print();
    return kOk;
}

void print_choice(const Object::Ptr& plugin, Table& table) {
    const auto choice = plugin->getObject("choice");
    if (choice.isNull()) return;
    table.add(
        {"file says", fmt::format("{} ({})", choice->getValue<bool>("configured") ? "on" : "off",
                                  text_of(choice, "origin"))});
    if (choice->isNull("chosen")) return;
    table.add({"chosen", fmt::format("{} ({}); larderctl plugin reset takes it back",
                                     choice->getValue<bool>("chosen") ? "on" : "off",
                                     text_of(choice, "chosen_at"))});
}

int plugin_show(Context& context) {
    const Client client = context.client();
    if (context.json) return print_json(client.demand("GET", plugin_path(context)));
    const auto plugin = client.object("GET", plugin_path(context));
    Table facts({"name", text_of(plugin, "name")});
    for (const char* member :
         {"version", "api_version", "summary", "file", "state", "reason", "since"}) {
        facts.add({member, text_of(plugin, member)});
    }
    print_choice(plugin, facts);
    facts.print();
    std::cout << '\n';
    Table routes({"METHOD", "PATH", "PERMISSION", "SUMMARY"});
    const auto all = plugin->getArray("routes");
    for (unsigned i = 0; i < all->size(); ++i) {
        const auto route = all->getObject(i);
        routes.add({text_of(route, "method"), text_of(route, "path"), text_of(route, "permission"),
                    text_of(route, "summary")});
    }
    routes.print();
    std::cout << '\n';
    Table settings({"SETTING", "VALUE", "DEFAULT"});
    const auto entries = plugin->getArray("settings");
    for (unsigned i = 0; i < entries->size(); ++i) {
        const auto entry = entries->getObject(i);
        settings.add({text_of(entry, "key"), text_of(entry, "value"), text_of(entry, "default")});
    }
    settings.print();
    return kOk;
}

int act(Context& context, const std::string& action) {
    const Client client = context.client();
    if (context.json) return print_json(client.demand("POST", plugin_path(context, "/" + action)));
    const auto plugin = client.object("POST", plugin_path(context, "/" + action));
    const auto reason = plugin->optValue<std::string>("reason", "");
    std::cout << printable(fmt::format("{} is {}{}{}", text_of(plugin, "name"),
                                       text_of(plugin, "state"), reason.empty() ? "" : ": ",
                                       reason))
              << '\n';
    return kOk;
}

int plugin_enable(Context& context) { return act(context, "enable"); }
int plugin_disable(Context& context) { return act(context, "disable"); }
int plugin_reload(Context& context) { return act(context, "reload"); }
int plugin_reset(Context& context) { return act(context, "reset"); }

void print_changes(const Object::Ptr& changes, const char* member, const char* head) {
    const auto rows = changes->getArray(member);
    if (rows.isNull() || rows->size() == 0) return;
    Table table({head, "BEFORE", "AFTER"});
    for (unsigned i = 0; i < rows->size(); ++i) {
        const auto row = rows->getObject(i);
        table.add({text_of(row, "key"), text_of(row, "before"), text_of(row, "after")});
    }
    table.print();
}

int reload(Context& context) {
    const Client client = context.client();
    if (context.json) return print_json(client.demand("POST", "/api/reload"));
    const auto changes = client.object("POST", "/api/reload");
    print_changes(changes, "applied", "APPLIED");
    print_changes(changes, "needs_restart", "NEEDS A RESTART");
    if (changes->getArray("applied")->size() + changes->getArray("needs_restart")->size() == 0) {
        std::cout << "nothing has changed\n";
    }
    return kOk;
}

int jobs_list(Context& context) {
    const Client client = context.client();
    if (context.json) return print_json(client.demand("GET", "/api/scheduler/jobs?limit=1000"));
    Table table({"JOB", "SCHEDULE", "LAST RUN", "OUTCOME", "SECONDS", "NEXT RUN", "ERROR"});
    for (const auto& job : client.items("/api/scheduler/jobs")) {
        table.add({text_of(job, "name"), text_of(job, "schedule"), text_of(job, "last_run"),
                   text_of(job, "outcome"), text_of(job, "duration"), text_of(job, "next_run"),
                   job->isNull("error") ? "" : job->optValue<std::string>("error", "")});
    }
    table.print();
    return kOk;
}

int jobs_run(Context& context) {
    const std::string& name = context.words.arguments[0];
    const Answer answer =
        context.client().demand("POST", fmt::format("/api/scheduler/jobs/{}/run", escaped(name)));
    if (context.json) return print_json(answer);
    std::cout << printable(name) << " is to run now; larderctl jobs list tells what comes of it\n";
    return kOk;
}

int alerts(Context& context) {
    const Client client = context.client();
    const std::string list =
        context.words.flag("--all") ? "/api/alerts" : "/api/alerts?state=raised&";
    if (context.json) {
        return print_json(
            client.demand("GET", list + (list.ends_with('&') ? "limit=1000" : "?limit=1000")));
    }
    Table table({"SEVERITY", "STATE", "SOURCE", "LATEST", "COUNT", "TEXT"});
    const auto all = client.items(list);
    for (const auto& alert : all) {
        table.add({text_of(alert, "severity"), text_of(alert, "state"), text_of(alert, "source"),
                   text_of(alert, "latest_at"), text_of(alert, "count"), text_of(alert, "text")});
    }
    if (all.empty()) {
        std::cout << "no alert\n";
    } else {
        table.print();
    }
    return kOk;
}

}  // namespace

std::vector<Command> daemon_commands() {
    return {
        {"status", "", 0, 0, "Tell version, uptime, listeners, memory and plugins", {}, status},
        {"health", "", 0, 0, "Tell whether all that is enabled works; exit 1 if not", {}, health},
        {"plugin list", "", 0, 0, "List the plugins and how they stand", {}, plugin_list},
        {"plugin show",
         "NAME",
         1,
         1,
         "Tell a plugin's state, routes and settings",
         {},
         plugin_show},
        {"plugin enable", "NAME", 1, 1, "Turn a plugin on, over restarts too", {}, plugin_enable},
        {"plugin disable",
         "NAME",
         1,
         1,
         "Drain and stop a plugin, over restarts too",
         {},
         plugin_disable},
        {"plugin reload",
         "NAME",
         1,
         1,
         "Stop a plugin and start it with its settings read anew",
         {},
         plugin_reload},
        {"plugin reset",
         "NAME",
         1,
         1,
         "Take enable or disable back: its file decides",
         {},
         plugin_reset},
        {"reload", "", 0, 0, "Have larderd read its configuration anew", {}, reload},
        {"jobs list", "", 0, 0, "List jobs, their last and next runs", {}, jobs_list},
        {"jobs run", "JOB", 1, 1, "Run a job now", {}, jobs_run},
        {"alerts",
         "",
         0,
         0,
         "List alerts that are raised",
         {{"--all", "", "those that are over, too"}},
         alerts},
    };
}

}  // namespace larder::ctl
