// Judges a store's files without changing them, and writes what can be saved of them elsewhere. For
// a store that nobody has open: for admins, not for the daemon.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "storage-kit/document_store.hpp"
#include "storage-kit/file_system.hpp"
#include "storage-kit/index.hpp"

namespace larder::storage {

struct Inspection {
    // The worst of what was found. whole: opens as it is, what it says under `findings` is done
    // then. torn: opens, the last write, never acknowledged, is cut off. damaged: opens read-only,
    // or, where the readable file itself is no JSON, not at all.
    enum class Verdict : std::uint8_t { whole = 1, torn, damaged };
    Verdict verdict = Verdict::whole;
    std::vector<Finding> findings;  // in the words of the log at open

    Version version;             // that it would open with
    Index savable;               // all that it would serve, or, where it does not open, whole lines
    std::size_t lost_lines = 0;  // of a readable file that is no JSON: lines that hold no member
    // Of a damaged journal: batches whose sums are right, but that follow the damage, and so may
    // build on what it took.
    std::size_t unreachable_batches = 0;
};

// `path` is the readable file's, as for DocumentStore. Throws Error{corrupt, "newer-format"} for
// files of a later version, and std::system_error. [worker]
Inspection inspect(FileSystem& files, const std::string& path, std::int64_t now_ms);

// Writes what is savable as a store of its own: `path` and its .meta, of the next epoch. Throws
// Error{conflict, "exists"} where there is one already, and std::system_error. [worker]
void save(FileSystem& files, const Inspection& inspection, const std::string& path);

}  // namespace larder::storage
