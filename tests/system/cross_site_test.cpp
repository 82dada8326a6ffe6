// What a web page can make a browser send to a daemon on the same machine changes nothing, on any
// route there is. Which fields are judged how is the wire tests'.
#include <fmt/format.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "support/daemon_process.hpp"
#include "support/document_routes.hpp"
#include "support/problem.hpp"
#include "support/raw_client.hpp"
#include "support/suite.hpp"

namespace larder::test {
namespace {

struct Shape {
    const char* name;
    std::string fields, body;
};

// What a form or a script may send without asking first (Fetch, "CORS-safelisted"), and what it
// may once a browser was tricked into asking nobody.
std::vector<Shape> shapes() {
    const std::string form =
        "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"x.txt\"\r\n\r\nx\r\n"
        "--b--\r\n";
    return {
        {"a form", "Content-Type: application/x-www-form-urlencoded\r\n", "{\"value\":1}"},
        {"plain text", "Content-Type: text/plain\r\n", "{\"value\":1}"},
        {"a form with a file", "Content-Type: multipart/form-data; boundary=b\r\n", form},
        {"a beacon without a type", "", "{\"value\":1}"},
        {"JSON", "Content-Type: application/json\r\n", "{\"value\":1}"},
    };
}

class CrossSiteTest : public CppUnit::TestFixture {
    CPPUNIT_TEST_SUITE(CrossSiteTest);
    CPPUNIT_TEST(a_page_changes_nothing);
    CPPUNIT_TEST(a_rebound_name_reads_nothing);
    CPPUNIT_TEST_SUITE_END();

public:
    void setUp() override {
        daemon_ = std::make_unique<DaemonProcess>(
            DaemonOptions{folder_ / "data", {}, {}, {}, true, true, {}});
        routes_ = routes_of_document(request(port(), "GET", "/openapi.json").body);
        CPPUNIT_ASSERT(routes_.size() > 30);
    }
    void tearDown() override { daemon_.reset(); }

    void a_page_changes_nothing() {
        CPPUNIT_ASSERT_EQUAL(201, request(port(), "PUT", "/api/kv/storage/zz", {}, "1").status);
        const std::string before = state();
        std::size_t refused = 0;
        for (const DocumentRoute& route : routes_) {
            if (!changes(route)) continue;
            for (const Shape& shape : shapes()) {
                for (const char* sender :
                     {"Origin: https://evil.example\r\n", "Origin: null\r\n",
                      "Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: no-cors\r\n"}) {
                    const Answer answer = request(port(), route.method, route.target,
                                                  sender + shape.fields, shape.body);
                    const std::string what = fmt::format("{} {}, {}, {}", route.method,
                                                         route.target, shape.name, sender);
                    CPPUNIT_ASSERT_EQUAL_MESSAGE(what, 403, answer.status);
                    CPPUNIT_ASSERT_EQUAL_MESSAGE(what, std::string("cross-site"),
                                                 answer.member("code"));
                    ++refused;
                }
            }
        }
        CPPUNIT_ASSERT(refused > 300);
        CPPUNIT_ASSERT_EQUAL(before, state());
    }

    void a_rebound_name_reads_nothing() {
        for (const DocumentRoute& route : routes_) {
            RawClient client(port());
            client.send(fmt::format(
                "{} {} HTTP/1.1\r\nHost: rebound.example:{}\r\nContent-Length: 2\r\n\r\n{{}}",
                route.method, route.target, port()));
            const Answer answer = client.read_answer(route.method == "HEAD");
            CPPUNIT_ASSERT_EQUAL_MESSAGE(route.method + " " + route.target, 421, answer.status);
        }
    }

private:
    static bool changes(const DocumentRoute& route) {
        return route.method != "GET" && route.method != "HEAD" && route.method != "OPTIONS";
    }
    int port() const { return daemon_->port(); }
    // What the routes above would have changed.
    std::string state() const {
        std::string all;
        for (const char* target : {"/api/kv?limit=1000", "/api/kv/storage?all=true", "/api/files",
                                   "/api/users", "/api/tokens", "/api/files/storage"}) {
            all += request(port(), "GET", target).body + "\n";
        }
        const auto plugins = object_of(request(port(), "GET", "/api/plugins").body);
        for (std::size_t i = 0; i < plugins->getArray("items")->size(); ++i) {
            const auto plugin = plugins->getArray("items")->getObject(static_cast<unsigned>(i));
            all += plugin->getValue<std::string>("name") + " " +
                   plugin->getValue<std::string>("state") + "\n";
        }
        return all;
    }

    TemporaryFolder folder_;
    std::unique_ptr<DaemonProcess> daemon_;
    std::vector<DocumentRoute> routes_;
};

LARDER_TEST_SUITE(CrossSiteTest);

}  // namespace
}  // namespace larder::test
