#include "storage-kit/staged_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>
#include <utility>

namespace larder::storage {
namespace {

constexpr mode_t kMode = 0640;
constexpr std::uint64_t kFlushBytes = 8U << 20U;  // handed to the disk while more comes
constexpr std::size_t kBlock = 256U << 10U;

[[noreturn]] void fail(const char* call, const std::string& path, int error = errno) {
    throw std::system_error(error, std::generic_category(), std::string(call) + " " + path);
}

}  // namespace

StagedFile::StagedFile(std::string path, bool fresh) : path_(std::move(path)) {
    const int how = fresh ? O_CREAT | O_EXCL : 0;
    fd_ = OwnedFd(::open(path_.c_str(), O_RDWR | O_CLOEXEC | how, kMode));
    if (fd_.get() < 0) fail("open", path_);
    struct stat status {};
    if (::fstat(fd_.get(), &status) != 0) fail("fstat", path_);
    size_ = flushed_ = static_cast<std::uint64_t>(status.st_size);
}

void StagedFile::append(std::string_view bytes) {
    while (!bytes.empty()) {
        const ssize_t n =
            ::pwrite(fd_.get(), bytes.data(), bytes.size(), static_cast<off_t>(size_));
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) fail("write", path_);
        if (n == 0) fail("write", path_, EIO);
        size_ += static_cast<std::uint64_t>(n);
        bytes.remove_prefix(static_cast<std::size_t>(n));
    }
    if (size_ - flushed_ < kFlushBytes) return;
    // Only a beginning: what it could not write, sync() reports.
    ::sync_file_range(fd_.get(), static_cast<off_t>(flushed_), static_cast<off_t>(size_ - flushed_),
                      SYNC_FILE_RANGE_WRITE);
    flushed_ = size_;
}

void StagedFile::cut_to(std::uint64_t size) {
    while (::ftruncate(fd_.get(), static_cast<off_t>(size)) != 0) {
        if (errno != EINTR) fail("ftruncate", path_);
    }
    size_ = size;
    flushed_ = std::min(flushed_, size);
}

void StagedFile::sync() {
    if (::fdatasync(fd_.get()) != 0) fail("fdatasync", path_);
}

std::string StagedFile::beginning(std::size_t most) const {
    std::string bytes(static_cast<std::size_t>(std::min<std::uint64_t>(most, size_)), '\0');
    const ssize_t n = ::pread(fd_.get(), bytes.data(), bytes.size(), 0);
    if (n < 0) fail("read", path_);
    bytes.resize(static_cast<std::size_t>(n));
    return bytes;
}

void StagedFile::read_from(std::uint64_t offset,
                           const std::function<void(std::string_view)>& take) const {
    std::string block(kBlock, '\0');
    while (offset < size_) {
        const auto part = static_cast<std::size_t>(std::min<std::uint64_t>(kBlock, size_ - offset));
        read(offset, part, block.data());
        take(std::string_view(block).substr(0, part));
        offset += part;
    }
}

void StagedFile::read(std::uint64_t offset, std::size_t size, char* into) const {
    while (size > 0) {
        const ssize_t n = ::pread(fd_.get(), into, size, static_cast<off_t>(offset));
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) fail("read", path_, n == 0 ? EIO : errno);
        into += n;
        offset += static_cast<std::uint64_t>(n);
        size -= static_cast<std::size_t>(n);
    }
}

}  // namespace larder::storage
