// The files' bytes on disk: staged, named, opened, removed. Knows names and descriptors, no
// records; what is a file and what is a leftover is decided by who knows the records.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "larder/error.hpp"
#include "larder/http.hpp"
#include "storage-kit/disk_error.hpp"
#include "storage-kit/safe_name.hpp"
#include "storage-kit/staged_file.hpp"

namespace larder::files {

using storage::disk_error;
using storage::StagedFile;

// A folder that many threads want synced: one sync serves all who asked before it began. After one
// that failed nothing is synced any more: what it should have kept may be lost.
class SharedSync {
public:
    explicit SharedSync(std::string folder) : folder_(std::move(folder)) {}
    // Throws Error{io_failed, "storage-failed"}, and from then on Error{unavailable, "read-only"}.
    // [worker]
    void sync();

private:
    const std::string folder_;
    std::mutex mutex_;
    std::condition_variable ended_;
    std::uint64_t begun_ = 0, done_ = 0;  // syncs; guarded by mutex_, as all below
    bool running_ = false, failed_ = false;
};

// Removes a staged name when it goes, unless it is kept.
class StagedName {
public:
    explicit StagedName(std::string path) : path_(std::move(path)) {}
    StagedName(StagedName&& other) noexcept : path_(std::exchange(other.path_, {})) {}
    StagedName& operator=(StagedName&& other) noexcept {
        std::swap(path_, other.path_);
        return *this;
    }
    ~StagedName();
    void keep() noexcept { path_.clear(); }

private:
    std::string path_;
};

class Blobs {
public:
    // Makes what folders are missing. Throws std::system_error. [control]
    explicit Blobs(std::string folder);

    const std::string& folder() const noexcept { return folder_; }
    const std::string& partial_folder() const noexcept { return partial_; }
    std::string path_of(std::string_view name) const;

    // A new, empty staged file. Throws std::system_error. [worker]
    std::unique_ptr<StagedFile> stage();
    // Gives a staged file a name in the folder; false where the name is taken. It keeps its staged
    // one. Throws std::system_error. [worker]
    bool link(const std::string& staged_path, std::string_view name);
    void sync_folder() { sync_.sync(); }  // [worker]

    // Null where there is none. Throws std::system_error. [worker]
    std::shared_ptr<FileHandle> open(std::string_view name) const;

    // Removal in two steps, with the record's in between: mark_doomed() gives it a second name
    // that tells of the intention after a crash, remove() takes both away. [worker]
    void mark_doomed(std::string_view name);
    void spare(std::string_view name) noexcept;  // takes mark_doomed() back
    void remove(std::string_view name) noexcept;

    // What a start finds. [control]
    struct Found {
        std::string name;
        std::uint64_t size;
    };
    // The folder's files, without those that are the records' own or begin with a dot.
    std::vector<Found> list() const;
    // Removes staged leftovers and doomed files, and of files with `has_record` false those that
    // share a leftover's inode: they were on their way. Returns how many names went.
    std::size_t clear_leftovers(const std::function<bool(const std::string&)>& has_record);
    // The file of the folder that is the same as the one at `path`; empty where none is.
    std::string twin_of(const std::string& path) const;
    std::uint64_t free_bytes() const;  // of the file system; all there is where it does not say

private:
    const std::string folder_, staging_, trash_, partial_;
    SharedSync sync_;
    std::atomic<std::uint64_t> staged_{0};
};

inline constexpr std::string_view kRecordsFile = "files_metadata.json";

}  // namespace larder::files
