// A disk that answers with errors, under the real daemon: each of the calls that a bucket makes
// fails in turn, and what was acknowledged must still be read, now and after a restart. A disk that
// lies or forgets is unit tests' and the power-cut drill's.
#include <fmt/format.h>

#include <filesystem>
#include <iostream>
#include <memory>
#include <thread>
#include <vector>

#include "support/daemon_process.hpp"
#include "support/raw_client.hpp"
#include "support/scribe.hpp"
#include "support/suite.hpp"
#include "support/tracer.hpp"

namespace larder::test {
namespace {

constexpr const char* kCommitter = "larder-kv";
constexpr const char* kFolder = "larder-kv-fold";
constexpr std::size_t kSmall = 0;
constexpr std::size_t kFolds = 70000;   // more than the smallest checkpoint_size
constexpr std::size_t kGrows = 300000;  // more than a journal has at first

enum class After { goes_on = 1, read_only };

// A call of one thread that fails, and how the bucket stands after it.
struct Fault {
    const char* thread;
    std::vector<std::string> injections;
    After after;
};

class DiskErrorTest : public CppUnit::TestFixture {
    CPPUNIT_TEST_SUITE(DiskErrorTest);
    CPPUNIT_TEST(a_failed_sync_or_write_ends_writing);
    CPPUNIT_TEST(all_who_wait_are_answered);
    CPPUNIT_TEST(other_buckets_go_on);
    CPPUNIT_TEST(no_space_for_one_write_costs_that_write);
    CPPUNIT_TEST(a_journal_that_cannot_grow);
    CPPUNIT_TEST(a_file_system_without_fallocate);
    CPPUNIT_TEST(a_checkpoint_that_fails);
    CPPUNIT_TEST(a_rotation_that_fails);
    CPPUNIT_TEST(a_rotation_needs_no_descriptor);
    CPPUNIT_TEST(a_checkpoint_without_room_is_made_in_place);
    CPPUNIT_TEST(a_first_write_without_descriptors);
    CPPUNIT_TEST_SUITE_END();

public:
    void a_failed_sync_or_write_ends_writing() {
        if (skipped()) return;
        for (const char* injection :
             {"fdatasync:error=EIO:when=1", "fdatasync:error=EIO:when=2",
              "fdatasync:error=EIO:when=5", "pwritev:error=EIO:when=1", "pwritev:error=EIO:when=4",
              "fdatasync:error=ENOSPC:when=1"}) {
            begin(kSmall);
            const Tracer tracer(committer(), {injection});
            Answer answer;
            CPPUNIT_ASSERT(eventually([&] { return (answer = scribe_->write()).status != 201; }));
            CPPUNIT_ASSERT_EQUAL_MESSAGE(injection, 500, answer.status);
            CPPUNIT_ASSERT_EQUAL(std::string("storage-failed"), answer.member("code"));
            // What is not known to be on disk is not shown.
            CPPUNIT_ASSERT_EQUAL(404, get(scribe_->last_target()).status);
            expect_read_only(injection);
            expect_healed_by_restart(injection);
        }
    }

    void all_who_wait_are_answered() {
        if (skipped()) return;
        begin(kSmall);
        const Tracer tracer(committer(), {"fdatasync:error=EIO:when=20"});
        constexpr std::size_t kWriters = 8;
        std::vector<int> last(kWriters, 0);
        std::vector<int> acknowledged(kWriters, 0);
        std::vector<std::thread> threads;
        for (std::size_t i = 0; i < kWriters; ++i) {
            threads.emplace_back([&, i] {
                RawClient client(daemon_->port());
                for (int n = 1; n < 10000; ++n) {
                    const auto target = fmt::format("/api/kv/storage/t{}/{}", i, n);
                    last[i] = client.request("PUT", target, {}, "1").status;
                    if (last[i] != 201) return;
                    acknowledged[i] = n;
                }
            });
        }
        for (auto& thread : threads) thread.join();
        for (const int status : last) CPPUNIT_ASSERT(status == 500 || status == 503);
        expect_read_only("fdatasync of many");
        daemon_->kill();
        start({});
        for (std::size_t i = 0; i < kWriters; ++i) {
            for (int n = 1; n <= acknowledged[i]; ++n) {
                const auto target = fmt::format("/api/kv/storage/t{}/{}", i, n);
                CPPUNIT_ASSERT_EQUAL_MESSAGE(target, 200, get(target).status);
            }
        }
    }

    void other_buckets_go_on() {
        if (skipped()) return;
        begin(kSmall);
        const Tracer tracer(committer(), {"fdatasync:error=EIO:when=1"});
        CPPUNIT_ASSERT_EQUAL(500, scribe_->write().status);
        Scribe other("feature_flags");
        other.use(daemon_->port());
        for (int i = 0; i < 3; ++i) CPPUNIT_ASSERT_EQUAL(201, other.write().status);
        expect_read_only("storage alone");
        daemon_->kill();
        start({});
        other.use(daemon_->port());
        other.verify();
        scribe_->verify();
    }

    void no_space_for_one_write_costs_that_write() {
        if (skipped()) return;
        begin(kSmall);
        const Tracer tracer(committer(), {"pwritev:error=ENOSPC:when=1"});
        const Answer full = scribe_->write();
        CPPUNIT_ASSERT_EQUAL(507, full.status);
        CPPUNIT_ASSERT_EQUAL(std::string("disk-full"), full.member("code"));
        for (int i = 0; i < 3; ++i) CPPUNIT_ASSERT_EQUAL(201, scribe_->write().status);
        expect_well();
        expect_healed_by_restart("pwritev ENOSPC");
    }

    void a_journal_that_cannot_grow() {
        if (skipped()) return;
        begin(kSmall, "64MiB");
        {
            const Tracer tracer(committer(), {"fallocate:error=ENOSPC:when=1+"});
            const Answer full = scribe_->write(kGrows);
            CPPUNIT_ASSERT_EQUAL(507, full.status);
            CPPUNIT_ASSERT_EQUAL(204, scribe_->remove_one().status);
            CPPUNIT_ASSERT_EQUAL(507, scribe_->write(kGrows).status);
            const Answer ready = get("/readyz");
            CPPUNIT_ASSERT_EQUAL(200, ready.status);
            CPPUNIT_ASSERT(has(ready, R"("state":"degraded")"));
        }
        CPPUNIT_ASSERT_EQUAL(201, scribe_->write(kGrows).status);
        expect_well();
        expect_healed_by_restart("fallocate ENOSPC");
        for (const std::vector<std::string>& injections :
             {std::vector<std::string>{"fallocate:error=EIO:when=1"},
              {"fallocate:error=ENOSPC:when=1", "ftruncate:error=EIO:when=1"}}) {
            begin(kSmall, "64MiB");
            const Tracer tracer(committer(), injections);
            CPPUNIT_ASSERT_EQUAL(500, scribe_->write(kGrows).status);
            expect_read_only(injections.front());
            expect_healed_by_restart(injections.front());
        }
    }

    void a_file_system_without_fallocate() {
        if (skipped()) return;
        begin(kSmall, "64MiB");
        const Tracer tracer(committer(), {"fallocate:error=EOPNOTSUPP:when=1+"});
        for (int i = 0; i < 3; ++i) CPPUNIT_ASSERT_EQUAL(201, scribe_->write(kGrows).status);
        expect_well();
        expect_healed_by_restart("fallocate EOPNOTSUPP");
    }

    void a_checkpoint_that_fails() {
        if (skipped()) return;
        const std::vector<std::pair<const char*, After>> faults = {
            {"openat:error=EMFILE:when=1", After::goes_on},
            {"openat:error=EMFILE:when=2", After::goes_on},
            {"openat:error=EMFILE:when=3", After::goes_on},
            {"fallocate:error=EIO:when=1", After::goes_on},
            {"fdatasync:error=EIO:when=1", After::goes_on},
            {"fdatasync:error=EIO:when=2", After::goes_on},
            {"fdatasync:error=EIO:when=3", After::goes_on},
            {"pwritev:error=EIO:when=1", After::goes_on},
            {"pwritev:error=EIO:when=2", After::goes_on},
            {"pwritev:error=EIO:when=4", After::goes_on},
            {"rename:error=EIO:when=1", After::goes_on},
            {"rename:error=EIO:when=2", After::read_only},
            {"fsync:error=EIO:when=1", After::goes_on},
            {"fsync:error=EIO:when=2", After::read_only},
            {"fsync:error=EIO:when=3", After::goes_on},
            {"unlink:error=EIO:when=1", After::goes_on}};
        for (const auto& [injection, after] : faults) fail_a_fold({kFolder, {injection}, after});
    }

    void a_rotation_that_fails() {
        if (skipped()) return;
        // The committer's first sync is the write's that asks for the checkpoint.
        fail_a_fold({kCommitter, {"fdatasync:error=EIO:when=2"}, After::goes_on});
        fail_a_fold({kCommitter, {"pwritev:error=EIO:when=2"}, After::goes_on});
        fail_a_fold({kCommitter, {"rename:error=EIO:when=1"}, After::read_only});
        fail_a_fold({kCommitter, {"rename:error=EIO:when=2"}, After::read_only});
        fail_a_fold({kCommitter, {"fsync:error=EIO:when=1"}, After::read_only});
        fail_a_fold({kCommitter, {"fsync:error=EIO:when=2"}, After::read_only});
    }

    // Between its two renames nothing else keeps it from being done but the disk itself.
    void a_rotation_needs_no_descriptor() {
        if (skipped()) return;
        begin(kSmall);
        const Tracer tracer(committer(), {"openat:error=EMFILE:when=1+"});
        CPPUNIT_ASSERT_EQUAL(201, scribe_->write(kFolds).status);
        expect_folded();
        CPPUNIT_ASSERT_EQUAL(201, scribe_->write().status);
        expect_well();
        expect_healed_by_restart("openat EMFILE in a rotation");
    }

    // Nothing is wanted of the disk then but what the journal had of it.
    void a_checkpoint_without_room_is_made_in_place() {
        if (skipped()) return;
        for (const char* injection :
             {"fallocate:error=ENOSPC:when=1+", "pwritev:error=ENOSPC:when=2"}) {
            begin(kSmall);
            const Tracer tracer(thread_named(daemon_->pid(), kFolder), {injection});
            CPPUNIT_ASSERT_EQUAL_MESSAGE(injection, 201, scribe_->write(kFolds).status);
            expect_folded();
            CPPUNIT_ASSERT_EQUAL_MESSAGE(injection, 201, scribe_->write().status);
            expect_well();
            expect_healed_by_restart(injection);
        }
    }

    void a_first_write_without_descriptors() {
        if (skipped()) return;
        begin(kSmall);
        Scribe fresh("drill");
        fresh.use(daemon_->port());
        {
            const Tracer tracer(committer(), {"openat:error=EMFILE:when=1+"});
            const Answer refused = fresh.write();
            CPPUNIT_ASSERT_EQUAL(503, refused.status);
            CPPUNIT_ASSERT_EQUAL(std::string("overloaded"), refused.member("code"));
            CPPUNIT_ASSERT(!refused.header("Retry-After").empty());
            CPPUNIT_ASSERT_EQUAL(201, scribe_->write().status);  // its journal is open
        }
        CPPUNIT_ASSERT_EQUAL(201, fresh.write().status);
        expect_well();
        daemon_->kill();
        start({});
        fresh.use(daemon_->port());
        fresh.verify();
    }

    void tearDown() override {
        daemon_.reset();
        folder_.reset();
    }

private:
    static bool skipped() {
        if (tracing_unavailable().empty()) return false;
        std::cout << " SKIPPED: " << tracing_unavailable() << ' ' << std::flush;
        return true;
    }

    // A daemon on an empty data directory, with a bucket that has some values.
    void begin(std::size_t size, const std::string& checkpoint_size = "64KiB") {
        tearDown();
        folder_ = std::make_unique<TemporaryFolder>();
        scribe_ = std::make_unique<Scribe>("storage");
        start({{"LARDER_KV_CHECKPOINT_SIZE", checkpoint_size}});
        for (int i = 0; i < 3; ++i) CPPUNIT_ASSERT_EQUAL(201, scribe_->write(size).status);
    }

    void start(std::vector<std::pair<std::string, std::string>> environment) {
        DaemonOptions options;
        options.data_directory = folder_->path() + "/data";
        options.environment = std::move(environment);
        options.environment.emplace_back("LARDER_METRICS_ENABLED", "false");
        daemon_ = std::make_unique<DaemonProcess>(std::move(options));
        scribe_->use(daemon_->port());
    }

    void fail_a_fold(const Fault& fault) {
        const std::string& name = fault.injections.front();
        begin(kSmall);
        {
            const Tracer tracer(thread_named(daemon_->pid(), fault.thread), fault.injections);
            CPPUNIT_ASSERT_EQUAL_MESSAGE(name, 201, scribe_->write(kFolds).status);
            CPPUNIT_ASSERT_MESSAGE(name, daemon_->wait_for_log("checkpoint: "));
            if (fault.after == After::goes_on) {
                for (int i = 0; i < 3; ++i) {
                    CPPUNIT_ASSERT_EQUAL_MESSAGE(name, 201, scribe_->write().status);
                }
                expect_well();
            } else {
                expect_read_only(name);
            }
        }
        expect_healed_by_restart(name);
    }

    void expect_folded() {
        CPPUNIT_ASSERT(eventually([&] {
            const std::string folded = folder_->path() + "/data/storage.json";
            return std::filesystem::exists(folded) &&
                   read_file(folded).find(R"("k4")") != std::string::npos;
        }));
    }

    void expect_well() { CPPUNIT_ASSERT_EQUAL(200, get("/readyz").status); }

    void expect_read_only(const std::string& name) {
        const Answer refused = scribe_->write();
        CPPUNIT_ASSERT_EQUAL_MESSAGE(name, 503, refused.status);
        CPPUNIT_ASSERT_EQUAL(std::string("read-only"), refused.member("code"));
        CPPUNIT_ASSERT_EQUAL(503, scribe_->remove_one().status);
        scribe_->verify();  // reads go on
        const Answer ready = get("/readyz");
        CPPUNIT_ASSERT_EQUAL(503, ready.status);
        CPPUNIT_ASSERT_MESSAGE(ready.body, has(ready, R"("state":"read-only")"));
        CPPUNIT_ASSERT_MESSAGE(ready.body, has(ready, "bucket storage: "));
        CPPUNIT_ASSERT_EQUAL(200, get("/healthz").status);
    }

    // Killed and started on a disk that works, then stopped and started once more.
    void expect_healed_by_restart(const std::string& name) {
        daemon_->kill();
        start({});
        expect_kept(name);
        CPPUNIT_ASSERT_EQUAL_MESSAGE(name, 0, daemon_->stop());
        start({});
        expect_kept(name);
    }

    void expect_kept(const std::string& name) {
        scribe_->verify();
        CPPUNIT_ASSERT_EQUAL_MESSAGE(name + ": " + daemon_->log(), 200, get("/readyz").status);
        CPPUNIT_ASSERT_EQUAL_MESSAGE(name, 201, scribe_->write().status);
        CPPUNIT_ASSERT_EQUAL_MESSAGE(name, 204, scribe_->remove_one().status);
        const bool alarmed = daemon_->log().find("damaged") != std::string::npos ||
                             daemon_->log().find("edited") != std::string::npos;
        CPPUNIT_ASSERT_MESSAGE(name + ": " + daemon_->log(), !alarmed);
    }

    Answer get(const std::string& target) { return request(daemon_->port(), "GET", target); }
    static bool has(const Answer& answer, const std::string& text) {
        return answer.body.find(text) != std::string::npos;
    }
    pid_t committer() { return thread_named(daemon_->pid(), kCommitter); }

    std::unique_ptr<TemporaryFolder> folder_;
    std::unique_ptr<DaemonProcess> daemon_;
    std::unique_ptr<Scribe> scribe_;
};

LARDER_TEST_SUITE(DiskErrorTest);

}  // namespace
}  // namespace larder::test
