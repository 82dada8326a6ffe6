// kv as a client sees it, against a real larderd: values, conditions, lists, and what a restart
// shows. Bytes on disk are judged where users look at them: in the readable file.
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <regex>
#include <set>
#include <thread>
#include <vector>

#include "support/daemon_fixture.hpp"

namespace larder::test {
namespace {

class KvTest : public DaemonFixture {
    CPPUNIT_TEST_SUITE(KvTest);
    CPPUNIT_TEST(keeps_and_reads_back);
    CPPUNIT_TEST(keeps_values_to_the_byte);
    CPPUNIT_TEST(tells_new_from_replaced);
    CPPUNIT_TEST(judges_conditions_on_put);
    CPPUNIT_TEST(judges_conditions_on_delete);
    CPPUNIT_TEST(only_one_of_many_creates);
    CPPUNIT_TEST(compare_and_swap_loses_nothing);
    CPPUNIT_TEST(answers_conditional_reads);
    CPPUNIT_TEST(keeps_metadata);
    CPPUNIT_TEST(shows_the_record);
    CPPUNIT_TEST(refuses_bad_json);
    CPPUNIT_TEST(refuses_bad_keys_and_buckets);
    CPPUNIT_TEST(takes_odd_keys_as_they_are);
    CPPUNIT_TEST(lists_with_cursors);
    CPPUNIT_TEST(refuses_bad_list_parameters);
    CPPUNIT_TEST(gives_all_as_one_object);
    CPPUNIT_TEST(lists_buckets);
    CPPUNIT_TEST(makes_buckets_by_writing_alone);
    CPPUNIT_TEST(takes_large_values_and_refuses_larger);
    CPPUNIT_TEST(revisions_grow_over_deletes_and_restarts);
    CPPUNIT_TEST(survives_a_kill);
    CPPUNIT_TEST(takes_the_old_storage_as_it_is);
    CPPUNIT_TEST(takes_edits_made_while_down);
    CPPUNIT_TEST(leaves_readable_files_behind);
    CPPUNIT_TEST(an_unreadable_file_costs_one_bucket);
    CPPUNIT_TEST_SUITE_END();

public:
    void keeps_and_reads_back() {
        const Answer put = send("PUT", "/api/kv/storage/greeting", {}, R"({"hello":"world"})");
        CPPUNIT_ASSERT_EQUAL(201, put.status);
        CPPUNIT_ASSERT_EQUAL(std::string("\"1\""), put.header("ETag"));
        CPPUNIT_ASSERT_EQUAL(std::string("1-1"), put.header("Larder-Revision"));
        const std::regex form(
            R"(\{"key":"greeting","revision":1,"created_at":"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z","updated_at":"[^"]+","expires_at":null\})");
        CPPUNIT_ASSERT_MESSAGE(put.body, std::regex_match(put.body, form));
        const Answer got = send("GET", "/api/kv/storage/greeting");
        CPPUNIT_ASSERT_EQUAL(200, got.status);
        CPPUNIT_ASSERT_EQUAL(std::string(R"({"hello":"world"})"), got.body);
        CPPUNIT_ASSERT_EQUAL(std::string("application/json"), got.header("Content-Type"));
        CPPUNIT_ASSERT_EQUAL(std::string("\"1\""), got.header("ETag"));
        CPPUNIT_ASSERT(!got.header("Last-Modified").empty());
        CPPUNIT_ASSERT(!got.header("X-Request-Id").empty());
        const Answer head = send("HEAD", "/api/kv/storage/greeting");
        CPPUNIT_ASSERT_EQUAL(200, head.status);
        CPPUNIT_ASSERT_EQUAL(std::string("17"), head.header("Content-Length"));
        CPPUNIT_ASSERT_EQUAL(204, send("DELETE", "/api/kv/storage/greeting").status);
        const Answer gone = send("GET", "/api/kv/storage/greeting");
        CPPUNIT_ASSERT_EQUAL(404, gone.status);
        CPPUNIT_ASSERT_EQUAL(std::string("key-not-found"), gone.member("code"));
        CPPUNIT_ASSERT_EQUAL(404, send("DELETE", "/api/kv/storage/greeting").status);
    }

    void keeps_values_to_the_byte() {
        const std::vector<std::string> values = {"1e400",
                                                 "0.1000",
                                                 "1234567890123456789012345678901234567890",
                                                 "-0",
                                                 "-0.0e-0",
                                                 R"("\u00e9 \u0000 \/ é \ud83d\ude00")",
                                                 "null",
                                                 "true",
                                                 "[]",
                                                 "{}",
                                                 R"({"b":1,"a":[1.0,2.50],"":null})",
                                                 R"("  kept  blanks  ")"};
        for (const std::string& value : values) {
            CPPUNIT_ASSERT_EQUAL(true, send("PUT", "/api/kv/storage/v", {}, value).status < 300);
            CPPUNIT_ASSERT_EQUAL(value, send("GET", "/api/kv/storage/v").body);
        }
        send("PUT", "/api/kv/storage/v", {}, " {\n \"a\" : [ 1 , 2 ] }\t\r\n");
        CPPUNIT_ASSERT_EQUAL(std::string(R"({"a":[1,2]})"), send("GET", "/api/kv/storage/v").body);
        send("PUT", "/api/kv/storage/last", {}, "1e400");
        restart();
        CPPUNIT_ASSERT_EQUAL(std::string(R"({"a":[1,2]})"), send("GET", "/api/kv/storage/v").body);
        CPPUNIT_ASSERT_EQUAL(std::string("1e400"), send("GET", "/api/kv/storage/last").body);
    }

    void tells_new_from_replaced() {
        CPPUNIT_ASSERT_EQUAL(201, send("PUT", "/api/kv/storage/k", {}, "1").status);
        const Answer second = send("PUT", "/api/kv/storage/k", {}, "2");
        CPPUNIT_ASSERT_EQUAL(200, second.status);
        CPPUNIT_ASSERT_EQUAL(std::string("\"2\""), second.header("ETag"));
        send("DELETE", "/api/kv/storage/k");
        CPPUNIT_ASSERT_EQUAL(201, send("PUT", "/api/kv/storage/k", {}, "3").status);
    }

    void judges_conditions_on_put() {
        const auto put = [&](const std::string& headers) {
            return send("PUT", "/api/kv/storage/c", headers, "1");
        };
        const Answer absent = put("If-Match: *\r\n");
        CPPUNIT_ASSERT_EQUAL(412, absent.status);
        CPPUNIT_ASSERT_EQUAL(std::string("precondition-failed"), absent.member("code"));
        CPPUNIT_ASSERT_EQUAL(std::string("if-match"), absent.member("condition"));
        CPPUNIT_ASSERT_EQUAL(201, put("If-None-Match: *\r\n").status);
        CPPUNIT_ASSERT_EQUAL(412, put("If-None-Match: *\r\n").status);
        CPPUNIT_ASSERT_EQUAL(412, put("If-Match: \"7\"\r\n").status);
        CPPUNIT_ASSERT_EQUAL(412, put("If-Match: W/\"1\"\r\n").status);
        CPPUNIT_ASSERT_EQUAL(200, put("If-Match: \"7\", \"1\"\r\n").status);
        CPPUNIT_ASSERT_EQUAL(200, put("If-Match: *\r\n").status);
        CPPUNIT_ASSERT_EQUAL(412, put("If-None-Match: \"3\"\r\n").status);
        CPPUNIT_ASSERT_EQUAL(412,
                             put("If-Unmodified-Since: Sun, 06 Nov 1994 08:49:37 GMT\r\n").status);
        CPPUNIT_ASSERT_EQUAL(200,
                             put("If-Unmodified-Since: Fri, 01 Jan 2100 00:00:00 GMT\r\n").status);
        const Answer other = put("If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT\r\n");
        CPPUNIT_ASSERT_EQUAL(400, other.status);
        CPPUNIT_ASSERT_EQUAL(std::string("condition-not-supported"), other.member("code"));
        CPPUNIT_ASSERT_EQUAL(std::string("\"4\""), send("GET", "/api/kv/storage/c").header("ETag"));
        // Several lines are one list.
        const std::string lines = "If-None-Match: \"x\"\r\nIf-None-Match: \"4\"\r\n";
        CPPUNIT_ASSERT_EQUAL(304, send("GET", "/api/kv/storage/c", lines).status);
        CPPUNIT_ASSERT_EQUAL(412, put(lines).status);
    }

    void judges_conditions_on_delete() {
        send("PUT", "/api/kv/storage/d", {}, "1");
        CPPUNIT_ASSERT_EQUAL(412,
                             send("DELETE", "/api/kv/storage/d", "If-Match: \"9\"\r\n").status);
        CPPUNIT_ASSERT_EQUAL(200, send("GET", "/api/kv/storage/d").status);
        CPPUNIT_ASSERT_EQUAL(204,
                             send("DELETE", "/api/kv/storage/d", "If-Match: \"1\"\r\n").status);
        CPPUNIT_ASSERT_EQUAL(404,
                             send("DELETE", "/api/kv/storage/d", "If-Match: \"1\"\r\n").status);
    }

    void only_one_of_many_creates() {
        std::vector<int> statuses(16);
        {
            std::vector<std::jthread> clients;
            for (int& status : statuses) {
                clients.emplace_back([this, &status] {
                    status =
                        send("PUT", "/api/kv/storage/once", "If-None-Match: *\r\n", "1").status;
                });
            }
        }
        CPPUNIT_ASSERT_EQUAL(1L, std::count(statuses.begin(), statuses.end(), 201));
        CPPUNIT_ASSERT_EQUAL(15L, std::count(statuses.begin(), statuses.end(), 412));
    }

    void compare_and_swap_loses_nothing() {
        send("PUT", "/api/kv/storage/n", {}, "0");
        {
            std::vector<std::jthread> clients;
            for (int i = 0; i < 4; ++i) {
                clients.emplace_back([this] {
                    RawClient client(daemon_->port());
                    for (int done = 0; done < 25;) {
                        const Answer now = client.request("GET", "/api/kv/storage/n");
                        const int next = std::stoi(now.body) + 1;
                        const Answer put =
                            client.request("PUT", "/api/kv/storage/n",
                                           fmt::format("If-Match: {}\r\n", now.header("ETag")),
                                           std::to_string(next));
                        if (put.status == 200) ++done;
                    }
                });
            }
        }
        CPPUNIT_ASSERT_EQUAL(std::string("100"), send("GET", "/api/kv/storage/n").body);
    }

    void answers_conditional_reads() {
        send("PUT", "/api/kv/storage/r", {}, "1");
        const Answer fresh = send("GET", "/api/kv/storage/r");
        const Answer same = send("GET", "/api/kv/storage/r", "If-None-Match: W/\"1\"\r\n");
        CPPUNIT_ASSERT_EQUAL(304, same.status);
        CPPUNIT_ASSERT_EQUAL(std::string("\"1\""), same.header("ETag"));
        CPPUNIT_ASSERT_EQUAL(200,
                             send("GET", "/api/kv/storage/r", "If-None-Match: \"2\"\r\n").status);
        CPPUNIT_ASSERT_EQUAL(
            304, send("GET", "/api/kv/storage/r",
                      fmt::format("If-Modified-Since: {}\r\n", fresh.header("Last-Modified")))
                     .status);
        CPPUNIT_ASSERT_EQUAL(200, send("GET", "/api/kv/storage/r",
                                       "If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT\r\n")
                                      .status);
    }

    void keeps_metadata() {
        send("PUT", "/api/kv/storage/m", "Larder-Metadata: { \"owner\" : \"ann\" }\r\n", "1");
        CPPUNIT_ASSERT(
            send("GET", "/api/kv/storage/m?meta=true").body.find(R"("metadata":{"owner":"ann"})") !=
            std::string::npos);
        restart();
        CPPUNIT_ASSERT(
            send("GET", "/api/kv/storage/m?meta=true").body.find(R"("metadata":{"owner":"ann"})") !=
            std::string::npos);
        send("PUT", "/api/kv/storage/m", {}, "2");
        CPPUNIT_ASSERT(send("GET", "/api/kv/storage/m?meta=true").body.find(R"("metadata":{})") !=
                       std::string::npos);
        const auto put = [&](const std::string& metadata) {
            return send("PUT", "/api/kv/storage/m",
                        fmt::format("Larder-Metadata: {}\r\n", metadata), "3");
        };
        CPPUNIT_ASSERT_EQUAL(400, put("{oops}").status);
        CPPUNIT_ASSERT_EQUAL(422, put("[1]").status);
        CPPUNIT_ASSERT_EQUAL(413,
                             put(fmt::format("{{\"a\":\"{}\"}}", std::string(4096, 'x'))).status);
        CPPUNIT_ASSERT_EQUAL(std::string("2"), send("GET", "/api/kv/storage/m").body);
    }

    void shows_the_record() {
        send("PUT", "/api/kv/storage/rec", {}, "[1,2]");
        const Answer record = send("GET", "/api/kv/storage/rec?meta=true");
        const std::regex form(
            R"re(\{"key":"rec","value":\[1,2\],"created_at":"([^"]+)","updated_at":"([^"]+)","expires_at":null,"revision":1,"metadata":\{\}\})re");
        CPPUNIT_ASSERT_MESSAGE(record.body, std::regex_match(record.body, form));
        CPPUNIT_ASSERT_EQUAL(400, send("GET", "/api/kv/storage/rec?meta=yes").status);
    }

    void refuses_bad_json() {
        const std::vector<std::string> bad = {"",
                                              "{",
                                              "[1,]",
                                              "{\"a\":1,\"a\":2}",
                                              "01",
                                              "+1",
                                              ".5",
                                              "1.",
                                              "1e",
                                              "NaN",
                                              "nul",
                                              "'x'",
                                              "\"\\x\"",
                                              "\"\\ud800\"",
                                              "\"\\udc00x\"",
                                              "\"\xff\"",
                                              "\"\xc0\xaf\"",
                                              "\"\xed\xa0\x80\"",
                                              "\"tab\there\"",
                                              "1 2",
                                              "{\"a\" 1}",
                                              "\xEF\xBB\xBF"
                                              "1",
                                              std::string(1025, '[') + std::string(1025, ']')};
        for (const std::string& body : bad) {
            const Answer answer = send("PUT", "/api/kv/storage/bad", {}, body);
            CPPUNIT_ASSERT_EQUAL_MESSAGE(body, 400, answer.status);
            CPPUNIT_ASSERT_EQUAL(std::string("invalid-json"), answer.member("code"));
            CPPUNIT_ASSERT(answer.body.find("\"offset\":") != std::string::npos);
            CPPUNIT_ASSERT_EQUAL(std::string("application/problem+json"),
                                 answer.header("Content-Type"));
        }
        CPPUNIT_ASSERT_EQUAL(404, send("GET", "/api/kv/storage/bad").status);
        CPPUNIT_ASSERT_EQUAL(201, send("PUT", "/api/kv/storage/deep", {},
                                       std::string(1024, '[') + std::string(1024, ']'))
                                      .status);
        CPPUNIT_ASSERT_EQUAL(
            415, send("PUT", "/api/kv/storage/bad", "Content-Type: text/plain\r\n", "1").status);
        for (const char* type :
             {"application/json", "application/vnd.x+json", "application/x-www-form-urlencoded",
              "Application/JSON; charset=utf-8"}) {
            CPPUNIT_ASSERT(
                send("PUT", "/api/kv/storage/typed", fmt::format("Content-Type: {}\r\n", type), "1")
                    .status < 300);
        }
    }

    void refuses_bad_keys_and_buckets() {
        CPPUNIT_ASSERT_EQUAL(
            std::string("invalid-key"),
            send("PUT", "/api/kv/storage/" + std::string(1025, 'k'), {}, "1").member("code"));
        CPPUNIT_ASSERT_EQUAL(
            201, send("PUT", "/api/kv/storage/" + std::string(1024, 'k'), {}, "1").status);
        CPPUNIT_ASSERT_EQUAL(400, send("PUT", "/api/kv/storage/%ff", {}, "1").status);
        CPPUNIT_ASSERT_EQUAL(400, send("PUT", "/api/kv/storage/a%00b", {}, "1").status);
        CPPUNIT_ASSERT_EQUAL(400, send("PUT", "/api/kv/storage/a%zz", {}, "1").status);
        for (const char* bucket : {"Upper", "-dash", "a.b", "..", "a%2Fb"}) {
            const Answer answer = send("PUT", fmt::format("/api/kv/{}/k", bucket), {}, "1");
            CPPUNIT_ASSERT_EQUAL_MESSAGE(bucket, 400, answer.status);
            CPPUNIT_ASSERT_EQUAL(std::string("invalid-bucket"), answer.member("code"));
        }
        CPPUNIT_ASSERT_EQUAL(400,
                             send("PUT", "/api/kv/" + std::string(65, 'b') + "/k", {}, "1").status);
        CPPUNIT_ASSERT_EQUAL(404, send("GET", "/api/kv/storage/").status);
    }

    void takes_odd_keys_as_they_are() {
        send("PUT", "/api/kv/storage/a/b", {}, "1");
        CPPUNIT_ASSERT_EQUAL(std::string("1"), send("GET", "/api/kv/storage/a%2Fb").body);
        for (const char* key : {"..", ".", "a//b", "a/../b", "%20", "%C3%A9", "x/increment",
                                "a%3Fb", "a+b", "%25", "checkpoint2"}) {
            const std::string path = fmt::format("/api/kv/storage/{}", key);
            CPPUNIT_ASSERT_EQUAL_MESSAGE(key, 201,
                                         send("PUT", path, {}, fmt::format("\"{}\"", key)).status);
            CPPUNIT_ASSERT_EQUAL(fmt::format("\"{}\"", key), send("GET", path).body);
        }
        const std::string listed = send("GET", "/api/kv/storage").body;
        for (const char* key : {"\"..\"", "\".\"", "\"a//b\"", "\"a/../b\"", "\" \"", "\"é\"",
                                "\"a?b\"", "\"a+b\"", "\"%\""}) {
            CPPUNIT_ASSERT_MESSAGE(key, listed.find(key) != std::string::npos);
        }
    }

    void lists_with_cursors() {
        std::set<std::string> wanted;
        for (int i = 0; i < 25; ++i) {
            const std::string key = fmt::format("p/{:02}", i);
            wanted.insert(key);
            send("PUT", "/api/kv/storage/" + key, {}, std::to_string(i));
        }
        send("PUT", "/api/kv/storage/q", {}, "0");
        std::vector<std::string> seen;
        std::string cursor;
        int pages = 0;
        for (;;) {
            const Answer page = send("GET", "/api/kv/storage?prefix=p/&limit=10&values=true" +
                                                (cursor.empty() ? "" : "&cursor=" + cursor));
            CPPUNIT_ASSERT_EQUAL(200, page.status);
            ++pages;
            const std::regex item(R"re(\{"key":"([^"]+)","revision":\d+,"value":\d+\})re");
            for (std::sregex_iterator at(page.body.begin(), page.body.end(), item), end; at != end;
                 ++at) {
                seen.push_back((*at)[1]);
            }
            cursor = page.member("next");
            if (cursor.empty()) break;
        }
        CPPUNIT_ASSERT_EQUAL(3, pages);
        CPPUNIT_ASSERT(seen == std::vector<std::string>(wanted.begin(), wanted.end()));
        CPPUNIT_ASSERT_EQUAL(std::string(R"({"items":[],"next":null})"),
                             send("GET", "/api/kv/storage?prefix=zzz").body);
        CPPUNIT_ASSERT_EQUAL(std::string(R"({"items":[{"key":"q","revision":26}],"next":null})"),
                             send("GET", "/api/kv/storage?prefix=q").body);
    }

    void refuses_bad_list_parameters() {
        const auto code = [&](const std::string& query) {
            const Answer answer = send("GET", "/api/kv/storage?" + query);
            CPPUNIT_ASSERT_EQUAL_MESSAGE(query, 400, answer.status);
            return answer.member("code");
        };
        for (const char* query : {"limit=0", "limit=1001", "limit=-1", "limit=ten", "limit=",
                                  "limit=1e3", "nonsense=1", "values=maybe", "all=true&limit=5"}) {
            CPPUNIT_ASSERT_EQUAL(std::string("invalid-parameter"), code(query));
        }
        for (const char* query : {"cursor=", "cursor=x", "cursor=AAAAAAAA", "cursor=%2e"}) {
            CPPUNIT_ASSERT_EQUAL(std::string("invalid-cursor"), code(query));
        }
        CPPUNIT_ASSERT_EQUAL(std::string("nonsense"),
                             send("GET", "/api/kv/storage?nonsense=1").member("parameter"));
        CPPUNIT_ASSERT_EQUAL(200, send("GET", "/api/kv/storage?limit=1000").status);
    }

    void gives_all_as_one_object() {
        CPPUNIT_ASSERT_EQUAL(std::string("{}"), send("GET", "/api/kv/storage?all=true").body);
        send("PUT", "/api/kv/storage/b", {}, "[2]");
        send("PUT", "/api/kv/storage/a\"q", {}, "1");
        const Answer all = send("GET", "/api/kv/storage?all=true");
        CPPUNIT_ASSERT_EQUAL(std::string(R"({"a\"q":1,"b":[2]})"), all.body);
        CPPUNIT_ASSERT_EQUAL(std::string("1-2"), all.header("Larder-Revision"));
        const std::string big(3000, 'x');
        for (int i = 0; i < 200; ++i) {
            send("PUT", fmt::format("/api/kv/bulk/{:04}", i), {}, "\"" + big + "\"");
        }
        const Answer bulk = send("GET", "/api/kv/bulk?all=true");
        CPPUNIT_ASSERT_EQUAL(static_cast<std::size_t>(200 * (3000 + 2 + 6 + 1 + 1) + 1),
                             bulk.body.size());
    }

    void lists_buckets() {
        const Answer fresh = send("GET", "/api/kv");
        for (const char* file : {"storage.json", "config/feature_flags.json",
                                 "config/server_config.json", "config/user_preferences.json"}) {
            CPPUNIT_ASSERT(fresh.body.find(fmt::format("\"file\":\"{}\"", file)) !=
                           std::string::npos);
        }
        send("PUT", "/api/kv/mine/key", {}, "12");
        const Answer after = send("GET", "/api/kv?limit=1000");
        CPPUNIT_ASSERT_MESSAGE(
            after.body,
            after.body.find(
                R"({"bucket":"mine","file":"kv/mine.json","keys":1,"bytes":5,"revision":1,"epoch":1})") !=
                std::string::npos);
        const Answer one = send("GET", "/api/kv?limit=1");
        CPPUNIT_ASSERT(!one.member("next").empty());
    }

    void makes_buckets_by_writing_alone() {
        for (const char* path : {"/api/kv/none", "/api/kv/none/key"}) {
            const Answer answer = send("GET", path);
            CPPUNIT_ASSERT_EQUAL(404, answer.status);
            CPPUNIT_ASSERT_EQUAL(std::string("bucket-not-found"), answer.member("code"));
        }
        CPPUNIT_ASSERT_EQUAL(404, send("DELETE", "/api/kv/none/key").status);
        CPPUNIT_ASSERT_EQUAL(412, send("PUT", "/api/kv/none/k", "If-Match: *\r\n", "1").status);
        CPPUNIT_ASSERT_EQUAL(400, send("PUT", "/api/kv/none/k", {}, "{").status);
        CPPUNIT_ASSERT_EQUAL(404, send("GET", "/api/kv/none").status);
        CPPUNIT_ASSERT_EQUAL(201, send("PUT", "/api/kv/none/k", {}, "1").status);
        CPPUNIT_ASSERT_EQUAL(200, send("GET", "/api/kv/none").status);
        send("DELETE", "/api/kv/none/k");
        CPPUNIT_ASSERT_EQUAL(200, send("GET", "/api/kv/none").status);
        CPPUNIT_ASSERT_EQUAL(std::string("key-not-found"),
                             send("GET", "/api/kv/none/k").member("code"));
        CPPUNIT_ASSERT_EQUAL(200, send("GET", "/api/kv/feature_flags").status);
    }

    void takes_large_values_and_refuses_larger() {
        const std::string most = "\"" + std::string((1U << 20U) - 2, 'y') + "\"";
        CPPUNIT_ASSERT_EQUAL(201, send("PUT", "/api/kv/storage/big", {}, most).status);
        CPPUNIT_ASSERT_EQUAL(most, send("GET", "/api/kv/storage/big").body);
        const Answer refused = send("PUT", "/api/kv/storage/big", {}, most + " ");
        CPPUNIT_ASSERT_EQUAL(413, refused.status);
        CPPUNIT_ASSERT(refused.body.find("\"limit\":1048576") != std::string::npos);
        std::string broken = most;
        broken.back() = 'y';
        CPPUNIT_ASSERT_EQUAL(400, send("PUT", "/api/kv/storage/big", {}, broken).status);
        restart();
        CPPUNIT_ASSERT_EQUAL(most, send("GET", "/api/kv/storage/big").body);
    }

    void revisions_grow_over_deletes_and_restarts() {
        send("PUT", "/api/kv/storage/a", {}, "1");
        send("DELETE", "/api/kv/storage/a");
        restart();
        const Answer put = send("PUT", "/api/kv/storage/a", {}, "1");
        CPPUNIT_ASSERT_EQUAL(201, put.status);
        CPPUNIT_ASSERT_EQUAL(std::string("1-3"), put.header("Larder-Revision"));
        daemon_->kill();
        start();
        CPPUNIT_ASSERT_EQUAL(std::string("\"4\""),
                             send("PUT", "/api/kv/storage/b", {}, "1").header("ETag"));
    }

    void survives_a_kill() {
        for (int i = 0; i < 50; ++i) {
            send("PUT", fmt::format("/api/kv/storage/{}", i), {}, std::to_string(i));
        }
        send("DELETE", "/api/kv/storage/7");
        daemon_->kill();
        start();
        CPPUNIT_ASSERT_EQUAL(404, send("GET", "/api/kv/storage/7").status);
        for (int i = 8; i < 50; ++i) {
            CPPUNIT_ASSERT_EQUAL(std::to_string(i),
                                 send("GET", fmt::format("/api/kv/storage/{}", i)).body);
        }
    }

    void takes_the_old_storage_as_it_is() {
        daemon_->stop();
        std::filesystem::remove_all(folder_->path());
        write_file(folder_->path() + "/storage.json",
                   "{\n  \"user_preferences\": {\n    \"theme\": \"dark\"\n  },\n  \"n\": 1.50\n}");
        write_file(folder_->path() + "/config/feature_flags.json", R"({"on": true})");
        start();
        CPPUNIT_ASSERT_EQUAL(std::string(R"({"theme":"dark"})"),
                             send("GET", "/api/kv/storage/user_preferences").body);
        CPPUNIT_ASSERT_EQUAL(std::string("1.50"), send("GET", "/api/kv/storage/n").body);
        CPPUNIT_ASSERT_EQUAL(std::string("true"), send("GET", "/api/kv/feature_flags/on").body);
        CPPUNIT_ASSERT_EQUAL(200, send("PUT", "/api/kv/storage/n", {}, "2").status);
    }

    void takes_edits_made_while_down() {
        send("PUT", "/api/kv/storage/kept", {}, "1");
        send("PUT", "/api/kv/storage/edited", {}, "1");
        send("PUT", "/api/kv/storage/removed", {}, "1");
        CPPUNIT_ASSERT_EQUAL(0, daemon_->stop());
        write_file(folder_->path() + "/storage.json",
                   R"({"kept": 1, "edited": "by hand", "new": [true]})");
        start();
        CPPUNIT_ASSERT_EQUAL(std::string(R"("by hand")"),
                             send("GET", "/api/kv/storage/edited").body);
        CPPUNIT_ASSERT_EQUAL(404, send("GET", "/api/kv/storage/removed").status);
        CPPUNIT_ASSERT_EQUAL(std::string("[true]"), send("GET", "/api/kv/storage/new").body);
        const Answer kept = send("GET", "/api/kv/storage/kept");
        CPPUNIT_ASSERT_EQUAL(std::string("\"1\""), kept.header("ETag"));
        CPPUNIT_ASSERT_EQUAL(std::string("2-4"), kept.header("Larder-Revision"));
        CPPUNIT_ASSERT(daemon_->wait_for_log("edited"));
    }

    void leaves_readable_files_behind() {
        send("PUT", "/api/kv/storage/b", {}, R"({"x":1})");
        send("PUT", "/api/kv/storage/a", {}, "1");
        CPPUNIT_ASSERT_EQUAL(0, daemon_->stop());
        CPPUNIT_ASSERT_EQUAL(std::string("{\n\"a\": 1,\n\"b\": {\"x\":1}\n}\n"),
                             read_file(folder_->path() + "/storage.json"));
        CPPUNIT_ASSERT(!std::filesystem::exists(folder_->path() + "/storage.json.journal"));
        start();
    }

    void an_unreadable_file_costs_one_bucket() {
        daemon_->stop();
        write_file(folder_->path() + "/kv/broken.json", "{\"a\": ");
        start();
        CPPUNIT_ASSERT_EQUAL(201, send("PUT", "/api/kv/storage/a", {}, "1").status);
        CPPUNIT_ASSERT_EQUAL(503, send("GET", "/api/kv/broken/a").status);
        CPPUNIT_ASSERT_EQUAL(503, send("PUT", "/api/kv/broken/a", {}, "1").status);
        const Answer ready = send("GET", "/readyz");
        CPPUNIT_ASSERT_EQUAL(503, ready.status);
        CPPUNIT_ASSERT(ready.body.find("broken") != std::string::npos);
        CPPUNIT_ASSERT_EQUAL(std::string("{\"a\": "),
                             read_file(folder_->path() + "/kv/broken.json"));
    }
};

LARDER_TEST_SUITE(KvTest);

}  // namespace
}  // namespace larder::test
