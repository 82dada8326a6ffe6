// What a plugin that backs up and restores may ask of the daemon: one moment of all plugins, and
// files swapped under plugins that are stopped for it. Not for others: it stops them.
#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "larder/snapshot.hpp"

namespace larder {

// All pinned plugins at one moment. While it lives none of them stops: let go of it in drain().
class Snapshot {
public:
    virtual std::size_t size() const noexcept = 0;
    virtual std::string_view plugin(std::size_t index) const noexcept = 0;
    virtual Moment& moment(std::size_t index) noexcept = 0;
    // From the first plugin that was held to the last that was let go.
    virtual std::chrono::microseconds pause() const noexcept = 0;
    virtual ~Snapshot() = default;
};

// Both paths are relative to the data directory and have no "." or ".." in them.
struct SwapItem {
    std::string path;    // "storage.json", "config": a file, or a folder with all below it
    std::string staged;  // what is to stand there; on the same file system; empty: nothing
};

class Maintenance {
public:
    // Holds, pins and releases every plugin that serves and has kSnapshotable. Throws
    // Error{unavailable, "not-held"} that names who did not come to rest within 200 ms or refused
    // to be pinned: then nothing is held any more. [worker]
    virtual std::unique_ptr<Snapshot> snapshot() = 0;
    // Stops the plugins whose data lies under the paths, puts the staged files in place, lets the
    // plugins adopt and starts them; meanwhile their routes answer 503 "restoring". With a file go
    // those beside it whose names go on with a dot ("storage.json.meta"), from both places. When it
    // returns the new state is in force; when it throws, or the daemon is killed at any point, the
    // old one or the new one is, as a whole, at the latest after the next start. What stood there
    // before is removed at the end. Throws Error{unprocessable, "invalid-plan"} for paths that are
    // nobody's or the caller's own, Error{conflict, "swap-running"}, "plugin-stuck",
    // Error{conflict, "restore-failed"} when a plugin refused the new state: then the old one is
    // back; and Error{io_failed}. [worker]
    virtual void swap(const std::vector<SwapItem>& plan) = 0;

protected:
    ~Maintenance() = default;
};

}  // namespace larder
