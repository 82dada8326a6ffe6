// A plugin's shared library: judged, loaded once, never unloaded. Knows nothing of what the plugin
// does.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "larder/plugin.hpp"

namespace larder::plugin_host {

// One .so in a plugin folder, taken or refused.
struct Library {
    std::string path;                    // absolute
    std::string name;                    // the file's stem, until the entry tells the id
    const PluginEntry* entry = nullptr;  // null: not loaded
    std::string refusal;                 // why it was not taken, and what to do; empty: taken
    AbiStamp stamp;
    bool built_in = false;  // from the daemon's own plugin folder
    // Path prefixes below which the daemon answers for it while it does not run: its own, but of a
    // refused one those that are nobody else's.
    std::vector<std::string> prefixes;

    bool is_taken() const noexcept { return entry != nullptr && refusal.empty(); }
};

// Judges and loads one file. Never throws for what the file is or does at load. [control]
Library load_library(const std::filesystem::path& path);

// Every *.so of the folders, in order; a folder that is not there is passed over, one that others
// than root or the daemon's user may write to throws Error{forbidden}. [control]
std::vector<Library> load_libraries(const std::vector<std::string>& folders);

}  // namespace larder::plugin_host
