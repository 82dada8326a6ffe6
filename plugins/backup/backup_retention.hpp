// Which backups are kept: by number, or so many days, weeks and months. Decides alone; removes
// nothing.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "backup_record.hpp"

namespace larder::backup {

struct Keep {
    std::uint64_t count = 0;                           // the newest so many
    std::uint64_t daily = 0, weekly = 0, monthly = 0;  // the newest of each of so many, in UTC
};

struct Decision {
    std::string backup_id;
    bool keep = false;
    std::string reason;
    std::uint64_t size = 0;
};

// `records` oldest first; decisions newest first. The newest verified one stays, that of all
// components first, and what a kept one is based on. [any]
std::vector<Decision> decide(const std::vector<Record>& records, const Keep& keep);

}  // namespace larder::backup
