// Sessions, limits, boards and lists: one suite, run against memory and against a real Redis, since
// nobody must be able to tell the two apart.
#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <latch>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "boards.hpp"
#include "larder/error.hpp"
#include "larder/time.hpp"
#include "limits.hpp"
#include "redis_link.hpp"
#include "sessions.hpp"
#include "support/eventually.hpp"
#include "support/redis_server.hpp"
#include "support/suite.hpp"

namespace larder::cache {
namespace {

// What the suite is run against.
struct Subject {
    virtual ~Subject() = default;
    virtual Sessions& sessions() = 0;
    virtual Limits& limits() = 0;
    virtual Boards& boards() = 0;
    virtual std::int64_t now_us() = 0;  // by the clock that limits go by
};

struct InMemory final : Subject {
    Sessions& sessions() override { return sessions_; }
    Limits& limits() override { return limits_; }
    Boards& boards() override { return boards_; }
    std::int64_t now_us() override { return MemoryLimits::steady_us(); }

    MemorySessions sessions_{1U << 20U};
    MemoryLimits limits_;
    MemoryBoards boards_{1U << 20U};
};

LinkHooks no_hooks() {
    return {
        [](const std::string&) {}, [](RedisConnection&) {}, [] {}, [](std::string_view) {}, [] {},
        [] { return false; }};
}

struct InRedis final : Subject {
    InRedis() {
        LinkOptions options;
        options.address = RedisAddress::of(server_.url());
        options.prefix = "test:";
        options.timeout = std::chrono::seconds(10);  // the machine may be busy
        link_ = std::make_unique<RedisLink>(options, no_hooks());
        link_->start();
        sessions_ = std::make_unique<RedisSessions>(*link_);
        limits_ = std::make_unique<RedisLimits>(*link_);
        boards_ = std::make_unique<RedisBoards>(*link_);
    }
    Sessions& sessions() override { return *sessions_; }
    Limits& limits() override { return *limits_; }
    Boards& boards() override { return *boards_; }
    std::int64_t now_us() override {
        const RedisReply time = link_->ask({"TIME"});
        return std::stoll(time.items.at(0).text) * 1'000'000 + std::stoll(time.items.at(1).text);
    }

    test::RedisServer server_;
    std::unique_ptr<RedisLink> link_;
    std::unique_ptr<RedisSessions> sessions_;
    std::unique_ptr<RedisLimits> limits_;
    std::unique_ptr<RedisBoards> boards_;
};

Session session_of(const std::string& user, std::int64_t now, std::int64_t ttl, std::int64_t age) {
    Session session;
    session.user_id = user;
    session.data = R"({"n":0})";
    session.ip_address = "127.0.0.1";
    session.created_ms = session.last_ms = now;
    session.ttl_ms = ttl;
    session.until_ms = now + age;
    return session;
}

template <class S> class CacheStateTest : public CppUnit::TestFixture {
    CPPUNIT_TEST_SUITE(CacheStateTest);
    CPPUNIT_TEST(sessions_slide_up_to_their_age);
    CPPUNIT_TEST(sessions_change);
    CPPUNIT_TEST(sessions_change_by_many);
    CPPUNIT_TEST(sessions_end);
    CPPUNIT_TEST(a_touch_revives_nothing);
    CPPUNIT_TEST(limits_count_down);
    CPPUNIT_TEST(limits_refill);
    CPPUNIT_TEST(limits_by_many);
    CPPUNIT_TEST(boards_rank);
    CPPUNIT_TEST(boards_stay_finite);
    CPPUNIT_TEST(boards_page);
    CPPUNIT_TEST(boards_page_while_scores_change);
    CPPUNIT_TEST(lists_keep_the_newest);
    CPPUNIT_TEST(lists_page);
    CPPUNIT_TEST(lists_page_while_they_grow);
    CPPUNIT_TEST_SUITE_END();

public:
    void setUp() override { subject_ = std::make_unique<S>(); }
    void tearDown() override { subject_.reset(); }

    void sessions_slide_up_to_their_age() {
        const std::int64_t now = unix_now_ms();
        CPPUNIT_ASSERT(sessions().create("id", session_of("ann", now, 60'000, 100'000)));
        auto seen = sessions().touch("id", now + 1000);
        CPPUNIT_ASSERT(seen.has_value());
        CPPUNIT_ASSERT_EQUAL(std::string("ann"), seen->user_id);
        CPPUNIT_ASSERT_EQUAL(std::string(R"({"n":0})"), seen->data);
        CPPUNIT_ASSERT_EQUAL(now, seen->created_ms);
        CPPUNIT_ASSERT_EQUAL(now + 1000, seen->last_ms);
        CPPUNIT_ASSERT_EQUAL(now + 61'000, seen->expires_ms);
        seen = sessions().touch("id", now + 50'000);
        CPPUNIT_ASSERT_EQUAL(now + 100'000, seen->expires_ms);
        CPPUNIT_ASSERT(!sessions().touch("id", now + 100'000));
        CPPUNIT_ASSERT(!sessions().touch("id", now));  // it is gone for good
        CPPUNIT_ASSERT(!sessions().touch("other", now));
        CPPUNIT_ASSERT(sessions().list("ann", now).empty());
    }

    void sessions_change() {
        const std::int64_t now = unix_now_ms();
        sessions().create("id", session_of("ann", now, 60'000, 1'000'000));
        const auto changed = sessions().change("id", now + 1, [](Session& session) {
            session.data = R"({"n":1})";
            session.ttl_ms = 5000;
        });
        CPPUNIT_ASSERT_EQUAL(std::string(R"({"n":1})"), changed->data);
        CPPUNIT_ASSERT_EQUAL(now + 5001, changed->expires_ms);
        CPPUNIT_ASSERT_EQUAL(std::string(R"({"n":1})"), sessions().touch("id", now + 2)->data);
        CPPUNIT_ASSERT(!sessions().change("none", now, [](Session&) {}));
        CPPUNIT_ASSERT_THROW(
            sessions().change("id", now + 3,
                              [](Session&) { throw Error(Errc::too_large, "x", "x"); }),
            Error);
        CPPUNIT_ASSERT_EQUAL(std::string(R"({"n":1})"), sessions().touch("id", now + 4)->data);
    }

    // No change is lost, or else its caller is told.
    void sessions_change_by_many() {
        const std::int64_t now = unix_now_ms();
        sessions().create("id", session_of("ann", now, 600'000, 1'000'000));
        std::atomic<int> done{0};
        std::vector<std::thread> threads;
        for (int i = 0; i < 4; ++i) {
            threads.emplace_back([&] {
                for (int k = 0; k < 25; ++k) {
                    try {
                        sessions().change("id", now, [](Session& session) {
                            const int n = std::stoi(session.data.substr(5));
                            session.data = fmt::format(R"({{"n":{}}})", n + 1);
                        });
                        ++done;
                    } catch (const Error&) {  // session-busy
                    }
                }
            });
        }
        for (std::thread& thread : threads) thread.join();
        CPPUNIT_ASSERT(done > 0);
        CPPUNIT_ASSERT_EQUAL(fmt::format(R"({{"n":{}}})", done.load()),
                             sessions().touch("id", now)->data);
    }

    void sessions_end() {
        const std::int64_t now = unix_now_ms();
        for (const char* id : {"a", "b", "c"}) {
            sessions().create(id, session_of(id[0] == 'c' ? "bob" : "ann", now, 60'000, 60'000));
        }
        CPPUNIT_ASSERT_EQUAL(std::size_t{2}, sessions().list("ann", now).size());
        CPPUNIT_ASSERT_EQUAL(std::size_t{3}, sessions().list("", now).size());
        CPPUNIT_ASSERT(sessions().end("a"));
        CPPUNIT_ASSERT(!sessions().end("a"));
        CPPUNIT_ASSERT(!sessions().touch("a", now));
        const auto left = sessions().list("ann", now);
        CPPUNIT_ASSERT_EQUAL(std::size_t{1}, left.size());
        CPPUNIT_ASSERT_EQUAL(std::string("b"), left[0].id);
        CPPUNIT_ASSERT_EQUAL(std::uint64_t{1}, sessions().end_of("ann"));
        CPPUNIT_ASSERT_EQUAL(std::uint64_t{0}, sessions().end_of("ann"));
        CPPUNIT_ASSERT_EQUAL(std::uint64_t{1}, sessions().end_of("bob"));
        CPPUNIT_ASSERT(!sessions().touch("c", now));
    }

    // Many touch while it is ended: once it is, nobody sees it again.
    void a_touch_revives_nothing() {
        const std::int64_t now = unix_now_ms();
        for (int round = 0; round < 20; ++round) {
            sessions().create("id", session_of("ann", now, 60'000, 600'000));
            std::atomic<bool> ended{false};
            std::atomic<int> revived{0};
            std::vector<std::jthread> readers;
            for (int i = 0; i < 3; ++i) {
                readers.emplace_back([&](const std::stop_token& over) {
                    while (!over.stop_requested()) {
                        const bool before = ended;
                        if (sessions().touch("id", now) && before) ++revived;
                    }
                });
            }
            CPPUNIT_ASSERT(sessions().end("id"));
            ended = true;
            for (int i = 0; i < 20; ++i) CPPUNIT_ASSERT(!sessions().touch("id", now));
            readers.clear();
            CPPUNIT_ASSERT_EQUAL(0, revived.load());
        }
    }

    void limits_count_down() {
        const Limit hourly{5, 3'600'000'000, 1};
        for (std::uint64_t left = 5; left-- > 0;) {
            const Verdict verdict = limits().take("k", hourly);
            CPPUNIT_ASSERT(verdict.allowed);
            CPPUNIT_ASSERT_EQUAL(left, verdict.remaining);
            CPPUNIT_ASSERT(verdict.reset_us > 0 && verdict.reset_us <= 3'600'000'000);
        }
        const Verdict refused = limits().take("k", hourly);
        CPPUNIT_ASSERT(!refused.allowed);
        CPPUNIT_ASSERT_EQUAL(std::uint64_t{0}, refused.remaining);
        CPPUNIT_ASSERT(refused.wait_us > 0 && refused.wait_us <= 720'000'000);
        CPPUNIT_ASSERT(limits().take("other", hourly).allowed);
        CPPUNIT_ASSERT(limits().take("dear", {5, 3'600'000'000, 4}).allowed);
        CPPUNIT_ASSERT(!limits().take("dear", {5, 3'600'000'000, 2}).allowed);
        CPPUNIT_ASSERT_EQUAL(std::uint64_t{1},
                             limits().take("dear", {5, 3'600'000'000, 0}).remaining);
        CPPUNIT_ASSERT(limits().take("dear", {5, 3'600'000'000, 1}).allowed);
        CPPUNIT_ASSERT_EQUAL(std::uint64_t{3}, limits().take("fresh", {3, 1'000'000, 0}).remaining);
    }

    void limits_refill() {
        const Limit quick{2, 400'000, 1};
        CPPUNIT_ASSERT(limits().take("k", quick).allowed && limits().take("k", quick).allowed);
        CPPUNIT_ASSERT(test::eventually([&] { return limits().take("k", quick).allowed; }));
    }

    // 64 at once: never more than the limit and what refilled from before the first asked to after
    // the last was answered, by the clock of who counts. Of the first limit next to nothing does.
    void limits_by_many() {
        constexpr int kCallers = 64, kEach = 10;
        for (const Limit& limit : {Limit{100, 3'600'000'000, 1}, Limit{50, 500'000, 1}}) {
            const std::string key = std::to_string(limit.limit);
            std::atomic<std::uint64_t> admitted{0};
            std::latch all_there(kCallers);
            const std::int64_t began = subject_->now_us();
            {
                std::vector<std::jthread> callers;
                for (int i = 0; i < kCallers; ++i) {
                    callers.emplace_back([&] {
                        all_there.arrive_and_wait();
                        for (int k = 0; k < kEach; ++k) {
                            if (limits().take(key, limit).allowed) ++admitted;
                        }
                    });
                }
            }
            const auto took = static_cast<double>(subject_->now_us() - began);
            const double refilled =
                took * static_cast<double>(limit.limit) / static_cast<double>(limit.window_us);
            const double most = static_cast<double>(limit.limit) + refilled + 0.001;
            CPPUNIT_ASSERT_MESSAGE(fmt::format("{} of at most {:.3f}", admitted.load(), most),
                                   static_cast<double>(admitted) <= most);
            CPPUNIT_ASSERT(admitted >= limit.limit);
        }
    }

    void boards_rank() {
        Boards& all = boards();
        CPPUNIT_ASSERT(all.top("b", 10).empty());
        CPPUNIT_ASSERT(!all.find("b", "ann"));
        CPPUNIT_ASSERT_EQUAL(2.5, all.score("b", "ann", 2.5, true).score);
        const Standing twice = all.score("b", "ann", 2, true);
        CPPUNIT_ASSERT_EQUAL(4.5, twice.score);
        CPPUNIT_ASSERT_EQUAL(std::uint64_t{1}, twice.rank);
        CPPUNIT_ASSERT_EQUAL(std::uint64_t{1}, all.score("b", "bob", 9, false).rank);
        CPPUNIT_ASSERT_EQUAL(std::uint64_t{3}, all.score("b", "cid", -1, false).rank);
        CPPUNIT_ASSERT_EQUAL(std::uint64_t{1}, all.score("b", "dan", 9, false).rank);  // a tie
        CPPUNIT_ASSERT_EQUAL(std::uint64_t{3}, all.find("b", "ann")->rank);
        CPPUNIT_ASSERT_EQUAL(std::string("1 dan 9;2 bob 9;3 ann 4.5;"), lines(all.top("b", 3)));
        CPPUNIT_ASSERT_EQUAL(
            0.1 + 0.2, (all.score("c", "x", 0.1, true), all.score("c", "x", 0.2, true).score));
        CPPUNIT_ASSERT(all.remove("b"));
        CPPUNIT_ASSERT(!all.remove("b"));
        CPPUNIT_ASSERT(all.top("b", 10).empty());
    }

    void boards_stay_finite() {
        constexpr double kMost = std::numeric_limits<double>::max();
        boards().score("b", "m", kMost, false);
        try {
            boards().score("b", "m", kMost, true);
            CPPUNIT_FAIL("an infinite score");
        } catch (const Error& error) {
            CPPUNIT_ASSERT_EQUAL(std::string("not-a-number"), error.slug());
        }
        CPPUNIT_ASSERT_EQUAL(kMost, boards().find("b", "m")->score);
    }

    // Scores of both signs, many of them equal, names that no locale orders by their bytes.
    void boards_page() {
        for (int i = 0; i < 40; ++i) {
            const char* const form = i % 3 == 0 ? "M{}" : i % 3 == 1 ? "m{}" : "\u00e4{}";
            boards().score("b", fmt::format(fmt::runtime(form), i), i % 4 * 0.1 - 0.2, false);
        }
        const auto all = boards().top("b", 100);
        CPPUNIT_ASSERT_EQUAL(std::size_t{40}, all.size());
        for (std::size_t size = 1; size <= 41; size += 3) {
            std::vector<Standing> paged;
            std::optional<Standing> after;
            for (;;) {
                const auto page = boards().top("b", size, after);
                paged.insert(paged.end(), page.begin(), page.end());
                if (page.size() < size) break;
                after = page.back();
            }
            CPPUNIT_ASSERT_EQUAL(lines(all), lines(paged));
        }
        CPPUNIT_ASSERT(boards().top("none", 1, all.front()).empty());
    }

    // The place of who moved or went is still a place.
    void boards_page_while_scores_change() {
        for (const char* name : {"a", "b", "c", "d", "e"}) boards().score("b", name, 5, false);
        boards().score("b", "z", 9, false);
        const auto page = boards().top("b", 3);
        CPPUNIT_ASSERT_EQUAL(std::string("1 z 9;2 e 5;3 d 5;"), lines(page));
        boards().score("b", "d", 1, false);
        CPPUNIT_ASSERT_EQUAL(std::string("3 c 5;4 b 5;5 a 5;6 d 1;"),
                             lines(boards().top("b", 10, page.back())));
        boards().score("b", "d", 10, false);
        CPPUNIT_ASSERT_EQUAL(std::string("4 c 5;5 b 5;"), lines(boards().top("b", 2, page.back())));
        boards().remove("b");
        CPPUNIT_ASSERT(boards().top("b", 2, page.back()).empty());
        boards().score("b", "new", 5, false);  // above the place, by name
        boards().score("b", "a", 5, false);
        CPPUNIT_ASSERT_EQUAL(std::string("2 a 5;"), lines(boards().top("b", 2, page.back())));
    }

    void lists_keep_the_newest() {
        for (int i = 1; i <= 6; ++i) {
            CPPUNIT_ASSERT_EQUAL(static_cast<std::size_t>(std::min(i, 4)),
                                 boards().push("l", std::to_string(i), 4));
        }
        CPPUNIT_ASSERT_EQUAL(std::string("6 5 4 "), values(boards().newest("l", 3)));
        CPPUNIT_ASSERT_EQUAL(std::size_t{4}, boards().newest("l", 100).size());
        CPPUNIT_ASSERT_EQUAL(std::size_t{2}, boards().push("l", "7", 2));
        CPPUNIT_ASSERT(boards().newest("none", 10).empty());
        CPPUNIT_ASSERT(boards().remove_list("l"));
        CPPUNIT_ASSERT(!boards().remove_list("l"));
    }

    void lists_page() {
        for (int i = 1; i <= 10; ++i) boards().push("l", std::to_string(i), 8);
        const auto first = boards().newest("l", 3);
        CPPUNIT_ASSERT_EQUAL(std::string("10 9 8 "), values(first));
        const auto second = boards().newest("l", 3, first.back().number);
        CPPUNIT_ASSERT_EQUAL(std::string("7 6 5 "), values(second));
        const auto last = boards().newest("l", 3, second.back().number);
        CPPUNIT_ASSERT_EQUAL(std::string("4 3 "), values(last));
        CPPUNIT_ASSERT(boards().newest("l", 3, last.back().number).empty());
        CPPUNIT_ASSERT(boards().newest("l", 3, 1).empty());
        CPPUNIT_ASSERT_EQUAL(std::string("10 9 "),
                             values(boards().newest("l", 2, first.front().number + 100)));
    }

    // A page goes on where the one before ended, whatever came or went at either end; and never in
    // a list that was there before under the same name.
    void lists_page_while_they_grow() {
        for (int i = 1; i <= 6; ++i) boards().push("l", std::to_string(i), 6);
        const auto place = boards().newest("l", 2).back().number;
        for (int i = 7; i <= 8; ++i) boards().push("l", std::to_string(i), 6);
        CPPUNIT_ASSERT_EQUAL(std::string("4 3 "), values(boards().newest("l", 9, place)));
        for (int i = 9; i <= 20; ++i) boards().push("l", std::to_string(i), 6);
        CPPUNIT_ASSERT(boards().newest("l", 9, place).empty());
        const auto head = boards().newest("l", 1).back().number;
        boards().remove_list("l");
        boards().push("other", "x", 6);
        for (int i = 1; i <= 6; ++i) boards().push("l", std::to_string(i), 6);
        CPPUNIT_ASSERT(boards().newest("l", 9, head).empty());
        CPPUNIT_ASSERT(boards().newest("l", 9, place).empty());
        CPPUNIT_ASSERT_EQUAL(std::string("6 5 "), values(boards().newest("l", 2)));
    }

private:
    static std::string lines(const std::vector<Standing>& standings) {
        std::string text;
        for (const Standing& one : standings) {
            text += fmt::format("{} {} {};", one.rank, one.member, one.score);
        }
        return text;
    }
    static std::string values(const std::vector<ListValue>& list) {
        std::string text;
        for (const ListValue& one : list) text.append(one.value).append(" ");
        return text;
    }
    Sessions& sessions() { return subject_->sessions(); }
    Limits& limits() { return subject_->limits(); }
    Boards& boards() { return subject_->boards(); }

    std::unique_ptr<Subject> subject_;
};

// What only Redis has: others may fill it, too.
class CacheStateOfOthersTest : public CppUnit::TestFixture {
    CPPUNIT_TEST_SUITE(CacheStateOfOthersTest);
    CPPUNIT_TEST(lists_page_without_numbers);
    CPPUNIT_TEST(more_sessions_than_a_reply_holds);
    CPPUNIT_TEST_SUITE_END();

public:
    // Their values have none, and so a list has more values than its numbers tell.
    void lists_page_without_numbers() {
        InRedis redis;
        for (const std::size_t length : {3U, 7U}) {
            redis.server_.command({"LPUSH", "test:list:l", "1", "2", "3"});
            std::uint64_t place = 0;
            for (std::size_t i = 0; i < length; ++i) {
                place = redis.boards().newest("l", 1, place).at(0).number;
            }
            CPPUNIT_ASSERT(redis.boards().newest("l", 1, place).empty());
            redis.boards().push("l", "ours", 100);
        }
    }

    // It was taken for a lie, and Redis for away.
    void more_sessions_than_a_reply_holds() {
        InRedis redis;
        const std::int64_t now = unix_now_ms();
        CPPUNIT_ASSERT(redis.sessions().create("id", session_of("ann", now, 60'000, 60'000)));
        redis.server_.command({"EVAL",
                               "for i = 1, tonumber(ARGV[1]) do "
                               "redis.call('SADD', KEYS[1], 'ended' .. i) end",
                               "1", "test:user:ann", std::to_string(ReplyReader::kMaxItems + 1)});
        CPPUNIT_ASSERT_EQUAL(std::size_t{1}, redis.sessions().list("ann", now).size());
        CPPUNIT_ASSERT(redis.link_->is_ready());
    }
};

using CacheStateInMemory = CacheStateTest<InMemory>;
using CacheStateInRedis = CacheStateTest<InRedis>;
LARDER_TEST_SUITE(CacheStateInMemory);
LARDER_TEST_SUITE(CacheStateInRedis);
LARDER_TEST_SUITE(CacheStateOfOthersTest);

}  // namespace
}  // namespace larder::cache
