// What is known of jobs from one run of the daemon to the next: jobs.json in the data directory.
// Not the history of runs, which is in memory alone.
//
//   {"larder":"jobs","version":1,"jobs":{"kv.fold":{"anchor":…,"served":…,"due":…,"started":…,
//    "duration_ms":…,"outcome":"succeeded","trigger":"schedule","error":"","failures":0}}}
//
// Times are Unix milliseconds.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "storage-kit/file_system.hpp"

namespace larder::jobs {

struct Run {
    std::int64_t due_ms = 0, started_ms = 0, duration_ms = 0;
    std::string outcome;  // "succeeded" "failed" "cancelled"
    std::string trigger;  // "schedule" "catch-up" "hand"
    std::string error;    // of a failed one
};

struct JobRecord {
    std::int64_t anchor_ms = 0;  // what an `every` counts from
    std::int64_t served_ms = 0;  // times up to here have been run, or passed over
    Run last;                    // outcome empty: none yet
    std::uint64_t failures = 0;  // in a row
};

using JobRecords = std::map<std::string, JobRecord, std::less<>>;

// What the file holds; nothing where there is none. Throws Error{corrupt} for a file that is not
// as above or of a newer version, std::system_error. [control]
JobRecords read_job_book(storage::FileSystem& files, const std::string& path);
// Throws std::system_error; the file is then as it was. [one thread at a time]
void write_job_book(storage::FileSystem& files, const std::string& path, const JobRecords& records);

}  // namespace larder::jobs
