// What is open and what is not when credentials are asked for. Users and tokens themselves are
// another test's.
#include <fmt/format.h>

#include <memory>

#include "support/daemon_process.hpp"
#include "support/json_view.hpp"
#include "support/problem.hpp"
#include "support/raw_client.hpp"
#include "support/suite.hpp"

namespace larder::test {
namespace {

class AuthTest : public CppUnit::TestFixture {
    CPPUNIT_TEST_SUITE(AuthTest);
    CPPUNIT_TEST(asks_strangers_for_credentials);
    CPPUNIT_TEST(leaves_open_what_is_open);
    CPPUNIT_TEST(knows_its_own_user_by_the_unix_socket);
    CPPUNIT_TEST(refuses_in_the_order_that_is_promised);
    CPPUNIT_TEST_SUITE_END();

public:
    void setUp() override {
        daemon_ = std::make_unique<DaemonProcess>(DaemonOptions{
            folder_ / "data", {}, {{"LARDER_AUTH_ENABLED", "true"}}, {}, true, true, {}});
    }
    void tearDown() override { daemon_.reset(); }

    void asks_strangers_for_credentials() {
        for (const auto& [method, target] :
             std::vector<std::pair<std::string, std::string>>{{"GET", "/api/status"},
                                                              {"GET", "/metrics"},
                                                              {"GET", "/api/config"},
                                                              {"GET", "/api/kv/storage/a"},
                                                              {"PUT", "/api/kv/storage/a"},
                                                              {"DELETE", "/api/kv/storage/a"},
                                                              {"POST", "/api/reload"},
                                                              {"GET", "/nothing"}}) {
            for (const char* credentials :
                 {"", "Authorization: Bearer nonsense\r\n", "Authorization: Basic YTpi\r\n",
                  "Authorization: \r\n"}) {
                const Answer answer =
                    request(port(), method, target, credentials, method == "PUT" ? "1" : "");
                CPPUNIT_ASSERT_EQUAL_MESSAGE(target, 401, answer.status);
                CPPUNIT_ASSERT_EQUAL(std::string(), fault_of_problem(answer));
                const std::string wanted = answer.header("WWW-Authenticate");
                CPPUNIT_ASSERT_MESSAGE(wanted, wanted.find("Bearer") != std::string::npos);
                CPPUNIT_ASSERT_MESSAGE(wanted, wanted.find("Basic") != std::string::npos);
            }
        }
        RawClient admin(folder_ / "data/larder.sock");
        CPPUNIT_ASSERT_EQUAL(404, admin.request("GET", "/api/kv/storage/a").status);
    }

    void leaves_open_what_is_open() {
        CPPUNIT_ASSERT_EQUAL(200, request(port(), "GET", "/healthz").status);
        CPPUNIT_ASSERT_EQUAL(204, request(port(), "OPTIONS", "/api/status").status);
        const Answer ready = request(port(), "GET", "/readyz");
        CPPUNIT_ASSERT_EQUAL(200, ready.status);
        CPPUNIT_ASSERT_MESSAGE("reasons are for those with credentials",
                               ready.body.find("reason") == std::string::npos);
        RawClient admin(folder_ / "data/larder.sock");
        CPPUNIT_ASSERT(admin.request("GET", "/readyz").body.find("reason") != std::string::npos);
    }

    void knows_its_own_user_by_the_unix_socket() {
        RawClient admin(folder_ / "data/larder.sock");
        CPPUNIT_ASSERT_EQUAL(200, admin.request("GET", "/api/config").status);
        CPPUNIT_ASSERT_EQUAL(201, admin.request("PUT", "/api/kv/storage/a", {}, "1").status);
        CPPUNIT_ASSERT_EQUAL(std::string("1"), admin.request("GET", "/api/kv/storage/a").body);
        CPPUNIT_ASSERT_EQUAL(0, daemon_->stop());
        const std::string log = read_file(folder_ / "data/logs/access.log");
        CPPUNIT_ASSERT_MESSAGE(log, log.find(" - local [") != std::string::npos);
    }

    // 400 framing · 421 and 403 cross-site · 401 · then what a stranger must not learn.
    void refuses_in_the_order_that_is_promised() {
        const auto status = [&](const std::string& host, const std::string& fields) {
            RawClient client(port());
            client.send(
                fmt::format("PUT /nothing?x=y HTTP/1.1\r\nHost: {}\r\n{}Content-Length: 1\r\n\r\n1",
                            host, fields));
            return client.read_answer().status;
        };
        const std::string type = "Content-Type: text/html\r\n";
        CPPUNIT_ASSERT_EQUAL(400, status("evil.example", "Origin: null\r\nBad Field: x\r\n"));
        CPPUNIT_ASSERT_EQUAL(421, status("evil.example", "Origin: null\r\n" + type));
        CPPUNIT_ASSERT_EQUAL(403, status("localhost", "Origin: null\r\n" + type));
        CPPUNIT_ASSERT_EQUAL(401, status("localhost", type));
    }

private:
    int port() const { return daemon_->port(); }

    TemporaryFolder folder_;
    std::unique_ptr<DaemonProcess> daemon_;
};

LARDER_TEST_SUITE(AuthTest);

}  // namespace
}  // namespace larder::test
