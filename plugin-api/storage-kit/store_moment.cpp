#include "storage-kit/store_moment.hpp"

#include <fcntl.h>
#include <fmt/format.h>

#include <filesystem>
#include <limits>
#include <memory>
#include <system_error>
#include <utility>

#include "storage-kit/succession.hpp"

namespace larder::storage {
namespace {

namespace fs = std::filesystem;

FileRegion opened(const std::string& path) {
    auto handle = std::make_shared<FileHandle>(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (handle->fd() < 0) throw std::system_error(errno, std::generic_category(), path);
    const std::uint64_t length = fs::file_size(path);
    return {std::move(handle), 0, length};
}

}  // namespace

StoreMoment::StoreMoment(std::string data_directory, std::string scratch)
    : data_directory_(std::move(data_directory)), scratch_(std::move(scratch)) {}

void StoreMoment::add(std::string file, const DocumentStore& store, Shape shape) {
    stores_.push_back({std::move(file), std::move(shape), store.version(),
                       store.list({}, {}, std::numeric_limits<std::size_t>::max())});
}

void StoreMoment::write(SnapshotSink& sink) {
    auto& files = FileSystem::real();
    const std::string scratch = fmt::format("{}/{}", data_directory_, scratch_);
    for (Pinned& store : stores_) {
        const std::string path = fmt::format("{}/{}", scratch, store.file);
        files.make_directory(parent_of(path));
        const auto pair = write_pair(files, path, store.documents, store.version, store.shape);
        FileRegion json = opened(pair.json), meta = opened(pair.meta);
        files.remove(pair.json);  // they last as long as somebody has them open
        files.remove(pair.meta);
        sink.add_file(store.file, std::move(json), pair.json_sha256);
        sink.add_file(store.file + ".meta", std::move(meta), {});
        store.documents.clear();
    }
    std::error_code left;
    fs::remove_all(scratch, left);
}

}  // namespace larder::storage
