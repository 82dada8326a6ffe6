// What every route owes every client, well-behaved or not: HEAD, OPTIONS, 404, 405, 503, request
// ids, guards against web pages, pipelining, and connections that end in odd ways.
//
// Contents: methods · refusals · request ids · other sites · a plugin that is off · pipelines and
// ends · too many connections.
#include <fmt/format.h>

#include <memory>
#include <regex>
#include <set>

#include "support/problem.hpp"
#include "support/suite.hpp"
#include "support/wire_daemon.hpp"

namespace larder::test {
namespace {

const std::string kKey = "/api/kv/storage/manners";

class MannersTest : public CppUnit::TestFixture {
    CPPUNIT_TEST_SUITE(MannersTest);
    CPPUNIT_TEST(answers_head_as_get_without_the_body);
    CPPUNIT_TEST(tells_what_a_path_takes);
    CPPUNIT_TEST(every_refusal_is_a_problem);
    CPPUNIT_TEST(gives_each_request_an_id);
    CPPUNIT_TEST(echoes_nothing_into_the_head);
    CPPUNIT_TEST(keeps_other_sites_out);
    CPPUNIT_TEST(lets_its_own_pages_in);
    CPPUNIT_TEST(takes_names_the_admin_allows);
    CPPUNIT_TEST(answers_for_a_plugin_that_is_off);
    CPPUNIT_TEST(answers_pipelined_requests_in_order);
    CPPUNIT_TEST(a_refusal_ends_the_pipeline);
    CPPUNIT_TEST(answers_a_client_that_half_closed);
    CPPUNIT_TEST(survives_resets_at_every_byte);
    CPPUNIT_TEST(turns_away_what_is_too_many);
    CPPUNIT_TEST(ends_well);
    CPPUNIT_TEST_SUITE_END();

public:
    void answers_head_as_get_without_the_body() {
        request(port(), "PUT", kKey, {}, "{\"a\":1}");
        for (const std::string& target :
             {kKey, std::string("/healthz"), std::string("/api/status"), std::string("/nothing"),
              std::string("/api/kv/storage?all=true"), kKey + "?nonsense=1"}) {
            RawClient client(port());
            const Answer get = client.request("GET", target);
            const Answer head = client.request("HEAD", target);
            CPPUNIT_ASSERT_EQUAL_MESSAGE(target, get.status, head.status);
            CPPUNIT_ASSERT_MESSAGE(target, head.body.empty());
            CPPUNIT_ASSERT_EQUAL(get.header("Content-Type"), head.header("Content-Type"));
            CPPUNIT_ASSERT_EQUAL(get.header("ETag"), head.header("ETag"));
            CPPUNIT_ASSERT_EQUAL(get.header("Transfer-Encoding"), head.header("Transfer-Encoding"));
            if (target == kKey) {
                CPPUNIT_ASSERT_EQUAL(std::string("7"), head.header("Content-Length"));
            }
            CPPUNIT_ASSERT_EQUAL(200, client.request("GET", "/healthz").status);
        }
    }

    void tells_what_a_path_takes() {
        const auto allow = [&](const std::string& method, const std::string& target) {
            const Answer answer = request(port(), method, target);
            return fmt::format("{} {}", answer.status, answer.header("Allow"));
        };
        CPPUNIT_ASSERT_EQUAL(std::string("204 GET, HEAD, OPTIONS"), allow("OPTIONS", "/healthz"));
        CPPUNIT_ASSERT_EQUAL(std::string("405 GET, HEAD, OPTIONS"), allow("POST", "/healthz"));
        CPPUNIT_ASSERT_EQUAL(std::string("405 POST, OPTIONS"), allow("GET", "/api/reload"));
        CPPUNIT_ASSERT_EQUAL(std::string("405 POST, OPTIONS"), allow("HEAD", "/api/reload"));
        CPPUNIT_ASSERT_EQUAL(std::string("404 "), allow("OPTIONS", "/nothing"));
        CPPUNIT_ASSERT_EQUAL(std::string("204 OPTIONS"), allow("OPTIONS", "*"));
        const std::string keys = allow("OPTIONS", kKey);
        for (const char* method : {"GET", "HEAD", "PUT", "DELETE", "OPTIONS"}) {
            CPPUNIT_ASSERT_MESSAGE(keys, keys.find(method) != std::string::npos);
        }
    }

    void every_refusal_is_a_problem() {
        slot()->expect({
            {"404", text_of("GET", "/nothing"), 404, "not-found", After::keeps},
            {"404 below a route", text_of("GET", "/healthz/more"), 404, "not-found", After::keeps},
            {"404 beside a prefix", text_of("GET", "/api/kvx"), 404, "not-found", After::keeps},
            {"405", text_of("DELETE", "/healthz"), 405, "method-not-allowed", After::keeps},
            {"415", text_of("PUT", kKey, "Content-Type: text/plain\r\nContent-Length: 1\r\n", "1"),
             415, "unsupported-media-type", After::keeps},
            {"an unknown parameter", text_of("GET", kKey + "?nonsense=1"), 400, "invalid-parameter",
             After::keeps},
            {"a parameter where there are none", text_of("GET", "/healthz?a=1"), 400,
             "invalid-parameter", After::keeps},
            {"a malformed parameter", text_of("GET", "/api/kv/storage?limit=%zz"), 400,
             "invalid-parameter", After::keeps},
            {"NUL in a parameter", text_of("GET", "/api/kv/storage?prefix=a%00"), 400,
             "invalid-parameter", After::keeps},
            {"a condition nobody judges",
             text_of("PUT", kKey, "If-Modified-Since: x\r\nContent-Length: 1\r\n", "1"), 400,
             "condition-not-supported", After::keeps},
            {"If-Range on a change", text_of("DELETE", kKey, "If-Range: \"1\"\r\n"), 400,
             "condition-not-supported", After::keeps},
            {"no JSON", text_of("PUT", kKey, "Content-Length: 1\r\n", "}"), 400, "invalid-json",
             After::keeps},
            {"no body", text_of("PUT", kKey), 400, "invalid-json", After::keeps},
        });
        const Answer unknown = request(port(), "GET", kKey + "?a%22b=1");
        CPPUNIT_ASSERT_MESSAGE(unknown.body,
                               unknown.body.find(R"("parameter":"a\"b")") != std::string::npos);
    }

    void gives_each_request_an_id() {
        const auto id = [&](const std::string& fields) {
            return request(port(), "GET", "/healthz", fields).header("X-Request-Id");
        };
        for (const std::string& given :
             {std::string("a"), std::string("A-b_c.9"), std::string(64, 'x')}) {
            CPPUNIT_ASSERT_EQUAL(given, id("X-Request-Id: " + given + "\r\n"));
        }
        static const std::regex kMade("[0-9a-f]{16}");
        for (const std::string& given :
             {std::string(), std::string(65, 'x'), std::string("a b"), std::string("a\"b"),
              std::string("a/b"), std::string("a\tb"), std::string("\xc3\xa4"),
              std::string("<script>"), std::string("a,b"), std::string("%0d%0aX-Evil:1")}) {
            const std::string made = id("X-Request-Id: " + given + "\r\n");
            CPPUNIT_ASSERT_MESSAGE(fmt::format("{} gave {}", given, made),
                                   std::regex_match(made, kMade));
        }
        std::set<std::string> made;
        for (int i = 0; i < 100; ++i) made.insert(id({}));
        CPPUNIT_ASSERT_EQUAL(std::size_t{100}, made.size());
        const Answer refused = request(port(), "GET", "/nothing", "X-Request-Id: mine\r\n");
        CPPUNIT_ASSERT_EQUAL(std::string("mine"), refused.header("X-Request-Id"));
        CPPUNIT_ASSERT_EQUAL(std::string("mine"), refused.member("request_id"));
    }

    // Nothing a client sends may come back as a header line of its own.
    void echoes_nothing_into_the_head() {
        const std::string evil = "%0d%0aSet-Cookie:%20a=b";
        for (const std::string& text :
             {text_of("GET", "/api/kv/storage/" + evil), text_of("GET", "/" + evil),
              text_of("GET", fmt::format("{}?{}=1", kKey, evil)), text_of("GET", "/api/kv/" + evil),
              text_of("GET", "/healthz",
                      "X-Request-Id: a\x0b"
                      "b\r\n"),
              text_of("GET", "/api/kv/storage?cursor=" + evil)}) {
            RawClient client(port());
            client.send(text);
            const Answer answer = client.read_answer();
            CPPUNIT_ASSERT_MESSAGE(text, answer.status >= 400);
            CPPUNIT_ASSERT_EQUAL(std::string(), answer.header("Set-Cookie"));
            CPPUNIT_ASSERT_EQUAL(std::string(), fault_of_problem(answer));
        }
    }

    void keeps_other_sites_out() {
        const auto change = [](const std::string& fields) {
            return text_of("PUT", kKey, fields + "Content-Length: 1\r\n", "9");
        };
        const std::string own = fmt::format("http://localhost:{}", port());
        request(port(), "PUT", kKey, {}, "1");
        slot()->expect({
            {"another site", change("Origin: https://evil.example\r\n"), 403, "cross-site",
             After::keeps},
            {"a sandboxed page", change("Origin: null\r\n"), 403, "cross-site", After::keeps},
            {"no origin at all but the field", change("Origin:\r\n"), 403, "cross-site",
             After::keeps},
            {"our name over https", change("Origin: https://localhost\r\n"), 403, "cross-site",
             After::keeps},
            {"our name on another port", change("Origin: http://localhost:1\r\n"), 403,
             "cross-site", After::keeps},
            {"two origins", change(fmt::format("Origin: {} https://evil.example\r\n", own)), 403,
             "cross-site", After::keeps},
            {"the browser says so", change("Sec-Fetch-Site: cross-site\r\n"), 403, "cross-site",
             After::keeps},
            {"the browser says so of our own",
             change("Origin: http://localhost\r\n"
                    "Sec-Fetch-Site: Cross-Site\r\n"),
             403, "cross-site", After::keeps},
            {"a method nobody knows", text_of("BREW", kKey, "Origin: https://evil.example\r\n"),
             403, "cross-site", After::keeps},
            {"DELETE", text_of("DELETE", kKey, "Origin: https://evil.example\r\n"), 403,
             "cross-site", After::keeps},
            {"a rebound name",
             "PUT " + kKey + " HTTP/1.1\r\nHost: rebound.example\r\nContent-Length: 1\r\n\r\n9",
             421, "misdirected", After::keeps},
            {"a rebound name that only reads",
             "GET " + kKey + " HTTP/1.1\r\nHost: rebound.example\r\n\r\n", 421, "misdirected",
             After::keeps},
        });
        CPPUNIT_ASSERT_EQUAL(std::string("1"), request(port(), "GET", kKey).body);
    }

    void lets_its_own_pages_in() {
        const std::string host = fmt::format("localhost:{}", port());
        const auto status = [&](const std::string& fields) {
            RawClient client(port());
            client.send(fmt::format("PUT {} HTTP/1.1\r\nHost: {}\r\n{}Content-Length: 1\r\n\r\n2",
                                    kKey, host, fields));
            return client.read_answer().status;
        };
        request(port(), "PUT", kKey, {}, "1");
        CPPUNIT_ASSERT_EQUAL(200, status({}));
        CPPUNIT_ASSERT_EQUAL(200, status(fmt::format("Origin: http://{}\r\n", host)));
        CPPUNIT_ASSERT_EQUAL(200, status("Sec-Fetch-Site: same-origin\r\n"));
        CPPUNIT_ASSERT_EQUAL(200, status("Sec-Fetch-Site: none\r\n"));
        CPPUNIT_ASSERT_EQUAL(200,
                             request(port(), "GET", kKey, "Origin: https://a.example\r\n").status);
    }

    void takes_names_the_admin_allows() {
        const WireDaemon other({{"LARDER_HTTP_ALLOWED_HOSTS", "larder.example, Data.Example"},
                                {"LARDER_HTTP_ALLOWED_ORIGINS", "https://Admin.example"}});
        const auto put = [](const std::string& host, const std::string& fields) {
            return fmt::format("PUT {} HTTP/1.1\r\nHost: {}\r\n{}Content-Length: 1\r\n\r\n1", kKey,
                               host, fields);
        };
        other.expect({
            {"an allowed name", put("larder.example", {}), 201, "", After::keeps},
            {"in capitals, with a port", put("DATA.example:8080", {}), 200, "", After::keeps},
            {"below an allowed name", put("a.larder.example", {}), 421, "misdirected",
             After::keeps},
            {"an allowed origin", put("localhost", "Origin: https://admin.example\r\n"), 200, "",
             After::keeps},
            {"an allowed origin from afar",
             put("localhost", "Origin: https://admin.example\r\nSec-Fetch-Site: cross-site\r\n"),
             200, "", After::keeps},
            {"the same name over http", put("localhost", "Origin: http://admin.example\r\n"), 403,
             "cross-site", After::keeps},
            {"a longer name", put("localhost", "Origin: https://admin.example.evil\r\n"), 403,
             "cross-site", After::keeps},
        });
    }

    void answers_for_a_plugin_that_is_off() {
        TemporaryFolder folder;
        DaemonProcess off(
            {folder.path(), {}, {{"LARDER_KV_ENABLED", "false"}}, {}, true, true, {}});
        for (const char* method : {"GET", "PUT", "DELETE", "PATCH"}) {
            for (const char* target : {"/api/kv", "/api/kv/storage/a", "/api/kv/x?y=z"}) {
                const Answer answer = request(off.port(), method, target);
                CPPUNIT_ASSERT_EQUAL_MESSAGE(target, 503, answer.status);
                CPPUNIT_ASSERT_EQUAL(std::string("plugin-disabled"), answer.member("code"));
                CPPUNIT_ASSERT_EQUAL(std::string(), fault_of_problem(answer));
                CPPUNIT_ASSERT_MESSAGE(answer.body, answer.member("reason").find(
                                                        "enabled = false") != std::string::npos);
            }
        }
        CPPUNIT_ASSERT_EQUAL(404, request(off.port(), "GET", "/api/kvx").status);
        CPPUNIT_ASSERT_EQUAL(200, request(off.port(), "GET", "/readyz").status);
        CPPUNIT_ASSERT_EQUAL(0, off.stop());
    }

    void answers_pipelined_requests_in_order() {
        std::string text;
        for (int i = 0; i < 200; ++i) {
            const std::string value = std::to_string(i);
            text += text_of(
                "PUT", kKey,
                fmt::format("X-Request-Id: put{}\r\nContent-Length: {}\r\n", i, value.size()),
                value);
            text += text_of("GET", kKey, fmt::format("X-Request-Id: get{}\r\n", i));
            if (i % 10 == 0) text += text_of("GET", "/api/status", "X-Request-Id: slow\r\n");
        }
        RawClient client(port());
        client.send(text);
        for (int i = 0; i < 200; ++i) {
            const Answer put = client.read_answer(), get = client.read_answer();
            CPPUNIT_ASSERT_EQUAL(fmt::format("put{}", i), put.header("X-Request-Id"));
            CPPUNIT_ASSERT_EQUAL(fmt::format("get{}", i), get.header("X-Request-Id"));
            CPPUNIT_ASSERT_EQUAL(std::to_string(i), get.body);
            if (i % 10 == 0) {  // answered by a worker, and yet in its turn
                CPPUNIT_ASSERT_EQUAL(std::string("slow"),
                                     client.read_answer().header("X-Request-Id"));
            }
        }
    }

    void a_refusal_ends_the_pipeline() {
        RawClient client(port());
        client.send(text_of("GET", "/healthz") + "GET /healthz HTTP/1.1\r\nHost: a b\r\n\r\n" +
                    kSmuggled);
        CPPUNIT_ASSERT_EQUAL(200, client.read_answer().status);
        CPPUNIT_ASSERT_EQUAL(400, client.read_answer().status);
        CPPUNIT_ASSERT(client.is_closed());
        RawClient closing(port());
        closing.send(text_of("GET", "/healthz", "Connection: close\r\n") + kSmuggled);
        CPPUNIT_ASSERT_EQUAL(200, closing.read_answer().status);
        CPPUNIT_ASSERT(closing.is_closed());
        CPPUNIT_ASSERT_EQUAL(std::string(), slot()->fault_of_service());
    }

    void answers_a_client_that_half_closed() {
        for (const std::string& target :
             {std::string("/healthz"), std::string("/api/status"), kKey}) {
            RawClient client(port());
            client.send(text_of("GET", target) + text_of("GET", target));
            client.half_close();
            CPPUNIT_ASSERT_EQUAL_MESSAGE(target, 200, client.read_answer().status);
            CPPUNIT_ASSERT_EQUAL_MESSAGE(target, 200, client.read_answer().status);
            CPPUNIT_ASSERT(client.is_closed());
        }
        RawClient writer(port());
        writer.send(text_of("PUT", kKey, "Content-Length: 1\r\n", "7"));
        writer.half_close();
        CPPUNIT_ASSERT_EQUAL(200, writer.read_answer().status);
        CPPUNIT_ASSERT_EQUAL(std::string("7"), request(port(), "GET", kKey).body);
    }

    void survives_resets_at_every_byte() {
        const std::string text =
            text_of("GET", "/api/status") + text_of("PUT", kKey, "Content-Length: 3\r\n", "\"x\"");
        for (std::size_t cut = 0; cut <= text.size(); ++cut) {
            RawClient client(port());
            client.send(text.substr(0, cut));
            client.reset();
        }
        CPPUNIT_ASSERT_EQUAL(std::string(), slot()->fault_of_service());
    }

    void turns_away_what_is_too_many() {
        TemporaryFolder folder;
        DaemonProcess few(
            {folder.path(), {}, {{"LARDER_HTTP_MAX_CONNECTIONS", "4"}}, {}, true, true, {}});
        std::vector<std::unique_ptr<RawClient>> clients;
        for (int i = 0; i < 4; ++i) {
            clients.push_back(std::make_unique<RawClient>(few.port()));
            CPPUNIT_ASSERT_EQUAL(200, clients.back()->request("GET", "/healthz").status);
        }
        RawClient fifth(few.port());
        const Answer away = fifth.read_answer();  // it need not even ask
        CPPUNIT_ASSERT_EQUAL(503, away.status);
        CPPUNIT_ASSERT_EQUAL(std::string("too-many-connections"), away.member("code"));
        CPPUNIT_ASSERT_EQUAL(std::string("1"), away.header("Retry-After"));
        CPPUNIT_ASSERT_EQUAL(std::string(), fault_of_problem(away));
        CPPUNIT_ASSERT(fifth.is_closed());
        clients.pop_back();
        CPPUNIT_ASSERT(eventually([&] {
            RawClient again(few.port());
            again.send(text_of("GET", "/healthz"));
            return again.read_answer().status == 200;
        }));
        for (const auto& client : clients) {
            CPPUNIT_ASSERT_EQUAL(200, client->request("GET", "/healthz").status);
        }
        CPPUNIT_ASSERT_EQUAL(0, few.stop());
    }

    void ends_well() {
        CPPUNIT_ASSERT_EQUAL(std::string(), slot()->fault_of_end());
        slot().reset();
    }

private:
    static std::unique_ptr<WireDaemon>& slot() {
        static std::unique_ptr<WireDaemon> kept;
        if (!kept) {
            kept = std::make_unique<WireDaemon>(std::vector<std::pair<std::string, std::string>>{
                {"LARDER_HTTP_HEAD_TIMEOUT", "5s"}});
        }
        return kept;
    }
    static int port() { return slot()->port(); }
};

LARDER_TEST_SUITE(MannersTest);

}  // namespace
}  // namespace larder::test
