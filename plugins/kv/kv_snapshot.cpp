#include "kv_snapshot.hpp"

#include <fmt/format.h>

#include <fcntl.h>

#include <array>
#include <filesystem>
#include <limits>
#include <set>
#include <system_error>
#include <vector>

#include "storage-kit/succession.hpp"

namespace larder::kv {
namespace {

namespace fs = std::filesystem;
using storage::FileSystem;

// Where a Moment's files are made; no bucket has such a name.
constexpr const char* kScratch = "/kv/.moment/";

FileRegion opened(const std::string& path) {
    auto handle = std::make_shared<FileHandle>(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (handle->fd() < 0) throw std::system_error(errno, std::generic_category(), path);
    const std::uint64_t length = fs::file_size(path);
    return {std::move(handle), 0, length};
}

class KvMoment final : public Moment {
public:
    KvMoment(const Buckets& buckets, std::string data_directory)
        : data_directory_(std::move(data_directory)) {
        for (const auto& bucket : buckets.all()) {
            const storage::DocumentStore& store = bucket->store();  // throws for an unreadable one
            buckets_.push_back({bucket->file(), store.version(),
                                store.list({}, {}, std::numeric_limits<std::size_t>::max())});
        }
    }

    void write(SnapshotSink& sink) override {
        auto& files = FileSystem::real();
        const std::string scratch = data_directory_ + kScratch;
        for (Pinned& bucket : buckets_) {
            const std::string path = scratch + bucket.file;
            files.make_directory(storage::parent_of(path));
            const auto pair = write_pair(files, path, bucket.documents, bucket.version);
            FileRegion json = opened(pair.json), meta = opened(pair.meta);
            files.remove(pair.json);  // they last as long as somebody has them open
            files.remove(pair.meta);
            sink.add_file(bucket.file, std::move(json), pair.json_sha256);
            sink.add_file(bucket.file + ".meta", std::move(meta), {});
            bucket.documents.clear();
        }
        std::error_code left;
        fs::remove_all(scratch, left);
    }

private:
    struct Pinned {
        std::string file;
        storage::Version version;
        std::vector<storage::DocumentPtr> documents;
    };
    const std::string data_directory_;
    std::vector<Pinned> buckets_;
};

// The readable files of the buckets that were there, by any file of theirs.
std::set<std::string> bucket_files_in(const std::string& folder) {
    std::set<std::string> found;
    auto& files = FileSystem::real();
    for (const char* place : {"", "config/", "kv/"}) {
        const std::string inner = folder + "/" + place;
        if (!files.exists(inner)) continue;
        for (const std::string& file : files.list(inner)) {
            const std::size_t end = file.find(".json");
            if (end == std::string::npos) continue;
            const std::string name = file.substr(0, end);
            if (is_bucket_name(name) && bucket_file(name) == place + name + ".json") {
                found.insert(bucket_file(name));
            }
        }
    }
    return found;
}

}  // namespace

std::unique_ptr<Moment> pin(const Buckets& buckets, const std::string& data_directory) {
    return std::make_unique<KvMoment>(buckets, data_directory);
}

void adopt(const std::string& data_directory, const std::string& previous) {
    auto& files = FileSystem::real();
    storage::Committer committer("larder-kv");
    for (const std::string& file : bucket_files_in(previous)) {
        storage::Version version;
        {
            // Its journal may hold what its .meta does not tell.
            storage::DocumentStore store(files, fmt::format("{}/{}", previous, file), committer,
                                         {});
            version = store.version();
        }
        storage::succeed(files, fmt::format("{}/{}", data_directory, file), version);
    }
}

}  // namespace larder::kv
