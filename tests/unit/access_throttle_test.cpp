// How many passwords may be tried, by a clock that the test moves.
#include "access/throttle.hpp"

#include "support/suite.hpp"

namespace larder::access {
namespace {

using namespace std::chrono_literals;

class AccessThrottleTest : public CppUnit::TestFixture {
    CPPUNIT_TEST_SUITE(AccessThrottleTest);
    CPPUNIT_TEST(a_name_is_tried_so_often_from_wherever);
    CPPUNIT_TEST(an_address_tries_so_often_whatever_the_names);
    CPPUNIT_TEST(a_right_one_costs_nothing);
    CPPUNIT_TEST(the_window_passes);
    CPPUNIT_TEST(what_is_refused_does_not_lengthen_the_wait);
    CPPUNIT_TEST(many_names_do_not_fill_the_memory);
    CPPUNIT_TEST_SUITE_END();

public:
    void setUp() override { throttle_.set_limits({3, 5, 60s}); }

    void a_name_is_tried_so_often_from_wherever() {
        for (const char* address : {"1", "2", "3"}) CPPUNIT_ASSERT(admit(address, "ann") == 0ms);
        CPPUNIT_ASSERT(admit("4", "ann") == 60s);
        CPPUNIT_ASSERT(admit("4", "bob") == 0ms);
    }

    void an_address_tries_so_often_whatever_the_names() {
        for (const char* user : {"a", "b", "c", "d", "e"}) CPPUNIT_ASSERT(admit("1", user) == 0ms);
        CPPUNIT_ASSERT(admit("1", "f") == 60s);
        CPPUNIT_ASSERT(admit("2", "f") == 0ms);
    }

    void a_right_one_costs_nothing() {
        for (int i = 0; i < 100; ++i) {
            CPPUNIT_ASSERT(admit("1", "ann") == 0ms);
            throttle_.refund("1", "ann");
        }
        throttle_.refund("1", "never");
        for (int i = 0; i < 3; ++i) CPPUNIT_ASSERT(admit("1", "ann") == 0ms);
        CPPUNIT_ASSERT(admit("1", "ann") > 0ms);
    }

    void the_window_passes() {
        for (int i = 0; i < 3; ++i) admit("1", "ann");
        now_ += 20s;
        CPPUNIT_ASSERT(admit("1", "ann") == 40s);
        now_ += 39999ms;
        CPPUNIT_ASSERT(admit("1", "ann") == 1ms);
        now_ += 1ms;
        for (int i = 0; i < 3; ++i) CPPUNIT_ASSERT(admit("1", "ann") == 0ms);
        CPPUNIT_ASSERT(admit("1", "ann") == 60s);
    }

    void what_is_refused_does_not_lengthen_the_wait() {
        for (int i = 0; i < 3; ++i) admit("1", "ann");
        for (int i = 0; i < 100; ++i) CPPUNIT_ASSERT(admit("1", "ann") == 60s);
        CPPUNIT_ASSERT(admit("1", "bob") == 0ms);
        now_ += 60s;
        CPPUNIT_ASSERT(admit("1", "ann") == 0ms);
    }

    void many_names_do_not_fill_the_memory() {
        for (int i = 0; i < 3; ++i) admit("x", "ann");
        for (std::size_t i = 0; i < Throttle::kMostKept; ++i) {
            now_ += 1ms;
            admit("y" + std::to_string(i), "u" + std::to_string(i));
        }
        CPPUNIT_ASSERT_MESSAGE("the oldest went for the newest", admit("x", "ann") == 0ms);
    }

private:
    std::chrono::milliseconds admit(const std::string& address, const std::string& user) {
        return throttle_.admit(address, user, now_);
    }

    Throttle throttle_;
    Throttle::Clock::time_point now_ = Throttle::Clock::now();
};

LARDER_TEST_SUITE(AccessThrottleTest);

}  // namespace
}  // namespace larder::access
