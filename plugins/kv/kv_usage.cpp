// What kv adds to GET /api/storage/usage: its keys, and the bytes of its files on disk.
#include <filesystem>
#include <system_error>

#include "kv_plugin.hpp"

namespace larder::kv {

void KvPlugin::measure(UsageSink& sink) {
    std::uint64_t bytes = 0, keys = 0, count = 0;
    for (const auto& bucket : buckets_->all()) {
        ++count;
        if (bucket->is_readable()) keys += bucket->store().count();
        const std::string path = std::string(host_.data_directory()) + "/" + bucket->file();
        for (const char* suffix : {"", ".meta", ".journal", ".journal.old"}) {
            std::error_code absent;
            const auto size = std::filesystem::file_size(path + suffix, absent);
            if (!absent) bytes += size;
        }
    }
    sink.section("data_store");
    sink.count("size", bytes);
    sink.count("count", keys);
    sink.count("buckets", count);
}

}  // namespace larder::kv
