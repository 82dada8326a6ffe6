// The OpenAPI document of a route table, and the declarations it is made of. That real answers keep
// to it is tests/openapi's matter.
#include "routing/openapi.hpp"

#include <fmt/format.h>

#include "larder/error.hpp"
#include "routing/route_text.hpp"
#include "support/json_view.hpp"
#include "support/routes.hpp"
#include "support/suite.hpp"

namespace larder::routing {
namespace {

using Poco::JSON::Object;
using test::RouteMaker;

class OpenApiTest : public CppUnit::TestFixture {
    CPPUNIT_TEST_SUITE(OpenApiTest);
    CPPUNIT_TEST(takes_declarations_apart);
    CPPUNIT_TEST(refuses_what_it_cannot_tell);
    CPPUNIT_TEST(tells_paths_and_methods);
    CPPUNIT_TEST(spells_paths_of_one_shape_once);
    CPPUNIT_TEST(tells_parameters);
    CPPUNIT_TEST(tells_conditions_of_reads_and_changes);
    CPPUNIT_TEST(tells_answers_and_their_codes);
    CPPUNIT_TEST(keeps_two_types_of_one_status);
    CPPUNIT_TEST(tells_what_is_off);
    CPPUNIT_TEST(is_the_same_for_the_same_table);
    CPPUNIT_TEST_SUITE_END();

public:
    void takes_declarations_apart() {
        const RouteText text =
            read_route_text({.method = Method::get,
                             .pattern = "/a/{x}",
                             .permission = Permission::read,
                             .summary = "",
                             .parameters = " x: one; deep integer : how deep;; ",
                             .answers = "200 text/event-stream;204",
                             .problems = "404 gone-for-good: it was, but is not; 409 busy"});
        CPPUNIT_ASSERT_EQUAL(std::size_t{2}, text.parameters.size());
        CPPUNIT_ASSERT_EQUAL(std::string("x string one"), told(text.parameters[0]));
        CPPUNIT_ASSERT_EQUAL(std::string("deep integer how deep"), told(text.parameters[1]));
        CPPUNIT_ASSERT_EQUAL(200, text.answers[0].status);
        CPPUNIT_ASSERT_EQUAL(std::string("text/event-stream"),
                             std::string(text.answers[0].media_type));
        CPPUNIT_ASSERT_EQUAL(204, text.answers[1].status);
        CPPUNIT_ASSERT(text.answers[1].media_type.empty());
        CPPUNIT_ASSERT_EQUAL(std::string("it was, but is not"),
                             std::string(text.problems[0].meaning));
        CPPUNIT_ASSERT_EQUAL(std::string("busy"), std::string(text.problems[1].code));
    }

    void refuses_what_it_cannot_tell() {
        for (const Route& route :
             {with("parameters", "x"), with("parameters", "x: "), with("parameters", "x whole: n"),
              with("answers", "ok"), with("answers", "99 text/plain"), with("problems", "404"),
              with("problems", "200 fine"), with("problems", "404 two words"), with("schema", "{"),
              with("schema", "[]"), with("answer_schema", "string"), with("headers", "ETag")}) {
            try {
                read_route_text(route);
            } catch (const Error& error) {
                CPPUNIT_ASSERT_EQUAL(std::string("bad-declaration"), error.slug());
                CPPUNIT_ASSERT_MESSAGE(error.detail(),
                                       error.detail().find("GET /a/{x}") != std::string::npos);
                continue;
            }
            CPPUNIT_FAIL(fmt::format("taken: {}{}{}{}{}", route.parameters, route.answers,
                                     route.problems, route.schema, route.answer_schema));
        }
    }

    void tells_paths_and_methods() {
        add({Method::get, "/a/{x}/{rest...}", Permission::read, "Read"});
        add({Method::post, "/a/{x}/{rest...}/increment", Permission::write, "Count"});
        const auto paths = document()->getObject("paths");
        const auto read = paths->getObject("/a/{x}/{rest}");
        CPPUNIT_ASSERT(read->has("get") && read->has("head") && read->has("options"));
        CPPUNIT_ASSERT(!read->has("post"));
        CPPUNIT_ASSERT(paths->getObject("/a/{x}/{rest}/increment")->has("post"));
        CPPUNIT_ASSERT_EQUAL(std::string("getAXRest"),
                             read->getObject("get")->getValue<std::string>("operationId"));
        CPPUNIT_ASSERT_EQUAL(std::string("Read"),
                             read->getObject("get")->getValue<std::string>("summary"));
        CPPUNIT_ASSERT(parameter(read->getObject("get"), "rest")->getValue<bool>("x-larder-rest"));
        CPPUNIT_ASSERT(!parameter(read->getObject("get"), "x")->has("x-larder-rest"));
    }

    void spells_paths_of_one_shape_once() {
        add({Method::get, "/a/{id}", Permission::read, ""});
        add({Method::put, "/a/{name}", Permission::write, ""});
        const auto paths = document()->getObject("paths");
        CPPUNIT_ASSERT_EQUAL(std::size_t{1}, paths->size());
        const auto item = paths->getObject("/a/{id}");
        CPPUNIT_ASSERT(!parameter(item->getObject("put"), "id").isNull());
        CPPUNIT_ASSERT(parameter(item->getObject("put"), "name").isNull());
    }

    void tells_parameters() {
        add({.method = Method::get,
             .pattern = "/a/{x}",
             .permission = Permission::read,
             .summary = "",
             .queries = "deep,limit",
             .parameters = "deep boolean: all of it; x: which; Larder-Metadata: more"});
        const auto get = operation("/a/{x}", "get");
        CPPUNIT_ASSERT_EQUAL(std::string("query"),
                             parameter(get, "deep")->getValue<std::string>("in"));
        CPPUNIT_ASSERT_EQUAL(
            std::string("boolean"),
            parameter(get, "deep")->getObject("schema")->getValue<std::string>("type"));
        CPPUNIT_ASSERT_EQUAL(std::string("which"),
                             parameter(get, "x")->getValue<std::string>("description"));
        CPPUNIT_ASSERT_EQUAL(std::string("header"),
                             parameter(get, "Larder-Metadata")->getValue<std::string>("in"));
        CPPUNIT_ASSERT(refers(get, "limit") && refers(get, "request-id") && !refers(get, "cursor"));
    }

    void tells_conditions_of_reads_and_changes() {
        add({.method = Method::get,
             .pattern = "/a",
             .permission = Permission::read,
             .summary = "",
             .answer_headers = "ETag: its version"});
        add({.method = Method::put,
             .pattern = "/a",
             .permission = Permission::write,
             .summary = "",
             .conditions = "if-match"});
        const auto get = operation("/a", "get"), put = operation("/a", "put");
        CPPUNIT_ASSERT(get->getObject("responses")->has("304"));
        CPPUNIT_ASSERT(refers(get, "if-none-match") && refers(get, "if-modified-since"));
        CPPUNIT_ASSERT(!put->getObject("responses")->has("304"));
        CPPUNIT_ASSERT(refers(put, "if-match") && !refers(put, "if-none-match"));
        CPPUNIT_ASSERT(put->getObject("responses")->has("412"));
        CPPUNIT_ASSERT(!get->getObject("responses")->has("412"));
    }

    void tells_answers_and_their_codes() {
        add({.method = Method::put,
             .pattern = "/a",
             .permission = Permission::write,
             .summary = "",
             .media_types = "application/json",
             .answers = "201 application/json; 204",
             .answer_schema = R"({"type": "object", "required": ["key"]})",
             .problems = "409 stale-fill: it was invalidated; 404 stale-name"});
        const auto whole = document();
        const auto responses = operation("/a", "put")->getObject("responses");
        CPPUNIT_ASSERT(!responses->has("200") && responses->has("201") && responses->has("204"));
        CPPUNIT_ASSERT(!responses->getObject("204")->has("content"));
        for (const char* status : {"400", "401", "403", "404", "409", "413", "415", "503", "507"}) {
            CPPUNIT_ASSERT_MESSAGE(status, responses->has(status));
        }
        const auto components = whole->getObject("components");
        const std::string name =
            responses->getObject("409")->getValue<std::string>("$ref").substr(23);
        CPPUNIT_ASSERT_EQUAL(std::string("`stale-fill`"),
                             components->getObject("responses")
                                 ->getObject(name)
                                 ->getValue<std::string>("description"));
        const auto table = whole->getObject("info")->getValue<std::string>("description");
        CPPUNIT_ASSERT(table.find("| `stale-fill` | 409 | it was invalidated |") !=
                       std::string::npos);
        CPPUNIT_ASSERT(table.find("| `method-not-allowed` | 405 |") != std::string::npos);
    }

    void keeps_two_types_of_one_status() {
        add({.method = Method::get,
             .pattern = "/ready",
             .permission = Permission::open,
             .summary = "",
             .answers = "200 application/json; 503 application/json"});
        const auto get = operation("/ready", "get");
        const auto content = get->getObject("responses")->getObject("503")->getObject("content");
        CPPUNIT_ASSERT(content->has("application/json"));
        CPPUNIT_ASSERT(content->has("application/problem+json"));
        CPPUNIT_ASSERT_EQUAL(std::size_t{0}, get->getArray("security")->size());
        CPPUNIT_ASSERT(!get->getObject("responses")->has("401"));
    }

    void tells_what_is_off() {
        unavailable_ = {{"/api/b", "plugin-disabled", "it says enabled = false"}};
        const auto off = document()->getArray("x-larder-unavailable")->getObject(0);
        CPPUNIT_ASSERT_EQUAL(std::string("/api/b"), off->getValue<std::string>("prefix"));
        CPPUNIT_ASSERT_EQUAL(std::string("it says enabled = false"),
                             off->getValue<std::string>("reason"));
    }

    void is_the_same_for_the_same_table() {
        add({Method::get, "/a/{x}", Permission::read, ""});
        add({Method::get, "/b", Permission::read, ""});
        const std::string once = text();
        CPPUNIT_ASSERT_EQUAL(once, text());
        add({Method::get, "/c", Permission::read, ""});
        CPPUNIT_ASSERT(once != text());
    }

private:
    static std::string told(const NamedText& named) {
        return fmt::format("{} {} {}", named.name, named.type, named.text);
    }
    static Route with(std::string_view member, std::string_view value) {
        Route route{Method::get, "/a/{x}", Permission::read, ""};
        if (member == "parameters") route.parameters = value;
        if (member == "answers") route.answers = value;
        if (member == "problems") route.problems = value;
        if (member == "schema") route.schema = value;
        if (member == "answer_schema") route.answer_schema = value;
        if (member == "headers") route.answer_headers = value;
        return route;
    }

    void add(const Route& route) {
        endpoints_.push_back(
            maker_.make(route, BlockingHandler([](const Request&) { return Response(); })));
    }
    std::string text() const {
        const std::vector<Tag> tags{{"plugin", "a plugin of the test"}};
        return openapi_text(RouteTable(endpoints_, unavailable_), tags, "1.2.3");
    }
    Object::Ptr document() const { return test::object_of(text()); }
    Object::Ptr operation(const std::string& path, const std::string& method) const {
        return document()->getObject("paths")->getObject(path)->getObject(method);
    }
    static Object::Ptr parameter(const Object::Ptr& operation, const std::string& name) {
        const auto all = operation->getArray("parameters");
        for (unsigned i = 0; i < all->size(); ++i) {
            if (all->getObject(i)->optValue<std::string>("name", "") == name) {
                return all->getObject(i);
            }
        }
        return nullptr;
    }
    static bool refers(const Object::Ptr& operation, const std::string& name) {
        const auto all = operation->getArray("parameters");
        for (unsigned i = 0; i < all->size(); ++i) {
            if (all->getObject(i)->optValue<std::string>("$ref", "") ==
                "#/components/parameters/" + name) {
                return true;
            }
        }
        return false;
    }

    RouteMaker maker_;
    std::vector<EndpointPtr> endpoints_;
    std::vector<Unavailable> unavailable_;
};

LARDER_TEST_SUITE(OpenApiTest);

}  // namespace
}  // namespace larder::routing
