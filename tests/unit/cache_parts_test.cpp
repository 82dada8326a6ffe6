// The small parts of the cache: patterns, envelopes, replies of Redis, addresses, who fills.
#include <fmt/format.h>

#include <stdexcept>
#include <string>
#include <vector>

#include "cache_envelope.hpp"
#include "cache_flights.hpp"
#include "cache_match.hpp"
#include "cache_tiers.hpp"
#include "limit_routes.hpp"
#include "redis_connection.hpp"
#include "redis_reply.hpp"
#include "support/suite.hpp"

namespace larder::cache {
namespace {

std::optional<RedisReply> reply_of(std::string_view bytes) {
    ReplyReader reader;
    reader.feed(bytes);
    return reader.next();
}

class CachePartsTest : public CppUnit::TestFixture {
    CPPUNIT_TEST_SUITE(CachePartsTest);
    CPPUNIT_TEST(patterns);
    CPPUNIT_TEST(a_pattern_is_never_slow);
    CPPUNIT_TEST(envelopes_come_back);
    CPPUNIT_TEST(a_damaged_envelope_is_none);
    CPPUNIT_TEST(replies);
    CPPUNIT_TEST(replies_cut_anywhere_are_not_there_yet);
    CPPUNIT_TEST(replies_that_lie_are_refused);
    CPPUNIT_TEST(replies_hold_so_many_items);
    CPPUNIT_TEST(replies_are_so_long);
    CPPUNIT_TEST(what_has_no_end_is_refused_early);
    CPPUNIT_TEST(commands);
    CPPUNIT_TEST(addresses);
    CPPUNIT_TEST(tokens);
    CPPUNIT_TEST(limits_of_settings);
    CPPUNIT_TEST(one_fills_at_a_time);
    CPPUNIT_TEST_SUITE_END();

public:
    void patterns() {
        for (const auto& [pattern, text, wanted] :
             std::vector<std::tuple<const char*, const char*, bool>>{
                 {"user:*", "user:1", true},
                 {"user:*", "user:", true},
                 {"user:*", "users", false},
                 {"*", "", true},
                 {"", "", true},
                 {"", "a", false},
                 {"a?c", "abc", true},
                 {"a?c", "ac", false},
                 {"a[b-d]e", "ace", true},
                 {"a[b-d]e", "aee", false},
                 {"a[^b]c", "abc", false},
                 {"a[^b]c", "axc", true},
                 {"a\\*c", "a*c", true},
                 {"a\\*c", "abc", false},
                 {"*a*b*", "xxaxxbxx", true},
                 {"*a*b*", "xxbxxaxx", false},
                 {"a[", "a", false},
                 {"[a\\]]", "]", true},
                 {"*:1", "user:11:1", true},
                 {"h[a-]llo", "h-llo", false}}) {
            CPPUNIT_ASSERT_EQUAL_MESSAGE(fmt::format("{} {}", pattern, text), wanted,
                                         glob_matches(pattern, text));
        }
        CPPUNIT_ASSERT_EQUAL(std::string("user:"), literal_prefix("user:*"));
        CPPUNIT_ASSERT_EQUAL(std::string("a*"), literal_prefix("a\\*?"));
        CPPUNIT_ASSERT(glob_matches(glob_escaped("a*[b]?\\^"), "a*[b]?\\^"));
        CPPUNIT_ASSERT(!glob_matches(glob_escaped("a*"), "ab"));
    }

    // Exponential matchers do not come to an end with this.
    void a_pattern_is_never_slow() {
        std::string pattern;
        for (int i = 0; i < 300; ++i) pattern += "*a";
        CPPUNIT_ASSERT(!glob_matches(pattern + "b", std::string(1024, 'a')));
    }

    void envelopes_come_back() {
        Entry entry;
        entry.key = "k";
        entry.value = std::string("a\0b\r\n", 5);
        entry.type = "text/plain";
        entry.tags = {"x", "y"};
        entry.stored_ms = 500;
        entry.fresh_until_ms = 10'500;
        entry.stale_until_ms = 12'500;
        const auto back = opened("k", sealed(entry), 11'000, 100'000);
        CPPUNIT_ASSERT(back != nullptr);
        CPPUNIT_ASSERT_EQUAL(entry.value, back->value);
        CPPUNIT_ASSERT_EQUAL(entry.type, back->type);
        CPPUNIT_ASSERT(entry.tags == back->tags);
        CPPUNIT_ASSERT_EQUAL(std::int64_t{111'000}, back->stale_until_ms);
        CPPUNIT_ASSERT_EQUAL(std::int64_t{109'000}, back->fresh_until_ms);
        CPPUNIT_ASSERT_EQUAL(std::int64_t{99'000}, back->stored_ms);
        CPPUNIT_ASSERT(back->from_redis);
    }

    void a_damaged_envelope_is_none() {
        Entry entry;
        entry.key = "k";
        entry.value = "some value";
        entry.type = "text/plain";
        entry.tags = {"x"};
        entry.fresh_until_ms = entry.stale_until_ms = 1000;
        const std::string whole = sealed(entry);
        CPPUNIT_ASSERT(opened("k", whole, 1000, 0) != nullptr);
        CPPUNIT_ASSERT(opened("other", whole, 1000, 0) == nullptr);
        CPPUNIT_ASSERT(opened("k", whole, 1001, 0) == nullptr);  // longer than it was given
        CPPUNIT_ASSERT(opened("k", whole, -1, 0) == nullptr);    // for ever
        CPPUNIT_ASSERT(opened("k", whole + " ", 1000, 0) == nullptr);
        CPPUNIT_ASSERT(opened("k", R"({"origin": "json"})", 1000, 0) == nullptr);
        for (std::size_t i = 0; i < whole.size(); ++i) {
            CPPUNIT_ASSERT(opened("k", whole.substr(0, i), 1000, 0) == nullptr);
            for (const char bit : {'\x01', '\x20', '\x40'}) {
                std::string wrong = whole;
                wrong[i] = static_cast<char>(wrong[i] ^ bit);
                CPPUNIT_ASSERT_MESSAGE(wrong, opened("k", wrong, 1000, 0) == nullptr);
            }
        }
    }

    void replies() {
        CPPUNIT_ASSERT_EQUAL(std::string("OK"), reply_of("+OK\r\n")->text);
        CPPUNIT_ASSERT_EQUAL(std::int64_t{-7}, reply_of(":-7\r\n")->integer);
        CPPUNIT_ASSERT_EQUAL(std::string("a\r\nb"), reply_of("$4\r\na\r\nb\r\n")->text);
        CPPUNIT_ASSERT(reply_of("$-1\r\n")->kind == RedisReply::Kind::nil);
        CPPUNIT_ASSERT(reply_of("$0\r\n\r\n")->kind == RedisReply::Kind::bulk);
        const auto array = reply_of("*3\r\n:1\r\n*0\r\n-ERR no\r\n");
        CPPUNIT_ASSERT_EQUAL(std::size_t{3}, array->items.size());
        CPPUNIT_ASSERT(array->items[2].kind == RedisReply::Kind::error);
        ReplyReader reader;
        reader.feed("+a\r\n+b\r\n+c");
        CPPUNIT_ASSERT_EQUAL(std::string("a"), reader.next()->text);
        CPPUNIT_ASSERT_EQUAL(std::string("b"), reader.next()->text);
        CPPUNIT_ASSERT(!reader.next());
        reader.feed("\r\n");
        CPPUNIT_ASSERT_EQUAL(std::string("c"), reader.next()->text);
        CPPUNIT_ASSERT(reader.is_empty());
    }

    void replies_cut_anywhere_are_not_there_yet() {
        const std::string whole = "*3\r\n$10\r\n0123456789\r\n:12345\r\n*1\r\n+text\r\n";
        for (std::size_t i = 0; i < whole.size(); ++i) {
            ReplyReader reader;
            reader.feed(whole.substr(0, i));
            CPPUNIT_ASSERT(!reader.next());
            reader.feed(whole.substr(i));
            const auto reply = reader.next();
            CPPUNIT_ASSERT(reply.has_value());
            CPPUNIT_ASSERT_EQUAL(std::string("0123456789"), reply->items[0].text);
            CPPUNIT_ASSERT_EQUAL(std::int64_t{12345}, reply->items[1].integer);
        }
    }

    void replies_that_lie_are_refused() {
        for (const char* bytes : {"HTTP/1.1 200 OK\r\n",
                                  "$3\r\nabcdef\r\n",
                                  "$3\r\nabc\r\r",
                                  "$-2\r\n",
                                  "*-2\r\n",
                                  "*1000000\r\n",
                                  ":12x\r\n",
                                  ":\r\n",
                                  ":+1\r\n",
                                  ":01\r\n",
                                  "$1 \r\na\r\n",
                                  "$01\r\na\r\n",
                                  "$9223372036854775808\r\n",
                                  "+a\rb\r\n",
                                  "-a\nb\r\n",
                                  "*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n",
                                  "\r\n",
                                  ":99999999999999999999\r\n",
                                  "%1\r\n",
                                  "_\r\n",
                                  "#t\r\n",
                                  ",1.5\r\n",
                                  "=5\r\ntxt:a\r\n"}) {
            ReplyReader reader;
            reader.feed(bytes);
            CPPUNIT_ASSERT_THROW_MESSAGE(bytes, reader.next(), BadReply);
        }
    }

    // All items of a reply count, in whatever arrays they are.
    void replies_hold_so_many_items() {
        const auto array = [](std::size_t items) {
            std::string bytes = fmt::format("*{}\r\n", items);
            for (std::size_t i = 0; i < items; ++i) bytes += ":1\r\n";
            return bytes;
        };
        constexpr std::size_t kMost = ReplyReader::kMaxItems;
        CPPUNIT_ASSERT_EQUAL(kMost, reply_of(array(kMost))->items.size());
        CPPUNIT_ASSERT_THROW(reply_of(fmt::format("*{}\r\n", kMost + 1)), BadReply);
        CPPUNIT_ASSERT_THROW(reply_of("*2\r\n" + array(kMost / 2) + array(kMost / 2)), BadReply);
        ReplyReader reader;  // each reply has its own count
        for (int i = 0; i < 3; ++i) {
            reader.feed(array(kMost));
            CPPUNIT_ASSERT(reader.next().has_value());
        }
        const std::string deep = "*1\r\n*1\r\n*1\r\n*1\r\n";
        CPPUNIT_ASSERT(reply_of(deep + ":1\r\n").has_value());
        CPPUNIT_ASSERT_THROW(reply_of(deep + "*1\r\n:1\r\n"), BadReply);
    }

    void replies_are_so_long() {
        const auto text = [](std::size_t size) {
            return fmt::format("${}\r\n{}\r\n", size, std::string(size, 'x'));
        };
        constexpr std::size_t kMost = ReplyReader::kMaxText;
        CPPUNIT_ASSERT_EQUAL(kMost, reply_of(text(kMost))->text.size());
        CPPUNIT_ASSERT_THROW(reply_of(text(kMost + 1)), BadReply);
        ReplyReader reader;
        reader.feed("*1000\r\n");
        std::size_t fed = 0;
        const std::string part = text(kMost);
        const auto feed_all = [&] {
            for (int i = 0; i < 1000; ++i) {
                reader.feed(part);
                fed += part.size();
                CPPUNIT_ASSERT(!reader.next());
            }
        };
        CPPUNIT_ASSERT_THROW(feed_all(), BadReply);
        CPPUNIT_ASSERT(fed > ReplyReader::kMaxReply - part.size());
        CPPUNIT_ASSERT(fed <= ReplyReader::kMaxReply + part.size());
    }

    // hiredis waits for what a text announces, and for the end of a line, however long that takes.
    void what_has_no_end_is_refused_early() {
        const std::string part(16384, 'x');
        for (const char* begin : {"$2147483647\r\n", "$99999999999\r\n", "$9223372036854775807\r\n",
                                  "+", "-", ":", "$", "*", "*2\r\n:1\r\n+"}) {
            ReplyReader reader;
            reader.feed(begin);
            CPPUNIT_ASSERT_MESSAGE(begin, !reader.next());
            std::size_t fed = 0;
            const auto feed_all = [&] {
                while (fed < 2 * ReplyReader::kMaxText) {
                    reader.feed(part);
                    fed += part.size();
                    CPPUNIT_ASSERT(!reader.next());
                }
            };
            CPPUNIT_ASSERT_THROW_MESSAGE(begin, feed_all(), BadReply);
            CPPUNIT_ASSERT_MESSAGE(begin, fed <= ReplyReader::kMaxText + 2 * part.size());
        }
    }

    void commands() {
        using namespace std::string_literals;
        std::string out;
        append_command(out, {"AUTH", "a\r\n\"b"});
        append_command(out, {"SET", "", "\0%s"s});
        CPPUNIT_ASSERT_EQUAL(
            "*2\r\n$4\r\nAUTH\r\n$5\r\na\r\n\"b\r\n"s
            "*3\r\n$3\r\nSET\r\n$0\r\n\r\n$3\r\n\0%s\r\n"s,
            out);
    }

    void addresses() {
        const auto plain = RedisAddress::of("redis://localhost");
        CPPUNIT_ASSERT_EQUAL(std::string("localhost:6379"), plain.name());
        const auto full = RedisAddress::of("redis://me:p%40ss@10.0.0.1:7000/3");
        CPPUNIT_ASSERT_EQUAL(std::string("p@ss"), full.password);
        CPPUNIT_ASSERT_EQUAL(std::string("me"), full.user);
        CPPUNIT_ASSERT_EQUAL(3, full.database);
        CPPUNIT_ASSERT_EQUAL(std::string("10.0.0.1:7000"), full.name());
        CPPUNIT_ASSERT_EQUAL(std::string("::1"), RedisAddress::of("redis://[::1]:1").host);
        CPPUNIT_ASSERT_EQUAL(std::string("secret"), RedisAddress::of("redis://:secret@h").password);
        const auto unix_socket = RedisAddress::of("redis+unix:///run/redis.sock?db=2");
        CPPUNIT_ASSERT_EQUAL(std::string("/run/redis.sock"), unix_socket.path);
        CPPUNIT_ASSERT_EQUAL(2, unix_socket.database);
        for (const char* wrong :
             {"", "localhost", "http://h", "redis://", "redis://h:0", "redis://h:99999",
              "redis://h/x", "redis://me@h", "redis+unix://run", "redis://:%zz@h", "rediss://h"}) {
            CPPUNIT_ASSERT_THROW_MESSAGE(wrong, RedisAddress::of(wrong), std::invalid_argument);
        }
    }

    void tokens() {
        const FillToken token{0xABC, 7, "00ff", 12};
        const auto back = FillToken::of(token.text());
        CPPUNIT_ASSERT(back.has_value());
        CPPUNIT_ASSERT_EQUAL(token.text(), back->text());
        CPPUNIT_ASSERT_EQUAL(std::string("1-2"), FillToken::of("1-2")->text());
        for (const char* wrong :
             {"", "x", "1", "1-", "-1", "1-2-", "1-2-3", "1-2-ZZ-1", "1-2-3-4-5", "1-2 "}) {
            CPPUNIT_ASSERT_MESSAGE(wrong, !FillToken::of(wrong));
        }
    }

    void limits_of_settings() {
        CPPUNIT_ASSERT(!limit_of_setting("off"));
        CPPUNIT_ASSERT_EQUAL(std::int64_t{60'000'000}, limit_of_setting("600")->window_us);
        CPPUNIT_ASSERT_EQUAL(std::int64_t{10'000'000}, limit_of_setting("100/10s")->window_us);
        CPPUNIT_ASSERT_EQUAL(std::int64_t{3'600'000'000}, limit_of_setting("5/1h")->window_us);
        for (const char* wrong :
             {"", "on", "0", "10/", "10/x", "10/0s", "10/1d", "-1", "1000001"}) {
            CPPUNIT_ASSERT_THROW_MESSAGE(wrong, limit_of_setting(wrong), std::invalid_argument);
        }
    }

    void one_fills_at_a_time() {
        Flights flights;
        CPPUNIT_ASSERT(flights.lead(5, 0));
        CPPUNIT_ASSERT(!flights.lead(5, Flights::kLeaseMs - 1));
        CPPUNIT_ASSERT(flights.lead(6, 0));
        CPPUNIT_ASSERT(flights.lead(5, Flights::kLeaseMs));  // whoever it was is not waited for
        CPPUNIT_ASSERT(flights.land(5, "k").empty());
        CPPUNIT_ASSERT(flights.lead(5, Flights::kLeaseMs));
    }
};

LARDER_TEST_SUITE(CachePartsTest);

}  // namespace
}  // namespace larder::cache
