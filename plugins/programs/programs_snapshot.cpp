#include "programs_snapshot.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <filesystem>
#include <limits>
#include <system_error>
#include <utility>
#include <vector>

#include "storage-kit/file_system.hpp"
#include "storage-kit/store_moment.hpp"
#include "storage-kit/succession.hpp"

namespace larder::programs {
namespace {

namespace fs = std::filesystem;

constexpr const char* kRecordsFile = "programs/programs.json";

class ProgramsMoment final : public Moment {
public:
    ProgramsMoment(ProgramStore& store, const std::string& data_directory)
        : store_(store),
          kept_(store.keep_all()),
          records_(store.list({}, std::numeric_limits<std::size_t>::max())),
          documents_(data_directory, "programs/.moment") {
        documents_.add(kRecordsFile, store.documents(), ProgramStore::shape());
    }

    void write(SnapshotSink& sink) override {
        for (const Record& record : records_) {
            struct stat status {};
            std::string folder = store_.folder_of(record.id);
            if (::lstat(folder.c_str(), &status) != 0) folder = store_.trash_of(record.id);
            add(sink, folder, fmt::format("programs/{}", record.id), std::string(kMetadataFile));
            for (const FolderEntry& entry : walk_folder(folder, kMostWalked)) {
                if (entry.is_folder) continue;
                add(sink, folder, fmt::format("programs/{}", record.id), entry.path);
            }
        }
        std::error_code fault;
        for (const auto& entry : fs::directory_iterator(store_.folder() + "/logs", fault)) {
            add(sink, store_.folder() + "/logs", "programs/logs", entry.path().filename().string());
        }
        documents_.write(sink);
    }

private:
    // What is gone already cannot be archived: a program may remove its data at any time.
    static void add(SnapshotSink& sink, const std::string& folder, const std::string& place,
                    const std::string& path) {
        const int fd = ::open(fmt::format("{}/{}", folder, path).c_str(),
                              O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
        if (fd < 0) return;
        auto handle = std::make_shared<FileHandle>(fd);
        struct stat status {};
        if (::fstat(fd, &status) != 0 || !S_ISREG(status.st_mode)) return;
        sink.add_file(fmt::format("{}/{}", place, path),
                      FileRegion{std::move(handle), 0, static_cast<std::uint64_t>(status.st_size)},
                      {});
    }

    ProgramStore& store_;
    const std::shared_ptr<void> kept_;
    const std::vector<Record> records_;
    storage::StoreMoment documents_;
};

}  // namespace

std::unique_ptr<Moment> pin(ProgramStore& store, const std::string& data_directory) {
    return std::make_unique<ProgramsMoment>(store, data_directory);
}

void adopt(const std::string& data_directory, const std::string& previous) {
    storage::succeed_store(storage::FileSystem::real(),
                           fmt::format("{}/{}", data_directory, kRecordsFile),
                           fmt::format("{}/{}", previous, kRecordsFile), ProgramStore::shape());
    std::error_code fault;
    for (const auto& entry : fs::directory_iterator(data_directory + "/programs", fault)) {
        const std::string name = entry.path().filename().string();
        const bool is_program = name.starts_with("program_") || name.starts_with("project_");
        if (is_program) open_to_programs(entry.path());
    }
}

}  // namespace larder::programs
