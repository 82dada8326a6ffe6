// The second directory: archives copied to another place, each with what it is based on, and an
// index of their own beside them, so that this folder alone is enough. It may be away, full or
// killed at any time; what it missed is copied later.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "backup_operations.hpp"
#include "backup_retention.hpp"
#include "backup_site.hpp"

namespace larder::backup {

// The folder as it stands. All of it throws std::system_error. [worker]
class Second {
public:
    // The folder is never made: where a disk is not mounted, its mount point is no second place.
    explicit Second(std::string folder);

    std::vector<Record> all() const;  // oldest first
    // What is known of it beyond its copy: that it was verified since.
    void note(const Record& record);

    // [one at a time a folder, as all below]

    void clear_leftovers();
    // Copies the archive at `from`; on return it is on disk, read back and in the index. Throws
    // Error: {conflict, "missing-parent"} where what it is based on is not there; {corrupt,
    // "damaged"} and {not_found, "archive-missing"} for an archive that is not what the record
    // says; {io_failed, "not-read-back"}; what Operation::check() throws.
    void copy(const Record& record, const std::string& from, Operation& operation);
    void thin_out(const Keep& keep);

private:
    std::string path_of(const Record& record) const;
    void read_index();
    void write_index();

    const std::string folder_;
    std::map<std::string, Record> records_;  // those whose archive is there
    bool is_noted_ = false;                  // the index is older than records_
};

// Those of the `made` that the rules keep and that are not `there`, parents first. What was removed
// from the one may stay in the other: rules count both. [any]
std::vector<Record> to_copy(const std::vector<Record>& made, const std::vector<Record>& there,
                            const Keep& keep);

// Copies what is to be in backup.second_directory and removes what no rule keeps; an alert tells
// where that failed. Throws nothing; what is cancelled is copied later. [the operations' thread]
void keep_second(const Site& site, Operation& operation);

// Whether there is something to copy, and where to; the alert tells where the latter is not.
// [worker]
bool is_second_behind(const Site& site);

}  // namespace larder::backup
