// The part of files in backups: files never change, so a moment of them is their records, and that
// none of them goes meanwhile. Not the archive.
#pragma once

#include <memory>
#include <string>

#include "files_store.hpp"
#include "larder/snapshot.hpp"

namespace larder::files {

// Of files that are held. [any]
std::unique_ptr<Moment> pin(Files& files, const std::string& data_directory);

// As Snapshotable::adopt(); no store is open. [control]
void adopt(const std::string& data_directory, const std::string& previous);

}  // namespace larder::files
