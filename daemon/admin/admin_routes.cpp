#include "admin/admin_routes.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <tuple>

#include "admin/answer_schemas.hpp"
#include "admin/answers.hpp"
#include "admin/asker.hpp"
#include "config/loader.hpp"
#include "larder/abi.hpp"
#include "larder/time.hpp"
#include "routing/route_table.hpp"
#include "storage-kit/cursor.hpp"
#include "storage-kit/json.hpp"
#include "storage-kit/query.hpp"
#include "system/descriptors.hpp"

namespace larder::admin {
namespace {

using plugin_host::PluginStatus;
using plugin_host::State;

// In the words of /readyz: ok degraded failed disabled read-only.
std::string_view readiness_word(State state) {
    switch (state) {
        case State::running: return "ok";
        case State::degraded: return "degraded";
        case State::read_only: return "read-only";
        case State::disabled: return "disabled";
        default: return "failed";
    }
}

// As the audit calls it.
std::string_view action_word(plugin_host::Action action) {
    using plugin_host::Action;
    switch (action) {
        case Action::enable: return "plugin.enable";
        case Action::disable: return "plugin.disable";
        case Action::reload: return "plugin.reload";
        case Action::reset: return "plugin.reset";
    }
    return "plugin";
}

std::uint64_t resident_bytes(std::string_view what) {
    std::ifstream file("/proc/self/status");
    for (std::string line; std::getline(file, line);) {
        if (line.starts_with(what)) return std::stoull(line.substr(what.size())) * 1024;
    }
    return 0;
}

Object describe_route(const routing::Endpoint& endpoint) {
    static constexpr std::string_view kPermissions[] = {"",      "open",    "read",
                                                        "write", "execute", "admin"};
    Object row = object();
    row.set("method", std::string(routing::method_name(endpoint.route.method)));
    row.set("path", std::string(endpoint.route.pattern));
    row.set("permission",
            std::string(kPermissions[static_cast<std::size_t>(endpoint.route.permission)]));
    row.set("summary", std::string(endpoint.route.summary));
    return row;
}

Object describe_setting(const config::Shown& entry) {
    Object row = object();
    row.set("key", entry.section + "." + entry.key);
    row.set("value", entry.value);
    Object origin = object();
    origin.set("kind", std::string(config::kind_word(entry.origin.kind)));
    if (entry.origin.kind == config::Origin::Kind::file) {
        origin.set("file", entry.origin.place);
        origin.set("line", entry.origin.line);
    } else if (!entry.origin.place.empty()) {
        origin.set("variable", entry.origin.place);
    }
    row.set("origin", origin);
    row.set("default", entry.fallback);
    row.set("type", entry.type);
    row.set("live", entry.live);
    row.set("secret", entry.secret);
    row.set("says", entry.says);
    return row;
}

Object describe_plugin(const PluginStatus& plugin, const config::Configuration& configuration) {
    Object row = object();
    const PluginEntry* entry = plugin.library->entry;
    row.set("name", plugin.name);
    row.set("version",
            entry != nullptr ? Poco::Dynamic::Var(entry->version) : Poco::Dynamic::Var());
    row.set("api_version",
            fmt::format("{}.{}", plugin.library->stamp.api_major, plugin.library->stamp.api_minor));
    row.set("summary", entry != nullptr ? entry->summary : "");
    row.set("file", plugin.library->path);
    Array data;
    if (entry != nullptr) {
        for (const auto claim : routing::split_list(entry->data_claims))
            data.add(std::string(claim));
    }
    row.set("data", data);
    row.set("state", std::string(plugin_host::state_word(plugin.standing.state)));
    row.set("reason", plugin.standing.reason);
    row.set("since", rfc3339(plugin.standing.since_ms));
    row.set("stuck", plugin.standing.stuck);
    row.set("enabled", plugin.enabled());
    Object choice = object();
    const auto section = configuration.find(plugin.name);
    const auto* item = section != nullptr ? section->find("enabled") : nullptr;
    choice.set("configured", plugin.configured);
    choice.set("origin", item != nullptr ? config::to_string(item->origin) : "");
    choice.set("chosen",
               plugin.chosen ? Poco::Dynamic::Var(plugin.chosen->enabled) : Poco::Dynamic::Var());
    choice.set("chosen_at",
               plugin.chosen ? Poco::Dynamic::Var(plugin.chosen->chosen_at) : Poco::Dynamic::Var());
    row.set("choice", choice);
    Array routes;
    for (const auto& endpoint : plugin.endpoints) routes.add(describe_route(*endpoint));
    row.set("routes", routes);
    Array settings;
    for (const auto& shown : configuration.entries()) {
        if (shown.section == plugin.name) settings.add(describe_setting(shown));
    }
    row.set("settings", settings);
    return row;
}

Error unprocessable(const config::ConfigError& error) {
    const config::Fault& first = error.faults().front();
    return Error(Errc::unprocessable, "invalid-configuration", error.what())
        .with("file", storage::json::quoted(first.file))
        .with("line", std::to_string(first.line))
        .with("key", storage::json::quoted(first.key));
}

double seconds(std::chrono::milliseconds duration) {
    return static_cast<double>(duration.count()) / 1000;
}

Poco::Dynamic::Var number_of(const config::Section& section, const Setting& setting) {
    const std::string_view type(setting.type);
    if (type == "bytes") return static_cast<Poco::UInt64>(section.bytes(setting.key));
    if (type == "integer") return static_cast<Poco::Int64>(section.integer(setting.key));
    if (type == "duration") return seconds(section.duration(setting.key));
    return {};
}

}  // namespace

void AdminRoutes::declare(Routes& routes) {
    const auto bind = [this](auto method) {
        return [this, method](const Request& request) { return (this->*method)(request); };
    };
    const auto get = [](std::string_view pattern, Permission permission, std::string_view summary,
                        std::string_view answer_schema) {
        return Route{.method = Method::get,
                     .pattern = pattern,
                     .permission = permission,
                     .summary = summary,
                     .answer_schema = answer_schema};
    };
    // Alive means that an I/O thread answers, whatever the workers do.
    routes.prompt(
        get("/healthz", Permission::open, "Whether the process serves", kHealthSchema),
        [this](const Request& request, Reply reply) { std::move(reply).send(health(request)); });
    Route ready =
        get("/readyz", Permission::open, "Whether all that is enabled works", kReadySchema);
    ready.answers = "200 application/json; 503 application/json";
    routes.prompt(ready, [this](const Request& request, Reply reply) {
        std::move(reply).send(readiness(request));
    });
    routes.blocking(get("/api/status", Permission::read, "The daemon at a glance", kStatusSchema),
                    bind(&AdminRoutes::status));
    Route plugins =
        get("/api/plugins", Permission::read, "The plugins and how they stand", kPluginListSchema);
    plugins.queries = "limit,cursor";
    routes.blocking(plugins, bind(&AdminRoutes::plugins));
    Route plugin = get("/api/plugins/{name}", Permission::read, "One plugin", kPluginSchema);
    plugin.parameters = kPluginParameters;
    plugin.problems = kPluginProblems;
    routes.blocking(plugin, bind(&AdminRoutes::plugin));
    routes.blocking(get("/api/limits", Permission::read, "Every limit in force", kLimitsSchema),
                    bind(&AdminRoutes::limits));
    Route configuration =
        get("/api/config", Permission::admin, "Settings in force and their origin", kConfigSchema);
    configuration.queries = "limit,cursor";
    routes.blocking(configuration, bind(&AdminRoutes::configuration));
    routes.prompt({.method = Method::post,
                   .pattern = "/api/reload",
                   .permission = Permission::admin,
                   .summary = "Read the configuration anew and apply what may change while running",
                   .media_types = "application/json",
                   .answer_schema = kReloadSchema,
                   .problems = kReloadProblems},
                  [this](const Request& request, Reply reply) {
                      beside(std::move(reply),
                             [this, asker = Asker(request)] { return reload(asker); });
                  });
    declare_actions(routes);
    Route metrics =
        get("/metrics", Permission::read, "Counters and histograms, for Prometheus", {});
    metrics.answers = "200 text/plain; 200 application/openmetrics-text";
    routes.blocking(metrics, bind(&AdminRoutes::metrics));
}

void AdminRoutes::declare_actions(Routes& routes) {
    using plugin_host::Action;
    for (const auto& [pattern, action, summary] :
         {std::tuple{"/api/plugins/{name}/enable", Action::enable,
                     "Turn a plugin on; holds over restarts, and against its file"},
          std::tuple{"/api/plugins/{name}/disable", Action::disable,
                     "Drain and stop a plugin; holds over restarts, and against its file"},
          std::tuple{"/api/plugins/{name}/reload", Action::reload,
                     "Stop a plugin and start it with its settings read anew"},
          std::tuple{"/api/plugins/{name}/reset", Action::reset,
                     "Take an earlier choice back: its file says whether it runs"}}) {
        routes.prompt({.method = Method::post,
                       .pattern = pattern,
                       .permission = Permission::admin,
                       .summary = summary,
                       .media_types = "application/json",
                       .parameters = kPluginParameters,
                       .answer_schema = kPluginSchema,
                       .problems = kActionProblems},
                      [this, action = action](const Request& request, Reply reply) {
                          beside(std::move(reply), [this, name = std::string(request.param("name")),
                                                    asker = Asker(request),
                                                    action] { return act(asker, name, action); });
                      });
    }
}

Response AdminRoutes::health(const Request& /*request*/) const {
    Response response;
    response.headers.emplace_back("Content-Type", "application/json");
    response.headers.emplace_back("Cache-Control", "no-store");
    response.body = std::string(R"({"status":"ok"})");
    return response;
}

Response AdminRoutes::readiness(const Request& request) const {
    const bool reasons = request.may(Permission::read, "daemon/readiness");
    bool ready = true;
    Array items;
    for (const PluginStatus& plugin : sources_.plugins.status()) {
        const bool off = !plugin.enabled() && !plugin_host::serves(plugin.standing.state) &&
                         !plugin.standing.stuck;
        const std::string_view word = off ? "disabled" : readiness_word(plugin.standing.state);
        ready = ready && word != "failed" && word != "read-only";
        Object item = object();
        item.set("name", plugin.name);
        item.set("kind", "plugin");
        item.set("state", std::string(word));
        item.set("since", rfc3339(plugin.standing.since_ms));
        if (reasons) item.set("reason", plugin.standing.reason);
        items.add(item);
    }
    Object body = object();
    body.set("status", ready ? "ready" : "not-ready");
    body.set("items", items);
    return json(body, ready ? 200 : 503);
}

Response AdminRoutes::status(const Request& /*request*/) const {
    Object body = object();
    body.set("version", sources_.version);
    body.set("api_version", fmt::format("{}.{}", kApiMajor, kApiMinor));
    body.set("pid", static_cast<Poco::Int64>(getpid()));
    body.set("started_at", rfc3339(sources_.started_ms));
    body.set("uptime", static_cast<double>(unix_now_ms() - sources_.started_ms) / 1000);
    Array listeners;
    for (const auto& address : sources_.server.addresses()) listeners.add(address);
    body.set("listeners", listeners);
    body.set("data_directory", sources_.data_directory);
    const http::Stats stats = sources_.server.stats();
    Object connections = object();
    connections.set("open", stats.connections_open);
    connections.set("total", stats.connections_total);
    connections.set("refused", stats.connections_refused);
    body.set("connections", connections);
    body.set("requests_total", stats.requests_total);
    Object memory = object();
    memory.set("resident", resident_bytes("VmRSS:"));
    memory.set("anonymous", resident_bytes("RssAnon:"));
    body.set("memory", memory);
    Object workers = object();
    workers.set("running", sources_.workers.running());
    workers.set("queued", sources_.workers.queued());
    body.set("workers", workers);
    Array plugins;
    for (const PluginStatus& plugin : sources_.plugins.status()) {
        Object row = object();
        row.set("name", plugin.name);
        row.set("version", plugin.library->entry != nullptr ? plugin.library->entry->version : "");
        row.set("state", std::string(plugin_host::state_word(plugin.standing.state)));
        plugins.add(row);
    }
    body.set("plugins", plugins);
    return json(body);
}

Response AdminRoutes::plugins(const Request& request) const {
    auto all = sources_.plugins.status();
    std::sort(all.begin(), all.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
    const auto configuration = sources_.configuration();
    return page(
        request, "plugins", all,
        [](const PluginStatus& plugin) -> const std::string& { return plugin.name; },
        [&](const PluginStatus& plugin) { return describe_plugin(plugin, configuration); });
}

Response AdminRoutes::plugin(const Request& request) const {
    return record_of(request.param("name"));
}

PluginStatus AdminRoutes::status_of(std::string_view name) const {
    for (PluginStatus& plugin : sources_.plugins.status()) {
        if (plugin.name == name) return std::move(plugin);
    }
    throw plugin_host::no_such_plugin();
}

Response AdminRoutes::record_of(std::string_view name) const {
    return json(describe_plugin(status_of(name), sources_.configuration()));
}

// The plugin's record, as it stands when the walk is over.
Response AdminRoutes::act(const Asker& asker, const std::string& name, plugin_host::Action action) {
    (void)status_of(name);
    asker.record(sources_.audit, action_word(action), name);
    sources_.plugins.act(name, action);
    return record_of(name);
}

// Neither waits for a worker nor takes one from those who do. A throw that is no Error drops the
// Reply, which is a 500.
void AdminRoutes::beside(Reply reply, std::function<Response()> work) {
    auto task = [reply = std::move(reply), work = std::move(work)]() mutable {
        try {
            std::move(reply).send(work());
        } catch (const config::ConfigError& error) {
            std::move(reply).fail(unprocessable(error));
        } catch (const Error& error) {
            std::move(reply).fail(error);
        }
    };
    if (sources_.workers.post_beside(std::move(task))) return;
    throw Error(Errc::unavailable, "overloaded",
                "too many plugins are being started and stopped; try again later")
        .with_header("Retry-After", "1");
}

Response AdminRoutes::limits(const Request& /*request*/) const {
    const auto configuration = sources_.configuration();
    const auto http = configuration.section("http");
    const auto daemon = configuration.section("daemon");
    const http::Options defaults;
    Object body = object();
    body.set("header_section", defaults.max_head);
    body.set("target", defaults.max_target);
    body.set("head_timeout", seconds(http->duration("head_timeout")));
    body.set("body_timeout", seconds(http->duration("body_timeout")));
    body.set("idle_timeout", seconds(http->duration("idle_timeout")));
    body.set("max_connections", system::connections_within_limit(
                                    static_cast<std::size_t>(http->integer("max_connections"))));
    body.set("worker_threads", daemon->integer("worker_threads"));
    body.set("worker_queue", daemon->integer("worker_queue"));
    body.set("list_limit", storage::kMaxLimit);
    body.set("list_limit_default", storage::kDefaultLimit);
    body.set("json_depth", storage::json::kMaxDepth);
    Object plugins = object();
    Array routes;
    for (const PluginStatus& plugin : sources_.plugins.status()) {
        const auto section = configuration.find(plugin.name);
        if (section == nullptr || plugin.library->entry == nullptr) continue;
        Object numbers = object();
        for (std::size_t i = 0; i < plugin.library->entry->setting_count; ++i) {
            const Setting& setting = plugin.library->entry->settings[i];
            const auto number = number_of(*section, setting);
            if (!number.isEmpty()) numbers.set(setting.key, number);
        }
        plugins.set(plugin.name, numbers);
        for (const auto& endpoint : plugin.endpoints) {
            Object row = object();
            row.set("method", std::string(routing::method_name(endpoint->route.method)));
            row.set("path", std::string(endpoint->route.pattern));
            row.set("body", endpoint->route.max_body);
            routes.add(row);
        }
    }
    body.set("body", std::uint64_t{1} << 20U);
    body.set("routes", routes);
    body.set("plugins", plugins);
    return json(body);
}

Response AdminRoutes::configuration(const Request& request) const {
    const auto entries = sources_.configuration().entries();
    std::vector<std::pair<std::string, const config::Shown*>> placed;
    placed.reserve(entries.size());
    for (const auto& entry : entries) {
        placed.emplace_back(fmt::format("{:05}", placed.size()), &entry);
    }
    // All of them, where the request does not say how many: a part is of little use to anybody.
    return page(
        request, "config", placed, [](const auto& one) -> const std::string& { return one.first; },
        [](const auto& one) { return describe_setting(*one.second); }, storage::kMaxLimit);
}

Response AdminRoutes::reload(const Asker& asker) {
    asker.record(sources_.audit, "config.reload", "");
    const auto rows = [](const std::vector<config::Change>& changes) {
        Array array;
        for (const config::Change& change : changes) {
            Object row = object();
            row.set("key", change.section + "." + change.key);
            row.set("before", change.before);
            row.set("after", change.after);
            array.add(row);
        }
        return array;
    };
    const config::Changes changes = sources_.reload();
    Object body = object();
    body.set("applied", rows(changes.applied));
    body.set("needs_restart", rows(changes.needs_restart));
    return json(body);
}

Response AdminRoutes::metrics(const Request& request) const {
    const observe::Format format = observe::format_for(request.header("Accept").value_or(""));
    Response response;
    response.headers.emplace_back("Content-Type", observe::content_type(format));
    response.body = sources_.metrics.text(format);
    return response;
}

}  // namespace larder::admin
