// Who stands still, judged from two looks. What is done about it is system.notify's.
#include "system/standstill.hpp"

#include "support/suite.hpp"

namespace larder::test {
namespace {

using Names = std::vector<std::string>;
using system::Standstill;

class StandstillTest : public CppUnit::TestFixture {
    CPPUNIT_TEST_SUITE(StandstillTest);
    CPPUNIT_TEST(one_look_tells_nothing);
    CPPUNIT_TEST(who_waits_and_does_nothing_stands_still);
    CPPUNIT_TEST(who_has_nothing_to_do_does_not);
    CPPUNIT_TEST(work_that_came_between_is_given_time);
    CPPUNIT_TEST(who_was_away_begins_anew);
    CPPUNIT_TEST_SUITE_END();

public:
    void one_look_tells_nothing() {
        Standstill looks;
        CPPUNIT_ASSERT(looks.look({{"a", 0, true}}).empty());
    }

    void who_waits_and_does_nothing_stands_still() {
        Standstill looks;
        looks.look({{"a", 5, true}, {"b", 5, true}, {"c", 7, true}});
        CPPUNIT_ASSERT(Names({"a", "c"}) ==
                       looks.look({{"a", 5, true}, {"b", 6, true}, {"c", 7, true}}));
        CPPUNIT_ASSERT(Names({"b", "c"}) ==
                       looks.look({{"a", 6, true}, {"b", 6, true}, {"c", 7, true}}));
    }

    void who_has_nothing_to_do_does_not() {
        Standstill looks;
        looks.look({{"a", 5, false}});
        CPPUNIT_ASSERT(looks.look({{"a", 5, false}}).empty());
    }

    void work_that_came_between_is_given_time() {
        Standstill looks;
        looks.look({{"a", 5, false}});
        CPPUNIT_ASSERT(looks.look({{"a", 5, true}}).empty());
        CPPUNIT_ASSERT(Names({"a"}) == looks.look({{"a", 5, true}}));
    }

    void who_was_away_begins_anew() {
        Standstill looks;
        looks.look({{"a", 0, true}});
        looks.look({});
        CPPUNIT_ASSERT(looks.look({{"a", 0, true}}).empty());
    }
};

LARDER_TEST_SUITE(StandstillTest);

}  // namespace
}  // namespace larder::test
