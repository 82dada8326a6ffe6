// Times as clients and databases write them: read, and refused where they are none.
#include "storage-kit/timestamps.hpp"

#include <string>

#include "larder/time.hpp"
#include "support/suite.hpp"

namespace {

using larder::storage::parse_any_time;
using larder::storage::parse_rfc3339;
using larder::storage::parse_sql_time;
using larder::storage::sql_time;

constexpr const char* kZoneless = "2026-11-22T15:26:28";

class TimestampsTest : public CppUnit::TestFixture {
    CPPUNIT_TEST_SUITE(TimestampsTest);
    CPPUNIT_TEST(reads_what_it_writes);
    CPPUNIT_TEST(reads_every_form);
    CPPUNIT_TEST(refuses_what_is_no_time);
    CPPUNIT_TEST(goes_back_by_days);
    CPPUNIT_TEST_SUITE_END();

public:
    void reads_what_it_writes() {
        for (const std::int64_t ms : {std::int64_t{0}, std::int64_t{1'795'403'030'123},
                                      std::int64_t{-1}, std::int64_t{253'402'300'799'999}}) {
            CPPUNIT_ASSERT_EQUAL(ms, parse_rfc3339(larder::rfc3339(ms)).value());
            CPPUNIT_ASSERT_EQUAL(ms, parse_sql_time(sql_time(ms)).value());
        }
        CPPUNIT_ASSERT_EQUAL(std::string("2026-11-22 15:26:28.123"), sql_time(1'795'361'188'123));
    }

    void reads_every_form() {
        const std::int64_t ms = 1'795'361'188'000;
        for (const char* text :
             {"2026-11-22T15:26:28Z", "2026-11-22t15:26:28z", "2026-11-22T15:26:28.000Z",
              "2026-11-22T16:26:28+01:00", "2026-11-22T10:56:28.0-04:30"}) {
            CPPUNIT_ASSERT_EQUAL_MESSAGE(text, ms, parse_rfc3339(text).value_or(0));
        }
        CPPUNIT_ASSERT_EQUAL(ms + 123, parse_rfc3339("2026-11-22T15:26:28.123999Z").value());
        CPPUNIT_ASSERT_EQUAL(ms, parse_sql_time("2026-11-22 15:26:28").value());
        for (const char* text : {kZoneless, "2026-11-22 15:26:28.000000", "2026-11-22t15:26:28Z",
                                 "2026-11-22 16:26:28+01:00"}) {
            CPPUNIT_ASSERT_EQUAL_MESSAGE(text, ms, parse_any_time(text).value_or(0));
        }
    }

    void goes_back_by_days() {
        using larder::storage::age_cutoff;
        CPPUNIT_ASSERT_EQUAL(std::int64_t{1}, age_cutoff(86'400'000, 1));
        CPPUNIT_ASSERT_EQUAL(std::int64_t{43'200'001}, age_cutoff(86'400'000, 0.5));
        CPPUNIT_ASSERT_EQUAL(std::int64_t{86'400'001}, age_cutoff(86'400'000, 0));
        CPPUNIT_ASSERT_EQUAL(std::int64_t{1}, age_cutoff(86'400'000, 1e300));
    }

    void refuses_what_is_no_time() {
        for (const char* text :
             {"", "now", "2026-11-22", "2026-11-22T15:26Z", "2026-13-22T15:26:28Z",
              "2026-02-30T15:26:28Z", "2026-11-22T24:26:28Z", "2026-11-22T15:60:28Z", kZoneless,
              "2026-11-22T15:26:28.Z", "2026-11-22T15:26:28Z ", "2026-11-22T15:26:28+1:00",
              "2026-11-22T15:26:28+25:00", "0000-01-01T00:00:00Z", "2026\r11-22T15:26:28Z",
              "2026-11-22T15\x1a"
              "26:28Z",
              "2026-11-22T15:26:28\x0e"
              "1Z"}) {
            CPPUNIT_ASSERT_MESSAGE(text, !parse_rfc3339(text));
            CPPUNIT_ASSERT_MESSAGE(text, text == kZoneless || !parse_any_time(text));
        }
        CPPUNIT_ASSERT(!parse_sql_time("2026-11-22 15:26:28Z"));
    }
};

LARDER_TEST_SUITE(TimestampsTest);

}  // namespace
