// What the daemon keeps itself, in backups: which plugins were chosen, when jobs ran, who may do
// what. Not their reading and writing, which is each one's own.
#pragma once

#include <string>

#include "larder/snapshot.hpp"

namespace larder::plugin_host {

// Takes part in snapshots like a plugin. These files are small and only ever replaced whole, so
// that an open descriptor is a pinned state and nobody has to be held.
class OwnFiles final : public Snapshotable {
public:
    explicit OwnFiles(std::string data_directory) : directory_(std::move(data_directory)) {}

    void hold(bool on) noexcept override;
    std::unique_ptr<Moment> pin() override;
    // Throws Error{conflict}: they are never put in place under a daemon that runs.
    void adopt(std::string_view previous) override;

private:
    const std::string directory_;
};

}  // namespace larder::plugin_host
