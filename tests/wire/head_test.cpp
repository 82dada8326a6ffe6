// Malformed and hostile request heads (RFC 9112 §2-5): each gets its refusal, closes its connection
// and disturbs nobody. Framing of bodies is framing_test.cpp's.
//
// Contents: request lines, versions, targets · fields · hosts · lengths · what is lawful · cuts.
#include <fmt/format.h>

#include <memory>

#include "support/suite.hpp"
#include "support/wire_daemon.hpp"

namespace larder::test {
namespace {

const std::string kHost = "Host: localhost\r\n";

class HeadTest : public CppUnit::TestFixture {
    CPPUNIT_TEST_SUITE(HeadTest);
    CPPUNIT_TEST(refuses_malformed_request_lines);
    CPPUNIT_TEST(refuses_versions_it_does_not_speak);
    CPPUNIT_TEST(judges_targets);
    CPPUNIT_TEST(refuses_malformed_fields);
    CPPUNIT_TEST(judges_hosts);
    CPPUNIT_TEST(refuses_what_is_too_long);
    CPPUNIT_TEST(takes_odd_but_lawful_heads);
    CPPUNIT_TEST(judges_expectations);
    CPPUNIT_TEST(judges_a_head_the_same_however_it_is_cut);
    CPPUNIT_TEST(refuses_a_head_cut_by_its_sender);
    CPPUNIT_TEST(closes_silently_what_said_nothing);
    CPPUNIT_TEST(ends_well);
    CPPUNIT_TEST_SUITE_END();

public:
    void refuses_malformed_request_lines() {
        daemon().expect({
            {"no version, as 0.9 had it", "GET /healthz\r\n\r\n", 400, "bad-request"},
            {"a method alone", "GET\r\n\r\n", 400, "bad-request"},
            {"two blanks before the target", "GET  /healthz HTTP/1.1\r\n" + kHost + "\r\n", 400,
             "bad-request"},
            {"two blanks before the version", "GET /healthz  HTTP/1.1\r\n" + kHost + "\r\n", 400,
             "bad-request"},
            {"tabs between the parts", "GET\t/healthz\tHTTP/1.1\r\n" + kHost + "\r\n", 400,
             "bad-request"},
            {"a blank behind the version", "GET /healthz HTTP/1.1 \r\n" + kHost + "\r\n", 400,
             "bad-request"},
            {"a blank before the method", " GET /healthz HTTP/1.1\r\n" + kHost + "\r\n", 400,
             "bad-request"},
            {"a method that is no token", "G(T /healthz HTTP/1.1\r\n" + kHost + "\r\n", 400,
             "bad-request"},
            {"a method with a colon", "GET: /healthz HTTP/1.1\r\n" + kHost + "\r\n", 400,
             "bad-request"},
            {"no method", "/healthz HTTP/1.1\r\n" + kHost + "\r\n", 400, "bad-request"},
            {"a TLS hello", std::string("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 11), 400,
             "bad-request"},
            {"noise", "\xff\xfe\xfd\r\n\r\n", 400, "bad-request"},
            {"three empty lines first", "\r\n\r\n\r\nGET /healthz HTTP/1.1\r\n" + kHost + "\r\n",
             400, "bad-request"},
            {"LF alone behind the request line", "GET /healthz HTTP/1.1\n" + kHost + "\r\n", 400,
             "bad-request"},
            {"LF alone throughout", "GET /healthz HTTP/1.1\nHost: localhost\n\n", 400,
             "bad-request"},
            {"CR alone in the request line", "GET /healthz\rHTTP/1.1\r\n" + kHost + "\r\n", 400,
             "bad-request"},
            {"NUL in the request line",
             std::string("GET /healthz\0 HTTP/1.1\r\n", 24) + kHost + "\r\n", 400, "bad-request"},
            {"the answer of a server", "HTTP/1.1 200 OK\r\n" + kHost + "\r\n", 400, "bad-request"},
        });
    }

    void refuses_versions_it_does_not_speak() {
        const auto with = [](const std::string& version) {
            return fmt::format("GET /healthz {}\r\n{}\r\n", version, kHost);
        };
        daemon().expect({
            {"0.9", with("HTTP/0.9"), 505, "http-version"},
            {"1.2", with("HTTP/1.2"), 505, "http-version"},
            {"2.0", with("HTTP/2.0"), 505, "http-version"},
            {"HTTP/2's own opening", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505, "http-version"},
            {"small letters", with("http/1.1"), 400, "bad-request"},
            {"one digit", with("HTTP/1"), 400, "bad-request"},
            {"too many digits", with("HTTP/1.10"), 400, "bad-request"},
            {"another protocol", with("ICAP/1.0"), 400, "bad-request"},
            {"letters for digits", with("HTTP/x.y"), 400, "bad-request"},
        });
    }

    void judges_targets() {
        const auto get = [](const std::string& target) { return text_of("GET", target); };
        daemon().expect({
            {"a fragment", get("/healthz#top"), 400, "bad-request"},
            {"no leading slash", get("healthz"), 400, "bad-request"},
            {"a blank within", get("/health z"), 400, "bad-request"},
            {"DEL within", get("/health\x7fz"), 400, "bad-request"},
            {"a control byte within", get("/health\x01z"), 400, "bad-request"},
            {"asterisk for GET", get("*"), 400, "bad-request"},
            {"asterisk for OPTIONS", text_of("OPTIONS", "*"), 204, "", After::keeps},
            {"authority form", text_of("CONNECT", "localhost:443"), 400, "bad-request"},
            {"CONNECT to a path", text_of("CONNECT", "/healthz"), 405, "method-not-allowed",
             After::keeps},
            {"TRACE", text_of("TRACE", "/healthz"), 405, "method-not-allowed", After::keeps},
            {"a method nobody knows", text_of("BREW", "/healthz"), 405, "method-not-allowed",
             After::keeps},
            {"a method in small letters", text_of("get", "/healthz"), 405, "method-not-allowed",
             After::keeps},
            {"absolute form", get("http://localhost/healthz"), 200, "", After::keeps},
            {"absolute form beside another Host",
             "GET http://localhost/healthz HTTP/1.1\r\nHost: evil.example\r\n\r\n", 200, "",
             After::keeps},
            {"absolute form to another host", get("http://evil.example/healthz"), 421,
             "misdirected", After::keeps},
            {"absolute form without an authority", get("http:///healthz"), 400, "bad-request"},
            {"absolute form of another scheme", get("ftp://localhost/healthz"), 400, "bad-request"},
            {"absolute form with user and password", get("http://a:b@localhost/healthz"), 400,
             "bad-request"},
            {"dots are no way up", get("/api/../healthz"), 404, "not-found", After::keeps},
            {"nor are they encoded", get("/%2e%2e/%2e%2e/etc/passwd"), 404, "not-found",
             After::keeps},
            {"two slashes", get("//healthz"), 404, "not-found", After::keeps},
            {"a slash too many", get("/healthz/"), 404, "not-found", After::keeps},
            {"an encoded NUL", get("/api/kv/storage/a%00b"), 400, "bad-request", After::keeps},
            {"half an escape", get("/api/kv/storage/a%4"), 400, "bad-request", After::keeps},
            {"no hex in an escape", get("/api/kv/storage/a%zz"), 400, "bad-request", After::keeps},
            {"an encoded slash in a fixed part", get("/api%2Fkv/storage"), 404, "not-found",
             After::keeps},
        });
    }

    void refuses_malformed_fields() {
        const auto with = [](const std::string& field) {
            return text_of("GET", "/healthz", field);
        };
        daemon().expect({
            {"a folded line", with("X-A: b\r\n c\r\n"), 400, "bad-request"},
            {"a line folded with a tab", with("X-A: b\r\n\tc\r\n"), 400, "bad-request"},
            {"a blank before the first field", "GET /healthz HTTP/1.1\r\n Host: localhost\r\n\r\n",
             400, "bad-request"},
            {"a blank before the colon", with("X-A : b\r\n"), 400, "bad-request"},
            {"a tab before the colon", with("X-A\t: b\r\n"), 400, "bad-request"},
            {"an empty name", with(": b\r\n"), 400, "bad-request"},
            {"a blank in a name", with("X A: b\r\n"), 400, "bad-request"},
            {"a name beyond ASCII", with("X-\xc3\xa4: b\r\n"), 400, "bad-request"},
            {"brackets in a name", with("X[0]: b\r\n"), 400, "bad-request"},
            {"a line without a colon", with("X-A\r\n"), 400, "bad-request"},
            {"NUL in a value", with(std::string("X-A: b\0c\r\n", 10)), 400, "bad-request"},
            {"NUL in a name", with(std::string("X\0A: b\r\n", 8)), 400, "bad-request"},
            {"a control byte in a value",
             with("X-A: b\x01"
                  "c\r\n"),
             400, "bad-request"},
            {"DEL in a value",
             with("X-A: b\x7f"
                  "c\r\n"),
             400, "bad-request"},
            {"CR alone in a value", with("X-A: b\rX-B: c\r\n"), 400, "bad-request"},
            {"LF alone behind a field", with("X-A: b\nX-B: c\r\n"), 400, "bad-request"},
            {"LF alone at the head's end", "GET /healthz HTTP/1.1\r\n" + kHost + "\n", 400,
             "bad-request"},
            {"CR alone at the head's end", "GET /healthz HTTP/1.1\r\n" + kHost + "\rX", 400,
             "bad-request"},
        });
    }

    void judges_hosts() {
        const auto with = [](const std::string& hosts) {
            return fmt::format("GET /healthz HTTP/1.1\r\n{}\r\n", hosts);
        };
        daemon().expect({
            {"none", with(""), 400, "bad-request"},
            {"two", with("Host: localhost\r\nHost: evil.example\r\n"), 400, "bad-request"},
            {"the same twice", with("Host: localhost\r\nHost: localhost\r\n"), 400, "bad-request"},
            {"empty", with("Host:\r\n"), 400, "bad-request"},
            {"two in one", with("Host: localhost, evil.example\r\n"), 400, "bad-request"},
            {"with a path", with("Host: localhost/healthz\r\n"), 400, "bad-request"},
            {"with a scheme", with("Host: http://localhost\r\n"), 400, "bad-request"},
            {"with a user", with("Host: me@localhost\r\n"), 400, "bad-request"},
            {"with a port too high", with("Host: localhost:65536\r\n"), 400, "bad-request"},
            {"with a port that is none", with("Host: localhost:8o8o\r\n"), 400, "bad-request"},
            {"with two ports", with("Host: localhost:80:80\r\n"), 400, "bad-request"},
            {"half a bracket", with("Host: [::1\r\n"), 400, "bad-request"},
            {"text behind the bracket", with("Host: [::1]x\r\n"), 400, "bad-request"},
            {"a stranger", with("Host: evil.example\r\n"), 421, "misdirected", After::keeps},
            {"one that begins well", with("Host: localhost.evil.example\r\n"), 421, "misdirected",
             After::keeps},
            {"one that begins as an address", with("Host: 127.0.0.1.evil.example\r\n"), 421,
             "misdirected", After::keeps},
            {"an address that is not ours", with("Host: 192.0.2.1\r\n"), 421, "misdirected",
             After::keeps},
            {"an address with a port", with("Host: 127.0.0.1:1\r\n"), 200, "", After::keeps},
            {"capitals", with("Host: LOCALHOST\r\n"), 200, "", After::keeps},
            {"IPv6", with("Host: [::1]:80\r\n"), 200, "", After::keeps},
            {"below localhost", with("Host: a.localhost\r\n"), 200, "", After::keeps},
        });
    }

    void refuses_what_is_too_long() {
        std::string many;
        for (int i = 0; i < 101; ++i) many += fmt::format("X-{}: y\r\n", i);
        std::string fields;
        while (fields.size() < (32U << 10U)) fields += "X-A: " + std::string(1000, 'a') + "\r\n";
        daemon().expect({
            {"a target of 8 KiB and one", text_of("GET", "/" + std::string(8192, 'a')), 414,
             "target-too-long"},
            {"a target of 8 KiB", text_of("GET", "/" + std::string(8191, 'a')), 404, "not-found",
             After::keeps},
            {"a target without end", "GET /" + std::string(100000, 'a'), 414, "target-too-long"},
            {"a method without end", std::string(100000, 'G'), 414, "target-too-long"},
            {"a hundred and one fields besides Host", text_of("GET", "/healthz", many), 431,
             "headers-too-large"},
            {"one field of 33 KiB",
             text_of("GET", "/healthz", "X-A: " + std::string(33U << 10U, 'a') + "\r\n"), 431,
             "headers-too-large"},
            {"many fields of 33 KiB together", text_of("GET", "/healthz", fields), 431,
             "headers-too-large"},
            {"a name without end", "GET /healthz HTTP/1.1\r\n" + std::string(100000, 'a'), 431,
             "headers-too-large"},
            {"a head of 31 KiB",
             text_of("GET", "/healthz", "X-A: " + std::string(31U << 10U, 'a') + "\r\n"), 200, "",
             After::keeps},
        });
    }

    void takes_odd_but_lawful_heads() {
        const auto with = [](const std::string& field) {
            return text_of("GET", "/healthz", field);
        };
        daemon().expect({
            {"an empty line first", "\r\nGET /healthz HTTP/1.1\r\n" + kHost + "\r\n", 200, "",
             After::keeps},
            {"an empty value", with("X-A:\r\n"), 200, "", After::keeps},
            {"no blank behind the colon", with("X-A:b\r\n"), 200, "", After::keeps},
            {"tabs around a value", with("X-A:\t b \t\r\n"), 200, "", After::keeps},
            {"Latin-1 in a value", with("X-A: \xe4\r\n"), 200, "", After::keeps},
            {"a comma-separated Connection", with("Connection: keep-alive, close\r\n"), 200, "",
             After::closes},
            {"an Upgrade nobody takes", with("Connection: Upgrade\r\nUpgrade: websocket\r\n"), 200,
             "", After::keeps},
            {"HTTP/2 offered in clear",
             with("Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
                  "HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n"),
             200, "", After::keeps},
            {"encoded words stay as they are",
             with("X-Request-Id: =?utf-8?Q?=0d=0aX-Evil:_1?=\r\n"), 200, "", After::keeps},
            {"HTTP/1.0", "GET /healthz HTTP/1.0\r\n\r\n", 200, "", After::closes},
            {"HTTP/1.0 with keep-alive",
             "GET /healthz HTTP/1.0\r\nHost: localhost\r\nConnection: keep-alive\r\n\r\n", 200, "",
             After::keeps},
            {"HTTP/1.0 that expects", "GET /healthz HTTP/1.0\r\nExpect: 100-continue\r\n\r\n", 200,
             "", After::closes},
        });
    }

    void judges_expectations() {
        daemon().expect({
            {"of something else", text_of("GET", "/healthz", "Expect: 200-ok\r\n"), 417,
             "expectation-failed"},
            {"of two things", text_of("GET", "/healthz", "Expect: 100-continue, x\r\n"), 417,
             "expectation-failed"},
            {"twice",
             text_of("GET", "/healthz", "Expect: 100-continue\r\nExpect: 100-continue\r\n"), 417,
             "expectation-failed"},
            {"in capitals", text_of("GET", "/healthz", "Expect: 100-CONTINUE\r\n"), 200, "",
             After::keeps},
        });
    }

    // What is refused must not depend on where the network cut it.
    void judges_a_head_the_same_however_it_is_cut() {
        const std::vector<Case> table = {
            {"good", text_of("GET", "/healthz", "X-A: b\r\n"), 200, "", After::keeps},
            {"folded", text_of("GET", "/healthz", "X-A: b\r\n c\r\n"), 400, "bad-request"},
            {"bare LF", "GET /healthz HTTP/1.1\r\nHost: localhost\n\r\n", 400, "bad-request"},
            {"bare CR", "GET /healthz HTTP/1.1\r\nHost: localhost\rX\r\n\r\n", 400, "bad-request"},
        };
        for (const Case& given : table) {
            for (std::size_t cut = 1; cut < given.bytes.size(); ++cut) {
                RawClient client(daemon().port());
                client.send(given.bytes.substr(0, cut));
                client.send(given.bytes.substr(cut));
                const std::string where = fmt::format("{} cut at {}", given.name, cut);
                CPPUNIT_ASSERT_EQUAL_MESSAGE(where, given.status, client.read_answer().status);
            }
        }
        CPPUNIT_ASSERT_EQUAL(std::string(), daemon().fault_of_service());
    }

    void refuses_a_head_cut_by_its_sender() {
        for (const char* text :
             {"G", "GET /healthz HTTP/1.1", "GET /healthz HTTP/1.1\r\nHost: localhost\r\n",
              "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r"}) {
            RawClient client(daemon().port());
            client.send(text);
            client.half_close();
            const Answer answer = client.read_answer();
            CPPUNIT_ASSERT_EQUAL_MESSAGE(text, 400, answer.status);
            CPPUNIT_ASSERT_EQUAL(std::string("bad-request"), answer.member("code"));
            CPPUNIT_ASSERT(client.is_closed());
        }
        CPPUNIT_ASSERT_EQUAL(std::string(), daemon().fault_of_service());
    }

    void closes_silently_what_said_nothing() {
        for (const char* text : {"", "\r\n", "\r\n\r\n"}) {
            RawClient client(daemon().port());
            client.send(text);
            client.half_close();
            CPPUNIT_ASSERT_MESSAGE("an answer to nothing", client.is_closed());
        }
        CPPUNIT_ASSERT_EQUAL(std::string(), daemon().fault_of_service());
    }

    void ends_well() {
        CPPUNIT_ASSERT_EQUAL(std::string(), daemon().fault_of_end());
        slot().reset();
    }

private:
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

LARDER_TEST_SUITE(HeadTest);

}  // namespace
}  // namespace larder::test
