// A SIGKILL in front of every system call that changes a bucket's files, one life after another,
// all over one data directory: start after an unclean end, writes, a checkpoint, a clean stop.
// Random moments under load are the crash drill's.
#include <fmt/format.h>
#include <signal.h>
#include <sys/wait.h>

#include <filesystem>
#include <iostream>
#include <memory>
#include <stdexcept>

#include "support/daemon_process.hpp"
#include "support/raw_client.hpp"
#include "support/scribe.hpp"
#include "support/suite.hpp"
#include "support/tracer.hpp"

namespace larder::test {
namespace {

constexpr int kMostCalls = 100;  // of one kind, in one part of a life

// The parts of a life, by who makes the calls. strace counts each thread's calls by themselves: in
// one life with one count, only the thread that is first to reach it would ever be killed.
enum class Part { start = 1, commits, checkpoint, stop };

class KillAtCallTest : public CppUnit::TestFixture {
    CPPUNIT_TEST_SUITE(KillAtCallTest);
    CPPUNIT_TEST(at_every_write);
    CPPUNIT_TEST(at_every_sync);
    CPPUNIT_TEST(at_every_sync_of_a_folder);
    CPPUNIT_TEST(at_every_rename);
    CPPUNIT_TEST(at_every_removal);
    CPPUNIT_TEST(at_every_allocation);
    CPPUNIT_TEST_SUITE_END();

public:
    void at_every_write() { kill_at_each("pwritev", 20); }
    void at_every_sync() { kill_at_each("fdatasync", 20); }
    void at_every_sync_of_a_folder() { kill_at_each("fsync", 8); }
    void at_every_rename() { kill_at_each("rename", 10); }
    void at_every_removal() { kill_at_each("unlink", 4); }
    void at_every_allocation() { kill_at_each("fallocate", 3); }

    void tearDown() override { folder_.reset(); }

private:
    void kill_at_each(const std::string& call, int at_least) {
        if (!tracing_unavailable().empty()) {
            std::cout << " SKIPPED: " << tracing_unavailable() << ' ' << std::flush;
            return;
        }
        folder_ = std::make_unique<TemporaryFolder>();
        storage_ = std::make_unique<Scribe>("storage");
        drill_ = std::make_unique<Scribe>("drill");
        restart_and_judge("at first");
        int kills = 0;
        for (const Part part : {Part::start, Part::commits, Part::checkpoint, Part::stop}) {
            int number = 1;
            for (; was_killed(part, fmt::format("{}:signal=KILL:when={}", call, number));
                 ++number) {
                const auto when = fmt::format("killed at {} number {} of part {}", call, number,
                                              static_cast<int>(part));
                restart_and_judge(when);
                CPPUNIT_ASSERT_MESSAGE(when, number < kMostCalls);
            }
            kills += number - 1;
            restart_and_judge("after a life that ended well");
        }
        std::cout << fmt::format(" ({} kills)", kills) << std::flush;
        CPPUNIT_ASSERT_MESSAGE(fmt::format("only {} kills at {}", kills, call), kills >= at_least);
    }

    bool was_killed(Part part, const std::string& injection) {
        auto options = this->options();
        if (part == Part::start) {
            const std::string trace = "trace=" + injection.substr(0, injection.find(':'));
            options.wrapper = {"strace",    "-D", "-f",  "-qq", "-o",
                               "/dev/null", "-e", trace, "-e",  "inject=" + injection};
            // A leak checker cannot work in a process that is traced, and says so by a failure.
            options.environment.emplace_back("ASAN_OPTIONS", "detect_leaks=0");
            options.expect_ready = false;
            DaemonProcess daemon(options);
            const auto ready = [&] {
                return daemon.log().find("ready on http") != std::string::npos;
            };
            CPPUNIT_ASSERT(eventually([&] { return ready() || has_ended(daemon); }));
            return !ready();
        }
        DaemonProcess daemon(options);
        std::unique_ptr<Tracer> tracer;
        if (part != Part::stop) {
            const char* thread = part == Part::commits ? "larder-kv" : "larder-kv-fold";
            tracer = std::make_unique<Tracer>(thread_named(daemon.pid(), thread),
                                              std::vector<std::string>{injection});
        }
        if (!live(daemon)) return true;
        tracer.reset();
        if (part == Part::stop) {
            tracer =
                std::make_unique<Tracer>(daemon.pid(), std::vector<std::string>{injection}, true);
        }
        const int code = daemon.stop();
        CPPUNIT_ASSERT(code == 0 || code == 128 + SIGKILL);
        return code != 0;
    }

    // Without reaping it, which is DaemonProcess's.
    static bool has_ended(const DaemonProcess& daemon) {
        siginfo_t info{};
        const int found =
            waitid(P_PID, static_cast<id_t>(daemon.pid()), &info, WEXITED | WNOHANG | WNOWAIT);
        return found != 0 || info.si_pid != 0;
    }

    // False when the daemon went away over it.
    bool live(DaemonProcess& daemon) {
        try {
            storage_->use(daemon.port());
            drill_->use(daemon.port());
            for (int i = 0; i < 3; ++i) storage_->write();
            drill_->write();
            storage_->remove_one();
            storage_->write(70000);  // asks for a checkpoint
            const std::string target = storage_->last_target();
            const std::string key = target.substr(target.rfind('/') + 1);
            return eventually([&] {
                storage_->write();
                return folded(key);
            });
        } catch (const std::runtime_error&) {
            return false;
        }
    }

    bool folded(const std::string& key) const {
        const std::string file = folder_->path() + "/data/storage.json";
        return std::filesystem::exists(file) && !std::filesystem::exists(file + ".journal.old") &&
               read_file(file).find('"' + key + '"') != std::string::npos;
    }

    // Leaves an unclean end with a journal behind.
    void restart_and_judge(const std::string& when) {
        DaemonProcess daemon(options());
        storage_->use(daemon.port());
        drill_->use(daemon.port());
        try {
            storage_->settle();
            drill_->settle();
            CPPUNIT_ASSERT_EQUAL(201, storage_->write().status);
            CPPUNIT_ASSERT_EQUAL(201, drill_->write().status);
            CPPUNIT_ASSERT_EQUAL(200, request(daemon.port(), "GET", "/readyz").status);
            const bool alarmed = daemon.log().find("damaged") != std::string::npos ||
                                 daemon.log().find("edited") != std::string::npos;
            CPPUNIT_ASSERT_MESSAGE(daemon.log(), !alarmed);
        } catch (CppUnit::Exception& failure) {
            failure.setMessage(CppUnit::Message(when, failure.what()));
            throw;
        }
    }

    DaemonOptions options() const {
        DaemonOptions options;
        options.data_directory = folder_->path() + "/data";
        options.environment = {{"LARDER_KV_CHECKPOINT_SIZE", "64KiB"},
                               {"LARDER_METRICS_ENABLED", "false"}};
        return options;
    }

    std::unique_ptr<TemporaryFolder> folder_;
    std::unique_ptr<Scribe> storage_, drill_;
};

LARDER_TEST_SUITE(KillAtCallTest);

}  // namespace
}  // namespace larder::test
