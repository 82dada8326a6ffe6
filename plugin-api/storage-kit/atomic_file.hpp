// A whole file in one step: after a crash there is the old one or the new one, never a part. For
// small files that are written now and then; stores have document_store.hpp.
#pragma once

#include <string>
#include <string_view>

#include "storage-kit/file_system.hpp"

namespace larder::storage {

// Writes `<path>.tmp` beside it, syncs, renames, syncs the folder. On return the content is on
// disk. Throws std::system_error; `path` is then the old file, but when the last sync failed, when
// it may be either. [worker, one at a time a path]
void write_atomically(FileSystem& files, const std::string& path, std::string_view content);

// The same with the content of another file. [worker]
void copy_file(FileSystem& files, const std::string& from, const std::string& to);

// The whole of a file. Throws std::system_error. [worker]
std::string read_file(FileSystem& files, const std::string& path);

}  // namespace larder::storage
