// How larderd ends: requests under way are finished, new ones are turned away, data is whole; and
// how it goes into the background. A kill is the crash tests' matter.
#include <fmt/format.h>
#include <signal.h>

#include <charconv>
#include <filesystem>
#include <memory>

#include "support/command.hpp"
#include "support/daemon_process.hpp"
#include "support/json_view.hpp"
#include "support/raw_client.hpp"
#include "support/suite.hpp"

namespace larder::test {
namespace {

namespace fs = std::filesystem;

class StopTest : public CppUnit::TestFixture {
    CPPUNIT_TEST_SUITE(StopTest);
    CPPUNIT_TEST(finishes_an_upload_under_way);
    CPPUNIT_TEST(a_second_signal_does_no_harm);
    CPPUNIT_TEST(an_interrupt_ends_it_too);
    CPPUNIT_TEST(cuts_what_does_not_end);
    CPPUNIT_TEST(idle_connections_hold_nothing_up);
    CPPUNIT_TEST(finishes_what_was_pipelined);
    CPPUNIT_TEST(goes_into_the_background);
    CPPUNIT_TEST(tells_why_it_does_not_go_into_the_background);
    CPPUNIT_TEST_SUITE_END();

public:
    void finishes_an_upload_under_way() { expect_upload_finished(1); }
    void a_second_signal_does_no_harm() { expect_upload_finished(3); }

    void an_interrupt_ends_it_too() {
        DaemonProcess daemon(options({}));
        daemon.signal(SIGINT);
        CPPUNIT_ASSERT_EQUAL(0, daemon.wait());
    }

    void cuts_what_does_not_end() {
        DaemonProcess daemon(options({{"LARDER_DAEMON_DRAIN_TIMEOUT", "300ms"}}));
        RawClient stuck(daemon.port());
        stuck.send(put_head(100) + "\"");
        CPPUNIT_ASSERT_EQUAL(200, request(daemon.port(), "GET", "/healthz").status);
        CPPUNIT_ASSERT_EQUAL(0, daemon.stop());
        CPPUNIT_ASSERT_MESSAGE(daemon.log(),
                               daemon.log().find("1 connections were cut") != std::string::npos);
        DaemonProcess again(options({}));
        CPPUNIT_ASSERT_EQUAL(404, request(again.port(), "GET", kKey).status);
    }

    void idle_connections_hold_nothing_up() {
        DaemonProcess daemon(options({{"LARDER_DAEMON_DRAIN_TIMEOUT", "1h"}}));
        RawClient idle(daemon.port()), used(daemon.port());
        CPPUNIT_ASSERT_EQUAL(200, used.request("GET", "/healthz").status);
        CPPUNIT_ASSERT_EQUAL(0, daemon.stop());  // or the test would run for an hour
        CPPUNIT_ASSERT(idle.is_closed());
        CPPUNIT_ASSERT(used.is_closed());
    }

    void finishes_what_was_pipelined() {
        DaemonProcess daemon(options({}));
        RawClient client(daemon.port());
        client.send(put_head(2) + "1");
        CPPUNIT_ASSERT_EQUAL(200, request(daemon.port(), "GET", "/healthz").status);
        daemon.signal(SIGTERM);
        CPPUNIT_ASSERT(daemon.wait_for_log("stopping"));
        client.send("2GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n");
        const Answer answer = client.read_answer();
        CPPUNIT_ASSERT_EQUAL(201, answer.status);
        CPPUNIT_ASSERT_MESSAGE("the client must know that it ends here", answer.close);
        CPPUNIT_ASSERT_EQUAL(0, daemon.wait());
    }

    void tells_why_it_does_not_go_into_the_background() {
        const std::string pid_file = folder_ / "larderd.pid";
        const auto background = [&](const std::string& reactors) {
            return run({DaemonProcess::binary(), "--daemon", "--pidfile", pid_file, "--data-dir",
                        folder_ / "data", "--listen", "127.0.0.1:0"},
                       {{"LARDER_HTTP_REACTORS", reactors}});
        };
        Ran ran = background("many");
        CPPUNIT_ASSERT_EQUAL_MESSAGE(ran.err, 78, ran.exit);
        CPPUNIT_ASSERT_MESSAGE(ran.err, ran.err.find("http.reactors") != std::string::npos);
        DaemonProcess holder(options({}));
        ran = background("2");
        CPPUNIT_ASSERT_EQUAL_MESSAGE(ran.err, 69, ran.exit);
        CPPUNIT_ASSERT_MESSAGE(ran.err,
                               ran.err.find(std::to_string(holder.pid())) != std::string::npos);
        // A mistake in the options is told by who was started, not by a process that nobody sees.
        ran = run({DaemonProcess::binary(), "--daemon", "--nonsense"});
        CPPUNIT_ASSERT_EQUAL_MESSAGE(ran.err, 64, ran.exit);
    }

    void goes_into_the_background() {
        const std::string data = folder_ / "data", pid_file = folder_ / "larderd.pid";
        const Ran ran = run({DaemonProcess::binary(), "--daemon", "--pidfile", pid_file,
                             "--data-dir", data, "--listen", "127.0.0.1:0"});
        CPPUNIT_ASSERT_EQUAL_MESSAGE(ran.err, 0, ran.exit);
        CPPUNIT_ASSERT_MESSAGE(ran.err, ran.err.starts_with("larderd: ready on http://127.0.0.1:"));
        CPPUNIT_ASSERT(eventually([&] { return fs::exists(pid_file); }));
        pid_t pid = 0;
        CPPUNIT_ASSERT(eventually([&] { return (pid = number_at(read_file(pid_file), 0)) > 1; }));
        struct Ender {  // whatever fails below
            pid_t pid;
            ~Ender() {
                if (pid > 0) ::kill(pid, SIGKILL);
            }
        } ender{pid};
        const std::string log = data + "/logs/app.log", mark = "listening on http://127.0.0.1:";
        CPPUNIT_ASSERT(eventually(
            [&] { return fs::exists(log) && read_file(log).find(mark) != std::string::npos; }));
        const std::string text = read_file(log);
        const int port = number_at(text, text.find(mark) + mark.size());
        CPPUNIT_ASSERT_EQUAL(201, request(port, "PUT", kKey, {}, "1").status);
        CPPUNIT_ASSERT_EQUAL(0, ::kill(pid, SIGTERM));
        CPPUNIT_ASSERT(
            eventually([&] { return read_file(log).find("stopped") != std::string::npos; }));
        CPPUNIT_ASSERT(eventually([&] { return ::kill(pid, 0) != 0; }));
        ender.pid = 0;
        CPPUNIT_ASSERT(!fs::exists(pid_file));
        CPPUNIT_ASSERT_EQUAL(
            std::string("1"),
            object_of(read_file(data + "/storage.json"))->getValue<std::string>("stopping"));
    }

private:
    static inline const std::string kKey = "/api/kv/storage/stopping";

    static std::string put_head(std::size_t length) {
        return fmt::format("PUT {} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n", kKey,
                           length);
    }

    // The digits that begin there; 0 where there are none.
    static int number_at(const std::string& text, std::size_t at) {
        int number = 0;
        std::from_chars(text.data() + at, text.data() + text.size(), number);
        return number;
    }

    DaemonOptions options(std::vector<std::pair<std::string, std::string>> environment) const {
        return {folder_ / "data", {}, std::move(environment), {}, true, true, {}};
    }

    void expect_upload_finished(int signals) {
        DaemonProcess daemon(options({}));
        const int port = daemon.port();
        CPPUNIT_ASSERT_EQUAL(201, request(port, "PUT", "/api/kv/storage/a", {}, "1").status);
        RawClient client(port);
        client.send(put_head(10) + "\"1234");
        CPPUNIT_ASSERT_EQUAL(200, request(port, "GET", "/healthz").status);
        for (int i = 0; i < signals; ++i) daemon.signal(SIGTERM);
        CPPUNIT_ASSERT(daemon.wait_for_log("stopping"));
        CPPUNIT_ASSERT_MESSAGE("a new connection is still taken", eventually([&] {
                                   try {
                                       RawClient late(port);
                                       return false;
                                   } catch (const std::runtime_error&) {
                                       return true;
                                   }
                               }));
        client.send("5678\"");
        const Answer answer = client.read_answer();
        CPPUNIT_ASSERT_EQUAL(201, answer.status);
        CPPUNIT_ASSERT(answer.close);
        CPPUNIT_ASSERT_EQUAL(0, daemon.wait());
        CPPUNIT_ASSERT(daemon.log().find("cut") == std::string::npos);
        const auto stored = object_of(read_file(folder_ / "data/storage.json"));
        CPPUNIT_ASSERT_EQUAL(std::string("12345678"), stored->getValue<std::string>("stopping"));
        CPPUNIT_ASSERT_EQUAL(std::string("1"), stored->getValue<std::string>("a"));
    }

    TemporaryFolder folder_;
};

LARDER_TEST_SUITE(StopTest);

}  // namespace
}  // namespace larder::test
