// Jobs on a clock of the test's own: when they run, that none runs twice at once, what becomes of
// failures, and what is known of them after a restart.
#include "jobs/job_scheduler.hpp"

#include <atomic>
#include <future>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "jobs/worker_pool.hpp"
#include "observe/alert_board.hpp"
#include "support/eventually.hpp"
#include "support/kept_log.hpp"
#include "support/suite.hpp"
#include "support/temporary_folder.hpp"

namespace larder::jobs {
namespace {

using test::eventually;

constexpr std::int64_t kMinute = 60000, kDay = 24 * 60 * kMinute;
constexpr std::int64_t kStart = 20000 * kDay;  // a midnight

// A scheduler with workers, and a clock that moves when it is told to.
class Bench {
public:
    explicit Bench(std::string book, std::int64_t now = kStart) : now_(now) {
        scheduler = std::make_unique<JobScheduler>(SchedulerOptions{
            &storage::FileSystem::real(), std::move(book), &utc(), [this] { return now_.load(); },
            [this] { return dice.load(); }, &log, &alerts,
            [this](const std::string& from, const ErrorReport& report) {
                const std::scoped_lock lock(mutex_);
                errors_.push_back(from + ": " + std::string(report.message));
            }});
        owner = {"kv", &log,
                 [this](Task task) { return open.load() && pool.post(std::move(task)); }};
        scheduler->start();
    }
    ~Bench() { scheduler.reset(); }
    Bench(const Bench&) = delete;
    Bench& operator=(const Bench&) = delete;

    void pass(std::int64_t ms) {
        now_ += ms;
        scheduler->look_again();
    }
    std::int64_t now() const { return now_; }
    std::unique_ptr<Ticket> add(const std::string& name, const std::string& when,
                                std::function<void(JobRun&)> run, bool catch_up = false) {
        return scheduler->add(owner, {name, when, catch_up, jitter, std::move(run)});
    }
    JobStatus status(const std::string& name) const { return *scheduler->status("kv." + name); }
    bool has_run(const std::string& name, std::size_t times) const {
        return eventually([&] {
            const JobStatus now = status(name);
            return now.history.size() == times && now.next_ms > 0;
        });
    }

    test::KeptLog log;
    observe::AlertBoard board{log, [this] { return now_.load(); }, [](const observe::Alert&) {}};
    observe::OwnedAlerts alerts{board, "larderd"};
    WorkerPool pool{4, 100, [](std::string_view) {}};
    std::atomic<double> dice{0};
    std::atomic<bool> open{true};
    std::chrono::milliseconds jitter{0};
    JobOwner owner;
    std::unique_ptr<JobScheduler> scheduler;

    std::vector<std::string> errors() const {
        const std::scoped_lock lock(mutex_);
        return errors_;
    }

private:
    mutable std::mutex mutex_;
    std::vector<std::string> errors_;  // guarded by mutex_
    std::atomic<std::int64_t> now_;
};

class JobSchedulerTest : public CppUnit::TestFixture {
    CPPUNIT_TEST_SUITE(JobSchedulerTest);
    CPPUNIT_TEST(runs_when_due_and_not_before);
    CPPUNIT_TEST(never_runs_one_twice_at_once);
    CPPUNIT_TEST(runs_by_hand);
    CPPUNIT_TEST(backs_off_and_raises_an_alert);
    CPPUNIT_TEST(waits_while_no_worker_takes_it);
    CPPUNIT_TEST(comes_later_by_jitter);
    CPPUNIT_TEST(keeps_the_latest_runs);
    CPPUNIT_TEST(knows_after_a_restart);
    CPPUNIT_TEST(makes_up_once_for_what_was_missed);
    CPPUNIT_TEST(makes_up_for_nothing_unasked);
    CPPUNIT_TEST(a_ticket_waits_for_the_run);
    CPPUNIT_TEST(a_ticket_may_go_inside_the_run);
    CPPUNIT_TEST(cancels_what_drains);
    CPPUNIT_TEST(plans_anew_when_the_clock_is_set_back);
    CPPUNIT_TEST(leaves_a_foreign_book_alone);
    CPPUNIT_TEST(refuses_bad_jobs);
    CPPUNIT_TEST_SUITE_END();

public:
    void runs_when_due_and_not_before() {
        Bench bench(folder_ / "jobs.json");
        std::atomic<int> early{0};
        const auto ticket = bench.add(
            "tidy", "every 60s", [&](JobRun& run) { early += run.due_ms() > bench.now() ? 1 : 0; });
        CPPUNIT_ASSERT_EQUAL(kStart + kMinute, bench.status("tidy").next_ms);
        bench.pass(kMinute - 1);
        CPPUNIT_ASSERT(bench.status("tidy").history.empty());
        bench.pass(1);
        CPPUNIT_ASSERT(bench.has_run("tidy", 1));
        bench.pass(kMinute);
        CPPUNIT_ASSERT(bench.has_run("tidy", 2));
        const Run run = bench.status("tidy").history.front();
        CPPUNIT_ASSERT_EQUAL(std::string("succeeded"), run.outcome);
        CPPUNIT_ASSERT_EQUAL(std::string("schedule"), run.trigger);
        CPPUNIT_ASSERT_EQUAL(kStart + 2 * kMinute, run.due_ms);
        CPPUNIT_ASSERT_EQUAL(0, early.load());
    }

    void never_runs_one_twice_at_once() {
        Bench bench(folder_ / "jobs.json");
        std::promise<void> release;
        const std::shared_future<void> released = release.get_future().share();
        std::atomic<int> inside{0}, most{0};
        const auto ticket = bench.add("slow", "every 60s", [&](JobRun&) {
            most = std::max(most.load(), ++inside);
            released.wait();
            --inside;
        });
        bench.pass(kMinute);
        CPPUNIT_ASSERT(eventually([&] { return bench.status("slow").running; }));
        CPPUNIT_ASSERT_EQUAL(std::int64_t{0}, bench.status("slow").next_ms);
        bench.pass(5 * kMinute);
        CPPUNIT_ASSERT_EQUAL(std::string("job-running"), refusal(bench, "kv.slow"));
        release.set_value();
        CPPUNIT_ASSERT(bench.has_run("slow", 1));
        // The times that passed meanwhile are not made up for.
        CPPUNIT_ASSERT_EQUAL(kStart + 7 * kMinute, bench.status("slow").next_ms);
        CPPUNIT_ASSERT_EQUAL(1, most.load());
    }

    void runs_by_hand() {
        Bench bench(folder_ / "jobs.json");
        const auto ticket = bench.add("tidy", "daily 02:00", [](JobRun&) {});
        bench.scheduler->run_now("kv.tidy");
        CPPUNIT_ASSERT(bench.has_run("tidy", 1));
        CPPUNIT_ASSERT_EQUAL(std::string("hand"), bench.status("tidy").history.front().trigger);
        CPPUNIT_ASSERT_EQUAL(std::string("job-not-found"), refusal(bench, "kv.other"));
        bench.open = false;
        CPPUNIT_ASSERT_EQUAL(std::string("overloaded"), refusal(bench, "kv.tidy"));
        bench.open = true;
        CPPUNIT_ASSERT_EQUAL(std::string(), refusal(bench, "kv.tidy"));
    }

    void backs_off_and_raises_an_alert() {
        Bench bench(folder_ / "jobs.json");
        std::atomic<bool> well{false};
        const auto ticket = bench.add("push", "every 60s", [&](JobRun&) {
            if (!well) throw std::runtime_error("the shelf is gone");
        });
        std::vector<std::int64_t> waits;
        for (std::size_t i = 1; i <= 8; ++i) {
            bench.pass(bench.status("push").next_ms - bench.now());
            CPPUNIT_ASSERT(bench.has_run("push", i));
            waits.push_back((bench.status("push").next_ms - bench.now()) / kMinute);
            CPPUNIT_ASSERT(
                eventually([&] { return bench.board.all().empty() == (i < kFailuresForAlert); }));
        }
        const std::vector<std::int64_t> wanted{1, 2, 4, 8, 16, 32, 60, 60};
        CPPUNIT_ASSERT(wanted == waits);
        CPPUNIT_ASSERT_EQUAL(std::string("failed"), bench.status("push").history.front().outcome);
        CPPUNIT_ASSERT_EQUAL(std::string("the shelf is gone"),
                             bench.status("push").history.front().error);
        CPPUNIT_ASSERT(bench.log.has("job kv.push failed: the shelf is gone"));
        CPPUNIT_ASSERT_EQUAL(std::string("kv: job kv.push failed: the shelf is gone"),
                             bench.errors().front());
        CPPUNIT_ASSERT_EQUAL(std::string("job-failed:kv.push"), bench.board.all().front().key);
        well = true;
        bench.pass(kMinute * 60);
        CPPUNIT_ASSERT(bench.has_run("push", 9));
        CPPUNIT_ASSERT_EQUAL(std::uint64_t{0}, bench.status("push").failures);
        CPPUNIT_ASSERT_EQUAL(bench.now() + kMinute, bench.status("push").next_ms);
        CPPUNIT_ASSERT(eventually([&] { return bench.board.all().front().resolved_ms != 0; }));
    }

    void waits_while_no_worker_takes_it() {
        Bench bench(folder_ / "jobs.json");
        bench.open = false;
        const auto ticket = bench.add("tidy", "every 60s", [](JobRun&) {});
        bench.pass(kMinute);
        CPPUNIT_ASSERT(
            eventually([&] { return bench.status("tidy").next_ms == bench.now() + 1000; }));
        bench.open = true;
        bench.pass(1000);
        CPPUNIT_ASSERT(bench.has_run("tidy", 1));
        CPPUNIT_ASSERT_EQUAL(kStart + kMinute, bench.status("tidy").history.front().due_ms);
    }

    void comes_later_by_jitter() {
        Bench bench(folder_ / "jobs.json");
        bench.dice = 0.5;
        bench.jitter = std::chrono::seconds(20);
        const auto ticket = bench.add("tidy", "every 60s", [](JobRun&) {});
        CPPUNIT_ASSERT_EQUAL(kStart + kMinute + 10000, bench.status("tidy").next_ms);
        bench.pass(kMinute + 10000);
        CPPUNIT_ASSERT(bench.has_run("tidy", 1));
        CPPUNIT_ASSERT_EQUAL(kStart + kMinute, bench.status("tidy").history.front().due_ms);
        CPPUNIT_ASSERT_EQUAL(kStart + 2 * kMinute + 10000, bench.status("tidy").next_ms);
    }

    void keeps_the_latest_runs() {
        Bench bench(folder_ / "jobs.json");
        const auto ticket = bench.add("tidy", "every 60s", [](JobRun&) {});
        for (std::size_t i = 1; i <= kHistory + 3; ++i) {
            bench.pass(kMinute);
            CPPUNIT_ASSERT(eventually([&] { return bench.status("tidy").succeeded == i; }));
        }
        CPPUNIT_ASSERT_EQUAL(kHistory, bench.status("tidy").history.size());
        CPPUNIT_ASSERT_EQUAL(bench.now(), bench.status("tidy").history.front().due_ms);
    }

    void knows_after_a_restart() {
        {
            Bench bench(folder_ / "jobs.json");
            const auto ticket = bench.add(
                "push", "every 60s", [](JobRun&) { throw std::runtime_error("no \"shelf\""); });
            bench.pass(kMinute);
            CPPUNIT_ASSERT(bench.has_run("push", 1));
        }
        Bench bench(folder_ / "jobs.json", kStart + 90000);
        const auto ticket = bench.add("push", "every 60s", [](JobRun&) {});
        const JobStatus status = bench.status("push");
        CPPUNIT_ASSERT_EQUAL(std::size_t{1}, status.history.size());
        CPPUNIT_ASSERT_EQUAL(std::string("failed"), status.history.front().outcome);
        CPPUNIT_ASSERT_EQUAL(std::string("no \"shelf\""), status.history.front().error);
        CPPUNIT_ASSERT_EQUAL(std::uint64_t{1}, status.failures);
        CPPUNIT_ASSERT_EQUAL(kStart + 2 * kMinute, status.next_ms);  // in step with before
    }

    void makes_up_once_for_what_was_missed() {
        first_life("daily 02:00", true);
        Bench bench(folder_ / "jobs.json", kStart + 5 * kDay);
        std::promise<std::pair<std::int64_t, std::uint64_t>> seen;
        const auto ticket = bench.add(
            "tidy", "daily 02:00",
            [&](JobRun& run) {
                seen.set_value({run.due_ms(), run.missed()});
            },
            true);
        CPPUNIT_ASSERT(bench.has_run("tidy", 1));
        const auto [due, missed] = seen.get_future().get();
        CPPUNIT_ASSERT_EQUAL(kStart + 4 * kDay + 120 * kMinute, due);
        CPPUNIT_ASSERT_EQUAL(std::uint64_t{4}, missed);
        CPPUNIT_ASSERT_EQUAL(std::string("catch-up"), bench.status("tidy").history.front().trigger);
        CPPUNIT_ASSERT_EQUAL(kStart + 5 * kDay + 120 * kMinute, bench.status("tidy").next_ms);
    }

    void makes_up_for_nothing_unasked() {
        first_life("daily 02:00", false);
        Bench bench(folder_ / "jobs.json", kStart + 5 * kDay);
        const auto ticket = bench.add("tidy", "daily 02:00", [](JobRun&) {});
        CPPUNIT_ASSERT_EQUAL(kStart + 5 * kDay + 120 * kMinute, bench.status("tidy").next_ms);
    }

    void a_ticket_waits_for_the_run() {
        Bench bench(folder_ / "jobs.json");
        std::atomic<bool> over{false};
        auto ticket = bench.add("slow", "every 60s", [&](JobRun& run) {
            CPPUNIT_ASSERT(eventually([&] { return run.cancel().cancelled(); }));
            over = true;
        });
        bench.pass(kMinute);
        CPPUNIT_ASSERT(eventually([&] { return bench.status("slow").running; }));
        ticket.reset();
        CPPUNIT_ASSERT(over);
        CPPUNIT_ASSERT(!bench.scheduler->status("kv.slow"));
    }

    void a_ticket_may_go_inside_the_run() {
        Bench bench(folder_ / "jobs.json");
        std::unique_ptr<Ticket> ticket;
        std::promise<void> gone;
        ticket = bench.add("once", "every 60s", [&](JobRun&) {
            ticket.reset();
            gone.set_value();
        });
        bench.pass(kMinute);
        gone.get_future().get();
        CPPUNIT_ASSERT(!bench.scheduler->status("kv.once"));
    }

    void cancels_what_drains() {
        Bench bench(folder_ / "jobs.json");
        std::atomic<int> runs{0};
        const auto ticket = bench.add("slow", "every 60s", [&](JobRun& run) {
            ++runs;
            CPPUNIT_ASSERT(eventually([&] { return run.cancel().cancelled(); }));
        });
        bench.pass(kMinute);
        CPPUNIT_ASSERT(eventually([&] { return bench.status("slow").running; }));
        bench.scheduler->cancel("kv");
        CPPUNIT_ASSERT(eventually([&] { return !bench.status("slow").running; }));
        CPPUNIT_ASSERT_EQUAL(std::string("cancelled"),
                             bench.status("slow").history.front().outcome);
        CPPUNIT_ASSERT_EQUAL(std::int64_t{0}, bench.status("slow").next_ms);
        bench.scheduler->run_now("kv.slow");  // posted, and passed over
        CPPUNIT_ASSERT(eventually([&] { return refusal(bench, "kv.slow").empty(); }));
        bench.scheduler->withdraw("kv");
        CPPUNIT_ASSERT(bench.scheduler->status().empty());
        CPPUNIT_ASSERT_EQUAL(1, runs.load());
    }

    void plans_anew_when_the_clock_is_set_back() {
        Bench bench(folder_ / "jobs.json");
        const auto ticket = bench.add("tidy", "every 60s", [](JobRun&) {});
        bench.pass(-30 * kDay);
        CPPUNIT_ASSERT(eventually(
            [&] { return bench.status("tidy").next_ms == kStart - 30 * kDay + kMinute; }));
    }

    void leaves_a_foreign_book_alone() {
        for (const char* text :
             {"not JSON", R"({"larder":"jobs","version":2,"jobs":{}})", R"({"version":1})"}) {
            test::write_file(folder_ / "jobs.json", text);
            {
                Bench bench(folder_ / "jobs.json");
                const auto ticket = bench.add("tidy", "every 60s", [](JobRun&) {});
                CPPUNIT_ASSERT(bench.log.has("what jobs did before is not known"));
            }
            CPPUNIT_ASSERT_EQUAL(std::string(text), test::read_file(folder_ / "jobs.json"));
        }
    }

    void refuses_bad_jobs() {
        Bench bench(folder_ / "jobs.json");
        const auto ticket = bench.add("tidy", "every 60s", [](JobRun&) {});
        const auto slug = [&](const std::string& name, const std::string& when) {
            try {
                const auto taken = bench.add(name, when, [](JobRun&) {});
                return std::string();
            } catch (const Error& error) {
                return error.slug();
            }
        };
        CPPUNIT_ASSERT_EQUAL(std::string("job-conflict"), slug("tidy", "every 60s"));
        CPPUNIT_ASSERT_EQUAL(std::string("bad-job"), slug("No Name", "every 60s"));
        CPPUNIT_ASSERT_EQUAL(std::string("bad-job"), slug("", "every 60s"));
        CPPUNIT_ASSERT_EQUAL(std::string("invalid-schedule"), slug("other", "now and then"));
        CPPUNIT_ASSERT_EQUAL(std::string(), slug("other", "every 60s"));
    }

private:
    static std::string refusal(Bench& bench, const std::string& name) {
        try {
            bench.scheduler->run_now(name);
            return {};
        } catch (const Error& error) {
            return error.slug();
        }
    }
    void first_life(const std::string& when, bool catch_up) {
        Bench bench(folder_ / "jobs.json");
        const auto ticket = bench.add(
            "tidy", when, [](JobRun&) {}, catch_up);
    }

    test::TemporaryFolder folder_;
};

LARDER_TEST_SUITE(JobSchedulerTest);

}  // namespace
}  // namespace larder::jobs
