// What larderd tells a service manager, which a socket of the test plays: that it starts, serves,
// reloads, stops, what is wrong, and that it lives only as long as everybody in it gets on. What
// becomes of connections over a restart is listen_test's.
#include <fmt/format.h>
#include <signal.h>

#include <filesystem>
#include <fstream>
#include <iostream>
#include <memory>

#include "support/daemon_process.hpp"
#include "support/notify_socket.hpp"
#include "support/raw_client.hpp"
#include "support/scribe.hpp"
#include "support/small_disk.hpp"
#include "support/suite.hpp"
#include "support/test_plugin.hpp"
#include "support/tracer.hpp"

namespace larder::test {
namespace {

constexpr const char* kStill = "no progress";
// Looks are a quarter of it apart. A loaded machine may miss some, which does no harm here.
constexpr const char* kWatchdog = "1000000";  // µs

class NotifyTest : public CppUnit::TestFixture {
    CPPUNIT_TEST_SUITE(NotifyTest);
    CPPUNIT_TEST(tells_how_it_starts_and_stops);
    CPPUNIT_TEST(feeds_no_watchdog_that_nobody_set);
    CPPUNIT_TEST(speaks_to_abstract_sockets);
    CPPUNIT_TEST(a_manager_that_is_gone_does_no_harm);
    CPPUNIT_TEST(a_reload_is_begun_and_ended);
    CPPUNIT_TEST(is_silent_while_a_reactor_hangs);
    CPPUNIT_TEST(is_silent_while_a_committer_hangs);
    CPPUNIT_TEST(a_full_disk_is_told_and_no_hang);
    CPPUNIT_TEST_SUITE_END();

public:
    void tells_how_it_starts_and_stops() {
        DaemonProcess daemon(options());
        CPPUNIT_ASSERT(eventually([&] { return manager_->has("READY=1"); }));
        const std::size_t ready = manager_->find("READY=1");
        CPPUNIT_ASSERT(manager_->find("STATUS=starting") < ready);
        CPPUNIT_ASSERT(manager_->find("EXTEND_TIMEOUT_USEC=") < ready);
        CPPUNIT_ASSERT(manager_->has("STATUS=serving ", "kv", ready));
        await_watchdogs(3);
        CPPUNIT_ASSERT(!manager_->has("STOPPING=1"));
        CPPUNIT_ASSERT_EQUAL(0, daemon.stop());
        const std::size_t stopping = manager_->find("STOPPING=1");
        CPPUNIT_ASSERT(manager_->has("STATUS=stopping", "", stopping));
        CPPUNIT_ASSERT(manager_->has("EXTEND_TIMEOUT_USEC=", "", stopping));
        CPPUNIT_ASSERT(!manager_->has("READY=1", "", stopping));
    }

    void feeds_no_watchdog_that_nobody_set() {
        DaemonOptions wanted = options();
        std::erase_if(wanted.environment, [](const auto& v) { return v.first == "WATCHDOG_USEC"; });
        DaemonProcess daemon(std::move(wanted));
        CPPUNIT_ASSERT_EQUAL(0, daemon.stop());
        CPPUNIT_ASSERT(manager_->has("STOPPING=1"));
        CPPUNIT_ASSERT(!manager_->has("WATCHDOG=1"));
    }

    void speaks_to_abstract_sockets() {
        manager_ = std::make_unique<NotifySocket>(fmt::format("@larder-test-{}", ::getpid()));
        DaemonProcess daemon(options());
        CPPUNIT_ASSERT(eventually([&] { return manager_->has("READY=1"); }));
        await_watchdogs(2);
    }

    void a_manager_that_is_gone_does_no_harm() {
        DaemonOptions wanted = options();
        manager_.reset();
        DaemonProcess daemon(std::move(wanted));
        CPPUNIT_ASSERT_EQUAL(200, request(daemon.port(), "GET", "/healthz").status);
        CPPUNIT_ASSERT_EQUAL(0, daemon.stop());
    }

    void a_reload_is_begun_and_ended() {
        std::ofstream(folder_ / "larder.ini") << "[daemon]\nlog_level = info\n";
        DaemonOptions wanted = options();
        wanted.arguments = {"--config", folder_ / "larder.ini"};
        DaemonProcess daemon(std::move(wanted));
        CPPUNIT_ASSERT(eventually([&] { return manager_->has("STATUS=serving"); }));
        const auto reload = [&](const char* level, std::size_t from) {
            std::ofstream(folder_ / "larder.ini") << "[daemon]\nlog_level = " << level << "\n";
            daemon.signal(SIGHUP);
            CPPUNIT_ASSERT(eventually([&] {
                const std::size_t begun = manager_->find("RELOADING=1", "", from);
                return manager_->has("READY=1", "", begun);
            }));
            const std::size_t begun = manager_->find("RELOADING=1", "", from);
            CPPUNIT_ASSERT(manager_->find("MONOTONIC_USEC=", "", begun) <
                           manager_->find("READY=1", "", begun));
            return manager_->find("READY=1", "", begun);
        };
        const std::size_t first = reload("debug", 0);
        CPPUNIT_ASSERT(daemon.wait_for_log("daemon.log_level is now debug"));
        reload("nonsense", first);  // which ends as well
        CPPUNIT_ASSERT(daemon.wait_for_log("not reloaded"));
        const auto told = [&] { return manager_->find("STATUS=serving", "not reloaded", first); };
        CPPUNIT_ASSERT(eventually([&] { return told() < manager_->lines().size(); }));
        const std::size_t failed = told();
        reload("info", failed);
        CPPUNIT_ASSERT(eventually([&] { return manager_->has("STATUS=serving", "", failed + 1); }));
        CPPUNIT_ASSERT_EQUAL(0, daemon.stop());
    }

    void is_silent_while_a_reactor_hangs() {
        const std::string plugins = folder_ / "plugins";
        std::filesystem::create_directory(plugins);
        TestPlugin("hangs_in_prompt").write_to(plugins);
        DaemonOptions wanted = options();
        wanted.environment.emplace_back("LARDER_DAEMON_PLUGIN_DIRS", plugins);
        wanted.environment.emplace_back("LARDER_HANGS_IN_PROMPT_ENABLED", "true");
        wanted.environment.emplace_back("LARDER_HTTP_REACTORS", "2");
        DaemonProcess daemon(std::move(wanted));
        await_watchdogs(2);
        // Connections are dealt in turn: of these two, each I/O thread has one.
        RawClient one(daemon.port()), other(daemon.port());
        CPPUNIT_ASSERT_EQUAL(200, one.request("GET", "/healthz").status);
        CPPUNIT_ASSERT_EQUAL(200, other.request("GET", "/healthz").status);
        one.send("GET /api/hangs_in_prompt/hello HTTP/1.1\r\nHost: localhost\r\n\r\n");
        const auto told = [&] { return manager_->find("STATUS=reactor-", kStill); };
        CPPUNIT_ASSERT(eventually([&] { return told() < manager_->lines().size(); }));
        CPPUNIT_ASSERT(daemon.wait_for_log("no progress with work waiting: reactor-"));
        // It has eight times its pause to be wrong.
        CPPUNIT_ASSERT_MESSAGE("it feeds the watchdog with a reactor that hangs",
                               !eventually([&] { return manager_->has("WATCHDOG=1", "", told()); },
                                           std::chrono::seconds(2)));
        CPPUNIT_ASSERT_EQUAL(200, other.request("GET", "/healthz").status);
        daemon.kill();
    }

    void is_silent_while_a_committer_hangs() {
        const std::string why_not = tracing_unavailable();
        if (!why_not.empty()) {
            std::cout << " SKIPPED: " << why_not << ' ' << std::flush;
            return;
        }
        DaemonProcess daemon(options());
        await_watchdogs(2);
        std::size_t told = 0;
        {
            RawClient writer(daemon.port());
            const Tracer tracer(thread_named(daemon.pid(), "larder-kv"),
                                {"fdatasync:delay_enter=4000000:when=1"});
            writer.send(
                "PUT /api/kv/storage/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\n\r\n1");
            CPPUNIT_ASSERT(eventually([&] { return manager_->has("STATUS=larder-kv", kStill); }));
            told = manager_->find("STATUS=larder-kv", kStill);
            CPPUNIT_ASSERT_EQUAL(200, request(daemon.port(), "GET", "/healthz").status);
            CPPUNIT_ASSERT_EQUAL(201, writer.read_answer().status);
        }
        CPPUNIT_ASSERT(eventually([&] { return manager_->has("STATUS=serving", "", told); }));
        const std::size_t over = manager_->find("STATUS=serving", "", told);
        CPPUNIT_ASSERT_MESSAGE("it fed the watchdog while its committer hung",
                               manager_->find("WATCHDOG=1", "", told) > over);
        CPPUNIT_ASSERT(eventually([&] { return manager_->has("WATCHDOG=1", "", over); }));
        CPPUNIT_ASSERT_EQUAL(0, daemon.stop());
    }

    void a_full_disk_is_told_and_no_hang() {
        const SmallDisk disk(3072);
        if (!disk.why_not().empty()) {
            std::cout << " SKIPPED: cannot mount a tmpfs: " << disk.why_not() << ' ' << std::flush;
            return;
        }
        DaemonOptions wanted = options();
        wanted.data_directory = disk.path() + "/data";
        wanted.environment.emplace_back("LARDER_METRICS_ENABLED", "false");
        DaemonProcess daemon(std::move(wanted));
        Scribe scribe("storage");
        scribe.use(daemon.port());
        CPPUNIT_ASSERT(eventually([&] {
            disk.fill();
            return scribe.write(2000).status == 507;
        }));
        CPPUNIT_ASSERT(
            eventually([&] { return manager_->has("STATUS=kv is degraded", "no space"); }));
        const std::size_t told = manager_->find("STATUS=kv is degraded", "no space");
        CPPUNIT_ASSERT(eventually([&] {
            const std::size_t fed = manager_->find("WATCHDOG=1", "", told);
            return manager_->has("WATCHDOG=1", "", fed + 1);
        }));
        disk.clear();
        CPPUNIT_ASSERT_EQUAL(201, scribe.write(2000).status);
        CPPUNIT_ASSERT(eventually([&] { return manager_->has("STATUS=serving", "", told); }));
        CPPUNIT_ASSERT_EQUAL(0, daemon.stop());
    }

    void setUp() override { manager_ = std::make_unique<NotifySocket>(folder_ / "notify.sock"); }

private:
    DaemonOptions options() const {
        DaemonOptions options;
        options.data_directory = folder_ / "data";
        // Programs are degraded where the machine grants them no sandbox, and that would be the
        // status.
        options.environment = {{"NOTIFY_SOCKET", manager_->address()},
                               {"WATCHDOG_USEC", kWatchdog},
                               {"LARDER_PROGRAMS_ENABLED", "false"}};
        return options;
    }

    void await_watchdogs(std::size_t count) {
        CPPUNIT_ASSERT(eventually([&] {
            std::size_t at = 0, fed = 0;
            for (; manager_->has("WATCHDOG=1", "", at); ++fed) {
                at = manager_->find("WATCHDOG=1", "", at) + 1;
            }
            return fed >= count;
        }));
    }

    TemporaryFolder folder_;
    std::unique_ptr<NotifySocket> manager_;
};

LARDER_TEST_SUITE(NotifyTest);

}  // namespace
}  // namespace larder::test
