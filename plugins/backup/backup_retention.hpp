// Which backups are kept: by number, or so many days, weeks and months. Decides alone; removes
// nothing.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "backup_record.hpp"
#include "larder/host.hpp"

namespace larder::backup {

struct Keep {
    std::uint64_t count = 0;                           // the newest so many
    std::uint64_t daily = 0, weekly = 0, monthly = 0;  // the newest of each of so many, in UTC

    // Of the settings `newest` and those that begin with it: keep, keep_daily…
    static Keep of(const Settings& settings, std::string_view newest);
    bool any() const noexcept { return (count | daily | weekly | monthly) != 0; }
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
