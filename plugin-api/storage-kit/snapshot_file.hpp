// A file that was made for a snapshot alone. Not those that stay where they are.
#pragma once

#include <string>
#include <string_view>

#include "larder/snapshot.hpp"

namespace larder::storage {

// Gives the sink the file at `made`, as the one at `path` of the data directory, and takes its name
// away: it lasts as long as somebody has it open. Throws std::system_error. [worker]
void add_made_file(SnapshotSink& sink, std::string_view path, const std::string& made,
                   std::string_view sha256);

}  // namespace larder::storage
