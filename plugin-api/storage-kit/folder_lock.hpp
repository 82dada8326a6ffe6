// One process a folder: an exclusive lock on `<folder>/.lock` that goes with its holder, however it
// ends. Not for threads of one process, and not for folders on a network.
#pragma once

#include <string>

namespace larder::storage {

// Held from construction to destruction; the file stays. [control]
class FolderLock {
public:
    // Throws Error{unavailable,"locked"} with the holder's pid when another process has it, and
    // std::system_error where the folder cannot be used.
    explicit FolderLock(const std::string& folder);
    ~FolderLock();
    FolderLock(const FolderLock&) = delete;
    FolderLock& operator=(const FolderLock&) = delete;

private:
    int fd_;
};

}  // namespace larder::storage
