// Heads of answers byte by byte, headers that would split an answer, and problem documents. Nothing
// is sent here.
#include "http/response_writer.hpp"
#include "larder/time.hpp"

#include "http/problem.hpp"
#include "support/suite.hpp"

namespace {

using larder::Errc;
using larder::Error;
using larder::Headers;
using larder::Response;
using namespace larder::http;
using namespace std::string_literals;

class ResponseWriterTest final : public CppUnit::TestFixture {
    CPPUNIT_TEST_SUITE(ResponseWriterTest);
    CPPUNIT_TEST(writes_a_head);
    CPPUNIT_TEST(writes_each_framing);
    CPPUNIT_TEST(guards_each_answer_but_for_what_it_says_itself);
    CPPUNIT_TEST(tells_how_the_connection_goes_on);
    CPPUNIT_TEST(refuses_what_would_split_an_answer);
    CPPUNIT_TEST(dates_are_imf_fixdate);
    CPPUNIT_TEST(chunk_sizes_are_hex);
    CPPUNIT_TEST(problems_have_all_members);
    CPPUNIT_TEST(problems_of_errors);
    CPPUNIT_TEST(json_quotes);
    CPPUNIT_TEST_SUITE_END();

    static inline const std::string kGuards =
        "X-Content-Type-Options: nosniff\r\n"
        "Content-Security-Policy: default-src 'none'; sandbox\r\n"
        "Cross-Origin-Resource-Policy: same-origin\r\n";

    static std::string written(ResponseHead head) {
        std::string out;
        head.date = "D";
        head.id = "I";
        append_head(out, head);
        return out;
    }

    void writes_a_head() {
        const Headers headers{{"Content-Type", "text/plain"}, {"ETag", "\"7\""}};
        ResponseHead head;
        head.headers = &headers;
        head.length = 12;
        CPPUNIT_ASSERT_EQUAL(
            "HTTP/1.1 200 OK\r\nDate: D\r\nContent-Type: text/plain\r\nETag: \"7\"\r\n" + kGuards +
                "Content-Length: 12\r\nX-Request-Id: I\r\n\r\n"s,
            written(head));
        head.status = 404;
        head.headers = nullptr;
        head.length = 0;
        CPPUNIT_ASSERT_EQUAL("HTTP/1.1 404 Not Found\r\nDate: D\r\n" + kGuards +
                                 "Content-Length: 0\r\nX-Request-Id: I\r\n\r\n"s,
                             written(head));
    }

    void writes_each_framing() {
        ResponseHead head;
        head.status = 204;
        head.framing = Framing::none;
        CPPUNIT_ASSERT_EQUAL(
            "HTTP/1.1 204 No Content\r\nDate: D\r\n" + kGuards + "X-Request-Id: I\r\n\r\n"s,
            written(head));
        head.status = 200;
        head.framing = Framing::chunked;
        head.extra = "Content-Type: text/event-stream\r\n";
        CPPUNIT_ASSERT_EQUAL("HTTP/1.1 200 OK\r\nDate: D\r\nContent-Type: text/event-stream\r\n" +
                                 kGuards + "Transfer-Encoding: chunked\r\nX-Request-Id: I\r\n\r\n"s,
                             written(head));
    }

    void guards_each_answer_but_for_what_it_says_itself() {
        const Headers headers{{"content-security-policy", "default-src 'self'"}};
        ResponseHead head;
        head.headers = &headers;
        const std::string text = written(head);
        CPPUNIT_ASSERT(text.find("X-Content-Type-Options: nosniff\r\n") != std::string::npos);
        CPPUNIT_ASSERT(text.find("Cross-Origin-Resource-Policy: same-origin\r\n") !=
                       std::string::npos);
        CPPUNIT_ASSERT(text.find("content-security-policy: default-src 'self'\r\n") !=
                       std::string::npos);
        CPPUNIT_ASSERT(text.find("sandbox") == std::string::npos);
    }

    void tells_how_the_connection_goes_on() {
        ResponseHead head;
        head.close = true;
        CPPUNIT_ASSERT(written(head).find("Connection: close\r\n") != std::string::npos);
        head.close = false;
        CPPUNIT_ASSERT(written(head).find("Connection") == std::string::npos);
        head.version = 10;
        CPPUNIT_ASSERT(written(head).find("Connection: keep-alive\r\n") != std::string::npos);
    }

    void refuses_what_would_split_an_answer() {
        CPPUNIT_ASSERT_EQUAL(""s, refusal_of(200, {{"A", "b\tc \xC3\xA9"}, {"X-b!", ""}}));
        const std::vector<Headers> bad{{{"A", "b\r\nSet-Cookie: x"}},
                                       {{"A", "b\n"}},
                                       {{"A", "b\0c"s}},
                                       {{"A\r\n", "b"}},
                                       {{"A b", "c"}},
                                       {{"", "c"}},
                                       {{"A:", "c"}},
                                       {{"Content-length", "3"}},
                                       {{"transfer-Encoding", "chunked"}},
                                       {{"Connection", "close"}},
                                       {{"DATE", "now"}}};
        for (const Headers& headers : bad) {
            CPPUNIT_ASSERT_MESSAGE(headers.front().first, !refusal_of(200, headers).empty());
        }
        CPPUNIT_ASSERT(!refusal_of(99, {}).empty());
        CPPUNIT_ASSERT(!refusal_of(100, {}).empty());
        CPPUNIT_ASSERT(!refusal_of(600, {}).empty());
    }

    void dates_are_imf_fixdate() {
        CPPUNIT_ASSERT_EQUAL("Sun, 06 Nov 1994 08:49:37 GMT"s, larder::http_date(784111777));
        CPPUNIT_ASSERT_EQUAL("Thu, 01 Jan 1970 00:00:00 GMT"s, larder::http_date(0));
        CPPUNIT_ASSERT_EQUAL("Thu, 29 Feb 2024 23:59:59 GMT"s, larder::http_date(1709251199));
    }

    void chunk_sizes_are_hex() {
        std::string out;
        append_chunk_size(out, 26);
        append_chunk_size(out, 262144);
        CPPUNIT_ASSERT_EQUAL("1a\r\n40000\r\n"s, out);
    }

    void problems_have_all_members() {
        const Response response = problem(404, "not-found", "no \"x\" here", "id-1");
        CPPUNIT_ASSERT_EQUAL(404, response.status);
        CPPUNIT_ASSERT_EQUAL("application/problem+json"s, response.headers.at(0).second);
        CPPUNIT_ASSERT_EQUAL(
            "{\"type\":\"urn:larder:problem:not-found\",\"title\":\"Not Found\",\"status\":404,"
            "\"detail\":\"no \\\"x\\\" here\",\"code\":\"not-found\",\"request_id\":\"id-1\"}\n"s,
            std::get<std::string>(response.body));
    }

    void problems_of_errors() {
        const Error error = Error(Errc::no_space, "quota-exceeded", "full")
                                .with("available", "17")
                                .with_header("Retry-After", "60")
                                .because("/srv/secret");
        const Response response = problem(error, "i");
        CPPUNIT_ASSERT_EQUAL(507, response.status);
        CPPUNIT_ASSERT_EQUAL("Retry-After"s, response.headers.at(1).first);
        const auto& body = std::get<std::string>(response.body);
        CPPUNIT_ASSERT(body.find("\"available\":17}") != std::string::npos);
        CPPUNIT_ASSERT(body.find("secret") == std::string::npos);
        const std::vector<std::pair<Errc, int>> table{{Errc::bad_request, 400},
                                                      {Errc::unauthorized, 401},
                                                      {Errc::forbidden, 403},
                                                      {Errc::not_found, 404},
                                                      {Errc::conflict, 409},
                                                      {Errc::gone, 410},
                                                      {Errc::precondition_failed, 412},
                                                      {Errc::too_large, 413},
                                                      {Errc::unsupported_media, 415},
                                                      {Errc::unprocessable, 422},
                                                      {Errc::too_many_requests, 429},
                                                      {Errc::unavailable, 503},
                                                      {Errc::no_space, 507},
                                                      {Errc::io_failed, 500},
                                                      {Errc::corrupt, 500},
                                                      {Errc::internal, 500}};
        for (const auto& [code, status] : table) CPPUNIT_ASSERT_EQUAL(status, status_of(code));
    }

    void json_quotes() {
        CPPUNIT_ASSERT_EQUAL(R"("a\"b\\c\n\r\t\u0001\u007f")"s,
                             json_quoted("a\"b\\c\n\r\t\x01\x7f"));
        CPPUNIT_ASSERT_EQUAL("\"\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80\""s,
                             json_quoted("\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80"));
        const std::string replacement = "\xEF\xBF\xBD";
        // A lone tail, an overlong form, a surrogate, beyond U+10FFFF, a cut sequence.
        CPPUNIT_ASSERT_EQUAL("\"" + replacement + "x\"", json_quoted("\x80x"));
        CPPUNIT_ASSERT_EQUAL("\"" + replacement + replacement + "\"", json_quoted("\xC0\xAF"));
        CPPUNIT_ASSERT_EQUAL("\"" + replacement + replacement + replacement + "\"",
                             json_quoted("\xED\xA0\x80"));
        CPPUNIT_ASSERT_EQUAL("\"" + replacement + replacement + replacement + replacement + "\"",
                             json_quoted("\xF4\x90\x80\x80"));
        CPPUNIT_ASSERT_EQUAL("\"" + replacement + replacement + "\"", json_quoted("\xE2\x82"));
    }
};

LARDER_TEST_SUITE(ResponseWriterTest);

}  // namespace
