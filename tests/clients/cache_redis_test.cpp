// Two larderd on one real Redis: what they share, what they hear of each other, and what their
// clients see when Redis is killed, stopped, flushed, or wants a password.
#include <fmt/format.h>

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "support/daemon_process.hpp"
#include "support/eventually.hpp"
#include "support/raw_client.hpp"
#include "support/redis_server.hpp"
#include "support/suite.hpp"
#include "support/temporary_folder.hpp"

namespace larder::test {
namespace {

class Instance {
public:
    explicit Instance(const std::string& url) {
        DaemonOptions options;
        options.data_directory = folder_.path();
        options.environment = {{"LARDER_CACHE_REDIS_URL", url},
                               {"LARDER_CACHE_REDIS_TIMEOUT", "1s"}};
        daemon_ = std::make_unique<DaemonProcess>(std::move(options));
    }
    Answer send(std::string_view method, const std::string& target, std::string_view headers = {},
                std::string_view body = {}) const {
        return request(daemon_->port(), method, target, headers, body);
    }
    bool becomes(const std::string& state) const {
        return eventually([&] {
            return send("GET", "/api/cache/stats").body.find("\"state\":\"" + state + "\"") !=
                   std::string::npos;
        });
    }
    DaemonProcess& process() { return *daemon_; }

private:
    TemporaryFolder folder_;
    std::unique_ptr<DaemonProcess> daemon_;
};

class CacheRedisTest : public CppUnit::TestFixture {
    CPPUNIT_TEST_SUITE(CacheRedisTest);
    CPPUNIT_TEST(two_daemons_share_one_cache);
    CPPUNIT_TEST(a_fill_begun_here_may_end_there);
    CPPUNIT_TEST(what_is_stale_is_filled_anew);
    CPPUNIT_TEST(sessions_limits_and_boards_are_shared);
    CPPUNIT_TEST(no_request_fails_when_redis_is_killed);
    CPPUNIT_TEST(a_stopped_redis_is_told_of);
    CPPUNIT_TEST(a_wrong_password_is_told_of);
    CPPUNIT_TEST(a_url_that_is_none_is_refused_without_showing_it);
    CPPUNIT_TEST_SUITE_END();

public:
    void setUp() override { redis_ = std::make_unique<RedisServer>(); }
    void tearDown() override { redis_.reset(); }

    void two_daemons_share_one_cache() {
        const Instance one(redis_->url()), two(redis_->url());
        CPPUNIT_ASSERT_EQUAL(204, one.send("PUT", "/api/cache/k?tags=t", "", "1").status);
        CPPUNIT_ASSERT_EQUAL(std::string("l1-hit"), cached(one.send("GET", "/api/cache/k")));
        const Answer there = two.send("GET", "/api/cache/k");
        CPPUNIT_ASSERT_EQUAL(std::string("l2-hit"), cached(there));
        CPPUNIT_ASSERT_EQUAL(std::string("1"), there.body);
        CPPUNIT_ASSERT(
            eventually([&] { return cached(two.send("GET", "/api/cache/k")) == "l1-hit"; }));
        one.send("PUT", "/api/cache/k", "", "2");
        CPPUNIT_ASSERT(eventually([&] { return two.send("GET", "/api/cache/k").body == "2"; }));
        two.send("DELETE", "/api/cache/k");
        CPPUNIT_ASSERT(eventually([&] { return one.send("GET", "/api/cache/k").status == 404; }));
        for (const char* what : {"tag=t", "prefix=user:", "pattern=*:1", "all=true"}) {
            one.send("PUT", "/api/cache/user:1?tags=t", "", "1");
            two.send("GET", "/api/cache/user:1");
            CPPUNIT_ASSERT_EQUAL(std::string(R"({"removed":1})"),
                                 one.send("DELETE", std::string("/api/cache?") + what).body);
            CPPUNIT_ASSERT(
                eventually([&] { return two.send("GET", "/api/cache/user:1").status == 404; }));
        }
    }

    void a_fill_begun_here_may_end_there() {
        const Instance one(redis_->url()), two(redis_->url());
        const auto token = [&] {
            return "Larder-Fill-Token: " +
                   one.send("GET", "/api/cache/k").header("Larder-Fill-Token") + "\r\n";
        };
        const std::string first = token();
        CPPUNIT_ASSERT_EQUAL(204, two.send("PUT", "/api/cache/k", first, "1").status);
        two.send("DELETE", "/api/cache/k");
        CPPUNIT_ASSERT_EQUAL(409, one.send("PUT", "/api/cache/k", first, "1").status);
    }

    void what_is_stale_is_filled_anew() {
        const Instance one(redis_->url());
        one.send("PUT", "/api/cache/k?ttl=0.2&stale=60", "", "old");
        Answer stale;
        CPPUNIT_ASSERT(eventually([&] {
            stale = one.send("GET", "/api/cache/k");
            return cached(stale) == "stale";
        }));
        const std::string token = stale.header("Larder-Fill-Token");
        CPPUNIT_ASSERT(!token.empty());
        CPPUNIT_ASSERT_EQUAL(
            204,
            one.send("PUT", "/api/cache/k", "Larder-Fill-Token: " + token + "\r\n", "new").status);
        CPPUNIT_ASSERT_EQUAL(std::string("new"), one.send("GET", "/api/cache/k").body);
    }

    void sessions_limits_and_boards_are_shared() {
        const Instance one(redis_->url()), two(redis_->url());
        const std::string id =
            one.send("POST", "/api/sessions", "", R"({"user_id":"ann"})").member("session_id");
        CPPUNIT_ASSERT_EQUAL(200, two.send("GET", "/api/sessions/" + id).status);
        CPPUNIT_ASSERT(two.send("GET", "/api/sessions?user_id=ann").body.find("ann") !=
                       std::string::npos);
        CPPUNIT_ASSERT(redis_->command({"KEYS", "*"}).find(id) == std::string::npos);
        CPPUNIT_ASSERT_EQUAL(std::string(R"({"removed":1})"),
                             two.send("DELETE", "/api/sessions?user_id=ann").body);
        CPPUNIT_ASSERT_EQUAL(404, one.send("GET", "/api/sessions/" + id).status);
        const std::string limit = R"({"key":"k","limit":2,"window":3600})";
        CPPUNIT_ASSERT_EQUAL(200, one.send("POST", "/api/ratelimit/l", "", limit).status);
        CPPUNIT_ASSERT_EQUAL(200, two.send("POST", "/api/ratelimit/l", "", limit).status);
        CPPUNIT_ASSERT_EQUAL(429, one.send("POST", "/api/ratelimit/l", "", limit).status);
        one.send("POST", "/api/cache/leaderboards/b", "", R"({"member":"m","by":2})");
        CPPUNIT_ASSERT_EQUAL(
            std::string(R"({"member":"m","score":3,"rank":1})"),
            two.send("POST", "/api/cache/leaderboards/b", "", R"({"member":"m","by":1})").body);
        one.send("POST", "/api/cache/lists/l", "", R"({"value":1})");
        CPPUNIT_ASSERT_EQUAL(std::string(R"({"items":[1],"next":null})"),
                             two.send("GET", "/api/cache/lists/l").body);
        two.send("POST", "/api/cache/lists/l", "", R"({"value":2})");
        const std::string next = one.send("GET", "/api/cache/lists/l?limit=1").member("next");
        one.send("POST", "/api/cache/lists/l", "", R"({"value":3})");
        CPPUNIT_ASSERT_EQUAL(std::string(R"({"items":[1],"next":null})"),
                             two.send("GET", "/api/cache/lists/l?cursor=" + next).body);
    }

    void no_request_fails_when_redis_is_killed() {
        const Instance one(redis_->url());
        std::atomic<int> answered{0}, failed{0};
        {
            std::vector<std::jthread> clients;
            for (int i = 0; i < 4; ++i) {
                clients.emplace_back([&, i](const std::stop_token& over) {
                    for (int k = 0; !over.stop_requested(); ++k) {
                        const std::string key = fmt::format("/api/cache/{}-{}", i, k % 20);
                        if (one.send("PUT", key, "", "v").status != 204) ++failed;
                        const Answer got = one.send("GET", key);
                        // When Redis comes back, what was written meanwhile may be gone.
                        if (got.status != 404 && got.body != "v") ++failed;
                        if (one.send("POST", "/api/sessions", "", R"({"user_id":"u"})").status !=
                            201) {
                            ++failed;
                        }
                        ++answered;
                    }
                });
            }
            const auto goes_on = [&] {
                const int before = answered;
                return eventually([&] { return answered > before + 100; });
            };
            CPPUNIT_ASSERT(goes_on());
            for (int round = 0; round < 3; ++round) {
                redis_->kill();
                CPPUNIT_ASSERT(one.becomes("away"));
                CPPUNIT_ASSERT(goes_on());
                redis_->start();
                CPPUNIT_ASSERT(one.becomes("ok"));
                CPPUNIT_ASSERT(goes_on());
            }
        }
        CPPUNIT_ASSERT_EQUAL(0, failed.load());
    }

    void a_stopped_redis_is_told_of() {
        const Instance one(redis_->url());
        CPPUNIT_ASSERT(one.send("GET", "/readyz").body.find("degraded") == std::string::npos);
        redis_->pause();
        CPPUNIT_ASSERT(eventually([&] {
            const Answer ready = one.send("GET", "/readyz");
            return ready.status == 200 && ready.body.find("degraded") != std::string::npos &&
                   ready.body.find("does not answer in time") != std::string::npos;
        }));
        CPPUNIT_ASSERT(one.send("GET", "/api/alerts?state=raised").body.find("redis-away") !=
                       std::string::npos);
        CPPUNIT_ASSERT_EQUAL(204, one.send("PUT", "/api/cache/k", "", "v").status);
        redis_->resume();
        CPPUNIT_ASSERT(eventually(
            [&] { return one.send("GET", "/readyz").body.find("degraded") == std::string::npos; }));
        CPPUNIT_ASSERT(one.send("GET", "/api/alerts?state=raised").body.find("redis-away") ==
                       std::string::npos);
    }

    void a_wrong_password_is_told_of() {
        const RedisServer closed({"--requirepass", "right"});
        Instance one(fmt::format("redis://:wrong@127.0.0.1:{}", closed.port()));
        const Answer ready = one.send("GET", "/readyz");
        CPPUNIT_ASSERT_EQUAL(200, ready.status);
        CPPUNIT_ASSERT_MESSAGE(ready.body, ready.body.find("WRONGPASS") != std::string::npos);
        for (const std::string& shown :
             {ready.body, one.send("GET", "/api/config").body, one.process().log(),
              one.send("GET", "/api/plugins/cache").body}) {
            CPPUNIT_ASSERT(shown.find(":wrong@") == std::string::npos);
        }
        CPPUNIT_ASSERT_EQUAL(404, one.send("GET", "/api/cache/k").status);
    }

    void a_url_that_is_none_is_refused_without_showing_it() {
        Instance one("redis://user:secret-word@");
        const Answer plugin = one.send("GET", "/api/plugins/cache");
        CPPUNIT_ASSERT(plugin.body.find("cache.redis_url: expected redis://") != std::string::npos);
        CPPUNIT_ASSERT(plugin.body.find("secret-word") == std::string::npos);
        CPPUNIT_ASSERT(one.process().log().find("secret-word") == std::string::npos);
        CPPUNIT_ASSERT_EQUAL(200, one.send("GET", "/api/kv").status);
    }

private:
    static std::string cached(const Answer& answer) { return answer.header("Larder-Cache"); }

    std::unique_ptr<RedisServer> redis_;
};

LARDER_TEST_SUITE(CacheRedisTest);

}  // namespace
}  // namespace larder::test
