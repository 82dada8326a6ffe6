// When a job is due: the text of a schedule (larder/scheduler.hpp tells its forms), and the moments
// that follow from it. Not what is done then.
#pragma once

#include <bitset>
#include <cstdint>
#include <string>
#include <string_view>

#include "jobs/time_zone.hpp"

namespace larder::jobs {

class Schedule {
public:
    // Throws Error{unprocessable, "invalid-schedule"} that says what was expected, also for one
    // that is never due (30 February).
    explicit Schedule(std::string_view text);

    const std::string& text() const noexcept { return text_; }
    // The first moment after `after_ms` at which it is due, in Unix milliseconds. `anchor_ms` is
    // what an `every` counts from. [any]
    std::int64_t next(std::int64_t after_ms, std::int64_t anchor_ms, const TimeZone& zone) const;

private:
    void parse(std::string_view text);
    void parse_every(std::string_view text);
    void parse_daily(std::string_view text);
    void parse_cron(std::string_view text);
    bool falls_on(std::int64_t day) const;  // days since 1970, local
    bool runs_by_elapsed_time() const { return hours_.count() == 24; }
    std::int64_t next_by_the_clock(std::int64_t after, const TimeZone& zone) const;
    std::int64_t next_by_elapsed_time(std::int64_t after, const TimeZone& zone) const;

    std::string text_;
    std::int64_t every_ms_ = 0;  // 0: by the fields below
    std::bitset<60> minutes_;
    std::bitset<24> hours_;
    std::bitset<32> days_of_month_;                            // from 1
    std::bitset<13> months_;                                   // from 1
    std::bitset<7> days_of_week_;                              // Sunday is 0
    bool any_day_of_month_ = false, any_day_of_week_ = false;  // the field begins with '*'
};

}  // namespace larder::jobs
