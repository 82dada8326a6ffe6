// The timer wheel against a clock of our own: nothing fires early, nothing is lost, lateness is
// bounded. No real time passes here.
#include "http/timer_wheel.hpp"

#include <memory>
#include <random>
#include <vector>

#include "support/suite.hpp"

namespace {

using namespace std::chrono_literals;
using larder::http::Clock;
using larder::http::Timed;
using larder::http::TimerWheel;

class Probe final : public Timed {
public:
    int fired = 0;
    std::function<void()> then;
    void on_deadline() override {
        ++fired;
        if (then) then();
    }
};

class TimerWheelTest final : public CppUnit::TestFixture {
    CPPUNIT_TEST_SUITE(TimerWheelTest);
    CPPUNIT_TEST(fires_once_and_not_early);
    CPPUNIT_TEST(a_later_deadline_is_kept);
    CPPUNIT_TEST(an_earlier_deadline_is_kept);
    CPPUNIT_TEST(taken_away_never_fires);
    CPPUNIT_TEST(goes_round_more_than_once);
    CPPUNIT_TEST(may_be_destroyed_or_set_again_when_fired);
    CPPUNIT_TEST(survives_a_long_sleep);
    CPPUNIT_TEST(agrees_with_a_plain_list);
    CPPUNIT_TEST_SUITE_END();

    const Clock::time_point start_ = Clock::time_point{} + 1000s;

    void fires_once_and_not_early() {
        TimerWheel wheel(start_);
        Probe probe;
        wheel.set(probe, start_ + 250ms);
        wheel.advance(start_ + 249ms);
        CPPUNIT_ASSERT_EQUAL(0, probe.fired);
        wheel.advance(start_ + 350ms);
        CPPUNIT_ASSERT_EQUAL(1, probe.fired);
        wheel.advance(start_ + 10s);
        CPPUNIT_ASSERT_EQUAL(1, probe.fired);
    }

    void a_later_deadline_is_kept() {
        TimerWheel wheel(start_);
        Probe probe;
        wheel.set(probe, start_ + 200ms);
        wheel.set(probe, start_ + 900ms);
        wheel.advance(start_ + 899ms);
        CPPUNIT_ASSERT_EQUAL(0, probe.fired);
        wheel.advance(start_ + 1000ms);
        CPPUNIT_ASSERT_EQUAL(1, probe.fired);
    }

    void an_earlier_deadline_is_kept() {
        TimerWheel wheel(start_);
        Probe probe;
        wheel.set(probe, start_ + 75s);
        wheel.set(probe, start_ + 300ms);
        wheel.advance(start_ + 400ms);
        CPPUNIT_ASSERT_EQUAL(1, probe.fired);
    }

    void taken_away_never_fires() {
        TimerWheel wheel(start_);
        Probe set_to_never, removed;
        wheel.set(set_to_never, start_ + 300ms);
        wheel.set(set_to_never, Timed::kNever);
        wheel.set(removed, start_ + 300ms);
        wheel.remove(removed);
        wheel.advance(start_ + 200s);
        CPPUNIT_ASSERT_EQUAL(0, set_to_never.fired + removed.fired);
        wheel.set(set_to_never, start_ + 201s);
        wheel.advance(start_ + 202s);
        CPPUNIT_ASSERT_EQUAL(1, set_to_never.fired);
    }

    void goes_round_more_than_once() {
        TimerWheel wheel(start_);
        Probe probe;
        wheel.set(probe, start_ + 500s);
        for (auto at = 0ms; at < 500s; at += 100ms) wheel.advance(start_ + at);
        CPPUNIT_ASSERT_EQUAL(0, probe.fired);
        wheel.advance(start_ + 500s + 100ms);
        CPPUNIT_ASSERT_EQUAL(1, probe.fired);
    }

    void may_be_destroyed_or_set_again_when_fired() {
        TimerWheel wheel(start_);
        auto first = std::make_unique<Probe>();
        auto second = std::make_unique<Probe>();
        Probe again;
        wheel.set(*first, start_ + 300ms);
        wheel.set(*second, start_ + 300ms);
        wheel.set(again, start_ + 300ms);
        first->then = [&] { second.reset(); };                   // its neighbour in the very slot
        again.then = [&] { wheel.set(again, start_ + 300ms); };  // already due again
        wheel.advance(start_ + 300ms);
        CPPUNIT_ASSERT_EQUAL(1, first->fired);
        CPPUNIT_ASSERT(second == nullptr);
        CPPUNIT_ASSERT_EQUAL(1, again.fired);
        wheel.advance(start_ + 400ms);
        CPPUNIT_ASSERT_EQUAL(2, again.fired);
    }

    void survives_a_long_sleep() {
        TimerWheel wheel(start_);
        Probe slept, later;
        wheel.set(slept, start_ + 1s);
        wheel.advance(start_ + 5h);
        CPPUNIT_ASSERT_EQUAL(1, slept.fired);
        wheel.set(later, start_ + 5h + 2s);
        wheel.advance(start_ + 5h + 1900ms);
        CPPUNIT_ASSERT_EQUAL(0, later.fired);
        wheel.advance(start_ + 5h + 2200ms);
        CPPUNIT_ASSERT_EQUAL(1, later.fired);
    }

    // 20,000 random moves; after each step exactly those are fired that a list says are due.
    void agrees_with_a_plain_list() {
        std::mt19937 random(20260101);  // NOLINT(cert-msc*): the same run each time
        TimerWheel wheel(start_);
        std::vector<std::unique_ptr<Probe>> probes(200);
        std::vector<Clock::time_point> expected(probes.size(), Timed::kNever);
        for (auto& probe : probes) probe = std::make_unique<Probe>();
        Clock::time_point now = start_;
        int fired_before = 0, due = 0;
        for (int step = 0; step < 20000; ++step) {
            const std::size_t i = random() % probes.size();
            expected[i] = now + std::chrono::milliseconds(random() % 150000);
            if (random() % 8 == 0) expected[i] = Timed::kNever;
            wheel.set(*probes[i], expected[i]);
            now += std::chrono::milliseconds(random() % 250);
            wheel.advance(now);
            for (std::size_t k = 0; k < probes.size(); ++k) {
                if (expected[k] == Timed::kNever) continue;
                const bool still_set = probes[k]->deadline() == expected[k];
                if (expected[k] > now) CPPUNIT_ASSERT_MESSAGE("fired early", still_set);
                if (expected[k] + 2 * TimerWheel::kSlot <= now) {
                    CPPUNIT_ASSERT_MESSAGE("fired too late", !still_set);
                }
                if (still_set) continue;
                expected[k] = Timed::kNever;
                ++due;
            }
            int fired = 0;
            for (const auto& probe : probes) fired += probe->fired;
            CPPUNIT_ASSERT_EQUAL(due, fired);
            CPPUNIT_ASSERT(fired >= fired_before);
            fired_before = fired;
        }
        CPPUNIT_ASSERT(due > 1000);
    }
};

LARDER_TEST_SUITE(TimerWheelTest);

}  // namespace
