// The operating system behind file_system.hpp. Not a place for decisions: whether an error can be
// lived with is the caller's to judge.
#include "storage-kit/file_system.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <filesystem>
#include <mutex>
#include <utility>

namespace larder::storage {
namespace {

constexpr mode_t kFileMode = 0640;
constexpr mode_t kDirectoryMode = 0750;

[[noreturn]] void fail(const char* call, const std::string& path, int error = errno) {
    throw std::system_error(error, std::generic_category(), std::string(call) + " " + path);
}

class Descriptor {
public:
    explicit Descriptor(int fd) : fd_(fd) {}
    ~Descriptor() {
        if (fd_ >= 0) ::close(fd_);  // what must be on disk was synced; nothing is learnt here
    }
    Descriptor(const Descriptor&) = delete;
    Descriptor& operator=(const Descriptor&) = delete;
    int get() const noexcept { return fd_; }

private:
    int fd_;
};

int open_or_throw(const char* what, const std::string& path, int flags) {
    for (;;) {
        const int fd = ::open(path.c_str(), flags | O_CLOEXEC, kFileMode);
        if (fd >= 0) return fd;
        if (errno != EINTR) fail(what, path);
    }
}

class RealFile final : public File {
public:
    RealFile(int fd, std::string path) : fd_(fd), path_(std::move(path)) {}

    void write(std::uint64_t offset, std::span<const std::string_view> parts) override {
        std::array<iovec, 16> vectors{};
        while (!parts.empty()) {
            const std::size_t count = std::min(parts.size(), vectors.size());
            for (std::size_t i = 0; i < count; ++i) {
                // writev takes its buffers without const, and does not write to them
                vectors[i] = {const_cast<char*>(parts[i].data()), parts[i].size()};
            }
            write_all({vectors.data(), count}, offset);
            for (std::size_t i = 0; i < count; ++i) offset += parts[i].size();
            parts = parts.subspan(count);
        }
    }

    std::size_t read(std::uint64_t offset, std::span<char> into) override {
        std::size_t done = 0;
        while (done < into.size()) {
            const ssize_t n = ::pread(fd_.get(), into.data() + done, into.size() - done,
                                      static_cast<off_t>(offset + done));
            if (n == 0) break;
            if (n < 0 && errno == EINTR) continue;
            if (n < 0) fail("read", path_);
            done += static_cast<std::size_t>(n);
        }
        return done;
    }

    void sync_data() override {
        if (::fdatasync(fd_.get()) != 0) fail("fdatasync", path_);
    }

    // Zeros are written, not only reserved: a write into a reserved extent must convert it, which
    // made the fdatasync of 8 KiB half as dear again (ext4: 141 µs against 97).
    void allocate(std::uint64_t offset, std::uint64_t length) override {
        static const std::array<char, 256U << 10U> kZeros{};
        // Asked first, so that a full disk is learnt of before a byte is written.
        const int reserved =
            ::fallocate(fd_.get(), 0, static_cast<off_t>(offset), static_cast<off_t>(length));
        if (reserved != 0 && errno != EOPNOTSUPP && errno != EINTR) fail("fallocate", path_);
        while (length > 0) {
            const std::size_t n = std::min<std::uint64_t>(length, kZeros.size());
            const std::string_view zeros(kZeros.data(), n);
            write(offset, {&zeros, 1});
            offset += n;
            length -= n;
        }
    }

    void truncate(std::uint64_t length) override {
        while (::ftruncate(fd_.get(), static_cast<off_t>(length)) != 0) {
            if (errno != EINTR) fail("ftruncate", path_);
        }
    }

    std::uint64_t size() const override { return static_cast<std::uint64_t>(status().st_size); }

    std::int64_t modified_ms() const override {
        const struct stat now = status();
        return static_cast<std::int64_t>(now.st_mtim.tv_sec) * 1000 + now.st_mtim.tv_nsec / 1000000;
    }

private:
    struct stat status() const {
        struct stat result {};
        if (::fstat(fd_.get(), &result) != 0) fail("fstat", path_);
        return result;
    }

    void write_all(std::span<iovec> vectors, std::uint64_t offset) {
        while (!vectors.empty()) {
            if (vectors.front().iov_len == 0) {
                vectors = vectors.subspan(1);
                continue;
            }
            const ssize_t n = ::pwritev(fd_.get(), vectors.data(), static_cast<int>(vectors.size()),
                                        static_cast<off_t>(offset));
            if (n < 0 && errno == EINTR) continue;
            if (n < 0) fail("write", path_);
            if (n == 0) fail("write", path_, EIO);
            offset += static_cast<std::uint64_t>(n);
            auto left = static_cast<std::size_t>(n);
            while (left > 0) {
                iovec& front = vectors.front();
                const std::size_t step = std::min(left, front.iov_len);
                front.iov_base = static_cast<char*>(front.iov_base) + step;
                front.iov_len -= step;
                left -= step;
                if (front.iov_len == 0) vectors = vectors.subspan(1);
            }
        }
    }

    Descriptor fd_;
    std::string path_;
};

// The directories that were synced last, kept open: the sync that a rename needs must not fail
// because clients hold all descriptors by then. [any]
class OpenDirectories {
public:
    std::shared_ptr<const Descriptor> find(const std::string& path) {
        struct stat now {};
        if (::stat(path.c_str(), &now) != 0) fail("stat", path);
        const std::lock_guard lock(mutex_);
        const auto known = std::find_if(entries_.begin(), entries_.end(),
                                        [&](const Entry& entry) { return entry.path == path; });
        if (known != entries_.end()) {
            // Another directory may have been put there since.
            if (known->device == now.st_dev && known->inode == now.st_ino) return known->fd;
            entries_.erase(known);
        }
        auto fd =
            std::make_shared<const Descriptor>(open_or_throw("open", path, O_RDONLY | O_DIRECTORY));
        if (::fstat(fd->get(), &now) != 0) fail("fstat", path);
        if (entries_.size() == kMost) entries_.erase(entries_.begin());
        entries_.push_back({path, now.st_dev, now.st_ino, fd});
        return fd;
    }

private:
    static constexpr std::size_t kMost = 16;
    struct Entry {
        std::string path;
        dev_t device;
        ino_t inode;
        std::shared_ptr<const Descriptor> fd;
    };
    std::mutex mutex_;
    std::vector<Entry> entries_;  // oldest first; guarded by mutex_
};

class RealFileSystem final : public FileSystem {
public:
    std::unique_ptr<File> open_read(const std::string& path) override {
        return std::make_unique<RealFile>(open_or_throw("open", path, O_RDONLY), path);
    }
    std::unique_ptr<File> open_write(const std::string& path) override {
        return std::make_unique<RealFile>(open_or_throw("open", path, O_RDWR), path);
    }
    std::unique_ptr<File> create(const std::string& path) override {
        const int fd = open_or_throw("create", path, O_RDWR | O_CREAT | O_TRUNC);
        return std::make_unique<RealFile>(fd, path);
    }

    bool exists(const std::string& path) override {
        if (::access(path.c_str(), F_OK) == 0) return true;
        if (errno == ENOENT || errno == ENOTDIR) return false;
        fail("access", path);
    }

    void rename(const std::string& from, const std::string& to) override {
        if (::rename(from.c_str(), to.c_str()) != 0) fail("rename", from + " to " + to);
    }

    void remove(const std::string& path) override {
        if (::unlink(path.c_str()) != 0 && errno != ENOENT) fail("unlink", path);
    }

    // What was made is synced into its parent, so that a file synced in it later can be found.
    void make_directory(const std::string& path) override {
        if (::mkdir(path.c_str(), kDirectoryMode) == 0) return sync_directory(parent_of(path));
        if (errno == EEXIST && is_directory(path)) return;
        if (errno != ENOENT || parent_of(path) == path) fail("mkdir", path);
        make_directory(parent_of(path));
        if (::mkdir(path.c_str(), kDirectoryMode) != 0 && errno != EEXIST) fail("mkdir", path);
        sync_directory(parent_of(path));
    }

    void sync_directory(const std::string& path) override {
        const auto fd = directories_.find(path);
        if (::fsync(fd->get()) != 0) fail("fsync", path);
    }

    std::vector<std::string> list(const std::string& directory) override {
        const std::unique_ptr<DIR, int (*)(DIR*)> stream(::opendir(directory.c_str()), ::closedir);
        if (!stream) fail("opendir", directory);
        std::vector<std::string> names;
        for (;;) {
            errno = 0;
            const dirent* const entry = ::readdir(stream.get());
            if (entry == nullptr) break;
            const std::string_view name(entry->d_name);
            if (name != "." && name != "..") names.emplace_back(name);
        }
        if (errno != 0) fail("readdir", directory);
        std::sort(names.begin(), names.end());
        return names;
    }

private:
    OpenDirectories directories_;

    static bool is_directory(const std::string& path) {
        struct stat status {};
        const bool directory = ::stat(path.c_str(), &status) == 0 && S_ISDIR(status.st_mode);
        errno = EEXIST;
        return directory;
    }
};

}  // namespace

std::string parent_of(const std::string& path) {
    const std::size_t last = path.find_last_not_of('/');
    if (last == std::string::npos) return path.empty() ? "." : "/";
    const std::size_t slash = path.rfind('/', last);
    if (slash == std::string::npos) return ".";
    const std::size_t end = path.find_last_not_of('/', slash);
    return end == std::string::npos ? "/" : path.substr(0, end + 1);
}

bool is_no_space(const std::system_error& error) noexcept {
    return error.code() == std::errc::no_space_on_device ||
           (error.code().category() == std::generic_category() && error.code().value() == EDQUOT);
}

bool is_out_of_descriptors(const std::system_error& error) noexcept {
    return error.code() == std::errc::too_many_files_open ||
           error.code() == std::errc::too_many_files_open_in_system;
}

std::uint64_t bytes_below(const std::string& folder) {
    std::uint64_t bytes = 0;
    std::error_code fault;
    std::filesystem::recursive_directory_iterator place(
        folder, std::filesystem::directory_options::skip_permission_denied, fault);
    for (; !fault && place != std::filesystem::recursive_directory_iterator();
         place.increment(fault)) {
        std::error_code gone;
        if (!place->is_regular_file(gone) || place->is_symlink(gone)) continue;
        const std::uintmax_t size = place->file_size(gone);
        if (!gone) bytes += size;
    }
    return bytes;
}

FileSystem& FileSystem::real() {
    static RealFileSystem files;
    return files;
}

}  // namespace larder::storage
