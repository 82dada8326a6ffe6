// What an admin chose over the interface: which plugins are on and off, against what their files
// say. Kept in the data directory, since the configuration may be read-only; not the carrying out.
//
// plugins.json: {"version": 1, "plugins": {"kv": {"enabled": false, "chosen_at": "2026-…Z"}}}
#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <string>

#include "storage-kit/file_system.hpp"

namespace larder::plugin_host {

struct Choice {
    bool enabled = false;
    std::string chosen_at;  // RFC 3339
};

class Choices {
public:
    // Reads `path`, if it is there. Throws Error{corrupt} for what is no such file, saying what to
    // do: a plugin that was turned off must not come back because a file was damaged. [control]
    Choices(storage::FileSystem& files, std::string path);

    std::optional<Choice> of(const std::string& plugin) const;  // [any]
    // On disk when these return. Throw Error{no_space} or {io_failed}: then nothing was chosen.
    // [worker]
    void choose(const std::string& plugin, bool enabled);
    void forget(const std::string& plugin);

    // For a restore, which puts another file in place: nothing is chosen between hold(true) and
    // hold(false), which are one thread's. take_over() is called while held, and throws as the
    // constructor does; then all stays as it was.
    void hold(bool on) { on ? changing_.lock() : changing_.unlock(); }
    void take_over();
    static void check(storage::FileSystem& files, const std::string& path);

private:
    std::map<std::string, Choice> chosen() const;
    void store(std::map<std::string, Choice> fresh);

    storage::FileSystem& files_;
    const std::string path_;
    std::mutex changing_;  // one change at a time
    mutable std::mutex mutex_;
    std::map<std::string, Choice> chosen_;  // guarded by mutex_
};

}  // namespace larder::plugin_host
