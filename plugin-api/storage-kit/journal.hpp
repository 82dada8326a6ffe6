// One segment of a journal: how its lines are written, read and judged (FORMAT.md). Not the store:
// it knows revisions and changes, but no documents.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "storage-kit/file_system.hpp"

namespace larder::storage::journal {

inline constexpr std::uint64_t kReserveBytes = 64U << 10U;  // kept for removals on a full disk
inline constexpr std::uint64_t kFirstBytes = 256U << 10U;   // allocated at first
inline constexpr std::uint64_t kLeastBytes = kReserveBytes + (4U << 10U);  // where space is short
inline constexpr std::uint64_t kMostBytes = 4U << 20U;                     // allocated at once

struct Header {
    std::uint64_t epoch = 1;
    std::uint64_t after = 0;  // the revision that the first commit follows
};

// ---- lines

// A line in the making: room for its sum, then commits. close_line() ends the array of commits,
// fills in the sum and adds the LF.
std::string open_line();
void close_line(std::string& line);

struct Change {
    bool remove = false;
    bool expired = false;  // removed because its time had come
    std::string key;
    std::string_view value, metadata;  // compact JSON; metadata may be empty
    std::int64_t created_ms = 0, expires_ms = 0;
};
struct Commit {
    std::uint64_t revision = 0;
    std::int64_t at_ms = 0;
    std::vector<Change> changes;
};

// A commit's text is begun, given its changes one after another, and ended.
void begin_commit(std::string& line, std::uint64_t revision, std::int64_t at_ms,
                  bool first_in_line);
void append_set(std::string& line, std::string_view key, std::string_view value,
                std::int64_t created_ms, std::int64_t expires_ms, std::string_view metadata);
void append_remove(std::string& line, std::string_view key, bool expired);
void end_commit(std::string& line);

void append_number(std::string& out, std::int64_t number);
void append_number(std::string& out, std::uint64_t number);

// ---- reading

enum class End : std::uint8_t {
    clean = 1,  // nothing but zeros after the last line
    torn,       // the last line is not whole: its batch was never acknowledged
    damaged,    // something is wrong that no power cut explains
};
struct Contents {
    End end = End::clean;
    std::string why;               // of torn and damaged, with the offset
    std::uint64_t end_offset = 0;  // after the last good line
};

// The first line; nothing where it is not whole. Throws Error{corrupt} for a version newer than
// this one's. [control]
std::optional<Header> read_header(File& file, const std::string& path);

// Calls `take` for each commit in order, up to the first line that is not whole; views in the
// commit are good during the call. `take` returns empty, or what makes this commit impossible: then
// the segment is damaged there. Throws what read_header() throws. [control]
Contents read_segment(File& file, const std::string& path,
                      const std::function<std::string(const Commit&)>& take);

// Lines from `from` on whose sum is right, whatever stands between them; no header. [worker]
std::size_t count_whole_lines(File& file, std::uint64_t from);

// ---- writing

// The segment that commits go to. Made under one name, put under another by its user. [committer]
class Segment {
public:
    // A new file of so many zeros, allocated and synced, with no header yet. [any]
    static std::unique_ptr<Segment> create(FileSystem& files, const std::string& path,
                                           std::uint64_t bytes);
    // An existing one, to go on after `used`; everything of it is written again, since after a
    // failed sync what was read may not be on disk. [control]
    static std::unique_ptr<Segment> rewrite(FileSystem& files, const std::string& path,
                                            std::uint64_t used);

    void write_header(const Header& header);  // written and synced
    // Makes sure that `length` bytes fit; false when the disk is full. The reserve is only counted
    // in for removals. `may_grow` false: only what is allocated already.
    bool has_room(std::uint64_t length, bool removal_only, bool may_grow);
    // Gives back what is allocated and not used; has_room() takes it again.
    void lend_reserve();
    // Writes a closed line. After std::system_error with is_no_space() the segment is as before;
    // after any other, as after a failed sync, it must not be used again.
    void append(std::string_view line);
    void sync() { file_->sync_data(); }
    std::uint64_t used() const noexcept { return used_; }
    std::uint64_t spare() const noexcept { return allocated_ - used_; }  // and allocated

private:
    explicit Segment(std::unique_ptr<File> file) : file_(std::move(file)) {}
    bool grow(std::uint64_t bytes);

    std::unique_ptr<File> file_;
    std::uint64_t used_ = 0, allocated_ = 0, step_ = kFirstBytes;
};

}  // namespace larder::storage::journal
