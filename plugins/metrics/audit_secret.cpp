#include "audit_secret.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <system_error>

#include "larder/error.hpp"
#include "storage-kit/file_system.hpp"
#include "storage-kit/safe_name.hpp"

namespace larder::metrics {
namespace {

[[noreturn]] void fail_with_errno(const std::string& path, const char* doing) {
    throw Error(Errc::io_failed, "storage-failed", "the audit's key cannot be kept")
        .because(fmt::format("{} {}: {}", doing, path, std::generic_category().message(errno)));
}

void write_all(int fd, std::string_view text, const std::string& path) {
    while (!text.empty()) {
        const ssize_t wrote = ::write(fd, text.data(), text.size());
        if (wrote < 0 && errno == EINTR) continue;
        if (wrote <= 0) fail_with_errno(path, "write");
        text.remove_prefix(static_cast<std::size_t>(wrote));
    }
}

}  // namespace

void write_secret(const std::string& path, std::string_view secret) {
    const std::string fresh = path + ".tmp";
    ::unlink(fresh.c_str());
    const storage::OwnedFd fd(::open(fresh.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
    if (fd.get() < 0) fail_with_errno(fresh, "create");
    write_all(fd.get(), secret, fresh);
    if (::fsync(fd.get()) != 0) fail_with_errno(fresh, "sync");
    if (std::rename(fresh.c_str(), path.c_str()) != 0) fail_with_errno(path, "rename");
    storage::FileSystem::real().sync_directory(storage::parent_of(path));
}

}  // namespace larder::metrics
