#include "kv_snapshot.hpp"

#include <fmt/format.h>

#include <set>

#include "storage-kit/store_moment.hpp"
#include "storage-kit/succession.hpp"

namespace larder::kv {
namespace {

using storage::FileSystem;

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
    // No bucket has such a name as the scratch.
    auto moment = std::make_unique<storage::StoreMoment>(data_directory, "kv/.moment");
    for (const auto& bucket : buckets.all()) moment->add(bucket->file(), bucket->store());
    return moment;
}

void adopt(const std::string& data_directory, const std::string& previous) {
    for (const std::string& file : bucket_files_in(previous)) {
        storage::succeed_store(FileSystem::real(), fmt::format("{}/{}", data_directory, file),
                               fmt::format("{}/{}", previous, file));
    }
}

}  // namespace larder::kv
