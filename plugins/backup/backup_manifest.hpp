// What an archive says of itself: its files with their checksums, what they are based on. Not the
// index, which says what archives there are.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace larder::backup {

struct FileEntry {
    std::uint64_t size = 0;
    std::string sha256;  // lower hex
    std::int64_t modified_ms = 0;
};
using FileMap = std::map<std::string, FileEntry, std::less<>>;  // by archived path

struct Manifest {
    std::string backup_id;
    std::int64_t created_ms = 0;
    bool incremental = false;
    std::string parent;                   // of an incremental one
    bool partial = false;                 // of some components alone
    std::vector<std::string> components;  // those that were asked for, or all that there were
    std::vector<std::string> plugins;     // who took part
    FileMap files;                        // those in this archive
    std::vector<std::string> deleted;     // in the parent's state, not in this one
    std::vector<std::string> damaged;     // were not as recorded when they were read
    double compression_ratio = 0;         // archived bytes by bytes
    std::int64_t pause_us = 0;
    std::string note;

    std::uint64_t total_size() const;
    // SHA-256 over the sorted lines `path NUL size NUL sha256 LF`.
    std::string checksum() const;
    std::string json() const;
};

// Throws Error{corrupt, "manifest"} for what is none, and for a checksum that is not its files'.
// [any]
Manifest read_manifest(std::string_view text);

// The members `"files":[…],"deleted":[…],"damaged":[…]`, as manifest and answers have them. [any]
std::string file_members(const Manifest& manifest);

}  // namespace larder::backup
