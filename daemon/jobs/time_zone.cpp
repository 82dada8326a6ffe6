#include "jobs/time_zone.hpp"

#include <ctime>

namespace larder::jobs {
namespace {

constexpr std::int64_t kDay = 86400;

class Utc final : public TimeZone {
public:
    std::int64_t offset_at(std::int64_t /*unix_seconds*/) const override { return 0; }
    std::string_view name() const noexcept override { return "utc"; }
};

class Local final : public TimeZone {
public:
    Local() { tzset(); }
    std::int64_t offset_at(std::int64_t unix_seconds) const override {
        const std::time_t time = unix_seconds;
        std::tm parts{};
        localtime_r(&time, &parts);
        return parts.tm_gmtoff;
    }
    std::string_view name() const noexcept override { return "local"; }
};

}  // namespace

const TimeZone& utc() noexcept {
    static const Utc zone;
    return zone;
}

const TimeZone& local_zone() {
    static const Local zone;
    return zone;
}

std::int64_t first_moment_of(std::int64_t local, const TimeZone& zone) {
    // No zone changes twice in two days, and none is further from UTC than a day.
    const std::int64_t before = zone.offset_at(local - kDay);
    const std::int64_t after = zone.offset_at(local + kDay);
    const std::int64_t by_before = local - before;
    const std::int64_t by_after = local - after;
    if (before == after || zone.offset_at(by_before) == before) return by_before;
    if (zone.offset_at(by_after) == after) return by_after;
    std::int64_t low = local - kDay, high = local + kDay;  // the change lies between them
    while (high - low > 1) {
        const std::int64_t middle = low + (high - low) / 2;
        (zone.offset_at(middle) == before ? low : high) = middle;
    }
    return high;
}

}  // namespace larder::jobs
