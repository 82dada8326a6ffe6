// How a plugin takes part in backups: it is held for a moment, pinned, and written at leisure; and
// after a restore it adopts what was put in its place. Not the making of archives.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "larder/http.hpp"

namespace larder {

inline constexpr std::string_view kSnapshotable = "larder.snapshotable/1";

// Takes what a Moment writes. Paths are those in the data directory, with '/': "config/flags.json".
class SnapshotSink {
public:
    // The descriptor is read before the Moment goes; `known_sha256` is lower hex, or empty.
    virtual void add_file(std::string_view path, FileRegion file,
                          std::string_view known_sha256) = 0;
    virtual void add_bytes(std::string_view path, std::string bytes) = 0;

protected:
    ~SnapshotSink() = default;
};

// A pinned state of one plugin; let go by destroying it. What it names is not removed meanwhile.
class Moment {
public:
    // May take long; new writes go on beside it. Throws Error. Once. [worker]
    virtual void write(SnapshotSink& sink) = 0;
    virtual ~Moment() = default;
};

// The extension kSnapshotable of a plugin.
class Snapshotable {
public:
    // hold(true) returns when no change is under way, and none begins before hold(false): those
    // that come meanwhile wait. The host holds all plugins at once, for 200 ms at most. [any]
    virtual void hold(bool on) noexcept = 0;
    // While held. Remembers what there is: no reading, no writing. Throws Error. [any]
    virtual std::unique_ptr<Moment> pin() = 0;
    // After configure() and before start(), when the host has put restored files in place of this
    // plugin's: `previous` is a folder with what stood there, laid out as in the data directory,
    // and the plugin's until adopt() returns. Revisions must go on from it. May be called again for
    // the same restore, after a crash. Throws Error to refuse: then all is put back. [control]
    virtual void adopt(std::string_view previous) = 0;

protected:
    ~Snapshotable() = default;
};

}  // namespace larder
