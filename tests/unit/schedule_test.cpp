// When jobs are due: the forms of a schedule, and the days on which clocks change. Zones are made
// here, so that no test depends on the machine's.
#include "jobs/schedule.hpp"

#include <cstdlib>
#include <string>
#include <vector>

#include "larder/error.hpp"
#include "larder/time.hpp"
#include "support/suite.hpp"

namespace larder::jobs {
namespace {

// 2026-03-29 01:00 UTC: 02:00 becomes 03:00. 2026-10-25 01:00 UTC: 03:00 becomes 02:00.
constexpr std::int64_t kSpring = 1774746000, kAutumn = 1792890000;

class MiddleEurope final : public TimeZone {
public:
    std::int64_t offset_at(std::int64_t now) const override {
        return now >= kSpring && now < kAutumn ? 7200 : 3600;
    }
    std::string_view name() const noexcept override { return "local"; }
};

std::int64_t at(const std::string& date_and_time) {  // "2026-03-29 01:00", UTC
    std::tm parts{};
    strptime(date_and_time.c_str(), "%Y-%m-%d %H:%M", &parts);
    return timegm(&parts) * 1000;
}

std::string next(const std::string& schedule, const std::string& after,
                 const TimeZone& zone = utc()) {
    return rfc3339(Schedule(schedule).next(at(after), 0, zone)).substr(0, 16);
}

class ScheduleTest : public CppUnit::TestFixture {
    CPPUNIT_TEST_SUITE(ScheduleTest);
    CPPUNIT_TEST(every_counts_from_its_anchor);
    CPPUNIT_TEST(daily);
    CPPUNIT_TEST(cron_fields);
    CPPUNIT_TEST(either_day_will_do_where_both_are_restricted);
    CPPUNIT_TEST(names_of_days_months_and_schedules);
    CPPUNIT_TEST(leap_days);
    CPPUNIT_TEST(what_falls_into_the_gap_runs_at_its_end);
    CPPUNIT_TEST(what_comes_twice_runs_once);
    CPPUNIT_TEST(a_free_hour_goes_by_elapsed_time);
    CPPUNIT_TEST(local_days_begin_at_local_midnight);
    CPPUNIT_TEST(the_machines_zone);
    CPPUNIT_TEST(refuses_what_is_no_schedule);
    CPPUNIT_TEST_SUITE_END();

public:
    void every_counts_from_its_anchor() {
        const Schedule minute("every 60s");
        CPPUNIT_ASSERT_EQUAL(std::int64_t{70500}, minute.next(10500, 10500, utc()));
        CPPUNIT_ASSERT_EQUAL(std::int64_t{130500}, minute.next(70500, 10500, utc()));
        CPPUNIT_ASSERT_EQUAL(std::int64_t{130500}, minute.next(130499, 10500, utc()));
        CPPUNIT_ASSERT_EQUAL(std::int64_t{10500}, minute.next(10499, 10500, utc()));
        CPPUNIT_ASSERT_EQUAL(std::int64_t{-49500}, minute.next(-50000, 10500, utc()));
        CPPUNIT_ASSERT_EQUAL(std::int64_t{2 * 86400000}, Schedule("every 2d").next(0, 0, utc()));
    }

    void daily() {
        same("2026-11-22T02:00", next("daily 02:00", "2026-11-22 01:59"));
        same("2026-11-23T02:00", next("daily 02:00", "2026-11-22 02:00"));
        same("2026-12-01T00:00", next("daily 00:00", "2026-11-30 00:00"));
    }

    void cron_fields() {
        same("2026-11-22T15:30", next("*/15 * * * *", "2026-11-22 15:26"));
        same("2026-11-22T16:05", next("5-10/5,50 16 * * *", "2026-11-22 15:26"));
        same("2026-11-22T16:10", next("5-10/5,50 16 * * *", "2026-11-22 16:05"));
        same("2026-11-22T16:50", next("5-10/5,50 16 * * *", "2026-11-22 16:10"));
        same("2026-11-23T02:00", next("0 2 * * 1-5", "2026-11-20 02:00"));  // Friday → Monday
        same("2027-01-01T00:00", next("0 0 1 1 *", "2026-01-01 00:00"));
        same("2026-11-30T23:59", next("59 23 30 11 *", "2026-11-22 00:00"));
    }

    void either_day_will_do_where_both_are_restricted() {
        // 13 November 2026 is a Friday.
        same("2026-11-06T00:00", next("0 0 13 * 5", "2026-11-01 00:00"));
        same("2026-12-11T00:00", next("0 0 13 12 5", "2026-12-04 00:00"));
        same("2026-12-13T00:00", next("0 0 13 12 5", "2026-12-11 00:00"));
        // A field that begins with '*' does not count as restricted.
        same("2026-11-13T00:00", next("0 0 */12 * 5", "2026-11-01 00:00"));
    }

    void names_of_days_months_and_schedules() {
        same("2026-12-06T00:00", next("0 0 * DEC sun", "2026-11-22 00:00"));
        same("2026-11-29T00:00", next("0 0 * * 7", "2026-11-22 00:00"));
        same("2026-11-28T00:00", next("0 0 * * sat-sun", "2026-11-22 00:00"));
        same("2026-11-22T16:00", next("@hourly", "2026-11-22 15:26"));
        same("2026-11-29T00:00", next("@weekly", "2026-11-22 15:26"));
        same("2026-12-01T00:00", next("@monthly", "2026-11-22 15:26"));
        same("2027-01-01T00:00", next("@yearly", "2026-11-22 15:26"));
    }

    void leap_days() {
        same("2028-02-29T00:00", next("0 0 29 2 *", "2026-11-22 00:00"));
        same("2104-02-29T00:00", next("0 0 29 2 *", "2096-02-29 00:00"));  // 2100 has none
    }

    void what_falls_into_the_gap_runs_at_its_end() {
        const MiddleEurope zone;
        same("2026-03-28T01:30", next("daily 02:30", "2026-03-27 12:00", zone));
        same("2026-03-29T01:00", next("daily 02:30", "2026-03-28 12:00", zone));
        same("2026-03-30T00:30", next("daily 02:30", "2026-03-29 01:00", zone));
        // Several times in the gap, and one at its end, are one run.
        same("2026-03-29T01:00", next("*/20 2,3 * * *", "2026-03-28 12:00", zone));
        same("2026-03-29T01:20", next("*/20 2,3 * * *", "2026-03-29 01:00", zone));
    }

    void what_comes_twice_runs_once() {
        const MiddleEurope zone;
        same("2026-10-25T00:30", next("daily 02:30", "2026-10-24 12:00", zone));
        same("2026-10-26T01:30", next("daily 02:30", "2026-10-25 00:30", zone));
        same("2026-10-25T02:00", next("daily 03:00", "2026-10-24 12:00", zone));
    }

    void a_free_hour_goes_by_elapsed_time() {
        const MiddleEurope zone;
        const Schedule half("30 * * * *");
        std::vector<std::string> runs;
        std::int64_t now = at("2026-10-24 23:00");
        for (int i = 0; i < 4; ++i) {
            now = half.next(now, 0, zone);
            runs.push_back(rfc3339(now).substr(11, 5));
        }
        const std::vector<std::string> wanted{"23:30", "00:30", "01:30", "02:30"};
        CPPUNIT_ASSERT(wanted == runs);
        same("2026-03-29T00:30", next("30 * * * *", "2026-03-29 00:00", zone));
        same("2026-03-29T01:30", next("30 * * * *", "2026-03-29 00:30", zone));
    }

    void local_days_begin_at_local_midnight() {
        const MiddleEurope zone;
        same("2026-11-22T23:00", next("0 0 * * *", "2026-11-22 22:59", zone));
        same("2026-11-29T23:00", next("*/10 * * * 1", "2026-11-23 23:00", zone));
    }

    void the_machines_zone() {
        // In a form that needs no files. The machine's zone is read once, so this is the one test.
        setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3", 1);
        const TimeZone& zone = local_zone();
        unsetenv("TZ");
        CPPUNIT_ASSERT_EQUAL(std::int64_t{3600}, zone.offset_at(kSpring - 1));
        CPPUNIT_ASSERT_EQUAL(std::int64_t{7200}, zone.offset_at(kSpring));
        same("2026-03-29T01:00", next("daily 02:30", "2026-03-28 12:00", zone));
    }

    void refuses_what_is_no_schedule() {
        for (const char* text : {"",
                                 "every",
                                 "every 0s",
                                 "every 60",
                                 "every -1s",
                                 "every 367d",
                                 "every 1.5h",
                                 "daily",
                                 "daily 2:00",
                                 "daily 24:00",
                                 "daily 12:60",
                                 "daily 12:00 UTC",
                                 "* * * *",
                                 "* * * * * *",
                                 "60 * * * *",
                                 "* 24 * * *",
                                 "* * 0 * *",
                                 "* * 32 * *",
                                 "* * * 13 *",
                                 "* * * * 8",
                                 "*/0 * * * *",
                                 "5-1 * * * *",
                                 "1/5 * * * *",
                                 "1,,2 * * * *",
                                 "* * * xyz *",
                                 "@reboot",
                                 "@",
                                 "0 0 30 2 *",
                                 "+1 * * * *",
                                 "99999999999 * * * *"}) {
            try {
                const Schedule schedule(text);
                CPPUNIT_FAIL(std::string("taken: ") + text);
            } catch (const Error& error) {
                CPPUNIT_ASSERT_EQUAL(std::string("invalid-schedule"), error.slug());
            }
        }
    }

private:
    static void same(const std::string& wanted, const std::string& got) {
        CPPUNIT_ASSERT_EQUAL(wanted, got);
    }
};

LARDER_TEST_SUITE(ScheduleTest);

}  // namespace
}  // namespace larder::jobs
