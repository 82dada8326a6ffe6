// What the index knows of a backup. Not its files: those are in its manifest.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "backup_manifest.hpp"

namespace larder::backup {

struct Record {
    std::string backup_id, file_path;              // the path is relative to the data directory
    std::int64_t created_ms = 0, verified_ms = 0;  // 0: not verified, or found damaged since
    std::uint64_t size = 0;                        // of the archive
    std::string checksum, archive_sha256;
    std::string parent;  // of an incremental one
    std::vector<std::string> components;
    std::uint64_t total_size = 0, total_files = 0;
    double compression_ratio = 0, duration = 0, pause = 0;  // the latter two in seconds
    bool is_encrypted = false, is_damaged = false, is_partial = false;
    std::string note;

    bool is_incremental() const noexcept { return !parent.empty(); }
};

// By their times, as all lists are sorted; those of one moment by their ids.
bool is_older(const Record& a, const Record& b);

// The key of the alert that stands while a backup is known to be damaged. [any]
std::string damage_alert(std::string_view backup_id);
// Of the one while a backup cannot be judged for want of its key. [any]
std::string unreadable_alert(std::string_view backup_id);

// As stored and as answered; `extra` are further members, ",…". [any]
std::string record_json(const Record& record, std::string_view extra = {});
// Of compact JSON; throws Error{unprocessable} for what is none. [any]
Record record_of(std::string_view json);
// The parts that a manifest tells.
Record record_of(const Manifest& manifest);

}  // namespace larder::backup
