// A reload, by SIGHUP and by POST /api/reload: what may change while running does, the rest is
// listed, and a faulty configuration changes nothing.
#include <fmt/format.h>
#include <signal.h>

#include <memory>

#include "support/daemon_process.hpp"
#include "support/json_view.hpp"
#include "support/raw_client.hpp"
#include "support/suite.hpp"

namespace larder::test {
namespace {

class ReloadTest : public CppUnit::TestFixture {
    CPPUNIT_TEST_SUITE(ReloadTest);
    CPPUNIT_TEST(a_signal_applies_what_may_change);
    CPPUNIT_TEST(a_signal_with_a_faulty_file_changes_nothing);
    CPPUNIT_TEST(a_request_lists_what_it_did);
    CPPUNIT_TEST(a_request_with_a_faulty_file_changes_nothing);
    CPPUNIT_TEST(what_needs_a_restart_is_listed_until_then);
    CPPUNIT_TEST(requests_go_on_while_it_reloads);
    CPPUNIT_TEST_SUITE_END();

public:
    void setUp() override {
        file_ = folder_ / "larder.ini";
        write_file(file_, "[daemon]\nworker_threads = 4\n[http]\nhead_timeout = 30s\n");
        daemon_ = std::make_unique<DaemonProcess>(
            DaemonOptions{folder_ / "data", {"--config", file_}, {}, {}, true, true, {}});
    }
    void tearDown() override { daemon_.reset(); }

    void a_signal_applies_what_may_change() {
        CPPUNIT_ASSERT_EQUAL(421, status_as("fresh.example"));
        write_file(file_,
                   "[daemon]\nworker_threads = 8\nlog_level = debug\n"
                   "[http]\nhead_timeout = 200ms\nallowed_hosts = fresh.example\n");
        daemon_->signal(SIGHUP);
        CPPUNIT_ASSERT(daemon_->wait_for_log("http.allowed_hosts is now fresh.example"));
        CPPUNIT_ASSERT(daemon_->wait_for_log("daemon.log_level is now debug"));
        CPPUNIT_ASSERT(daemon_->wait_for_log("daemon.worker_threads will be 8 after a restart"));
        CPPUNIT_ASSERT_EQUAL(200, status_as("fresh.example"));
        RawClient slow(port());
        slow.send("GET /healthz");  // would wait half a minute before
        CPPUNIT_ASSERT_EQUAL(408, slow.read_answer().status);
        const auto limits = object_of(get("/api/limits").body);
        CPPUNIT_ASSERT_EQUAL(0.2, limits->getValue<double>("head_timeout"));
        CPPUNIT_ASSERT_EQUAL(4, limits->getValue<int>("worker_threads"));
        CPPUNIT_ASSERT_EQUAL(0, daemon_->stop());
    }

    void a_signal_with_a_faulty_file_changes_nothing() {
        write_file(file_, "[http]\nallowed_hosts = fresh.example\nnonsense = 1\n");
        daemon_->signal(SIGHUP);
        CPPUNIT_ASSERT(daemon_->wait_for_log("not reloaded, nothing has changed"));
        CPPUNIT_ASSERT(daemon_->wait_for_log("http.nonsense"));
        CPPUNIT_ASSERT_EQUAL(421, status_as("fresh.example"));
    }

    void a_request_lists_what_it_did() {
        write_file(
            file_,
            "[daemon]\nworker_threads = 8\n"
            "[http]\nhead_timeout = 30s\nidle_timeout = 2m\nallowed_hosts = fresh.example\n");
        const Answer answer = reload();
        CPPUNIT_ASSERT_EQUAL_MESSAGE(answer.body, 200, answer.status);
        const auto done = object_of(answer.body);
        CPPUNIT_ASSERT_EQUAL(
            std::string("http.idle_timeout 75s 2m; http.allowed_hosts  fresh.example; "),
            rows(done, "applied"));
        CPPUNIT_ASSERT_EQUAL(std::string("daemon.worker_threads 4 8; "),
                             rows(done, "needs_restart"));
        CPPUNIT_ASSERT_EQUAL(200, status_as("fresh.example"));
    }

    void a_request_with_a_faulty_file_changes_nothing() {
        write_file(file_, "[http]\nallowed_hosts = fresh.example\n\nhead_timeout = soon\n");
        const Answer answer = reload();
        CPPUNIT_ASSERT_EQUAL_MESSAGE(answer.body, 422, answer.status);
        const auto problem = object_of(answer.body);
        CPPUNIT_ASSERT_EQUAL(std::string("invalid-configuration"),
                             problem->getValue<std::string>("code"));
        CPPUNIT_ASSERT_EQUAL(file_, problem->getValue<std::string>("file"));
        CPPUNIT_ASSERT_EQUAL(4, problem->getValue<int>("line"));
        CPPUNIT_ASSERT_EQUAL(std::string("http.head_timeout"),
                             problem->getValue<std::string>("key"));
        CPPUNIT_ASSERT_EQUAL(421, status_as("fresh.example"));
        // What is dangerous is refused at a reload as it is at the start.
        write_file(file_, "[http]\nlisten = 0.0.0.0:8080\ntls_key = /nowhere/key.pem\n");
        const Answer half = reload();
        CPPUNIT_ASSERT_EQUAL(422, half.status);
        CPPUNIT_ASSERT_EQUAL(3, object_of(half.body)->getValue<int>("line"));
        CPPUNIT_ASSERT_EQUAL(std::string("http.tls_key"), half.member("key"));
        CPPUNIT_ASSERT_EQUAL(file_, half.member("file"));
        CPPUNIT_ASSERT_EQUAL(200, get("/healthz").status);
    }

    void what_needs_a_restart_is_listed_until_then() {
        write_file(file_, "[daemon]\nworker_threads = 8\n[http]\nhead_timeout = 30s\n");
        for (int i = 0; i < 2; ++i) {
            const auto done = object_of(reload().body);
            CPPUNIT_ASSERT_EQUAL(std::string("daemon.worker_threads 4 8; "),
                                 rows(done, "needs_restart"));
            CPPUNIT_ASSERT_EQUAL(std::string(), rows(done, "applied"));
        }
        write_file(file_, "[daemon]\nworker_threads = 4\n[http]\nhead_timeout = 30s\n");
        CPPUNIT_ASSERT_EQUAL(std::string(), rows(object_of(reload().body), "needs_restart"));
    }

    void requests_go_on_while_it_reloads() {
        RawClient client(port());
        for (int i = 0; i < 50; ++i) {
            write_file(file_, fmt::format("[daemon]\nworker_threads = 4\n[http]\n"
                                          "head_timeout = 30s\nallowed_hosts = h{}.example\n",
                                          i));
            daemon_->signal(SIGHUP);
            for (int j = 0; j < 20; ++j) {
                CPPUNIT_ASSERT_EQUAL(200, client.request("GET", "/healthz").status);
            }
        }
        CPPUNIT_ASSERT(eventually([&] { return status_as("h49.example") == 200; }));
        CPPUNIT_ASSERT_EQUAL(0, daemon_->stop());
    }

private:
    int port() const { return daemon_->port(); }
    Answer get(const std::string& target) const { return request(port(), "GET", target); }
    Answer reload() const { return request(port(), "POST", "/api/reload"); }

    int status_as(const std::string& host) const {
        RawClient client(port());
        client.send(fmt::format("GET /healthz HTTP/1.1\r\nHost: {}\r\n\r\n", host));
        return client.read_answer().status;
    }

    static std::string rows(const Poco::JSON::Object::Ptr& body, const std::string& member) {
        std::string text;
        const auto array = body->getArray(member);
        for (unsigned i = 0; i < array->size(); ++i) {
            const auto row = array->getObject(i);
            text += fmt::format("{} {} {}; ", row->getValue<std::string>("key"),
                                row->getValue<std::string>("before"),
                                row->getValue<std::string>("after"));
        }
        return text;
    }

    TemporaryFolder folder_;
    std::string file_;
    std::unique_ptr<DaemonProcess> daemon_;
};

LARDER_TEST_SUITE(ReloadTest);

}  // namespace
}  // namespace larder::test
