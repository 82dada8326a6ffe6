// Stores in backups: a store's documents of one moment written as a readable file with its .meta,
// and a restored store made to go on from the one it replaces. Not an open store's own checkpoints.
#pragma once

#include <string>
#include <vector>

#include "storage-kit/document_store.hpp"
#include "storage-kit/file_system.hpp"

namespace larder::storage {

// The two files, under temporary names of the store at `path`; both synced. Removing them is the
// caller's.
struct WrittenPair {
    std::string json, meta;  // paths
    std::string json_sha256;
};
// `documents` in byte order, as DocumentStore::list() gives them; no store is open at `path`.
// Throws std::system_error. [worker]
WrittenPair write_pair(FileSystem& files, const std::string& path,
                       const std::vector<DocumentPtr>& documents, const Version& version,
                       const Shape& shape = {});

// Gives the closed store at `path`, if any, a history that goes on from `previous`: a greater
// epoch, and one new revision for all documents, greater than any that either had, so that no
// revision ever stands for two things. Where there is none, an emptied one keeps the numbers. May
// be called again after it was interrupted. Throws Error{corrupt}, std::system_error. [control]
void succeed(FileSystem& files, const std::string& path, const Version& previous,
             const Shape& shape = {});
// As above, after the closed store that stands at `previous`, whose journal counts. [control]
void succeed_store(FileSystem& files, const std::string& path, const std::string& previous,
                   const Shape& shape = {});

}  // namespace larder::storage
