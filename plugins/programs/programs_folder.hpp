// Folders of programs on disk: built beside their final places, synced as a whole, walked, removed.
// Knows paths and bytes, no records.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include "larder/error.hpp"
#include "storage-kit/disk_error.hpp"
#include "storage-kit/safe_name.hpp"

namespace larder::programs {

using storage::disk_error;

// A program's folder while it is being made; removed with all that is in it unless it is kept. All
// of it throws std::system_error. [worker]
class StagedFolder {
public:
    explicit StagedFolder(std::string path);  // makes it
    ~StagedFolder();
    StagedFolder(const StagedFolder&) = delete;
    StagedFolder& operator=(const StagedFolder&) = delete;

    const std::string& path() const noexcept { return path_; }
    // Paths are relative and have no "..": whatever they are, nothing is made outside.
    void make_folder(const std::string& path);  // with those above it; present is no error
    // Makes a file, which must not be there, with what `fill` gives to its argument; synced.
    void make_file(const std::string& path,
                   const std::function<void(const std::function<void(std::string_view)>&)>& fill);
    void sync();  // the folders, the deepest first
    void rename(const std::string& path);
    void keep() noexcept { path_.clear(); }

private:
    std::string path_;
    storage::OwnedFd root_;
    std::vector<std::string> folders_;  // in the order they were made
};

struct FolderEntry {
    std::string path;
    bool is_folder;
    std::uint64_t size;
    std::int64_t modified_ms;
};
// All regular files and folders below `folder`, in byte order of their paths, the store's own left
// out; at most so many. Links are passed over. [worker]
std::vector<FolderEntry> walk_folder(const std::string& folder, std::size_t most);

// Where programs run as other users than the daemon, they may read a folder that came from
// elsewhere, and write into its data/. [control]
void open_to_programs(const std::string& folder);

void remove_tree(const std::string& folder) noexcept;

inline constexpr std::string_view kMetadataFile = ".metadata.json";
inline constexpr std::size_t kMostWalked = 100'000;

}  // namespace larder::programs
