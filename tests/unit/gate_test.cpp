// The gate that counts what of a plugin is under way: nobody slips in once it is closed, and
// whoever waits for it to empty hears of the last one. Meant for ThreadSanitizer as much as for its
// asserts.
#include "routing/gate.hpp"

#include <atomic>
#include <thread>
#include <vector>

#include "support/suite.hpp"

namespace larder::routing {
namespace {

using std::chrono::steady_clock;

class GateTest : public CppUnit::TestFixture {
    CPPUNIT_TEST_SUITE(GateTest);
    CPPUNIT_TEST(begins_closed);
    CPPUNIT_TEST(counts_passes);
    CPPUNIT_TEST(closes_behind_those_inside);
    CPPUNIT_TEST(tells_those_set_aside_apart);
    CPPUNIT_TEST(nobody_is_inside_after_it_emptied);
    CPPUNIT_TEST(the_last_to_leave_wakes_who_waits);
    CPPUNIT_TEST_SUITE_END();

public:
    void begins_closed() {
        Gate gate;
        CPPUNIT_ASSERT(!gate.enter());
        CPPUNIT_ASSERT_EQUAL(std::uint64_t{0}, gate.inside());
        gate.open();
        CPPUNIT_ASSERT(gate.enter());
    }

    void counts_passes() {
        Gate gate;
        gate.open();
        Gate::Pass first = gate.enter();
        {
            Gate::Pass second = gate.enter();
            CPPUNIT_ASSERT_EQUAL(std::uint64_t{2}, gate.inside());
            Gate::Pass moved = std::move(second);
            CPPUNIT_ASSERT(moved && !second);  // NOLINT(bugprone-use-after-move): that is the point
            CPPUNIT_ASSERT_EQUAL(std::uint64_t{2}, gate.inside());
        }
        CPPUNIT_ASSERT_EQUAL(std::uint64_t{1}, gate.inside());
        first.reset();
        first.reset();
        CPPUNIT_ASSERT_EQUAL(std::uint64_t{0}, gate.inside());
    }

    void closes_behind_those_inside() {
        Gate gate;
        gate.open();
        Gate::Pass pass = gate.enter();
        gate.close();
        CPPUNIT_ASSERT(!gate.enter());
        CPPUNIT_ASSERT_EQUAL(std::uint64_t{1}, gate.inside());
        CPPUNIT_ASSERT(!gate.wait_empty(steady_clock::now()));
        pass.reset();
        CPPUNIT_ASSERT(gate.wait_empty(steady_clock::now()));
        gate.open();
        CPPUNIT_ASSERT(gate.enter());
    }

    void tells_those_set_aside_apart() {
        Gate gate;
        gate.open();
        Gate::Pass living = gate.enter(), reply = gate.enter();
        reply.set_aside();
        reply.set_aside();  // a second time is none
        CPPUNIT_ASSERT_EQUAL(std::uint64_t{1}, gate.busy());
        CPPUNIT_ASSERT_EQUAL(std::uint64_t{1}, gate.aside());
        CPPUNIT_ASSERT_EQUAL(std::uint64_t{2}, gate.inside());
        gate.close();
        CPPUNIT_ASSERT_EQUAL(std::uint64_t{1}, gate.aside());
        CPPUNIT_ASSERT(!gate.wait_idle(steady_clock::now()));
        std::thread leaves([pass = std::move(living)]() mutable { pass.reset(); });
        const bool idle = gate.wait_idle(steady_clock::now() + std::chrono::hours(1));
        leaves.join();
        CPPUNIT_ASSERT(idle);
        CPPUNIT_ASSERT(!gate.wait_empty(steady_clock::now()));
        std::thread drops([pass = std::move(reply)]() mutable { pass.reset(); });
        const bool empty = gate.wait_empty(steady_clock::now() + std::chrono::hours(1));
        drops.join();
        CPPUNIT_ASSERT(empty);
    }

    // Threads come and go while the gate is closed and opened again and again: between a
    // wait_empty() and the next open() nobody may be working inside.
    void nobody_is_inside_after_it_emptied() {
        Gate gate;
        gate.open();
        std::atomic<bool> over{false};
        std::atomic<int> working{0};
        std::atomic<std::uint64_t> entries{0};
        std::vector<std::thread> threads;
        threads.reserve(4);
        for (int i = 0; i < 4; ++i) {
            threads.emplace_back([&] {
                while (!over) {
                    Gate::Pass pass = gate.enter();
                    if (!pass) {
                        std::this_thread::yield();
                        continue;
                    }
                    ++working;
                    ++entries;
                    --working;
                }
            });
        }
        bool emptied = true, nobody = true;
        for (int i = 0; i < 300 && emptied && nobody; ++i) {
            const std::uint64_t before = entries;
            while (entries < before + 10) std::this_thread::yield();
            gate.close();
            emptied = gate.wait_empty(steady_clock::now() + std::chrono::seconds(20));
            nobody = working == 0;
            gate.open();
        }
        over = true;
        for (std::thread& thread : threads) thread.join();
        CPPUNIT_ASSERT(emptied);
        CPPUNIT_ASSERT(nobody);
        CPPUNIT_ASSERT_EQUAL(std::uint64_t{0}, gate.inside());
    }

    void the_last_to_leave_wakes_who_waits() {
        for (int i = 0; i < 300; ++i) {
            Gate gate;
            gate.open();
            Gate::Pass first = gate.enter(), second = gate.enter();
            gate.close();
            std::thread one([pass = std::move(first)]() mutable { pass.reset(); });
            std::thread two([pass = std::move(second)]() mutable { pass.reset(); });
            // An hour: were the wake-up lost, the test's own time-out would tell.
            const bool emptied = gate.wait_empty(steady_clock::now() + std::chrono::hours(1));
            one.join();
            two.join();
            CPPUNIT_ASSERT(emptied);
        }
    }
};

LARDER_TEST_SUITE(GateTest);

}  // namespace
}  // namespace larder::routing
