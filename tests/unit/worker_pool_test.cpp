// The pool that blocking work runs on: bounded, in order, and deaf to what its tasks throw.
#include "jobs/worker_pool.hpp"

#include <fmt/format.h>

#include <atomic>
#include <future>
#include <stdexcept>
#include <string>

#include "support/daemon_process.hpp"
#include "support/suite.hpp"

namespace larder::jobs {
namespace {

using test::eventually;

class WorkerPoolTest : public CppUnit::TestFixture {
    CPPUNIT_TEST_SUITE(WorkerPoolTest);
    CPPUNIT_TEST(runs_what_it_takes);
    CPPUNIT_TEST(refuses_when_full);
    CPPUNIT_TEST(a_next_step_is_never_refused_and_goes_first);
    CPPUNIT_TEST(runs_beside_when_all_hang);
    CPPUNIT_TEST(one_worker_keeps_the_order);
    CPPUNIT_TEST(runs_as_many_at_once_as_it_has_workers);
    CPPUNIT_TEST(survives_what_tasks_throw);
    CPPUNIT_TEST(runs_what_is_queued_before_it_ends);
    CPPUNIT_TEST(lets_go_of_a_task_before_the_next);
    CPPUNIT_TEST(many_may_post_at_once);
    CPPUNIT_TEST_SUITE_END();

public:
    void runs_what_it_takes() {
        WorkerPool pool(2, 10, complain());
        std::promise<void> done;
        CPPUNIT_ASSERT(pool.post([&] { done.set_value(); }));
        done.get_future().get();
        CPPUNIT_ASSERT(eventually([&] { return pool.running() == 0; }));
        CPPUNIT_ASSERT_EQUAL(std::size_t{0}, pool.queued());
    }

    void runs_beside_when_all_hang() {
        std::promise<void> release;
        std::shared_future<void> released = release.get_future().share();
        WorkerPool pool(1, 1, complain());
        CPPUNIT_ASSERT(pool.post([released] { released.wait(); }));
        CPPUNIT_ASSERT(eventually([&] { return pool.queued() == 0; }));
        CPPUNIT_ASSERT(pool.post([released] { released.wait(); }));
        CPPUNIT_ASSERT(!pool.post([] {}));
        std::promise<void> done;
        CPPUNIT_ASSERT(pool.post_beside([&] { done.set_value(); }));
        done.get_future().get();
        std::size_t taken = 0;  // the one above may not have left yet
        while (taken < 100 && pool.post_beside([released] { released.wait(); })) ++taken;
        release.set_value();
        CPPUNIT_ASSERT(taken >= WorkerPool::kMostBeside - 1 && taken <= WorkerPool::kMostBeside);
        CPPUNIT_ASSERT(eventually([&] { return pool.running() == 0; }));
        CPPUNIT_ASSERT(pool.post_beside([] {}));
    }

    void refuses_when_full() {
        std::promise<void> release;
        std::shared_future<void> released = release.get_future().share();
        std::atomic<int> ran{0};
        {
            WorkerPool pool(1, 2, complain());
            CPPUNIT_ASSERT(pool.post([released] { released.wait(); }));
            CPPUNIT_ASSERT(eventually([&] { return pool.queued() == 0; }));  // it is being run
            CPPUNIT_ASSERT(pool.post([&] { ++ran; }));
            CPPUNIT_ASSERT(pool.post([&] { ++ran; }));
            CPPUNIT_ASSERT(!pool.post([&] { ran += 100; }));
            CPPUNIT_ASSERT_EQUAL(std::size_t{2}, pool.queued());
            CPPUNIT_ASSERT_EQUAL(std::size_t{1}, pool.running());
            release.set_value();
            CPPUNIT_ASSERT(eventually([&] { return ran == 2; }));
            CPPUNIT_ASSERT(pool.post([&] { ++ran; }));
        }
        CPPUNIT_ASSERT_EQUAL(3, ran.load());
    }

    void a_next_step_is_never_refused_and_goes_first() {
        std::string order;  // of the one worker
        {
            std::promise<void> release;
            std::shared_future<void> released = release.get_future().share();
            WorkerPool pool(1, 1, complain());
            CPPUNIT_ASSERT(pool.post([released] { released.wait(); }));
            CPPUNIT_ASSERT(eventually([&] { return pool.queued() == 0; }));
            CPPUNIT_ASSERT(pool.post([&] { order += 'b'; }));
            CPPUNIT_ASSERT(!pool.post([&] { order += 'x'; }));
            pool.resume([&] { order += 'a'; });
            release.set_value();
        }
        CPPUNIT_ASSERT_EQUAL(std::string("ab"), order);
    }

    void one_worker_keeps_the_order() {
        std::string order;
        {
            WorkerPool pool(1, 100, complain());
            for (char c = 'a'; c <= 'z'; ++c) {
                CPPUNIT_ASSERT(pool.post([&order, c] { order += c; }));
            }
        }
        CPPUNIT_ASSERT_EQUAL(std::string("abcdefghijklmnopqrstuvwxyz"), order);
    }

    void runs_as_many_at_once_as_it_has_workers() {
        WorkerPool pool(4, 100, complain());
        std::atomic<int> together{0};
        std::promise<void> all;
        const std::shared_future<void> met = all.get_future().share();
        for (int i = 0; i < 4; ++i) {  // each waits for the other three
            CPPUNIT_ASSERT(pool.post([&, met] {
                if (++together == 4) all.set_value();
                met.wait();
            }));
        }
        CPPUNIT_ASSERT(met.wait_for(std::chrono::seconds(20)) == std::future_status::ready);
    }

    void survives_what_tasks_throw() {
        std::atomic<int> ran{0};
        {
            WorkerPool pool(1, 10, complain());
            CPPUNIT_ASSERT(pool.post([] { throw std::runtime_error("mine"); }));
            CPPUNIT_ASSERT(pool.post([] { throw 7; }));  // NOLINT: whatever a plugin throws
            CPPUNIT_ASSERT(pool.post([&] { ++ran; }));
        }
        CPPUNIT_ASSERT_EQUAL(1, ran.load());
        CPPUNIT_ASSERT_EQUAL(std::string("mine; threw something that is no std::exception; "),
                             complaints_);
    }

    void runs_what_is_queued_before_it_ends() {
        std::atomic<int> ran{0};
        {
            WorkerPool pool(2, 1000, complain());
            for (int i = 0; i < 1000; ++i) {
                CPPUNIT_ASSERT(pool.post([&] { ++ran; }));
            }
        }
        CPPUNIT_ASSERT_EQUAL(1000, ran.load());
        {
            WorkerPool pool(2, 10, complain());  // also what a task adds while it ends
            pool.post([&] { pool.resume([&] { ++ran; }); });
        }
        CPPUNIT_ASSERT_EQUAL(1001, ran.load());
    }

    void lets_go_of_a_task_before_the_next() {
        WorkerPool pool(1, 10, complain());
        auto held = std::make_shared<int>(1);
        const std::weak_ptr<int> watch = held;
        std::promise<bool> gone;
        CPPUNIT_ASSERT(pool.post([held = std::move(held)] {}));
        CPPUNIT_ASSERT(pool.post([&] { gone.set_value(watch.expired()); }));
        CPPUNIT_ASSERT(gone.get_future().get());
    }

    void many_may_post_at_once() {
        std::atomic<int> ran{0}, taken{0};
        {
            WorkerPool pool(4, 16, complain());
            std::vector<std::thread> posters;
            posters.reserve(4);
            for (int i = 0; i < 4; ++i) {
                posters.emplace_back([&] {
                    for (int j = 0; j < 2000; ++j) taken += pool.post([&] { ++ran; }) ? 1 : 0;
                });
            }
            for (std::thread& poster : posters) poster.join();
        }
        CPPUNIT_ASSERT_EQUAL(taken.load(), ran.load());
        CPPUNIT_ASSERT(taken > 0);
    }

private:
    std::function<void(std::string_view)> complain() {
        return [this](std::string_view what) { complaints_ += fmt::format("{}; ", what); };
    }

    std::string complaints_;  // written by the one worker that hears them
};

LARDER_TEST_SUITE(WorkerPoolTest);

}  // namespace
}  // namespace larder::jobs
