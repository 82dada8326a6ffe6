#include "storage-kit/store_moment.hpp"

#include <fmt/format.h>

#include <filesystem>
#include <limits>
#include <system_error>
#include <utility>

#include "storage-kit/snapshot_file.hpp"
#include "storage-kit/succession.hpp"

namespace larder::storage {

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
        add_made_file(sink, store.file, pair.json, pair.json_sha256);
        add_made_file(sink, store.file + ".meta", pair.meta, {});
        store.documents.clear();
    }
    std::error_code left;
    std::filesystem::remove_all(scratch, left);
}

}  // namespace larder::storage
