#include "files_snapshot.hpp"

#include <fmt/format.h>

#include <limits>
#include <vector>

#include "storage-kit/store_moment.hpp"
#include "storage-kit/succession.hpp"

namespace larder::files {
namespace {

std::string records_file() { return fmt::format("files/{}", kRecordsFile); }

class FilesMoment final : public Moment {
public:
    FilesMoment(Files& files, const std::string& data_directory)
        : files_(files),
          kept_(files.keep_all()),
          documents_(files.catalog().store().list({}, {}, std::numeric_limits<std::size_t>::max())),
          records_(data_directory, "files/.moment") {
        records_.add(records_file(), files.catalog().store(), Catalog::shape());
    }

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
        documents_.clear();
        records_.write(sink);
    }

private:
    Files& files_;
    const std::shared_ptr<void> kept_;
    std::vector<storage::DocumentPtr> documents_;
    storage::StoreMoment records_;
};

}  // namespace

std::unique_ptr<Moment> pin(Files& files, const std::string& data_directory) {
    return std::make_unique<FilesMoment>(files, data_directory);
}

void adopt(const std::string& data_directory, const std::string& previous) {
    storage::succeed_store(storage::FileSystem::real(),
                           fmt::format("{}/{}", data_directory, records_file()),
                           fmt::format("{}/{}", previous, records_file()), Catalog::shape());
}

}  // namespace larder::files
