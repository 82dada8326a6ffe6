// Conditional requests by RFC 9110 §13: entity tags, dates, the preconditions of a change, and what
// turns a 200 into a 304.
#include "larder/conditional.hpp"

#include <fmt/format.h>

#include "routing/conditions.hpp"
#include "support/fake_exchange.hpp"
#include "support/suite.hpp"

namespace larder {
namespace {

constexpr std::int64_t kTime = 784111777;  // the RFC's own example
const std::string kDate = "Sun, 06 Nov 1994 08:49:37 GMT";

class ConditionalTest : public CppUnit::TestFixture {
    CPPUNIT_TEST_SUITE(ConditionalTest);
    CPPUNIT_TEST(writes_dates);
    CPPUNIT_TEST(reads_dates_in_all_three_forms);
    CPPUNIT_TEST(refuses_what_is_no_date);
    CPPUNIT_TEST(compares_entity_tags);
    CPPUNIT_TEST(a_malformed_list_names_nothing);
    CPPUNIT_TEST(judges_if_match);
    CPPUNIT_TEST(judges_if_none_match);
    CPPUNIT_TEST(judges_if_unmodified_since);
    CPPUNIT_TEST(judges_them_in_order);
    CPPUNIT_TEST(reads_them_from_a_request);
    CPPUNIT_TEST(answers_304_to_a_read);
    CPPUNIT_TEST(leaves_other_answers_alone);
    CPPUNIT_TEST(keeps_what_describes_the_representation);
    CPPUNIT_TEST_SUITE_END();

public:
    void writes_dates() {
        CPPUNIT_ASSERT_EQUAL(kDate, http_date(kTime));
        CPPUNIT_ASSERT_EQUAL(std::string("Thu, 01 Jan 1970 00:00:00 GMT"), http_date(0));
        CPPUNIT_ASSERT_EQUAL(std::string("Tue, 29 Feb 2028 23:59:59 GMT"), http_date(1835481599));
    }

    void reads_dates_in_all_three_forms() {
        for (const char* text : {"Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT",
                                 "Sun Nov  6 08:49:37 1994"}) {
            CPPUNIT_ASSERT_MESSAGE(text, parse_http_date(text) == kTime);
        }
        for (const std::int64_t time : {0L, 1L, 951782400L, 1835481599L, 4102444800L}) {
            CPPUNIT_ASSERT(parse_http_date(http_date(time)) == time);
        }
    }

    void refuses_what_is_no_date() {
        for (const char* text :
             {"", "yesterday", "Sun, 06 Nov 1994", "Sun, 06 Nov 1994 08:49:37",
              "Sun, 06 Nov 1994 08:49:37 GMT ", "Sun, 06 Nov 1994 08:49:37 CET",
              "Sun, 06 Nov 1994 25:49:37 GMT", "1994-11-06T08:49:37Z", "784111777"}) {
            CPPUNIT_ASSERT_MESSAGE(text, !parse_http_date(text));
        }
    }

    // The table of RFC 9110 §8.8.3.2, and lists.
    void compares_entity_tags() {
        const auto both = [](std::string_view list, std::string_view tag) {
            return fmt::format("{}{}", names_etag(list, tag, false) ? "strong " : "",
                               names_etag(list, tag, true) ? "weak" : "");
        };
        CPPUNIT_ASSERT_EQUAL(std::string("weak"), both("W/\"1\"", "W/\"1\""));
        CPPUNIT_ASSERT_EQUAL(std::string(), both("W/\"1\"", "W/\"2\""));
        CPPUNIT_ASSERT_EQUAL(std::string("weak"), both("W/\"1\"", "\"1\""));
        CPPUNIT_ASSERT_EQUAL(std::string("weak"), both("\"1\"", "W/\"1\""));
        CPPUNIT_ASSERT_EQUAL(std::string("strong weak"), both("\"1\"", "\"1\""));
        CPPUNIT_ASSERT_EQUAL(std::string("strong weak"), both("*", "\"1\""));
        CPPUNIT_ASSERT_EQUAL(std::string("strong weak"), both("\"a\", \"1\" ,\"b\"", "\"1\""));
        CPPUNIT_ASSERT_EQUAL(std::string("strong weak"), both("\"a\",,\t\"1\"", "\"1\""));
        CPPUNIT_ASSERT_EQUAL(std::string("strong weak"), both("\"a,b\", \"1\"", "\"1\""));
        CPPUNIT_ASSERT_EQUAL(std::string(), both("\"a,1\"", "\"1\""));
        CPPUNIT_ASSERT_EQUAL(std::string(), both("\"A\"", "\"a\""));
        CPPUNIT_ASSERT_EQUAL(std::string("strong weak"), both("\"\"", "\"\""));
    }

    void a_malformed_list_names_nothing() {
        for (const char* list :
             {"", ",", "1", "\"1", "1\"", "w/\"1\"", "W/1", "W/", "'1'", "x, \"1\"", "*, \"2\""}) {
            CPPUNIT_ASSERT_MESSAGE(list, !names_etag(list, "\"1\"", true));
        }
    }

    void judges_if_match() {
        const auto failing = [](std::string_view list, std::string_view etag) {
            Preconditions wanted;
            wanted.if_match = list;
            return wanted.failing(etag, kTime) == "if-match";
        };
        CPPUNIT_ASSERT(!failing("\"1\"", "\"1\""));
        CPPUNIT_ASSERT(!failing("*", "\"1\""));
        CPPUNIT_ASSERT(failing("*", ""));  // nothing is there
        CPPUNIT_ASSERT(failing("\"1\"", ""));
        CPPUNIT_ASSERT(failing("\"2\"", "\"1\""));
        CPPUNIT_ASSERT(failing("W/\"1\"", "\"1\""));  // strong comparison
        CPPUNIT_ASSERT(failing("nonsense", "\"1\""));
    }

    void judges_if_none_match() {
        const auto failing = [](std::string_view list, std::string_view etag) {
            Preconditions wanted;
            wanted.if_none_match = list;
            return wanted.failing(etag, kTime) == "if-none-match";
        };
        CPPUNIT_ASSERT(failing("\"1\"", "\"1\""));
        CPPUNIT_ASSERT(failing("W/\"1\"", "\"1\""));  // weak comparison
        CPPUNIT_ASSERT(failing("*", "\"1\""));
        CPPUNIT_ASSERT(!failing("*", ""));
        CPPUNIT_ASSERT(!failing("\"2\"", "\"1\""));
    }

    void judges_if_unmodified_since() {
        Preconditions wanted;
        wanted.if_unmodified_since = kTime;
        CPPUNIT_ASSERT(wanted.failing("\"1\"", kTime).empty());
        CPPUNIT_ASSERT(wanted.failing("\"1\"", kTime - 1).empty());
        CPPUNIT_ASSERT_EQUAL(std::string("if-unmodified-since"),
                             std::string(wanted.failing("\"1\"", kTime + 1)));
        CPPUNIT_ASSERT_EQUAL(std::string("if-unmodified-since"),
                             std::string(wanted.failing("", 0)));
    }

    void judges_them_in_order() {
        Preconditions wanted;
        CPPUNIT_ASSERT(!wanted.any());
        CPPUNIT_ASSERT(wanted.failing("\"1\"", kTime).empty());
        wanted.if_match = "\"1\"";
        wanted.if_none_match = "\"1\"";
        CPPUNIT_ASSERT(wanted.any());
        CPPUNIT_ASSERT_EQUAL(std::string("if-none-match"),
                             std::string(wanted.failing("\"1\"", kTime)));
        CPPUNIT_ASSERT_EQUAL(std::string("if-match"), std::string(wanted.failing("\"2\"", kTime)));
    }

    void reads_them_from_a_request() {
        const auto of = [](std::vector<http::Field> fields) {
            test::FakeRequest request;
            request.fields = std::move(fields);
            return Preconditions::of(request);
        };
        CPPUNIT_ASSERT(!of({}).any());
        const Preconditions match = of({{"If-Match", "\"1\""}, {"If-Unmodified-Since", kDate}});
        CPPUNIT_ASSERT_EQUAL(std::string("\"1\""), *match.if_match);
        CPPUNIT_ASSERT(!match.if_unmodified_since);  // passed over beside If-Match
        CPPUNIT_ASSERT(of({{"If-Unmodified-Since", kDate}}).if_unmodified_since == kTime);
        CPPUNIT_ASSERT(!of({{"If-Unmodified-Since", "nonsense"}}).any());
        CPPUNIT_ASSERT_EQUAL(std::string("*"), *of({{"If-None-Match", "*"}}).if_none_match);
    }

    void answers_304_to_a_read() {
        CPPUNIT_ASSERT_EQUAL(304, answered("GET", {{"If-None-Match", "\"1\""}}));
        CPPUNIT_ASSERT_EQUAL(304, answered("HEAD", {{"If-None-Match", "\"0\", W/\"1\""}}));
        CPPUNIT_ASSERT_EQUAL(304, answered("GET", {{"If-None-Match", "*"}}));
        CPPUNIT_ASSERT_EQUAL(200, answered("GET", {{"If-None-Match", "\"2\""}}));
        CPPUNIT_ASSERT_EQUAL(304, answered("GET", {{"If-Modified-Since", kDate}}));
        CPPUNIT_ASSERT_EQUAL(304, answered("GET", {{"if-modified-since", http_date(kTime + 9)}}));
        CPPUNIT_ASSERT_EQUAL(200, answered("GET", {{"If-Modified-Since", http_date(kTime - 1)}}));
        CPPUNIT_ASSERT_EQUAL(200, answered("GET", {{"If-Modified-Since", "nonsense"}}));
        // §13.1.3: If-None-Match alone counts where both are sent.
        CPPUNIT_ASSERT_EQUAL(
            200, answered("GET", {{"If-None-Match", "\"2\""}, {"If-Modified-Since", kDate}}));
        CPPUNIT_ASSERT_EQUAL(304, answered("GET", {{"If-None-Match", "\"1\""},
                                                   {"If-Modified-Since", http_date(0)}}));
    }

    void leaves_other_answers_alone() {
        CPPUNIT_ASSERT_EQUAL(200, answered("PUT", {{"If-None-Match", "\"1\""}}));
        CPPUNIT_ASSERT_EQUAL(404, answered("GET", {{"If-None-Match", "\"1\""}}, 404));
        CPPUNIT_ASSERT_EQUAL(206, answered("GET", {{"If-None-Match", "\"1\""}}, 206));
        CPPUNIT_ASSERT_EQUAL(200, answered("GET", {}));
        Response bare;
        http::Head head;
        head.method = "GET";
        head.fields = {{"If-None-Match", "*"}, {"If-Modified-Since", kDate}};
        routing::apply_conditions(head, bare);
        CPPUNIT_ASSERT_EQUAL(200, bare.status);  // nothing to compare with
    }

    void keeps_what_describes_the_representation() {
        http::Head head;
        head.method = "GET";
        head.fields = {{"If-None-Match", "\"1\""}};
        Response response = whole(200);
        routing::apply_conditions(head, response);
        std::string names;
        for (const auto& [name, value] : response.headers) names += name + " ";
        CPPUNIT_ASSERT_EQUAL(std::string("ETag Last-Modified Cache-Control "), names);
        CPPUNIT_ASSERT(std::holds_alternative<std::monostate>(response.body));
    }

private:
    static Response whole(int status) {
        Response response;
        response.status = status;
        response.headers = {{"ETag", "\"1\""},
                            {"Last-Modified", kDate},
                            {"Content-Type", "text/plain"},
                            {"Cache-Control", "no-cache"}};
        response.body = std::string("body");
        return response;
    }
    static int answered(std::string_view method, std::vector<http::Field> fields,
                        int status = 200) {
        http::Head head;
        head.method = method;
        head.fields = std::move(fields);
        Response response = whole(status);
        routing::apply_conditions(head, response);
        return response.status;
    }
};

LARDER_TEST_SUITE(ConditionalTest);

}  // namespace
}  // namespace larder
