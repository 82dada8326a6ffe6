// What a plugin may throw away when an admin wants room: its part in POST /api/storage/cleanup. Not
// what it removes by itself, which is its jobs' business.
#pragma once

#include <cstdint>
#include <string_view>

namespace larder {

inline constexpr std::string_view kCleanable = "larder.cleanable/1";

// Grows only at its end, as facts do (events.hpp). What is below 0 was not asked for.
struct CleanupRequest {
    std::uint32_t size = sizeof(CleanupRequest);
    bool dry_run = false;               // only tell
    bool only_never_downloaded = true;  // of files
    double older_than_days = -1;        // files that were stored before
    double metrics_older_than_days = -1;
    std::int64_t keep_backups = -1;  // so many of the latest
};

class CleanupSink {
public:
    // One thing that was removed, or would be: "file", its name, its bytes. [worker]
    virtual void removed(std::string_view kind, std::string_view name, std::uint64_t bytes) = 0;

protected:
    ~CleanupSink() = default;
};

// The extension kCleanable of a plugin.
class Cleanable {
public:
    // While the plugin serves. What it throws is the answer; what it told of before is gone.
    // [worker]
    virtual void clean(const CleanupRequest& request, CleanupSink& sink) = 0;

protected:
    ~Cleanable() = default;
};

}  // namespace larder
