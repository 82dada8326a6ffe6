#include "files_snapshot.hpp"

#include <fcntl.h>
#include <fmt/format.h>

#include <filesystem>
#include <limits>
#include <system_error>
#include <vector>

#include "storage-kit/succession.hpp"

namespace larder::files {
namespace {

namespace fs = std::filesystem;
using storage::FileSystem;

FileRegion opened(const std::string& path) {
    auto handle = std::make_shared<FileHandle>(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (handle->fd() < 0) throw std::system_error(errno, std::generic_category(), path);
    const std::uint64_t length = fs::file_size(path);
    return {std::move(handle), 0, length};
}

class FilesMoment final : public Moment {
public:
    explicit FilesMoment(Files& files)
        : files_(files),
          kept_(files.keep_all()),
          version_(files.catalog().store().version()),
          documents_(
              files.catalog().store().list({}, {}, std::numeric_limits<std::size_t>::max())) {}

    void write(SnapshotSink& sink) override {
        for (const auto& document : documents_) {
            const auto record = record_of(*document);
            const auto handle = record ? files_.blobs().open(record->filename) : nullptr;
            // What is missing already cannot be archived; the record goes in, so that a restore
            // tells of it again.
            if (!handle) continue;
            sink.add_file(fmt::format("files/{}", record->filename),
                          FileRegion{handle, 0, record->size},
                          record->damaged_ms == 0 ? record->hash : std::string());
        }
        auto& system = FileSystem::real();
        const std::string scratch = files_.blobs().path_of(".moment");
        const std::string path = fmt::format("{}/{}", scratch, kRecordsFile);
        system.make_directory(scratch);
        const auto pair = write_pair(system, path, documents_, version_, Catalog::shape());
        FileRegion json = opened(pair.json), meta = opened(pair.meta);
        std::error_code left;  // they last as long as somebody has them open
        fs::remove_all(scratch, left);
        sink.add_file(fmt::format("files/{}", kRecordsFile), std::move(json), pair.json_sha256);
        sink.add_file(fmt::format("files/{}.meta", kRecordsFile), std::move(meta), {});
        documents_.clear();
    }

private:
    Files& files_;
    const std::shared_ptr<void> kept_;
    const storage::Version version_;
    std::vector<storage::DocumentPtr> documents_;
};

}  // namespace

std::unique_ptr<Moment> pin(Files& files) { return std::make_unique<FilesMoment>(files); }

void adopt(const std::string& data_directory, const std::string& previous) {
    auto& system = FileSystem::real();
    const std::string before = fmt::format("{}/files/{}", previous, kRecordsFile);
    const std::string now = fmt::format("{}/files/{}", data_directory, kRecordsFile);
    bool any = false;
    for (const char* suffix : {"", ".meta", ".journal", ".journal.old"}) {
        any = any || system.exists(before + suffix);
    }
    if (!any) return;
    storage::Version version;
    {
        // Its journal may hold what its .meta does not tell.
        storage::Committer committer("larder-files");
        storage::StoreOptions options;
        options.shape = Catalog::shape();
        storage::DocumentStore store(system, before, committer, std::move(options));
        version = store.version();
    }
    storage::succeed(system, now, version, Catalog::shape());
}

}  // namespace larder::files
