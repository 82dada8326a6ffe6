#include "programs_folder.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <utility>

#include "storage-kit/file_system.hpp"

namespace larder::programs {
namespace {

namespace fs = std::filesystem;
using storage::open_beneath;
using storage::OwnedFd;

[[noreturn]] void fail(const char* doing) {
    throw std::system_error(errno, std::generic_category(), doing);
}

bool is_data(std::string_view path) { return path == "data" || path.starts_with("data/"); }

// Programs of a root daemon run as others. The folder above all programs keeps strangers out.
unsigned folder_mode(std::string_view path) {
    return is_data(path) && ::geteuid() == 0 ? 0777 : 0755;
}
unsigned file_mode(std::string_view path) {
    return is_data(path) && ::geteuid() == 0 ? 0666 : 0644;
}

std::string parent_in(const std::string& path) {
    const std::size_t slash = path.rfind('/');
    return slash == std::string::npos ? std::string(".") : path.substr(0, slash);
}

OwnedFd open_inner(int root, const std::string& path) {
    return open_beneath(root, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
}

}  // namespace

StagedFolder::StagedFolder(std::string path) : path_(std::move(path)) {
    if (::mkdir(path_.c_str(), 0755) != 0) fail("mkdir");
    if (::chmod(path_.c_str(), 0755) != 0) fail("chmod");
    root_ = OwnedFd(::open(path_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (root_.get() < 0) fail("open");
}

StagedFolder::~StagedFolder() {
    if (!path_.empty()) remove_tree(path_);
}

void StagedFolder::make_folder(const std::string& path) {
    for (std::size_t at = 0; at != std::string::npos;) {
        at = path.find('/', at + 1);
        const std::string part = path.substr(0, at);
        const OwnedFd above = open_inner(root_.get(), parent_in(part));
        const std::string name = part.substr(part.rfind('/') + 1);
        if (::mkdirat(above.get(), name.c_str(), 0755) != 0) {
            if (errno != EEXIST) fail("mkdir");
            continue;
        }
        if (::fchmodat(above.get(), name.c_str(), folder_mode(part), 0) != 0) fail("chmod");
        folders_.push_back(part);
    }
}

void StagedFolder::make_file(
    const std::string& path,
    const std::function<void(const std::function<void(std::string_view)>&)>& fill) {
    const std::string above = parent_in(path);
    if (above != ".") make_folder(above);
    const OwnedFd file =
        open_beneath(root_.get(), path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0644);
    if (::fchmod(file.get(), file_mode(path)) != 0) fail("chmod");
    fill([&](std::string_view bytes) {
        while (!bytes.empty()) {
            const ssize_t wrote = ::write(file.get(), bytes.data(), bytes.size());
            if (wrote < 0 && errno == EINTR) continue;
            if (wrote <= 0) fail("write");
            bytes.remove_prefix(static_cast<std::size_t>(wrote));
        }
    });
    if (::fdatasync(file.get()) != 0) fail("fdatasync");
}

void StagedFolder::sync() {
    for (auto path = folders_.rbegin(); path != folders_.rend(); ++path) {
        if (::fsync(open_inner(root_.get(), *path).get()) != 0) fail("fsync");
    }
    if (::fsync(root_.get()) != 0) fail("fsync");
}

void StagedFolder::rename(const std::string& path) {
    if (::renameat2(AT_FDCWD, path_.c_str(), AT_FDCWD, path.c_str(), RENAME_NOREPLACE) != 0) {
        fail("rename");
    }
    path_ = path;
}

std::vector<FolderEntry> walk_folder(const std::string& folder, std::size_t most) {
    std::vector<FolderEntry> found;
    std::error_code fault;
    for (fs::recursive_directory_iterator at(folder, fault), last; !fault && at != last;
         at.increment(fault)) {
        struct stat status {};
        if (::lstat(at->path().c_str(), &status) != 0) continue;
        if (!S_ISREG(status.st_mode) && !S_ISDIR(status.st_mode)) continue;
        std::string path = at->path().string().substr(folder.size() + 1);
        if (path == kMetadataFile) continue;
        const std::int64_t modified =
            std::int64_t{status.st_mtim.tv_sec} * 1000 + status.st_mtim.tv_nsec / 1'000'000;
        const bool is_folder = S_ISDIR(status.st_mode);
        found.push_back({std::move(path), is_folder,
                         is_folder ? 0 : static_cast<std::uint64_t>(status.st_size), modified});
        if (found.size() >= most) break;
    }
    std::sort(found.begin(), found.end(),
              [](const FolderEntry& a, const FolderEntry& b) { return a.path < b.path; });
    return found;
}

void open_to_programs(const std::string& folder) {
    if (::geteuid() != 0) return;
    ::chmod(folder.c_str(), 0755);
    for (const FolderEntry& entry : walk_folder(folder, kMostWalked)) {
        const std::string path = folder + "/" + entry.path;
        ::chmod(path.c_str(), entry.is_folder ? folder_mode(entry.path) : file_mode(entry.path));
    }
}

void remove_tree(const std::string& folder) noexcept {
    std::error_code left;  // what stays is removed at the next start
    fs::remove_all(folder, left);
}

}  // namespace larder::programs
