#include "storage-kit/snapshot_file.hpp"

#include <fcntl.h>

#include <filesystem>
#include <memory>
#include <system_error>
#include <utility>

#include "storage-kit/file_system.hpp"

namespace larder::storage {

void add_made_file(SnapshotSink& sink, std::string_view path, const std::string& made,
                   std::string_view sha256) {
    auto handle = std::make_shared<FileHandle>(::open(made.c_str(), O_RDONLY | O_CLOEXEC));
    if (handle->fd() < 0) throw std::system_error(errno, std::generic_category(), made);
    const std::uint64_t length = std::filesystem::file_size(made);
    FileSystem::real().remove(made);
    sink.add_file(path, {std::move(handle), 0, length}, sha256);
}

}  // namespace larder::storage
