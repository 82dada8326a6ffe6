// Whatever is wrong with a request to kv is named, in the one form of problems, and changes
// nothing; and what is wrong with a bucket's files is told, and costs no more than writing to that
// bucket.
#include <fmt/format.h>

#include <filesystem>
#include <vector>

#include "support/daemon_fixture.hpp"
#include "support/problem.hpp"

namespace larder::test {
namespace {

constexpr const char* kNone = "";
constexpr const char* kMerge = "Content-Type: application/merge-patch+json\r\n";
constexpr const char* kPatch = "Content-Type: application/json-patch+json\r\n";

struct Case {
    const char* method;
    std::string target;
    const char* headers;
    std::string body;
    const char* wanted;
};

class KvBadInputTest : public DaemonFixture {
    CPPUNIT_TEST_SUITE(KvBadInputTest);
    CPPUNIT_TEST(names_what_is_wrong_and_changes_nothing);
    CPPUNIT_TEST(no_route_takes_wrong_json);
    CPPUNIT_TEST(cuts_a_torn_tail_and_serves_on);
    CPPUNIT_TEST(damage_costs_the_bucket_its_writes);
    CPPUNIT_TEST_SUITE_END();

public:
    void names_what_is_wrong_and_changes_nothing() {
        send("PUT", "/api/kv/storage/k", {}, R"({"a":[1]})");
        const std::string long_key(1025, 'k');
        const std::string over = "\"" + std::string(1U << 20U, 'x') + "\"";
        const std::vector<Case> cases = {
            {"PUT", "/api/kv/storage/" + long_key, kNone, "1", "400 invalid-key"},
            {"PUT", "/api/kv/storage/%ff%fe", kNone, "1", "400 invalid-key"},
            {"PUT", "/api/kv/storage/%00", kNone, "1", "400 bad-request"},
            {"PUT", "/api/kv/storage/%zz", kNone, "1", "400 bad-request"},
            {"PUT", "/api/kv/-bad/k", kNone, "1", "400 invalid-bucket"},
            {"PUT", "/api/kv/" + std::string(65, 'b') + "/k", kNone, "1", "400 invalid-bucket"},
            {"PUT", "/api/kv/storage/k?ttl=-1", kNone, "1", "400 invalid-parameter"},
            {"PUT", "/api/kv/storage/k?tll=1", kNone, "1", "400 invalid-parameter"},
            {"PUT", "/api/kv/storage/k?ttl=%ff", kNone, "1", "400 invalid-parameter"},
            {"PUT", "/api/kv/storage/k", kNone, over, "413 body-too-large"},
            {"PUT", "/api/kv/storage/k", "Content-Type: text/html\r\n", "1",
             "415 unsupported-media-type"},
            {"PUT", "/api/kv/storage/k", "Larder-Metadata: {\r\n", "1", "400 invalid-json"},
            {"PUT", "/api/kv/storage/k", "Larder-Metadata: \"m\"\r\n", "1", "422 invalid-field"},
            {"PUT", "/api/kv/storage/k", "If-Range: \"1\"\r\n", "1", "400 condition-not-supported"},
            {"PUT", "/api/kv/storage/k", "If-Unmodified-Since: soon\r\n", "1", "400 bad-request"},
            {"DELETE", "/api/kv/storage/k", "If-Unmodified-Since: 2026-11-22T15:26:28Z\r\n", "",
             "400 bad-request"},
            {"DELETE", "/api/kv/storage/k", "Content-Type: text/plain\r\n", "x",
             "415 unsupported-media-type"},
            {"POST", "/api/kv/storage/checkpoint", "Content-Type: text/plain\r\n", "x",
             "415 unsupported-media-type"},
            {"PATCH", "/api/kv/storage/k", "Content-Type: application/json\r\n", "{}",
             "415 unsupported-media-type"},
            {"PATCH", "/api/kv/storage/k", kMerge, "", "400 invalid-json"},
            {"PATCH", "/api/kv/storage/k", kPatch, R"([{"op":"add","path":"a","value":1}])",
             "422 invalid-patch"},
            {"PATCH", "/api/kv/storage/k", kPatch, R"([{"op":"add","path":"/a/9","value":1}])",
             "409 patch-failed"},
            {"PATCH", "/api/kv/storage/k", kPatch, R"([{"op":"test","path":"","value":1}])",
             "409 patch-test-failed"},
            {"PATCH", "/api/kv/storage/k", kPatch, R"([{"op":"remove","path":"/a"},7])",
             "422 invalid-patch"},
            {"GET", "/api/kv/storage/k?pointer=a", kNone, "", "400 invalid-parameter"},
            {"GET", "/api/kv/storage/k?pointer=/a/~", kNone, "", "400 invalid-parameter"},
            {"GET", "/api/kv/storage/k?pointer=%ff", kNone, "", "400 invalid-parameter"},
            {"GET", "/api/kv/storage/k?pointer=/a/1", kNone, "", "404 pointer-not-found"},
            {"GET", "/api/kv/storage/k?meta=1", kNone, "", "400 invalid-parameter"},
            {"GET", "/api/kv/storage?cursor=AAAA", kNone, "", "400 invalid-cursor"},
            {"GET", "/api/kv/storage?limit=99999999999999999999", kNone, "",
             "400 invalid-parameter"},
            {"GET", "/api/kv/storage?limit=1&limit=2", kNone, "", "400 invalid-parameter"},
            {"PUT", "/api/kv/storage/k?ttl=5&ttl=100", kNone, "1", "400 invalid-parameter"},
            {"DELETE", "/api/kv/storage?confirm=storage&confirm=x", kNone, "",
             "400 invalid-parameter"},
            {"GET", "/api/kv/storage?where=/a", kNone, "", "400 invalid-parameter"},
            {"GET", "/api/kv/storage?watch=true&since=now", kNone, "", "400 invalid-parameter"},
            {"GET", "/api/kv?cursor=x", kNone, "", "400 invalid-cursor"},
            {"POST", "/api/kv/storage/k/increment", kNone, "", "409 not-a-number"},
            {"POST", "/api/kv/storage/n/increment", kNone, R"({"by":1e30})", "422 invalid-field"},
            {"POST", "/api/kv/storage/n/increment?by=1", kNone, "", "400 invalid-parameter"},
            {"POST", "/api/kv/storage", kNone, R"({"ops":[{"op":"set","key":"n"}]})",
             "422 invalid-field"},
            {"POST", "/api/kv/storage", kNone, R"({"ops":[{"op":"delete","key":"k"}],"ops":[]})",
             "400 invalid-json"},
            {"DELETE", "/api/kv/storage", kNone, "", "400 invalid-parameter"},
            {"DELETE", "/api/kv/storage?confirm=Storage", kNone, "", "400 invalid-parameter"},
            {"DELETE", "/api/kv/storage/none", kNone, "", "404 key-not-found"},
            {"PUT", "/api/kv/storage", kNone, "1", "405 method-not-allowed"},
            {"POST", "/api/kv/storage/k", kNone, "1", "405 method-not-allowed"},
            {"PUT", "/api/kv", kNone, "1", "405 method-not-allowed"},
        };
        for (const Case& one : cases) {
            const std::string what = fmt::format("{} {:.80}", one.method, one.target);
            const Answer answer = send(one.method, one.target, one.headers, one.body);
            CPPUNIT_ASSERT_EQUAL_MESSAGE(
                what, std::string(one.wanted),
                fmt::format("{} {}", answer.status, answer.member("code")));
            CPPUNIT_ASSERT_EQUAL_MESSAGE(what, std::string(), fault_of_problem(answer));
        }
        CPPUNIT_ASSERT_EQUAL(std::string("1-1"),
                             send("GET", "/api/kv/storage").header("Larder-Revision"));
        CPPUNIT_ASSERT_EQUAL(std::string(R"({"a":[1]})"), send("GET", "/api/kv/storage/k").body);
    }

    void no_route_takes_wrong_json() {
        send("PUT", "/api/kv/storage/k", {}, "{}");
        const std::string deep = std::string(10'000, '[') + std::string(10'000, ']');
        const std::vector<std::string> wrong = {"{",
                                                "[1,]",
                                                "{\"a\":1,\"a\":1}",
                                                "{\"a\":1,\"\\u0061\":1}",
                                                "\"\xff\"",
                                                "\"\\ud800\"",
                                                "01",
                                                "NaN",
                                                "1 1",
                                                "\xEF\xBB\xBF{}",
                                                "{\"a\":\"\x01\"}",
                                                deep};
        const std::vector<Case> routes = {
            {"PUT", "/api/kv/storage/k", kNone, "", ""},
            {"PATCH", "/api/kv/storage/k", kMerge, "", ""},
            {"PATCH", "/api/kv/storage/k", kPatch, "", ""},
            {"POST", "/api/kv/storage/n/increment", kNone, "", ""},
            {"POST", "/api/kv/storage", kNone, "", ""},
        };
        for (const Case& route : routes) {
            for (const std::string& body : wrong) {
                const Answer answer = send(route.method, route.target, route.headers, body);
                const std::string what =
                    fmt::format("{} {} {:.40}", route.method, route.target, body);
                CPPUNIT_ASSERT_EQUAL_MESSAGE(what, 400, answer.status);
                CPPUNIT_ASSERT_EQUAL(std::string("invalid-json"), answer.member("code"));
                CPPUNIT_ASSERT_MESSAGE(what, answer.body.find("\"offset\":") != std::string::npos);
            }
        }
        CPPUNIT_ASSERT_EQUAL(std::string("1-1"),
                             send("GET", "/api/kv/storage").header("Larder-Revision"));
    }

    void cuts_a_torn_tail_and_serves_on() {
        send("PUT", "/api/kv/mine/a", {}, "1");
        send("PUT", "/api/kv/mine/b", {}, "2");
        daemon_->kill();
        std::string journal = read_file(*folder_ / "kv/mine.json.journal");
        const std::size_t end = journal.find('\0');
        journal.replace(end - 6, 6, 6, '\0');
        write_file(*folder_ / "kv/mine.json.journal", journal);
        start();
        CPPUNIT_ASSERT(daemon_->wait_for_log("cut off"));
        CPPUNIT_ASSERT_EQUAL(std::string("1"), send("GET", "/api/kv/mine/a").body);
        CPPUNIT_ASSERT_EQUAL(std::string("404 key-not-found"), outcome("GET", "/api/kv/mine/b"));
        CPPUNIT_ASSERT_EQUAL(200, send("GET", "/readyz").status);
        CPPUNIT_ASSERT_EQUAL(std::string("\"2\""),
                             send("PUT", "/api/kv/mine/b", {}, "3").header("ETag"));
    }

    void damage_costs_the_bucket_its_writes() {
        for (const char* key : {"a", "b", "c"}) {
            send("PUT", fmt::format("/api/kv/mine/{}", key), {}, "1");
        }
        daemon_->kill();
        const std::string path = *folder_ / "kv/mine.json.journal";
        std::string journal = read_file(path);
        journal[journal.find("\"b\"") + 1] = 'x';
        write_file(path, journal);
        start();
        CPPUNIT_ASSERT_EQUAL(std::string("1"), send("GET", "/api/kv/mine/a").body);
        const std::vector<Case> writes = {
            {"PUT", "/api/kv/mine/a", kNone, "2", ""},
            {"PATCH", "/api/kv/mine/a", kMerge, "2", ""},
            {"DELETE", "/api/kv/mine/a", kNone, "", ""},
            {"POST", "/api/kv/mine/n/increment", kNone, "", ""},
            {"POST", "/api/kv/mine", kNone, R"({"ops":[{"op":"delete","key":"a"}]})", ""},
            {"POST", "/api/kv/mine/checkpoint", kNone, "", ""},
            {"DELETE", "/api/kv/mine?confirm=mine", kNone, "", ""},
        };
        for (const Case& write : writes) {
            CPPUNIT_ASSERT_EQUAL_MESSAGE(
                fmt::format("{} {}", write.method, write.target), std::string("503 read-only"),
                outcome(write.method, write.target, write.headers, write.body));
        }
        CPPUNIT_ASSERT_EQUAL(std::string("1"), send("GET", "/api/kv/mine/a").body);
        CPPUNIT_ASSERT_EQUAL(journal, read_file(path));
        const Answer ready = send("GET", "/readyz");
        CPPUNIT_ASSERT_EQUAL(503, ready.status);
        CPPUNIT_ASSERT(ready.body.find("read-only") != std::string::npos);
        CPPUNIT_ASSERT(ready.body.find("mine") != std::string::npos);
        CPPUNIT_ASSERT_EQUAL(std::string("201"), outcome("PUT", "/api/kv/storage/a", {}, "1"));
        CPPUNIT_ASSERT_EQUAL(0, daemon_->stop());
        CPPUNIT_ASSERT_EQUAL(journal, read_file(path));
        start();
    }
};

LARDER_TEST_SUITE(KvBadInputTest);

}  // namespace
}  // namespace larder::test
