// One process a folder: an advisory lock (flock) on <folder>/.lock. Not a lock between threads.
#pragma once

#include <string>

namespace larder::storage {

class FolderLock {
public:
    // Throws Error{unavailable, "folder-locked"} naming the folder and the process that holds it,
    // Error{io_failed} when the lock file cannot be made. [control]
    explicit FolderLock(const std::string& folder);
    ~FolderLock();  // lets go; the file stays
    FolderLock(const FolderLock&) = delete;
    FolderLock& operator=(const FolderLock&) = delete;

private:
    int fd_ = -1;
};

}  // namespace larder::storage
