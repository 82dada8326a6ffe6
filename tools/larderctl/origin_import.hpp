// Takes over the data/ folder of the Python system that Larder replaces: judged file by file,
// copied into a new data directory, its times given the zone they lacked. It writes nothing in the
// origin (but SQLite may, its side files) and prints nothing.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace larder::ctl {

// What times without a zone mean. The origin's own code writes UTC.
class Zone {
public:
    // "UTC", "local", or a name of the zone database. Throws UsageError. Sets TZ of the process.
    explicit Zone(const std::string& name);
    // Of a time that was read as if it were UTC. [the main thread]
    std::int64_t to_utc_ms(std::int64_t local_ms) const;

private:
    bool is_utc_;
};

// A checked JSON text with each string that is a time without a zone written as RFC 3339 in UTC;
// anything else stays as it stands. `changed` counts them.
std::string with_zoned_times(std::string_view json, const Zone& zone, std::uint64_t& changed);

struct OriginPart {
    std::string name;  // "files"
    std::uint64_t count = 0, bytes = 0;
};

struct OriginReport {
    std::vector<OriginPart> parts;
    std::uint64_t times = 0;           // that got a zone
    std::vector<std::string> notes;    // what an admin should know
    std::vector<std::string> damaged;  // what cannot be taken over
};

struct OriginPlan {
    std::filesystem::path from, to;
    bool dry_run = false, skip_damaged = false;
};

// Without skip_damaged nothing is copied where anything is damaged. The new directory appears with
// all of it or not at all. Throws LocalError.
OriginReport import_origin(const OriginPlan& plan, const Zone& zone);

}  // namespace larder::ctl
