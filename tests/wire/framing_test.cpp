// Where a body ends (RFC 9112 §6-7), against senders that lie about it: no body is ever carried out
// as a request, and none that was cut is ever taken for whole.
//
// Contents: lengths · codings · chunks and trailers · cut and unread bodies · 413 · 100-continue.
#include <fmt/format.h>

#include <memory>
#include <thread>

#include "support/problem.hpp"
#include "support/suite.hpp"
#include "support/wire_daemon.hpp"

namespace larder::test {
namespace {

const std::string kKey = "/api/kv/storage/framed";
const std::string kChunked = "Transfer-Encoding: chunked\r\n";

std::string put(const std::string& fields, const std::string& body) {
    return text_of("PUT", kKey, fields, body);
}

std::string length(std::size_t bytes) { return fmt::format("Content-Length: {}\r\n", bytes); }

class FramingTest : public CppUnit::TestFixture {
    CPPUNIT_TEST_SUITE(FramingTest);
    CPPUNIT_TEST(refuses_lengths_that_are_none);
    CPPUNIT_TEST(refuses_codings_it_does_not_know);
    CPPUNIT_TEST(refuses_length_beside_chunks);
    CPPUNIT_TEST(refuses_malformed_chunks);
    CPPUNIT_TEST(refuses_malformed_trailers);
    CPPUNIT_TEST(takes_well_formed_bodies);
    CPPUNIT_TEST(never_keeps_a_cut_body);
    CPPUNIT_TEST(never_carries_out_an_unread_body);
    CPPUNIT_TEST(answers_413_before_the_body);
    CPPUNIT_TEST(answers_413_to_chunks_that_grow);
    CPPUNIT_TEST(says_continue_only_when_it_reads);
    CPPUNIT_TEST(takes_a_body_a_byte_at_a_time);
    CPPUNIT_TEST(ends_well);
    CPPUNIT_TEST_SUITE_END();

public:
    void setUp() override {
        if (slot()) request(daemon().port(), "DELETE", kKey);
    }

    void refuses_lengths_that_are_none() {
        std::vector<Case> table;
        for (const char* value :
             {"+3", "-1", "-0", "0x3", "3 3", "3,3", "3, 3", "3;", "3.0", "1e1", "three", "",
              "99999999999999999999", "9223372036854775808", "18446744073709551616",
              "00000000000000000000003", "\"3\"", "3\x0b"}) {
            table.push_back({fmt::format("Content-Length '{}'", value),
                             put(fmt::format("Content-Length: {}\r\n", value), "123" + kSmuggled),
                             400, "bad-request"});
        }
        table.push_back({"two lengths that differ", put(length(3) + length(4), "123" + kSmuggled),
                         400, "bad-request"});
        table.push_back({"two lengths that agree", put(length(3) + length(3), "123" + kSmuggled),
                         400, "bad-request"});
        table.push_back({"two lengths, one in capitals",
                         put(length(3) + "CONTENT-LENGTH: 4\r\n", "123" + kSmuggled), 400,
                         "bad-request"});
        daemon().expect(table);
        expect_nothing_kept();
    }

    void refuses_codings_it_does_not_know() {
        std::vector<Case> table;
        for (const char* value : {"xchunked", "chunked, identity", "identity", "gzip, chunked",
                                  "chunked, chunked", "chunked, gzip", "chunked;q=1", "\"chunked\"",
                                  "", ",chunked", "chunked,", "chunke\x01", "\vchunked"}) {
            table.push_back({fmt::format("Transfer-Encoding '{}'", value),
                             put(fmt::format("Transfer-Encoding: {}\r\n", value),
                                 "1\r\n1\r\n0\r\n\r\n" + kSmuggled),
                             400, "bad-request"});
        }
        table.push_back(
            {"two codings", put(kChunked + kChunked, "1\r\n1\r\n0\r\n\r\n"), 400, "bad-request"});
        table.push_back({"one known and one not",
                         put(kChunked + "Transfer-Encoding: identity\r\n", "1\r\n1\r\n0\r\n\r\n"),
                         400, "bad-request"});
        table.push_back({"a blank before the colon",
                         put("Transfer-Encoding : chunked\r\n", "1\r\n1\r\n0\r\n\r\n"), 400,
                         "bad-request"});
        table.push_back({"folded", put("Transfer-Encoding:\r\n chunked\r\n", "1\r\n1\r\n0\r\n\r\n"),
                         400, "bad-request"});
        table.push_back(
            {"under HTTP/1.0",
             fmt::format("PUT {} HTTP/1.0\r\n{}\r\n1\r\n1\r\n0\r\n\r\n", kKey, kChunked), 400,
             "bad-request"});
        daemon().expect(table);
        expect_nothing_kept();
    }

    void refuses_length_beside_chunks() {
        const std::string body = "1\r\n1\r\n0\r\n\r\n";
        daemon().expect({
            {"length first", put(length(body.size()) + kChunked, body + kSmuggled), 400,
             "bad-request"},
            {"chunks first", put(kChunked + length(body.size()), body + kSmuggled), 400,
             "bad-request"},
            {"a length of nothing", put(length(0) + kChunked, body), 400, "bad-request"},
            {"a length short of the chunks", put(length(4) + kChunked, body), 400, "bad-request"},
        });
        expect_nothing_kept();
    }

    void refuses_malformed_chunks() {
        const auto chunks = [](const std::string& body) { return put(kChunked, body); };
        daemon().expect({
            {"no hex", chunks("z\r\n1\r\n0\r\n\r\n"), 400, "bad-request"},
            {"no size", chunks("\r\n1\r\n0\r\n\r\n"), 400, "bad-request"},
            {"a sign", chunks("+1\r\n1\r\n0\r\n\r\n"), 400, "bad-request"},
            {"a minus", chunks("-1\r\n1\r\n0\r\n\r\n"), 400, "bad-request"},
            {"0x", chunks("0x1\r\n1\r\n0\r\n\r\n"), 400, "bad-request"},
            {"a blank before the size", chunks(" 1\r\n1\r\n0\r\n\r\n"), 400, "bad-request"},
            {"a blank behind the size", chunks("1 \r\n1\r\n0\r\n\r\n"), 400, "bad-request"},
            {"a size beyond 64 bits", chunks("1FFFFFFFFFFFFFFFF\r\n1\r\n0\r\n\r\n"), 400,
             "bad-request"},
            {"a size of all bits", chunks("FFFFFFFFFFFFFFFF\r\n1\r\n0\r\n\r\n"), 400,
             "bad-request"},
            {"a size of many zeros", chunks(std::string(1000, '0') + "1\r\n1\r\n0\r\n\r\n"), 400,
             "bad-request"},
            {"LF alone behind the size", chunks("1\n1\r\n0\r\n\r\n"), 400, "bad-request"},
            {"CR alone behind the size", chunks("1\r1\r\n0\r\n\r\n"), 400, "bad-request"},
            {"no CR LF behind the data", chunks("1\r\n10\r\n\r\n" + kSmuggled), 400, "bad-request"},
            {"LF alone behind the data", chunks("1\r\n1\n0\r\n\r\n"), 400, "bad-request"},
            {"data longer than its size", chunks("1\r\n12\r\n0\r\n\r\n" + kSmuggled), 400,
             "bad-request"},
            {"data shorter than its size", chunks("3\r\n1\r\n0\r\n\r\n" + kSmuggled), 400,
             "bad-request"},
            {"a control byte in an extension", chunks("1;a=\x01\r\n1\r\n0\r\n\r\n"), 400,
             "bad-request"},
            {"LF alone in an extension", chunks("1;a\nb\r\n1\r\n0\r\n\r\n"), 400, "bad-request"},
            {"an extension without end",
             chunks("1;" + std::string(100000, 'a') + "\r\n1\r\n0\r\n\r\n"), 400, "bad-request"},
        });
        expect_nothing_kept();
    }

    void refuses_malformed_trailers() {
        const auto trailer = [](const std::string& lines) {
            return put(kChunked, "1\r\n1\r\n0\r\n" + lines + "\r\n");
        };
        daemon().expect({
            {"a length", trailer("Content-Length: 1\r\n"), 400, "bad-request"},
            {"a coding", trailer("Transfer-Encoding: chunked\r\n"), 400, "bad-request"},
            {"a host", trailer("Host: evil.example\r\n"), 400, "bad-request"},
            {"credentials", trailer("Authorization: Bearer x\r\n"), 400, "bad-request"},
            {"no colon", trailer("X-A\r\n"), 400, "bad-request"},
            {"an empty name", trailer(": b\r\n"), 400, "bad-request"},
            {"a blank before the colon", trailer("X-A : b\r\n"), 400, "bad-request"},
            {"folded", trailer("X-A: b\r\n c\r\n"), 400, "bad-request"},
            {"LF alone", trailer("X-A: b\n"), 400, "bad-request"},
            {"NUL", trailer(std::string("X-A: \0\r\n", 8)), 400, "bad-request"},
            {"without end", put(kChunked, "1\r\n1\r\n0\r\nX-A: " + std::string(100000, 'a')), 431,
             "headers-too-large"},
        });
        expect_nothing_kept();
    }

    void takes_well_formed_bodies() {
        const std::vector<std::string> requests = {
            put(length(2), "12"),
            put("Content-Length: 002\r\n", "12"),
            put("Content-Length:\t2 \r\n", "12"),
            put(kChunked, "2\r\n12\r\n0\r\n\r\n"),
            put("transfer-encoding: CHUNKED\r\n", "1\r\n1\r\n1\r\n2\r\n0\r\n\r\n"),
            put(kChunked, "0002\r\n12\r\n000\r\n\r\n"),
            put(kChunked, "2;a=b;c=\"d\"\r\n12\r\n0;last\r\n\r\n"),
            put(kChunked + "Trailer: X-A\r\n", "2\r\n12\r\n0\r\nX-A: b\r\n\r\n"),
        };
        for (const std::string& text : requests) {
            setUp();
            RawClient client(daemon().port());
            client.send(text);
            CPPUNIT_ASSERT_EQUAL_MESSAGE(text, 201, client.read_answer().status);
            CPPUNIT_ASSERT_EQUAL_MESSAGE(text, std::string("12"), client.request("GET", kKey).body);
        }
    }

    void never_keeps_a_cut_body() {
        const std::vector<std::string> cut = {
            put(length(100), "123"),
            put(length(2000000 / 2), std::string(100000, '1')),
            put(kChunked, ""),
            put(kChunked, "3\r\n123\r\n"),
            put(kChunked, "3\r\n12"),
            put(kChunked, "3\r\n123\r\n0\r\n"),
            put(kChunked, "3\r\n123\r\n0"),
            put(kChunked, "3\r\n123\r\n0\r\nX-A: b\r\n"),
        };
        for (const std::string& text : cut) {
            RawClient ended(daemon().port());
            ended.send(text);
            ended.half_close();
            const Answer answer = ended.read_answer();
            CPPUNIT_ASSERT_EQUAL(400, answer.status);
            CPPUNIT_ASSERT_EQUAL(std::string("bad-request"), answer.member("code"));
            CPPUNIT_ASSERT_EQUAL(std::string(), fault_of_problem(answer));
            CPPUNIT_ASSERT(ended.is_closed());

            RawClient reset(daemon().port());
            reset.send(text);
            reset.reset();
            CPPUNIT_ASSERT_EQUAL(std::string(), daemon().fault_of_service());
        }
        expect_nothing_kept();
    }

    void never_carries_out_an_unread_body() {
        const std::string chunk =
            fmt::format("{:x}\r\n{}\r\n0\r\n\r\n", kSmuggled.size(), kSmuggled);
        const std::string cross = "Origin: https://evil.example\r\n";
        daemon().expect({
            {"nothing under the path",
             text_of("PUT", "/nothing", length(kSmuggled.size()), kSmuggled), 404, "not-found",
             After::keeps},
            {"no such method", text_of("POST", "/healthz", length(kSmuggled.size()), kSmuggled),
             405, "method-not-allowed", After::keeps},
            {"from another site", put(cross + length(kSmuggled.size()), kSmuggled), 403,
             "cross-site", After::keeps},
            {"a media type that is none of ours",
             put("Content-Type: text/html\r\n" + length(kSmuggled.size()), kSmuggled), 415,
             "unsupported-media-type", After::keeps},
            {"to a GET", text_of("GET", "/healthz", length(kSmuggled.size()), kSmuggled), 200, "",
             After::keeps},
            {"to a HEAD", text_of("HEAD", "/healthz", length(kSmuggled.size()), kSmuggled), 200, "",
             After::keeps},
            {"to OPTIONS", text_of("OPTIONS", "/healthz", length(kSmuggled.size()), kSmuggled), 204,
             "", After::keeps},
            {"in chunks to a refusal", text_of("PUT", "/nothing", kChunked, chunk), 404,
             "not-found", After::closes},
            {"in chunks to a GET", text_of("GET", "/healthz", kChunked, chunk), 200, "",
             After::keeps},
            {"announced as longer than it is",
             text_of("PUT", "/nothing", length(1U << 20U), kSmuggled), 404, "not-found",
             After::closes},
        });
    }

    void answers_413_before_the_body() {
        const std::string body(10U << 20U, '1');
        RawClient patient(daemon().port());
        patient.send(put(length(body.size()), ""));
        const Answer before = patient.read_answer();  // not a byte of the body was sent
        CPPUNIT_ASSERT_EQUAL(413, before.status);

        RawClient eager(daemon().port());
        eager.send(put(length(body.size()), body));  // all of it, and only then a look
        const Answer after = eager.read_answer();
        CPPUNIT_ASSERT_EQUAL(413, after.status);
        for (const Answer& answer : {before, after}) {
            CPPUNIT_ASSERT_EQUAL(std::string("body-too-large"), answer.member("code"));
            CPPUNIT_ASSERT_EQUAL(std::string(), fault_of_problem(answer));
            CPPUNIT_ASSERT_MESSAGE(answer.body,
                                   answer.body.find("\"limit\":1048576") != std::string::npos);
            CPPUNIT_ASSERT(answer.close);
        }
        CPPUNIT_ASSERT(eager.is_closed());
        CPPUNIT_ASSERT_EQUAL(std::string(), daemon().fault_of_service());
        expect_nothing_kept();
    }

    void answers_413_to_chunks_that_grow() {
        RawClient client(daemon().port());
        client.send(put(kChunked, ""));
        const std::string chunk = "10000\r\n" + std::string(0x10000, '1') + "\r\n";
        for (int i = 0; i < 100; ++i) client.send(chunk);  // 6.5 MB and no end
        const Answer answer = client.read_answer();
        CPPUNIT_ASSERT_EQUAL(413, answer.status);
        CPPUNIT_ASSERT_EQUAL(std::string("body-too-large"), answer.member("code"));
        CPPUNIT_ASSERT_EQUAL(std::string(), fault_of_problem(answer));
        CPPUNIT_ASSERT(client.is_closed());
        CPPUNIT_ASSERT_EQUAL(std::string(), daemon().fault_of_service());
        expect_nothing_kept();
    }

    void says_continue_only_when_it_reads() {
        const std::string expect = "Expect: 100-continue\r\n";
        RawClient taken(daemon().port());
        taken.send(put(expect + length(2), ""));
        CPPUNIT_ASSERT_EQUAL(std::string("HTTP/1.1 100 Continue\r\n\r\n"), taken.read_some());
        taken.send("12");
        CPPUNIT_ASSERT_EQUAL(201, taken.read_answer().status);

        RawClient chunked(daemon().port());
        chunked.send(put(expect + kChunked, ""));
        CPPUNIT_ASSERT_EQUAL(std::string("HTTP/1.1 100 Continue\r\n\r\n"), chunked.read_some());
        chunked.send("2\r\n12\r\n0\r\n\r\n");
        CPPUNIT_ASSERT_EQUAL(200, chunked.read_answer().status);

        const std::vector<std::pair<std::string, int>> refused = {
            {text_of("PUT", "/nothing", expect + length(2)), 404},
            {put(expect + length(10U << 20U), ""), 413},
            {put(expect + "Content-Type: text/html\r\n" + length(2), ""), 415},
            {put(expect + "Origin: https://evil.example\r\n" + length(2), ""), 403},
            {put(expect + "If-Range: \"1\"\r\n" + length(2), ""), 400},
            {text_of("PUT", kKey + "?nonsense=1", expect + length(2)), 400},
        };
        for (const auto& [text, status] : refused) {
            RawClient client(daemon().port());
            client.send(text);
            const std::string first = client.read_some();
            CPPUNIT_ASSERT_MESSAGE(text + first,
                                   first.starts_with(fmt::format("HTTP/1.1 {} ", status)));
            // Nobody knows whether the body still comes, so the connection cannot go on.
            CPPUNIT_ASSERT_MESSAGE(first, first.find("Connection: close\r\n") != std::string::npos);
        }

        RawClient impatient(daemon().port());  // does not wait for the invitation
        impatient.send(put(expect + length(2), "12"));
        CPPUNIT_ASSERT(impatient.read_some().starts_with("HTTP/1.1 200 "));
    }

    void takes_a_body_a_byte_at_a_time() {
        for (const std::string& text :
             {put(length(5), "\"abc\""),
              put(kChunked, "2;x\r\n\"a\r\n3\r\nbc\"\r\n0\r\nX: y\r\n\r\n")}) {
            RawClient client(daemon().port());
            for (const char byte : text) client.send({&byte, 1});
            const int status = client.read_answer().status;
            CPPUNIT_ASSERT_MESSAGE(text, status == 201 || status == 200);
            CPPUNIT_ASSERT_EQUAL(std::string("\"abc\""), client.request("GET", kKey).body);
        }
    }

    void ends_well() {
        CPPUNIT_ASSERT_EQUAL(std::string(), daemon().fault_of_end());
        slot().reset();
    }

private:
    static void expect_nothing_kept() {
        CPPUNIT_ASSERT_EQUAL(404, request(daemon().port(), "GET", kKey).status);
    }
    static std::unique_ptr<WireDaemon>& slot() {
        static std::unique_ptr<WireDaemon> kept;
        return kept;
    }
    static WireDaemon& daemon() {
        if (!slot()) {
            slot() = std::make_unique<WireDaemon>(std::vector<std::pair<std::string, std::string>>{
                {"LARDER_HTTP_HEAD_TIMEOUT", "5s"}, {"LARDER_HTTP_BODY_TIMEOUT", "5s"}});
        }
        return *slot();
    }
};

LARDER_TEST_SUITE(FramingTest);

}  // namespace
}  // namespace larder::test
