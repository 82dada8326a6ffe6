// A plugin: its life, and the entry by which the host finds it. Include this and export.hpp in the
// one source file that exports the entry.
//
//   judge the file → load → create → configure → start → (serving) → drain → stop → destroy
//
// All of it on one control thread per plugin, named after it. The library stays loaded to the end.
//
// Drain. Before stop(), the host closes the routes, calls drain(), and waits, at most
// daemon.drain_timeout, until no handler, Reply, EventStream, Upload or lease of this plugin lives.
// After that Replies and streams go inert. So nothing of the host is freed under a plugin, nor of a
// plugin under the host.
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

// A setting, declared as data: checking, documentation and the commented .ini need no code of the
// plugin. `least` and `most` may be null.
struct Setting {
    const char* key;
    const char* type;      // "text" "integer" "flag" "bytes" "duration" "path" "choice:a|b"
    const char* fallback;  // as it would stand in the .ini
    const char* least;
    const char* most;
    const char* says;  // one sentence for the admin
    bool live;         // may change while running
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
