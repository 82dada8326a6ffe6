// A plugin: its life, and the entry by which the host finds it. Include this and export.hpp in the
// one source file that exports the entry.
//
//   judge the file → load → create → configure → start → (serving) → drain → stop → destroy
//
// All of it on one control thread per plugin, named after it. The library stays loaded to the end.
// Threads that a plugin starts must be over when stop() returns. They bear its id, as threads begun
// in start() do by themselves, or a name that begins with "<id>-" or "larder-<id>": so the host
// sees those that were left behind, and does not free under them what they use.
//
// Drain. Before stop(), the host closes the routes, calls drain(), and waits, at most
// daemon.drain_timeout, until no handler, Reply, EventStream, Upload, task, job or lease of this
// plugin lives. What is left then is cut off: no handler, take(), finish(), generator or task is
// begun any more, Cancels are set, uploads are aborted, streams end and say so, answers under way
// are cut, and who waits for a Reply that was parked gets 503. Such Replies and streams are inert
// from there on: harmless, without effect, even after the plugin is gone. Only a call that does not
// return within daemon.stop_timeout keeps the plugin from being stopped, and a lease that another
// plugin holds. Handlers are destroyed before stop() is called. So nothing of the host is freed
// under a plugin, nor of a plugin under the host.
#pragma once

#include <cstddef>
#include <string_view>

#include "larder/abi.hpp"
#include "larder/error.hpp"
#include "larder/host.hpp"
#include "larder/http.hpp"

namespace larder {

// Declaration order is the order of life. Never grows: optional powers are asked for by id through
// extension().
class Plugin {
public:
    // Checks settings as a whole; touches nothing outside memory. Throws Error to refuse. [control]
    virtual void configure(const Settings& settings) = 0;
    // Recovers data, declares routes. Throws Error to refuse; stop() follows even then. [control]
    virtual void start(Routes& routes) = 0;
    // Routes are closed: answer parked Replies, end streams, cancel what runs. [control]
    virtual void drain() noexcept = 0;
    // Nothing of this plugin runs any more; flush and close. [control]
    virtual void stop() noexcept = 0;
    // An optional power by id, or null. [any]
    virtual void* extension(std::string_view id) noexcept {
        (void)id;
        return nullptr;
    }

protected:
    ~Plugin() = default;  // destroyed by its own library
};

// The extension "larder.reloadable/1": takes changed live settings while it runs. A plugin that
// reads them by Host::settings() whenever it needs them wants no such thing.
class Reloadable {
public:
    // `now` is the whole section; Host::settings() shows it when this has returned. Throws Error to
    // refuse: then the whole reload is undone, by calls with the former values. May be called with
    // what is in force already. [control]
    virtual void reload(const Settings& now) = 0;

protected:
    ~Reloadable() = default;
};
inline constexpr std::string_view kReloadable = "larder.reloadable/1";

// A setting, declared as data: checking, documentation and the commented .ini need no code of the
// plugin. `least` and `most` may be null.
struct Setting {
    const char* key;
    const char* type;      // "text" "integer" "flag" "bytes" "duration" "path" "choice:a|b"
    const char* fallback;  // as it would stand in the .ini
    const char* least;
    const char* most;
    const char* says;  // one sentence for the admin
    bool live;         // may change while running, see Reloadable
    bool secret;       // masked wherever it is shown
};

// One constinit object of plain data, exported by LARDER_PLUGIN (export.hpp).
struct PluginEntry {
    const char* id;             // "kv": [a-z][a-z0-9_]{0,31}; also its section and its .ini
    const char* version;        // of the plugin
    const char* summary;        // one line
    const char* path_prefixes;  // "/api/kv": answered 503 with the reason while it does not run
    const char* data_claims;    // "storage.json,config/,kv/": what it owns of the data directory
    const Setting* settings;
    std::size_t setting_count;
    Plugin* (*create)(Host& host);
    void (*destroy)(Plugin* plugin) noexcept;
};

}  // namespace larder
