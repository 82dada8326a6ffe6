// Sessions, limits, boards and lists in memory, of which only so much is there: what is refused and
// what is forgotten when it is full.
#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "boards.hpp"
#include "larder/error.hpp"
#include "limits.hpp"
#include "sessions.hpp"
#include "support/suite.hpp"

namespace larder::cache {
namespace {

Session session_of_a_second() {
    Session session;
    session.user_id = "ann";
    session.data = R"({"n":0})";
    session.ttl_ms = session.until_ms = 1000;
    return session;
}

class CacheRoomTest : public CppUnit::TestFixture {
    CPPUNIT_TEST_SUITE(CacheRoomTest);
    CPPUNIT_TEST(sessions_have_a_budget);
    CPPUNIT_TEST(boards_have_a_budget);
    CPPUNIT_TEST(limits_forget_the_wholest);
    CPPUNIT_TEST(limits_never_admit_more);
    CPPUNIT_TEST_SUITE_END();

public:
    void sessions_have_a_budget() {
        MemorySessions sessions(10'000);
        int count = 0;
        while (sessions.create(std::to_string(count), session_of_a_second())) ++count;
        CPPUNIT_ASSERT(count > 5 && sessions.bytes() <= 10'000);
        sessions.sweep(1000);
        CPPUNIT_ASSERT_EQUAL(std::size_t{0}, sessions.bytes());
        CPPUNIT_ASSERT(sessions.create("x", session_of_a_second()));
    }

    void boards_have_a_budget() {
        MemoryBoards boards(10'000);
        int count = 0;
        const auto add = [&] {
            try {
                boards.score("b", std::to_string(count), 1, true);
                return true;
            } catch (const Error& full) {
                CPPUNIT_ASSERT_EQUAL(std::string("board-full"), full.slug());
                return false;
            }
        };
        while (add()) ++count;
        CPPUNIT_ASSERT(count > 5);
        boards.score("b", "0", 1, true);  // who is on it can still score
        CPPUNIT_ASSERT_THROW(boards.push("l", std::string(1000, 'x'), 10), Error);
        boards.remove("b");
        boards.push("l", "x", 10);
    }

    void limits_forget_the_wholest() {
        MemoryLimits limits;
        for (int i = 0; i < 300'000; ++i) {
            limits.take(std::to_string(i), {10, 3'600'000'000, 1});
        }
        CPPUNIT_ASSERT(limits.count() <= 16U * 16384);
    }

    // By a clock of its own: over any span of a long run, no more than the limit and the refill.
    void limits_never_admit_more() {
        static std::int64_t now = 0;
        now = 1'000'000;
        MemoryLimits limits([] { return now; });
        const Limit limit{7, 1'000'000, 1};
        std::vector<std::int64_t> admitted;
        for (int i = 0; i < 20'000; ++i) {
            now += (i * 7919) % 40'000;
            if (limits.take("k", limit).allowed) admitted.push_back(now);
        }
        for (std::size_t first = 0; first < admitted.size(); first += 13) {
            for (std::size_t last = first; last < std::min(first + 60, admitted.size()); ++last) {
                const double span = static_cast<double>(admitted[last] - admitted[first]);
                CPPUNIT_ASSERT(static_cast<double>(last - first + 1) <= 7 + span * 7 / 1e6 + 0.001);
            }
        }
        CPPUNIT_ASSERT(admitted.size() > 1000);
    }
};

LARDER_TEST_SUITE(CacheRoomTest);

}  // namespace
}  // namespace larder::cache
