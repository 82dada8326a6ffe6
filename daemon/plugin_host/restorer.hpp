// A restore's way through the plugins: those concerned are stopped, their files swapped, and they
// are started with what they have to adopt; and the same for a restore that a former life left
// unfinished. Not the renames, which are swap.hpp's.
#pragma once

#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "larder/maintenance.hpp"
#include "plugin_host/own_files.hpp"
#include "plugin_host/supervisor.hpp"
#include "plugin_host/swap.hpp"

namespace larder::plugin_host {

class Restorer {
public:
    // All outlive it.
    Restorer(Supervisor& plugins, const OwnFiles& own, storage::FileSystem& files,
             std::string data_directory, Log& log)
        : plugins_(plugins),
          own_(own),
          files_(files),
          directory_(std::move(data_directory)),
          log_(log) {}

    // Brings the files of an unfinished swap to where they can be read, before anybody reads one.
    // Throws Error{corrupt}, std::system_error: then nothing may start. [control]
    static void settle(storage::FileSystem& files, const std::string& directory, Log& log);
    // What settle() left: its plugins adopt when they start. Throws likewise. [control]
    void prepare();
    // After they have started: ends it, or puts the old state back. [control]
    void conclude();
    // As Maintenance::swap(). [worker]
    void carry_out(const std::string& caller, const std::vector<SwapItem>& plan);

private:
    using Entries = std::vector<Supervisor::Entry*>;

    Entries owners_of(const std::vector<std::string>& paths) const;
    void judge(const std::string& caller, const std::vector<SwapItem>& plan) const;
    void judge_own(const OwnFile& file, const SwapItem& item) const;
    std::string start(const Entries& entries, const std::string& previous);
    void stop(const Entries& entries);
    void put_back(Swap& swap, const Entries& entries, OwnFiles::Restore& own);

    Supervisor& plugins_;
    const OwnFiles& own_;
    storage::FileSystem& files_;
    const std::string directory_;
    Log& log_;
    std::mutex mutex_;                // one restore at a time
    std::optional<Swap> unfinished_;  // [control]
};

}  // namespace larder::plugin_host
