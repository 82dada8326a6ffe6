// Which route a method and a path lead to, and what is told of those that lead nowhere.
#include "routing/route_table.hpp"

#include <fmt/format.h>

#include "larder/error.hpp"
#include "support/routes.hpp"
#include "support/suite.hpp"

namespace larder::routing {
namespace {

class RouteTableTest : public CppUnit::TestFixture {
    CPPUNIT_TEST_SUITE(RouteTableTest);
    CPPUNIT_TEST(matches_fixed_paths_and_parameters);
    CPPUNIT_TEST(a_fixed_segment_wins_for_every_method);
    CPPUNIT_TEST(goes_back_where_a_fixed_segment_leads_nowhere);
    CPPUNIT_TEST(a_rest_takes_all_that_follows);
    CPPUNIT_TEST(a_tail_wins_for_the_methods_it_has);
    CPPUNIT_TEST(the_longest_tail_wins);
    CPPUNIT_TEST(head_goes_where_get_goes);
    CPPUNIT_TEST(tells_what_a_path_takes);
    CPPUNIT_TEST(encoded_text_is_the_same_text);
    CPPUNIT_TEST(refuses_two_routes_in_one_place);
    CPPUNIT_TEST(refuses_more_parameters_than_it_keeps);
    CPPUNIT_TEST(answers_for_prefixes_that_are_off);
    CPPUNIT_TEST(splits_lists);
    CPPUNIT_TEST_SUITE_END();

public:
    void matches_fixed_paths_and_parameters() {
        const RouteTable table = table_of({{Method::get, "/healthz"},
                                           {Method::get, "/api/kv"},
                                           {Method::get, "/api/kv/{bucket}"},
                                           {Method::get, "/api/p/{id}/files/{name}"}});
        CPPUNIT_ASSERT_EQUAL(std::string("/healthz"), found(table, Method::get, "/healthz"));
        CPPUNIT_ASSERT_EQUAL(std::string("/api/kv"), found(table, Method::get, "/api/kv"));
        CPPUNIT_ASSERT_EQUAL(std::string("/api/kv/{bucket} b"),
                             found(table, Method::get, "/api/kv/b"));
        CPPUNIT_ASSERT_EQUAL(std::string("/api/p/{id}/files/{name} 7 a%2Fb"),
                             found(table, Method::get, "/api/p/7/files/a%2Fb"));
        for (const char* path : {"/", "", "healthz", "/healthz/", "//healthz", "/api", "/api/",
                                 "/api/kv/", "/api/kv/b/", "/api/p//files/x", "/api/p/7/files",
                                 "/api/p/7/files/", "/Healthz", "/healthz?", "*"}) {
            CPPUNIT_ASSERT_EQUAL_MESSAGE(path, std::string("nowhere"),
                                         found(table, Method::get, path));
        }
    }

    void a_fixed_segment_wins_for_every_method() {
        const RouteTable table = table_of({{Method::get, "/files/{name}"},
                                           {Method::put, "/files/{name}"},
                                           {Method::post, "/files/upload"},
                                           {Method::get, "/files/storage"}});
        CPPUNIT_ASSERT_EQUAL(std::string("/files/{name} a"), found(table, Method::put, "/files/a"));
        CPPUNIT_ASSERT_EQUAL(std::string("/files/storage"),
                             found(table, Method::get, "/files/storage"));
        CPPUNIT_ASSERT_EQUAL(std::string("not by this method: POST, OPTIONS"),
                             found(table, Method::put, "/files/upload"));
        CPPUNIT_ASSERT_EQUAL(std::string("not by this method: POST, OPTIONS"),
                             found(table, Method::get, "/files/upload"));
        CPPUNIT_ASSERT_EQUAL(std::string("not by this method: GET, HEAD, OPTIONS"),
                             found(table, Method::put, "/files/storage"));
    }

    void goes_back_where_a_fixed_segment_leads_nowhere() {
        const RouteTable table = table_of(
            {{Method::get, "/a/b/c"}, {Method::get, "/a/{x}/d"}, {Method::get, "/{y...}"}});
        CPPUNIT_ASSERT_EQUAL(std::string("/a/b/c"), found(table, Method::get, "/a/b/c"));
        CPPUNIT_ASSERT_EQUAL(std::string("/a/{x}/d b"), found(table, Method::get, "/a/b/d"));
        CPPUNIT_ASSERT_EQUAL(std::string("/{y...} a/b/e"), found(table, Method::get, "/a/b/e"));
        CPPUNIT_ASSERT_EQUAL(std::string("/{y...} a/q/e"), found(table, Method::get, "/a/q/e"));
    }

    void a_rest_takes_all_that_follows() {
        const RouteTable table = table_of({{Method::get, "/kv/{bucket}/{key...}"}});
        for (const char* rest : {"a", "a/b", "/", "//", "a/", "/a", ".", "..", "../..", "a//b"}) {
            CPPUNIT_ASSERT_EQUAL(fmt::format("/kv/{{bucket}}/{{key...}} s {}", rest),
                                 found(table, Method::get, fmt::format("/kv/s/{}", rest)));
        }
        CPPUNIT_ASSERT_EQUAL(std::string("nowhere"), found(table, Method::get, "/kv/s/"));
        CPPUNIT_ASSERT_EQUAL(std::string("nowhere"), found(table, Method::get, "/kv/s"));
        CPPUNIT_ASSERT_EQUAL(std::string("nowhere"), found(table, Method::get, "/kv//a"));
    }

    void a_tail_wins_for_the_methods_it_has() {
        const RouteTable table = table_of({{Method::get, "/kv/{key...}"},
                                           {Method::put, "/kv/{key...}"},
                                           {Method::post, "/kv/{key...}/increment"}});
        CPPUNIT_ASSERT_EQUAL(std::string("/kv/{key...}/increment a/b"),
                             found(table, Method::post, "/kv/a/b/increment"));
        // A key that ends so is reached by the other methods.
        CPPUNIT_ASSERT_EQUAL(std::string("/kv/{key...} a/increment"),
                             found(table, Method::get, "/kv/a/increment"));
        CPPUNIT_ASSERT_EQUAL(std::string("/kv/{key...} increment"),
                             found(table, Method::put, "/kv/increment"));
        CPPUNIT_ASSERT_EQUAL(std::string("/kv/{key...}/increment increment"),
                             found(table, Method::post, "/kv/increment/increment"));
        CPPUNIT_ASSERT_EQUAL(std::string("not by this method: GET, HEAD, PUT, OPTIONS"),
                             found(table, Method::post, "/kv/increment"));
        CPPUNIT_ASSERT_EQUAL(std::string("not by this method: GET, HEAD, PUT, POST, OPTIONS"),
                             found(table, Method::del, "/kv/a/increment"));
    }

    void the_longest_tail_wins() {
        const RouteTable table = table_of({{Method::get, "/f/{p...}/b"},
                                           {Method::get, "/f/{p...}/a/b"},
                                           {Method::get, "/f/{p...}"}});
        CPPUNIT_ASSERT_EQUAL(std::string("/f/{p...}/a/b x"), found(table, Method::get, "/f/x/a/b"));
        CPPUNIT_ASSERT_EQUAL(std::string("/f/{p...}/b a"), found(table, Method::get, "/f/a/b"));
        CPPUNIT_ASSERT_EQUAL(std::string("/f/{p...} b"), found(table, Method::get, "/f/b"));
        CPPUNIT_ASSERT_EQUAL(std::string("/f/{p...} xa/bb"), found(table, Method::get, "/f/xa/bb"));
    }

    void head_goes_where_get_goes() {
        const RouteTable table = table_of({{Method::get, "/a"}, {Method::post, "/b"}});
        CPPUNIT_ASSERT_EQUAL(std::string("/a"), found(table, Method::head, "/a"));
        CPPUNIT_ASSERT_EQUAL(std::string("not by this method: POST, OPTIONS"),
                             found(table, Method::head, "/b"));
    }

    void tells_what_a_path_takes() {
        const RouteTable table = table_of({{Method::get, "/a"},
                                           {Method::put, "/a"},
                                           {Method::post, "/a"},
                                           {Method::patch, "/a"},
                                           {Method::del, "/a"}});
        CPPUNIT_ASSERT_EQUAL(
            std::string("not by this method: GET, HEAD, PUT, POST, PATCH, DELETE, OPTIONS"),
            found(table, std::nullopt, "/a"));
        CPPUNIT_ASSERT_EQUAL(std::string("OPTIONS"), allow_header(0));
        CPPUNIT_ASSERT(method_of("GET") == Method::get);
        CPPUNIT_ASSERT(method_of("OPTIONS") == Method::options);
        for (const char* name : {"get", "", "GE", "GETT", "TRACE", "CONNECT"}) {
            CPPUNIT_ASSERT_MESSAGE(name, !method_of(name));
        }
    }

    void encoded_text_is_the_same_text() {
        const RouteTable table = table_of(
            {{Method::get, "/api/kv"}, {Method::post, "/api/upload"}, {Method::get, "/api/{x}"}});
        CPPUNIT_ASSERT_EQUAL(std::string("/api/kv"), found(table, Method::get, "/api/%6bv"));
        CPPUNIT_ASSERT_EQUAL(std::string("/api/kv"), found(table, Method::get, "/%61pi/k%76"));
        // Or a POST to upload could be had around by spelling it otherwise.
        CPPUNIT_ASSERT_EQUAL(std::string("not by this method: POST, OPTIONS"),
                             found(table, Method::get, "/api/%75pload"));
        CPPUNIT_ASSERT_EQUAL(std::string("/api/{x} %256bv"),
                             found(table, Method::get, "/api/%256bv"));
        CPPUNIT_ASSERT_EQUAL(std::string("nowhere"), found(table, Method::get, "/api%2Fkv"));
        CPPUNIT_ASSERT_EQUAL(std::string("/api/{x} kv%2"), found(table, Method::get, "/api/kv%2"));
    }

    void refuses_two_routes_in_one_place() {
        for (const auto& [first, second] :
             std::vector<std::pair<const char*, const char*>>{{"/a", "/a"},
                                                              {"/a/{x}", "/a/{y}"},
                                                              {"/a/{x...}", "/a/{y...}"},
                                                              {"/a/{x...}/t", "/a/{y...}/t"},
                                                              {"/{x}/b", "/{y}/b"}}) {
            try {
                table_of({{Method::get, first}, {Method::get, second}});
                CPPUNIT_FAIL(fmt::format("{} and {} were both taken", first, second));
            } catch (const Error& error) {
                CPPUNIT_ASSERT(error.code() == Errc::conflict);
                CPPUNIT_ASSERT_MESSAGE(error.detail(),
                                       error.detail().find(first) != std::string::npos);
            }
            table_of({{Method::get, first}, {Method::put, second}});  // by another method: none
        }
    }

    void refuses_more_parameters_than_it_keeps() {
        const RouteTable table = table_of({{Method::get, "/{a}/{b}/{c}/{d}/{e}/{f}/{g}/{h}"}});
        CPPUNIT_ASSERT_EQUAL(std::string("/{a}/{b}/{c}/{d}/{e}/{f}/{g}/{h} 1 2 3 4 5 6 7 8"),
                             found(table, Method::get, "/1/2/3/4/5/6/7/8"));
        CPPUNIT_ASSERT_THROW(table_of({{Method::get, "/{a}/{b}/{c}/{d}/{e}/{f}/{g}/{h}/{i...}"}}),
                             Error);
    }

    void answers_for_prefixes_that_are_off() {
        const RouteTable table({}, {{"/api/kv", "plugin-disabled", "it is off"}});
        for (const char* path : {"/api/kv", "/api/kv/", "/api/kv/a/b"}) {
            const Unavailable* off = table.unavailable(path);
            CPPUNIT_ASSERT_MESSAGE(path, off != nullptr);
            CPPUNIT_ASSERT_EQUAL(std::string("it is off"), off->reason);
        }
        for (const char* path : {"/api/kvx", "/api", "/", "", "/api/k"}) {
            CPPUNIT_ASSERT_MESSAGE(path, table.unavailable(path) == nullptr);
        }
    }

    void splits_lists() {
        const auto joined = [](std::string_view text) {
            return fmt::format("{}", fmt::join(split_list(text), "|"));
        };
        CPPUNIT_ASSERT_EQUAL(std::string("a|b c|d"), joined(" a,, b c ,\td\t,"));
        CPPUNIT_ASSERT_EQUAL(std::string(), joined(""));
        CPPUNIT_ASSERT_EQUAL(std::string(), joined(" , ,"));
    }

private:
    RouteTable table_of(const std::vector<std::pair<Method, const char*>>& routes) {
        std::vector<EndpointPtr> endpoints;
        endpoints.reserve(routes.size());
        for (const auto& [method, pattern] : routes)
            endpoints.push_back(maker_.make(method, pattern));
        return {std::move(endpoints), {}};
    }

    // The pattern and the values it took; or why there is none.
    static std::string found(const RouteTable& table, std::optional<Method> method,
                             const std::string& path) {
        const Match match = table.match(method, path);
        if (match.allowed == 0) return "nowhere";
        if (match.endpoint == nullptr) {
            return "not by this method: " + allow_header(match.allowed);
        }
        std::string text(match.endpoint->route.pattern);
        for (std::size_t i = 0; i < match.value_count; ++i) {
            text.append(" ").append(match.values[i]);
        }
        return text;
    }

    test::RouteMaker maker_;
};

LARDER_TEST_SUITE(RouteTableTest);

}  // namespace
}  // namespace larder::routing
