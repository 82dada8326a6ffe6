// Log files that grow to a size, are then numbered and begun anew: app.log, app.log.1, app.log.2 …
// Not for data: what falls off the end is gone.
#pragma once

#include <cstddef>
#include <string>

namespace larder::storage {

// Renames `path` to `path`.1, `path`.1 to `path`.2 and so on; the one numbered `keep` is lost.
// `keep` 0 removes the file. What is not there is passed over. Returns 0 or the errno of the first
// step that failed; the file may then stand where it stood. [any, one at a time a path]
int rotate_file(const std::string& path, std::size_t keep) noexcept;

}  // namespace larder::storage
