// How far a zone's clocks are from UTC at a moment: all that schedules need to know of time zones.
// Not a calendar; that is <chrono>'s.
#pragma once

#include <cstdint>
#include <string_view>

namespace larder::jobs {

class TimeZone {
public:
    // Seconds east of UTC at this Unix second. [any]
    virtual std::int64_t offset_at(std::int64_t unix_seconds) const = 0;
    virtual std::string_view name() const noexcept = 0;  // "local" or "utc"
    virtual ~TimeZone() = default;
};

const TimeZone& utc() noexcept;
// The machine's (TZ, else /etc/localtime), as it is when first asked for; a change wants a restart.
// [control at first, then any]
const TimeZone& local_zone();

// The Unix second at which clocks in `zone` first show `local`, counted in seconds since 1970 as if
// it were UTC. For a time that is left out when clocks go forward: the moment at which they do.
std::int64_t first_moment_of(std::int64_t local, const TimeZone& zone);

}  // namespace larder::jobs
