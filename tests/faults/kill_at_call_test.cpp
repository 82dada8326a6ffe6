// A SIGKILL in front of every system call that changes a bucket's files, one life after another,
// all over one data directory: start after an unclean end, writes, a checkpoint, a clean stop.
// Random moments under load are the crash drill's.
#include <fmt/format.h>
#include <signal.h>

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

constexpr int kMostCalls = 100;  // of one kind, in one life

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
    void at_every_write() { kill_at_each("pwritev", 10); }
    void at_every_sync() { kill_at_each("fdatasync", 10); }
    void at_every_sync_of_a_folder() { kill_at_each("fsync", 3); }
    void at_every_rename() { kill_at_each("rename", 3); }
    void at_every_removal() { kill_at_each("unlink", 2); }
    void at_every_allocation() { kill_at_each("fallocate", 1); }

    void tearDown() override { folder_.reset(); }

private:
    // strace counts a thread's calls by themselves, so the number of kills is not that of calls.
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
        while (was_killed(call, kills + 1)) {
            ++kills;
            restart_and_judge(fmt::format("killed at {} number {}", call, kills));
            CPPUNIT_ASSERT_MESSAGE(call, kills < kMostCalls);
        }
        restart_and_judge("after a life that ended well");
        std::cout << fmt::format(" ({} kills)", kills) << std::flush;
        CPPUNIT_ASSERT_MESSAGE(fmt::format("only {} kills at {}", kills, call), kills >= at_least);
    }

    bool was_killed(const std::string& call, int number) {
        auto options = this->options();
        options.wrapper = {"strace", "-D",
                           "-f",     "-qq",
                           "-o",     "/dev/null",
                           "-e",     "trace=" + call,
                           "-e",     fmt::format("inject={}:signal=KILL:when={}", call, number)};
        // A leak checker cannot work in a process that is traced, and says so by a failure.
        options.environment.emplace_back("ASAN_OPTIONS", "detect_leaks=0");
        try {
            DaemonProcess daemon(options);
            if (!live(daemon)) return true;
            const int code = daemon.stop();
            CPPUNIT_ASSERT(code == 0 || code == 128 + SIGKILL);
            return code != 0;
        } catch (const std::runtime_error&) {
            return true;  // it was killed before it was ready
        }
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
        options.environment = {{"LARDER_KV_CHECKPOINT_SIZE", "64KiB"}};
        return options;
    }

    std::unique_ptr<TemporaryFolder> folder_;
    std::unique_ptr<Scribe> storage_, drill_;
};

LARDER_TEST_SUITE(KillAtCallTest);

}  // namespace
}  // namespace larder::test
