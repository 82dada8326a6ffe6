#include "backup_retention.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <map>
#include <set>

namespace larder::backup {
namespace {

using std::chrono::days;
using Day = std::chrono::sys_days;

Day day_of(const Record& record) {
    return std::chrono::floor<days>(std::chrono::sys_time<std::chrono::milliseconds>(
        std::chrono::milliseconds(record.created_ms)));
}

// Weeks begin on Mondays.
std::int64_t week_of(Day day) { return (day.time_since_epoch().count() + 3) / 7; }

std::int64_t month_of(Day day) {
    const std::chrono::year_month_day date(day);
    return std::int64_t{static_cast<int>(date.year())} * 12 + static_cast<unsigned>(date.month());
}

// Keeps the newest of each of the newest `count` spans of time that have any.
void keep_newest_of(std::vector<Decision>& decisions, const std::vector<Record>& newest_first,
                    std::uint64_t count, const char* span,
                    const std::function<std::int64_t(Day)>& number_of) {
    std::set<std::int64_t> seen;
    for (std::size_t i = 0; i < newest_first.size() && seen.size() < count; ++i) {
        if (!seen.insert(number_of(day_of(newest_first[i]))).second) continue;
        if (decisions[i].keep) continue;
        decisions[i].keep = true;
        decisions[i].reason = fmt::format("the newest of its {}", span);
    }
}

}  // namespace

Keep Keep::of(const Settings& settings, std::string_view newest) {
    const auto number = [&](std::string_view more) {
        return static_cast<std::uint64_t>(settings.integer(fmt::format("{}{}", newest, more)));
    };
    return {number(""), number("_daily"), number("_weekly"), number("_monthly")};
}

std::vector<Decision> decide(const std::vector<Record>& records, const Keep& keep) {
    const std::vector<Record> newest_first(records.rbegin(), records.rend());
    std::vector<Decision> decisions;
    const bool has_whole = std::any_of(records.begin(), records.end(), [](const Record& record) {
        return record.verified_ms != 0 && !record.is_partial;
    });
    bool has_verified = false;
    for (const Record& record : newest_first) {
        Decision decision{record.backup_id, false, "no rule keeps it", record.size};
        const bool counts = record.verified_ms != 0 && !(has_whole && record.is_partial);
        if (counts && !has_verified) {
            has_verified = true;
            decision.keep = true;
            decision.reason = "the newest verified one";
        } else if (decisions.size() < keep.count) {
            decision.keep = true;
            decision.reason = fmt::format("one of the newest {}", keep.count);
        }
        decisions.push_back(std::move(decision));
    }
    keep_newest_of(decisions, newest_first, keep.daily, "day",
                   [](Day day) { return std::int64_t{day.time_since_epoch().count()}; });
    keep_newest_of(decisions, newest_first, keep.weekly, "week", week_of);
    keep_newest_of(decisions, newest_first, keep.monthly, "month", month_of);
    // Up every chain: where a clock was set back, a parent seems newer than what is based on it.
    std::map<std::string_view, std::size_t> places;
    for (std::size_t i = 0; i < newest_first.size(); ++i) {
        places.emplace(newest_first[i].backup_id, i);
    }
    for (std::size_t i = 0; i < decisions.size(); ++i) {
        if (!decisions[i].keep) continue;
        auto parent = places.find(newest_first[i].parent);
        for (std::size_t child = i; parent != places.end() && !decisions[parent->second].keep;) {
            Decision& needed = decisions[parent->second];
            needed.keep = true;
            needed.reason = fmt::format("{} is based on it", decisions[child].backup_id);
            child = parent->second;
            parent = places.find(newest_first[child].parent);
        }
    }
    return decisions;
}

}  // namespace larder::backup
