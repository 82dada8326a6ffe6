// The cache as a client sees it, against a real larderd without a Redis: hits and misses, fill
// tokens, who waits for whom, invalidation, boards and lists.
#include <fmt/format.h>

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "support/command.hpp"
#include "support/daemon_fixture.hpp"
#include "support/eventually.hpp"

namespace larder::test {
namespace {

class CacheTest : public DaemonFixture {
    CPPUNIT_TEST_SUITE(CacheTest);
    CPPUNIT_TEST(stores_and_gives_back);
    CPPUNIT_TEST(keeps_what_a_browser_would_run_harmless);
    CPPUNIT_TEST(ends_on_time);
    CPPUNIT_TEST(gives_what_is_stale_and_asks_one_to_fill);
    CPPUNIT_TEST(a_stale_fill_is_refused);
    CPPUNIT_TEST(one_fills_and_many_wait);
    CPPUNIT_TEST(who_waits_in_vain_is_told);
    CPPUNIT_TEST(the_next_fills_when_the_first_cannot);
    CPPUNIT_TEST(invalidates_by_what_is_said);
    CPPUNIT_TEST(refuses_bad_requests);
    CPPUNIT_TEST(tells_its_figures);
    CPPUNIT_TEST(is_warmed);
    CPPUNIT_TEST(boards);
    CPPUNIT_TEST(lists);
    CPPUNIT_TEST(a_stop_answers_who_waits);
    CPPUNIT_TEST_SUITE_END();

public:
    void stores_and_gives_back() {
        const Answer miss = send("GET", "/api/cache/user:1");
        CPPUNIT_ASSERT_EQUAL(404, miss.status);
        CPPUNIT_ASSERT_EQUAL(std::string("miss"), miss.header("Larder-Cache"));
        CPPUNIT_ASSERT_EQUAL(std::string("cache-miss"), miss.member("code"));
        CPPUNIT_ASSERT(!miss.header("Larder-Fill-Token").empty());
        const std::string body("a\0b\xFF", 4);
        CPPUNIT_ASSERT_EQUAL(204, put("user:1", "", "Content-Type: image/png\r\n", body));
        const Answer hit = send("GET", "/api/cache/user:1");
        CPPUNIT_ASSERT_EQUAL(200, hit.status);
        CPPUNIT_ASSERT_EQUAL(body, hit.body);
        CPPUNIT_ASSERT_EQUAL(std::string("image/png"), hit.header("Content-Type"));
        CPPUNIT_ASSERT_EQUAL(std::string("l1-hit"), hit.header("Larder-Cache"));
        CPPUNIT_ASSERT_EQUAL(std::string("0"), hit.header("Age"));
        const Answer head = send("HEAD", "/api/cache/user:1");
        CPPUNIT_ASSERT_EQUAL(200, head.status);
        CPPUNIT_ASSERT_EQUAL(std::string("4"), head.header("Content-Length"));
        put("user:1", "", "", "");
        CPPUNIT_ASSERT_EQUAL(std::string(), send("GET", "/api/cache/user:1").body);
        const std::string large(1U << 20U, 'x');
        CPPUNIT_ASSERT_EQUAL(204, put("a/b%2Fc%20d", "", "", large));
        CPPUNIT_ASSERT_EQUAL(large, send("GET", "/api/cache/a%2Fb/c%20d").body);
        CPPUNIT_ASSERT_EQUAL(std::string("application/octet-stream"),
                             send("GET", "/api/cache/a/b/c%20d").header("Content-Type"));
        CPPUNIT_ASSERT_EQUAL(413, put("larger", "", "", large + "x"));
        CPPUNIT_ASSERT_EQUAL(204, send("DELETE", "/api/cache/user:1").status);
        CPPUNIT_ASSERT_EQUAL(204, send("DELETE", "/api/cache/user:1").status);
        CPPUNIT_ASSERT_EQUAL(404, send("GET", "/api/cache/user:1").status);
    }

    void keeps_what_a_browser_would_run_harmless() {
        put("page", "", "Content-Type: text/html\r\n", "<script>1</script>");
        const Answer page = send("GET", "/api/cache/page");
        CPPUNIT_ASSERT_EQUAL(std::string("sandbox"), page.header("Content-Security-Policy"));
        CPPUNIT_ASSERT_EQUAL(std::string("nosniff"), page.header("X-Content-Type-Options"));
        put("data", "", "Content-Type: application/json\r\n", "{}");
        CPPUNIT_ASSERT_EQUAL(std::string("nosniff"),
                             send("GET", "/api/cache/data").header("X-Content-Type-Options"));
    }

    void ends_on_time() {
        put("short", "?ttl=0.3", "", "v");
        CPPUNIT_ASSERT(eventually([&] { return send("GET", "/api/cache/short").status == 404; }));
        put("aging", "?ttl=60", "", "v");
        CPPUNIT_ASSERT(
            eventually([&] { return send("GET", "/api/cache/aging").header("Age") == "1"; }));
        put("aging", "?ttl=60", "", "v");
        CPPUNIT_ASSERT_EQUAL(std::string("0"), send("GET", "/api/cache/aging").header("Age"));
    }

    void gives_what_is_stale_and_asks_one_to_fill() {
        put("k", "?ttl=0.2&stale=60", "", "old");
        Answer first;
        CPPUNIT_ASSERT(eventually([&] {
            first = send("GET", "/api/cache/k");
            return first.header("Larder-Cache") == "stale";
        }));
        CPPUNIT_ASSERT_EQUAL(200, first.status);
        CPPUNIT_ASSERT_EQUAL(std::string("old"), first.body);
        const std::string token = first.header("Larder-Fill-Token");
        CPPUNIT_ASSERT(!token.empty());
        const Answer second = send("GET", "/api/cache/k");
        CPPUNIT_ASSERT_EQUAL(std::string("stale"), second.header("Larder-Cache"));
        CPPUNIT_ASSERT_EQUAL(std::string(), second.header("Larder-Fill-Token"));
        CPPUNIT_ASSERT_EQUAL(204, put("k", "", "Larder-Fill-Token: " + token + "\r\n", "new"));
        CPPUNIT_ASSERT_EQUAL(std::string("l1-hit"),
                             send("GET", "/api/cache/k").header("Larder-Cache"));
    }

    void a_stale_fill_is_refused() {
        const auto token = [&] {
            return "Larder-Fill-Token: " +
                   send("GET", "/api/cache/user:1").header("Larder-Fill-Token") + "\r\n";
        };
        const std::string first = token(), second = token();
        CPPUNIT_ASSERT_EQUAL(204, put("user:1", "", first, "1"));
        CPPUNIT_ASSERT_EQUAL(204, put("user:1", "", second, "1"));  // nothing came between
        send("DELETE", "/api/cache/user:1");
        CPPUNIT_ASSERT_EQUAL(std::string("409 stale-fill"),
                             outcome("PUT", "/api/cache/user:1", first, "1"));
        CPPUNIT_ASSERT_EQUAL(404, send("GET", "/api/cache/user:1").status);
        for (const char* query : {"pattern=user:*", "prefix=us", "all=true"}) {
            const std::string before = token();
            send("DELETE", fmt::format("/api/cache?{}", query));
            CPPUNIT_ASSERT_EQUAL_MESSAGE(query, 409, put("user:1", "", before, "1"));
        }
        const std::string before = token();
        send("DELETE", "/api/cache?tag=users");
        send("DELETE", "/api/cache?prefix=page");
        CPPUNIT_ASSERT_EQUAL(409, put("user:1", "?tags=a,users", before, "1"));
        CPPUNIT_ASSERT_EQUAL(204, put("user:1", "?tags=a", before, "1"));
        CPPUNIT_ASSERT_EQUAL(std::string("400 invalid-fill-token"),
                             outcome("PUT", "/api/cache/k", "Larder-Fill-Token: made-up\r\n", "1"));
        restart();
        CPPUNIT_ASSERT_EQUAL(409, put("user:1", "", before, "1"));  // nobody knows any more
    }

    void one_fills_and_many_wait() {
        constexpr int kCallers = 64;
        std::atomic<int> fills{0}, good{0};
        std::vector<std::jthread> callers;
        for (int i = 0; i < kCallers; ++i) {
            callers.emplace_back([&] {
                const Answer answer = send("GET", "/api/cache/dear?wait=20");
                if (answer.status == 404) {
                    ++fills;
                    // All others wait for this one, which takes its time.
                    eventually([&] { return waiting() == kCallers - 1; });
                    put("dear", "",
                        "Larder-Fill-Token: " + answer.header("Larder-Fill-Token") + "\r\n",
                        "value");
                } else if (answer.body == "value" && answer.header("Larder-Cache") == "l1-hit") {
                    ++good;
                }
            });
        }
        callers.clear();
        CPPUNIT_ASSERT_EQUAL(1, fills.load());
        CPPUNIT_ASSERT_EQUAL(kCallers - 1, good.load());
    }

    void who_waits_in_vain_is_told() {
        CPPUNIT_ASSERT_EQUAL(404, send("GET", "/api/cache/k?wait=10").status);  // it is to fill
        const Answer late = send("GET", "/api/cache/k?wait=0.2");
        CPPUNIT_ASSERT_EQUAL(404, late.status);
        CPPUNIT_ASSERT(!late.header("Larder-Fill-Token").empty());
        CPPUNIT_ASSERT_EQUAL(
            204,
            put("k", "", "Larder-Fill-Token: " + late.header("Larder-Fill-Token") + "\r\n", "v"));
    }

    void the_next_fills_when_the_first_cannot() {
        const Answer first = send("GET", "/api/cache/k?wait=10");
        Answer second;
        std::jthread waiter([&] { second = send("GET", "/api/cache/k?wait=20"); });
        CPPUNIT_ASSERT(eventually([&] { return waiting() == 1; }));
        send("DELETE", "/api/cache/k");
        waiter.join();
        CPPUNIT_ASSERT_EQUAL(404, second.status);
        const std::string token = "Larder-Fill-Token: ";
        CPPUNIT_ASSERT_EQUAL(
            409, put("k", "", token + first.header("Larder-Fill-Token") + "\r\n", "old"));
        CPPUNIT_ASSERT_EQUAL(
            204, put("k", "", token + second.header("Larder-Fill-Token") + "\r\n", "new"));
    }

    void invalidates_by_what_is_said() {
        for (const char* key : {"user:1", "user:2", "user:11", "page:1"}) {
            put(key, std::string("?tags=t,") + key[0], "", "v");
        }
        CPPUNIT_ASSERT_EQUAL(std::string(R"({"removed":2})"),
                             send("DELETE", "/api/cache?pattern=user:%3F").body);
        CPPUNIT_ASSERT_EQUAL(std::string(R"({"removed":1})"),
                             send("DELETE", "/api/cache?tag=u").body);
        CPPUNIT_ASSERT_EQUAL(200, send("GET", "/api/cache/page:1").status);
        CPPUNIT_ASSERT_EQUAL(std::string(R"({"removed":0})"),
                             send("DELETE", "/api/cache?prefix=user").body);
        CPPUNIT_ASSERT_EQUAL(std::string(R"({"removed":1})"),
                             send("DELETE", "/api/cache?all=true").body);
        CPPUNIT_ASSERT_EQUAL(404, send("GET", "/api/cache/page:1").status);
    }

    void refuses_bad_requests() {
        for (const char* target :
             {"/api/cache", "/api/cache?all=false", "/api/cache?prefix=", "/api/cache?all=yes",
              "/api/cache?tag=a&prefix=b", "/api/cache?all=true&tag=a", "/api/cache?x=1"}) {
            CPPUNIT_ASSERT_EQUAL_MESSAGE(target, std::string("400 invalid-parameter"),
                                         outcome("DELETE", target));
        }
        for (const char* query :
             {"?ttl=0", "?ttl=-1", "?ttl=x", "?ttl=1e99", "?stale=-1", "?tags=a,,b", "?tags=a%20b",
              "?tags=1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17", "?wait=1"}) {
            CPPUNIT_ASSERT_EQUAL_MESSAGE(
                query, std::string("400 invalid-parameter"),
                outcome("PUT", std::string("/api/cache/k") + query, "", "v"));
        }
        CPPUNIT_ASSERT_EQUAL(std::string("400 invalid-parameter"),
                             outcome("GET", "/api/cache/k?wait=31"));
        CPPUNIT_ASSERT_EQUAL(std::string("400 invalid-key"), outcome("GET", "/api/cache/%FF"));
        CPPUNIT_ASSERT_EQUAL(std::string("400 invalid-key"),
                             outcome("PUT", "/api/cache/" + std::string(1025, 'k'), "", "v"));
        CPPUNIT_ASSERT_EQUAL(std::string("400 condition-not-supported"),
                             outcome("PUT", "/api/cache/k", "If-Match: \"1\"\r\n", "v"));
        // What is the cache's own is no key, however it is written.
        CPPUNIT_ASSERT_EQUAL(405, send("PUT", "/api/cache/stats", "", "v").status);
        CPPUNIT_ASSERT_EQUAL(405, send("PUT", "/api/cache/%73tats", "", "v").status);
        CPPUNIT_ASSERT_EQUAL(405, send("PUT", "/api/cache/lists/l", "", "v").status);
        CPPUNIT_ASSERT_EQUAL(400, send("PUT", "/api/cache/leaderboards", "", "v").status);
        CPPUNIT_ASSERT_EQUAL(400, send("PUT", "/api/cache/lists%2Fl", "", "v").status);
        CPPUNIT_ASSERT_EQUAL(204, send("PUT", "/api/cache/statistics", "", "v").status);
        CPPUNIT_ASSERT_EQUAL(404, send("GET", "/api/cache/").status);
    }

    void tells_its_figures() {
        send("GET", "/api/cache/k");
        put("k", "", "", "v");
        send("GET", "/api/cache/k");
        send("GET", "/api/cache/k");
        const std::string stats = send("GET", "/api/cache/stats").body;
        for (const char* part : {R"("l1":{"hits":2,)", R"("misses":1,)", R"("entries":1,)",
                                 R"("configured":false,"state":"none")"}) {
            CPPUNIT_ASSERT_MESSAGE(stats, stats.find(part) != std::string::npos);
        }
        const std::string page = send("GET", "/metrics").body;
        CPPUNIT_ASSERT(page.find("larder_cache_hits_total{tier=\"l1\"} 2") != std::string::npos ||
                       page.find("tier=\"l1\"") != std::string::npos);
    }

    void is_warmed() {
        CPPUNIT_ASSERT_EQUAL(201, send("PUT", "/api/kv/server_config/port",
                                       "Content-Type: application/json\r\n", "8080")
                                      .status);
        const Answer uploaded =
            send("POST", "/api/programs", "Content-Type: multipart/form-data; boundary=XX\r\n",
                 "--XX\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.sh\"\r\n\r\n"
                 "echo\r\n--XX--\r\n");
        CPPUNIT_ASSERT_EQUAL_MESSAGE(uploaded.body, 201, uploaded.status);
        const std::string id = uploaded.member("program_id");
        send("DELETE", "/api/cache?all=true");
        const std::string dry = send("POST", "/api/cache/warm?dry_run=true").body;
        CPPUNIT_ASSERT_EQUAL(std::string(R"({"warmed":2,"dry_run":true,"missing":[]})"), dry);
        CPPUNIT_ASSERT_EQUAL(404, send("GET", "/api/cache/server_config").status);
        CPPUNIT_ASSERT_EQUAL(400, send("POST", "/api/cache/warm?dry_run=perhaps").status);
        const Ran told =
            run({DaemonProcess::larderctl(), "--url",
                 fmt::format("http://127.0.0.1:{}", daemon_->port()), "cache", "warm"});
        CPPUNIT_ASSERT_EQUAL_MESSAGE(told.err, 0, told.exit);
        CPPUNIT_ASSERT_EQUAL(std::string("2 entries stored\n"), told.out);
        CPPUNIT_ASSERT_EQUAL(std::string(R"({"port":8080})"),
                             send("GET", "/api/cache/server_config").body);
        CPPUNIT_ASSERT_EQUAL(send("GET", "/api/programs/" + id).body,
                             send("GET", "/api/cache/program:" + id).body);
        CPPUNIT_ASSERT_EQUAL(200, send("POST", "/api/plugins/programs/disable").status);
        CPPUNIT_ASSERT_EQUAL(std::string(R"({"warmed":1,"dry_run":false,"missing":["programs"]})"),
                             send("POST", "/api/cache/warm").body);
        CPPUNIT_ASSERT_EQUAL(202, send("POST", "/api/scheduler/jobs/cache.warm/run").status);
    }

    void boards() {
        const std::string at = "/api/cache/leaderboards/games";
        CPPUNIT_ASSERT_EQUAL(std::string(R"({"items":[],"next":null})"), send("GET", at).body);
        CPPUNIT_ASSERT_EQUAL(std::string(R"({"member":"ann","score":1,"rank":1})"),
                             send("POST", at, "", R"({"member":"ann","by":1})").body);
        CPPUNIT_ASSERT_EQUAL(std::string(R"({"member":"bob","score":9.5,"rank":1})"),
                             send("POST", at, "", R"({"member":"bob","score":9.5})").body);
        CPPUNIT_ASSERT_EQUAL(
            std::string(R"({"items":[{"member":"bob","score":9.5,"rank":1}],"next":null})"),
            send("GET", at + "?top=1").body);
        CPPUNIT_ASSERT_EQUAL(std::string(R"({"member":"ann","score":1,"rank":2})"),
                             send("GET", at + "/ann").body);
        send("POST", at, "", R"({"member":"a/b","score":-1})");
        CPPUNIT_ASSERT_EQUAL(std::string(R"({"member":"a/b","score":-1,"rank":3})"),
                             send("GET", at + "/a%2Fb").body);
        CPPUNIT_ASSERT_EQUAL(std::string("404 member-not-found"), outcome("GET", at + "/cid"));
        const Answer page = send("GET", at + "?limit=2");
        CPPUNIT_ASSERT(page.body.find("bob") != std::string::npos &&
                       page.body.find("a/b") == std::string::npos);
        CPPUNIT_ASSERT_EQUAL(
            std::string(R"({"items":[{"member":"a/b","score":-1,"rank":3}],"next":null})"),
            send("GET", at + "?limit=1&cursor=" + page.member("next")).body);
        CPPUNIT_ASSERT(send("GET", at).body.ends_with(R"("rank":3}],"next":null})"));
        CPPUNIT_ASSERT_EQUAL(std::string("400 invalid-cursor"), outcome("GET", at + "?cursor=x"));
        CPPUNIT_ASSERT_EQUAL(std::string("400 invalid-parameter"),
                             outcome("GET", at + "?limit=1001"));
        CPPUNIT_ASSERT_EQUAL(std::string("400 invalid-parameter"),
                             outcome("GET", at + "?top=1&limit=1"));
        CPPUNIT_ASSERT_EQUAL(std::string("400 invalid-parameter"),
                             outcome("GET", at + "?top=1&cursor=" + page.member("next")));
        for (const char* body :
             {R"({"member":"a"})", R"({"member":"a","by":1,"score":1})", R"({"by":1})",
              R"({"member":"","by":1})", R"({"member":1,"by":1})", R"({"member":"a","by":"1"})",
              R"({"member":"a","by":1e999})", R"({"member":"a","by":1,"x":1})", R"([])"}) {
            CPPUNIT_ASSERT_EQUAL_MESSAGE(body, std::string("422 invalid-field"),
                                         outcome("POST", at, "", body));
        }
        CPPUNIT_ASSERT_EQUAL(std::string("400 invalid-json"), outcome("POST", at, "", "{"));
        CPPUNIT_ASSERT_EQUAL(std::string("400 invalid-parameter"), outcome("GET", at + "?top=0"));
        CPPUNIT_ASSERT_EQUAL(std::string("400 invalid-name"),
                             outcome("GET", "/api/cache/leaderboards/a%20b"));
        CPPUNIT_ASSERT_EQUAL(204, send("DELETE", at).status);
        CPPUNIT_ASSERT_EQUAL(std::string("404 board-not-found"), outcome("DELETE", at));
    }

    void lists() {
        const std::string at = "/api/cache/lists/recent";
        CPPUNIT_ASSERT_EQUAL(std::string(R"({"items":[],"next":null})"), send("GET", at).body);
        const Answer first = send("POST", at, "", R"({"value":{"a": [1.50]}})");
        CPPUNIT_ASSERT_EQUAL(201, first.status);
        CPPUNIT_ASSERT_EQUAL(std::string(R"({"length":1})"), first.body);
        send("POST", at, "", R"({"value":"two"})");
        CPPUNIT_ASSERT_EQUAL(std::string(R"({"length":2})"),
                             send("POST", at + "?keep=2", "", R"({"value":3})").body);
        CPPUNIT_ASSERT_EQUAL(std::string(R"({"items":[3,"two"],"next":null})"),
                             send("GET", at).body);
        const Answer page = send("GET", at + "?limit=1");
        CPPUNIT_ASSERT(page.body.starts_with(R"({"items":[3],"next":")"));
        send("POST", at + "?keep=3", "", R"({"value":4})");  // moves none of the rest
        CPPUNIT_ASSERT_EQUAL(std::string(R"({"items":["two"],"next":null})"),
                             send("GET", at + "?limit=1&cursor=" + page.member("next")).body);
        CPPUNIT_ASSERT_EQUAL(std::string("400 invalid-cursor"), outcome("GET", at + "?cursor=x"));
        CPPUNIT_ASSERT_EQUAL(std::string("400 invalid-parameter"), outcome("GET", at + "?limit=0"));
        CPPUNIT_ASSERT_EQUAL(201, send("POST", at + "?keep=1", "", R"({"value":null})").status);
        CPPUNIT_ASSERT_EQUAL(std::string(R"({"items":[null],"next":null})"), send("GET", at).body);
        CPPUNIT_ASSERT_EQUAL(std::string("422 invalid-field"), outcome("POST", at, "", "{}"));
        CPPUNIT_ASSERT_EQUAL(std::string("400 invalid-parameter"),
                             outcome("POST", at + "?keep=0", "", R"({"value":1})"));
        CPPUNIT_ASSERT_EQUAL(
            413, send("POST", at, "", "{\"value\":\"" + std::string(70'000, 'x') + "\"}").status);
        CPPUNIT_ASSERT_EQUAL(204, send("DELETE", at).status);
    }

    void a_stop_answers_who_waits() {
        send("GET", "/api/cache/k?wait=20");
        Answer answer;
        std::jthread waiter([&] { answer = send("GET", "/api/cache/k?wait=20"); });
        CPPUNIT_ASSERT(eventually([&] { return waiting() == 1; }));
        CPPUNIT_ASSERT_EQUAL(200, send("POST", "/api/plugins/cache/disable").status);
        waiter.join();
        CPPUNIT_ASSERT_EQUAL(404, answer.status);
        CPPUNIT_ASSERT_EQUAL(std::string("503 plugin-disabled"), outcome("GET", "/api/sessions/x"));
    }

private:
    int put(const std::string& key, const std::string& query, const std::string& headers,
            const std::string& body) {
        return send("PUT", "/api/cache/" + key + query, headers, body).status;
    }
    int waiting() {
        const std::string stats = send("GET", "/api/cache/stats").body;
        const std::string before = R"("fills":{"waiting":)";
        const std::size_t at = stats.find(before);
        return at == std::string::npos ? -1 : std::stoi(stats.substr(at + before.size()));
    }
};

LARDER_TEST_SUITE(CacheTest);

}  // namespace
}  // namespace larder::test
