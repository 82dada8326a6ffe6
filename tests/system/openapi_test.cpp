// GET /openapi.json of a real larderd: its version tag, and what it tells of a plugin that is off.
// That answers keep to it is judged over all tests by openapi.answers.
#include <memory>
#include <string>

#include "support/daemon_process.hpp"
#include "support/json_view.hpp"
#include "support/raw_client.hpp"
#include "support/suite.hpp"

namespace larder::test {
namespace {

class OpenApiSystemTest : public CppUnit::TestFixture {
    CPPUNIT_TEST_SUITE(OpenApiSystemTest);
    CPPUNIT_TEST(names_its_text);
    CPPUNIT_TEST(tells_the_routes_of_what_runs);
    CPPUNIT_TEST(tells_what_is_off);
    CPPUNIT_TEST_SUITE_END();

public:
    void names_its_text() {
        const DaemonProcess daemon({.data_directory = folder_ / "data"});
        const Answer first = request(daemon.port(), "GET", "/openapi.json");
        CPPUNIT_ASSERT_EQUAL(200, first.status);
        CPPUNIT_ASSERT_EQUAL(std::string("application/json"), first.header("Content-Type"));
        const std::string etag = first.header("ETag");
        CPPUNIT_ASSERT(etag.size() == 66 && etag.front() == '"');
        const Answer again = request(daemon.port(), "GET", "/openapi.json");
        CPPUNIT_ASSERT_EQUAL(first.body, again.body);
        CPPUNIT_ASSERT_EQUAL(
            304, request(daemon.port(), "GET", "/openapi.json", "If-None-Match: " + etag + "\r\n")
                     .status);
        CPPUNIT_ASSERT_EQUAL(etag, request(daemon.port(), "HEAD", "/openapi.json").header("ETag"));
    }

    void tells_the_routes_of_what_runs() {
        const DaemonProcess daemon({.data_directory = folder_ / "data"});
        const auto document = object_of(request(daemon.port(), "GET", "/openapi.json").body);
        CPPUNIT_ASSERT_EQUAL(std::string("3.1.0"), document->getValue<std::string>("openapi"));
        const auto plugins = object_of(request(daemon.port(), "GET", "/api/plugins").body);
        const auto routes = find_item(plugins, {{"name", "kv"}})->getArray("routes");
        CPPUNIT_ASSERT(document->getObject("paths")->size() > routes->size() / 5);
        const auto value = document->getObject("paths")->getObject("/api/kv/{bucket}/{key}");
        for (const char* method : {"get", "head", "put", "delete", "options"}) {
            CPPUNIT_ASSERT_MESSAGE(method, value->has(method));
        }
        // What a route's text tells of is in its path or its query, or has a header's name.
        std::size_t headers = 0;
        for (const auto& [path, methods] : *document->getObject("paths")) {
            for (const auto& [method, operation] : *methods.extract<Poco::JSON::Object::Ptr>()) {
                const auto parameters =
                    operation.extract<Poco::JSON::Object::Ptr>()->getArray("parameters");
                for (std::size_t i = 0; !parameters.isNull() && i < parameters->size(); ++i) {
                    const auto parameter = parameters->getObject(static_cast<unsigned>(i));
                    if (parameter->optValue<std::string>("in", "") != "header") continue;
                    const auto name = parameter->getValue<std::string>("name");
                    CPPUNIT_ASSERT_MESSAGE(path + " " + name, name[0] >= 'A' && name[0] <= 'Z');
                    ++headers;
                }
            }
        }
        CPPUNIT_ASSERT(headers > 0);
        CPPUNIT_ASSERT_EQUAL(std::size_t{0}, document->getArray("x-larder-unavailable")->size());
    }

    void tells_what_is_off() {
        const DaemonProcess daemon(
            {.data_directory = folder_ / "data", .environment = {{"LARDER_KV_ENABLED", "false"}}});
        const auto document = object_of(request(daemon.port(), "GET", "/openapi.json").body);
        CPPUNIT_ASSERT(!document->getObject("paths")->has("/api/kv"));
        const auto off = document->getArray("x-larder-unavailable")->getObject(0);
        CPPUNIT_ASSERT_EQUAL(std::string("/api/kv"), off->getValue<std::string>("prefix"));
        CPPUNIT_ASSERT_EQUAL(std::string("plugin-disabled"), off->getValue<std::string>("code"));
    }

private:
    TemporaryFolder folder_;
};

LARDER_TEST_SUITE(OpenApiSystemTest);

}  // namespace
}  // namespace larder::test
