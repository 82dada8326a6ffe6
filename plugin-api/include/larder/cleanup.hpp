// What a plugin removes when an admin asks for room: its part of POST /api/storage/cleanup. Not its
// own retention, which is a job of its own.
#pragma once

#include <cstdint>
#include <string_view>

namespace larder {

inline constexpr std::string_view kCleanup = "larder.cleanup/1";

// What is to go, in the words of the request; a plugin heeds what concerns it and passes over the
// rest. -1: not asked for, so that nothing goes on its account. Grows only at its end.
struct CleanupWish {
    std::uint32_t size = sizeof(CleanupWish);
    bool dry_run = false;               // count what would go, and touch nothing
    bool only_never_downloaded = true;  // of files
    std::int64_t older_than_days = -1;  // files, by when they were uploaded
    std::int64_t metrics_older_than_days = -1;
    std::int64_t keep_backups = -1;  // the latest so many; never the newest that was verified
};

// Takes what went, or would go. [worker]
class CleanupSink {
public:
    // Begins a section, once each: "file_store". What follows goes into it; one that nothing
    // follows says that nothing went.
    virtual void section(std::string_view name) = 0;
    // One thing with a name; of many only the first are shown, all are counted.
    virtual void item(std::string_view name, std::uint64_t bytes) = 0;
    // Many without names, such as rows.
    virtual void items(std::uint64_t count, std::uint64_t bytes) = 0;

protected:
    ~CleanupSink() = default;
};

// The extension kCleanup of a plugin.
class Cleanup {
public:
    // Tells each thing when it is gone for good, so that what is told holds even when it throws in
    // the midst; then the error is shown beside it. One call at a time. [worker]
    virtual void clean_up(const CleanupWish& wish, CleanupSink& sink) = 0;

protected:
    ~Cleanup() = default;
};

}  // namespace larder
