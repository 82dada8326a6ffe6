// Rate limits as a client sees them: its own, and the one that the daemon keeps to itself.
#include <fmt/format.h>

#include <atomic>
#include <chrono>
#include <latch>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "support/daemon_fixture.hpp"
#include "support/eventually.hpp"
#include "support/redis_server.hpp"

namespace larder::test {
namespace {

class RatelimitTest : public DaemonFixture {
    CPPUNIT_TEST_SUITE(RatelimitTest);
    CPPUNIT_TEST(counts_down_and_refuses);
    CPPUNIT_TEST(refills);
    CPPUNIT_TEST(admits_no_more_by_many);
    CPPUNIT_TEST(admits_no_more_by_many_in_redis);
    CPPUNIT_TEST(refuses_bad_requests);
    CPPUNIT_TEST(the_daemon_limits_itself);
    CPPUNIT_TEST(a_limit_that_is_none_is_refused);
    CPPUNIT_TEST_SUITE_END();

public:
    void counts_down_and_refuses() {
        const std::string body = R"({"key":"10.0.0.1","limit":3,"window":3600})";
        for (int left = 2; left >= 0; --left) {
            const Answer taken = send("POST", "/api/ratelimit/login", "", body);
            CPPUNIT_ASSERT_EQUAL(200, taken.status);
            const std::string begin =
                fmt::format(R"({{"allowed":true,"remaining":{},"reset":)", left);
            CPPUNIT_ASSERT_MESSAGE(taken.body, taken.body.starts_with(begin));
            CPPUNIT_ASSERT_EQUAL(fmt::format("\"login\";r={};t={}", left, 1200 * (3 - left)),
                                 taken.header("RateLimit"));
            CPPUNIT_ASSERT_EQUAL(std::string("\"login\";q=3;w=3600"),
                                 taken.header("RateLimit-Policy"));
        }
        const Answer refused = send("POST", "/api/ratelimit/login", "", body);
        CPPUNIT_ASSERT_EQUAL(429, refused.status);
        CPPUNIT_ASSERT_EQUAL(std::string("rate-limited"), refused.member("code"));
        CPPUNIT_ASSERT(refused.body.find(R"("allowed":false,"remaining":0,"reset":)") !=
                       std::string::npos);
        const int wait = std::stoi(refused.header("Retry-After"));
        CPPUNIT_ASSERT(wait > 1100 && wait <= 1200);
        CPPUNIT_ASSERT_EQUAL(std::string("\"login\";q=3;w=3600"),
                             refused.header("RateLimit-Policy"));
        CPPUNIT_ASSERT_EQUAL(200, send("POST", "/api/ratelimit/other", "", body).status);
    }

    void refills() {
        const std::string body = R"({"key":"k","limit":2,"window":0.4,"cost":2})";
        CPPUNIT_ASSERT_EQUAL(200, send("POST", "/api/ratelimit/l", "", body).status);
        CPPUNIT_ASSERT(
            eventually([&] { return send("POST", "/api/ratelimit/l", "", body).status == 200; }));
    }

    void admits_no_more_by_many() { ask_by_many(); }

    void admits_no_more_by_many_in_redis() {
        const RedisServer redis;
        // So long that the daemon does not take a busy Redis for away, and counts for itself.
        environment_ = {{"LARDER_CACHE_REDIS_URL", redis.url()},
                        {"LARDER_CACHE_REDIS_TIMEOUT", "20s"}};
        restart();
        ask_by_many();
        CPPUNIT_ASSERT(redis.command({"KEYS", "*rate_limit:l:hour"}).find("hour") !=
                       std::string::npos);
        CPPUNIT_ASSERT(send("GET", "/api/cache/stats").body.find(R"("state":"ok")") !=
                       std::string::npos);
    }

    void refuses_bad_requests() {
        for (const char* body :
             {R"({"limit":1,"window":1})", R"({"key":"k","window":1})", R"({"key":"k","limit":1})",
              R"({"key":"k","limit":0,"window":1})", R"({"key":"k","limit":1.5,"window":1})",
              R"({"key":"k","limit":1,"window":0})", R"({"key":"k","limit":1,"window":1,"cost":2})",
              R"({"key":"k","limit":1,"window":1,"cost":-1})",
              R"({"key":"k","limit":1,"window":1,"x":1})"}) {
            CPPUNIT_ASSERT_EQUAL_MESSAGE(body, std::string("422 invalid-field"),
                                         outcome("POST", "/api/ratelimit/l", "", body));
        }
        CPPUNIT_ASSERT_EQUAL(
            std::string("400 invalid-name"),
            outcome("POST", "/api/ratelimit/a%20b", "", R"({"key":"k","limit":1,"window":1})"));
    }

    void the_daemon_limits_itself() {
        environment_ = {{"LARDER_CACHE_LIMIT_REQUESTS", "5/1h"}};
        restart();
        for (int left = 4; left >= 0; --left) {
            const Answer answer = send("GET", "/api/status");
            CPPUNIT_ASSERT_EQUAL(200, answer.status);
            CPPUNIT_ASSERT_EQUAL(fmt::format("\"larderd\";r={};t={}", left, 720 * (5 - left)),
                                 answer.header("RateLimit"));
            CPPUNIT_ASSERT_EQUAL(std::string("\"larderd\";q=5;w=3600"),
                                 answer.header("RateLimit-Policy"));
        }
        const Answer refused = send("PUT", "/api/kv/storage/a", "", "1");
        CPPUNIT_ASSERT_EQUAL(429, refused.status);
        CPPUNIT_ASSERT_EQUAL(std::string("rate-limited"), refused.member("code"));
        CPPUNIT_ASSERT(!refused.header("Retry-After").empty());
        CPPUNIT_ASSERT_EQUAL(std::string("\"larderd\";q=5;w=3600"),
                             refused.header("RateLimit-Policy"));
        // Those that watch the daemon, and its admin on the socket, are let in.
        CPPUNIT_ASSERT_EQUAL(200, send("GET", "/healthz").status);
        CPPUNIT_ASSERT_EQUAL(200, send("GET", "/readyz").status);
        RawClient socket(folder_->path() + "/larder.sock");
        CPPUNIT_ASSERT_EQUAL(200, socket.request("GET", "/api/status").status);
        // With the plugin off nobody counts.
        CPPUNIT_ASSERT_EQUAL(200, socket.request("POST", "/api/plugins/cache/disable").status);
        CPPUNIT_ASSERT_EQUAL(200, send("GET", "/api/status").status);
    }

    void a_limit_that_is_none_is_refused() {
        environment_ = {{"LARDER_CACHE_LIMIT_REQUESTS", "nonsense"}};
        daemon_->stop();
        start();
        const Answer plugin = send("GET", "/api/plugins/cache");
        CPPUNIT_ASSERT_MESSAGE(plugin.body, plugin.body.find("failed") != std::string::npos);
        CPPUNIT_ASSERT(plugin.body.find("limit_requests") != std::string::npos);
    }

private:
    // 64 connections at once are admitted the limit, and at most what refilled besides from before
    // the first asked to after the last was answered. In an hour next to nothing does.
    void ask_by_many() {
        using Clock = std::chrono::steady_clock;
        constexpr int kCallers = 64, kEach = 10, kLimit = 100;
        for (const auto& [key, window] : {std::pair("hour", 3600.0), std::pair("second", 1.0)}) {
            const std::string body =
                fmt::format(R"({{"key":"{}","limit":{},"window":{}}})", key, kLimit, window);
            std::atomic<int> admitted{0}, refused{0};
            std::latch all_connected(kCallers);
            const auto began = Clock::now();
            {
                std::vector<std::jthread> callers;
                for (int i = 0; i < kCallers; ++i) {
                    callers.emplace_back([&] {
                        RawClient client(daemon_->port());
                        all_connected.arrive_and_wait();
                        for (int k = 0; k < kEach; ++k) {
                            const int status =
                                client.request("POST", "/api/ratelimit/l", "", body).status;
                            if (status == 200) ++admitted;
                            if (status == 429) ++refused;
                        }
                    });
                }
            }
            const double took = std::chrono::duration<double>(Clock::now() - began).count();
            // The clock of Redis may run faster than ours by less than a thousandth.
            const double most = kLimit + took * 1.001 * kLimit / window + 0.001;
            CPPUNIT_ASSERT_EQUAL(kCallers * kEach, admitted + refused);
            CPPUNIT_ASSERT(admitted >= kLimit);
            CPPUNIT_ASSERT_MESSAGE(fmt::format("{} of at most {:.3f}", admitted.load(), most),
                                   admitted <= most);
        }
    }
};

LARDER_TEST_SUITE(RatelimitTest);

}  // namespace
}  // namespace larder::test
