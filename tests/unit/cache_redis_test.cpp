// Both tiers on a real Redis, as two daemons would share it: what one changes the other does not
// read any more; Redis killed, flushed, stopped, made read-only; and a server that lies in every
// way that a client library was seen to believe.
#include <fmt/format.h>

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "cache_envelope.hpp"
#include "cache_tiers.hpp"
#include "limits.hpp"
#include "redis_link.hpp"
#include "sessions.hpp"
#include "support/eventually.hpp"
#include "support/lying_server.hpp"
#include "support/redis_server.hpp"
#include "support/suite.hpp"

namespace larder::cache {
namespace {

using test::eventually;
using test::LyingServer;
using test::RedisServer;

// One daemon's share of it.
class Daemon {
public:
    explicit Daemon(const std::string& url,
                    std::chrono::milliseconds timeout = std::chrono::milliseconds(2000))
        : tiers(8U << 20U, steady_ms) {
        LinkOptions options;
        options.address = RedisAddress::of(url);
        options.prefix = "larder:";
        options.timeout = timeout;
        LinkHooks hooks;
        hooks.went = [this](const std::string& why) {
            tiers.forget_redis();
            const std::scoped_lock lock(mutex_);
            why_ = why;
        };
        hooks.before_return = [this](RedisConnection& connection) { tiers.replay(connection); };
        hooks.returned = [this] { tiers.forget_all(); };
        hooks.published = [this](std::string_view message) { tiers.published(message); };
        hooks.flushed = [this] { tiers.forget_all(); };
        hooks.has_leftovers = [this] { return tiers.has_leftovers(); };
        link = std::make_unique<RedisLink>(options, hooks);
        tiers.use(link.get());
        link->start();
    }
    ~Daemon() { link->stop(); }

    bool put(const std::string& key, const std::string& value,
             const std::optional<FillToken>& token = std::nullopt,
             std::vector<std::string> tags = {}, std::int64_t ttl = 60'000,
             std::int64_t stale = 0) {
        auto entry = std::make_shared<Entry>();
        entry->key = key;
        entry->value = value;
        entry->type = "text/plain";
        entry->tags = std::move(tags);
        EntryPtr stored;
        return tiers.put(hash_of(key), entry, ttl, stale, token, stored);
    }
    // By both tiers, as a reader would; empty for a miss.
    std::string get(const std::string& key, FillToken* token = nullptr) {
        Found found = tiers.look(hash_of(key), key);
        if (!found.entry && tiers.redis_is_ready()) found = tiers.look_in_redis(hash_of(key), key);
        if (token != nullptr) *token = found.token;
        return found.entry ? found.entry->value : "";
    }
    bool has_in_memory(const std::string& key) {
        return tiers.memory().get(hash_of(key), key) != nullptr;
    }
    void erase(const std::string& key) { tiers.erase(hash_of(key), key); }
    std::string why() const {
        const std::scoped_lock lock(mutex_);
        return why_;
    }
    bool is_ready() const { return link->is_ready(); }
    bool comes_back() const {
        return eventually([this] { return is_ready(); });
    }
    bool goes() const {
        return eventually([this] { return !is_ready(); });
    }

    Tiers tiers;
    std::unique_ptr<RedisLink> link;

private:
    mutable std::mutex mutex_;
    std::string why_;
};

class CacheRedisTest : public CppUnit::TestFixture {
    CPPUNIT_TEST_SUITE(CacheRedisTest);
    CPPUNIT_TEST(shares_entries);
    CPPUNIT_TEST(two_daemons_hear_of_each_other);
    CPPUNIT_TEST(a_fill_is_refused_wherever_it_was_begun);
    CPPUNIT_TEST(invalidates_what_matches_everywhere);
    CPPUNIT_TEST(memory_lives_no_longer_than_redis);
    CPPUNIT_TEST(survives_a_kill);
    CPPUNIT_TEST(undoes_what_it_could_not_do);
    CPPUNIT_TEST(a_session_ended_meanwhile_stays_ended);
    CPPUNIT_TEST(lists_sessions_many_at_a_time);
    CPPUNIT_TEST(hears_of_a_flush);
    CPPUNIT_TEST(tells_what_is_wrong_with_redis);
    CPPUNIT_TEST(a_stopped_redis_holds_nobody_up);
    CPPUNIT_TEST(foreign_values_are_misses);
    CPPUNIT_TEST(no_stale_value_over_daemons);
    CPPUNIT_TEST(believes_no_liar);
    CPPUNIT_TEST(a_liar_is_left_alone_at_once);
    CPPUNIT_TEST_SUITE_END();

public:
    void shares_entries() {
        RedisServer server;
        Daemon one(server.url()), two(server.url());
        CPPUNIT_ASSERT(one.is_ready() && two.is_ready());
        CPPUNIT_ASSERT(one.put("k", "value", std::nullopt, {"t"}));
        CPPUNIT_ASSERT(one.has_in_memory("k"));
        CPPUNIT_ASSERT_EQUAL(std::string("value"), two.get("k"));
        CPPUNIT_ASSERT(two.tiers.second().hits >= 1);
        // What it hears of the change only now may cost it what it has read.
        CPPUNIT_ASSERT(
            eventually([&] { return two.get("k") == "value" && two.has_in_memory("k"); }));
    }

    void two_daemons_hear_of_each_other() {
        RedisServer server;
        Daemon one(server.url()), two(server.url());
        one.put("k", "1");
        CPPUNIT_ASSERT_EQUAL(std::string("1"), two.get("k"));
        one.put("k", "2");
        CPPUNIT_ASSERT(eventually([&] { return two.get("k") == "2"; }));
        CPPUNIT_ASSERT_EQUAL(std::string("2"), one.get("k"));
        two.erase("k");
        CPPUNIT_ASSERT(eventually([&] { return one.get("k").empty(); }));
    }

    void a_fill_is_refused_wherever_it_was_begun() {
        RedisServer server;
        Daemon one(server.url()), two(server.url());
        FillToken token, other;
        CPPUNIT_ASSERT(one.get("k", &token).empty());
        CPPUNIT_ASSERT(two.put("k", "1", token));  // begun here, ended there
        one.erase("k");
        CPPUNIT_ASSERT(!two.put("k", "old", token));
        CPPUNIT_ASSERT(one.get("k", &token).empty() && two.get("k", &other).empty());
        CPPUNIT_ASSERT(one.put("k", "2", token));
        CPPUNIT_ASSERT(two.put("k", "2", other));  // a second fill is no harm
        CPPUNIT_ASSERT(one.get("m", &token).empty());
        two.tiers.erase({Match::Kind::pattern, "m*"});
        CPPUNIT_ASSERT(!one.put("m", "old", token));
        CPPUNIT_ASSERT(one.get("n", &token).empty());
        two.tiers.erase({Match::Kind::prefix, "other"});
        two.tiers.erase({Match::Kind::tag, "t"});
        CPPUNIT_ASSERT(!one.put("n", "old", token, {"t"}));
        CPPUNIT_ASSERT(one.put("n", "new", token, {"u"}));
        CPPUNIT_ASSERT(one.get("p", &token).empty());
        two.put("p", "newer");
        CPPUNIT_ASSERT(!one.put("p", "older", token));
    }

    void invalidates_what_matches_everywhere() {
        RedisServer server;
        Daemon one(server.url()), two(server.url());
        for (int i = 0; i < 700; ++i) {
            one.put(fmt::format("user:{}", i), "v", std::nullopt, {i % 2 == 0 ? "even" : "odd"});
        }
        one.put("page", "v", std::nullopt, {"even"});
        CPPUNIT_ASSERT_EQUAL(std::string("v"), two.get("user:8"));
        CPPUNIT_ASSERT_EQUAL(std::uint64_t{351}, two.tiers.erase({Match::Kind::tag, "even"}));
        CPPUNIT_ASSERT(two.get("user:8").empty());
        CPPUNIT_ASSERT(eventually([&] { return one.get("user:8").empty(); }));
        CPPUNIT_ASSERT_EQUAL(std::string("v"), one.get("user:9"));
        one.put("user:1", "w", std::nullopt, {"even"});  // it bears another tag now
        CPPUNIT_ASSERT_EQUAL(std::uint64_t{0}, two.tiers.erase({Match::Kind::tag, "none"}));
        CPPUNIT_ASSERT_EQUAL(std::uint64_t{5},
                             two.tiers.erase({Match::Kind::pattern, "user:[1357]"}) +
                                 two.tiers.erase({Match::Kind::pattern, "user:9"}));
        CPPUNIT_ASSERT_EQUAL(std::uint64_t{345}, two.tiers.erase({Match::Kind::prefix, "user:"}));
        one.put("x*y", "v");
        one.put("xzy", "v");
        CPPUNIT_ASSERT_EQUAL(std::uint64_t{1}, two.tiers.erase({Match::Kind::prefix, "x*"}));
        CPPUNIT_ASSERT_EQUAL(std::uint64_t{1}, two.tiers.erase({Match::Kind::all, ""}));
    }

    void memory_lives_no_longer_than_redis() {
        RedisServer server;
        Daemon one(server.url()), two(server.url());
        one.put("k", "v", std::nullopt, {}, 60'000, 30'000);
        server.command({"PEXPIRE", "larder:cache:k", "40000"});
        CPPUNIT_ASSERT_EQUAL(std::string("v"), two.get("k"));
        const auto entry = two.tiers.memory().get(hash_of("k"), "k");
        const std::int64_t now = steady_ms();
        CPPUNIT_ASSERT(entry->stale_until_ms <= now + 40'000);
        CPPUNIT_ASSERT(entry->fresh_until_ms <= now + 10'000);
    }

    void survives_a_kill() {
        RedisServer server;
        Daemon one(server.url());
        one.put("mine", "1");
        server.command({"SET", "unrelated", "x"});
        std::atomic<int> answered{0};
        std::jthread load([&](const std::stop_token& over) {
            for (int i = 0; !over.stop_requested(); ++i) {
                const std::string key = fmt::format("k{}", i % 50);
                one.put(key, "v");
                one.get(key);
                ++answered;
            }
        });
        server.kill();
        CPPUNIT_ASSERT(one.goes());
        const int before = answered;
        CPPUNIT_ASSERT(eventually([&] { return answered > before + 100; }));
        CPPUNIT_ASSERT_EQUAL(std::string("1"), one.get("mine"));  // we wrote it ourselves
        server.start();
        CPPUNIT_ASSERT(one.comes_back());
        const int after = answered;
        CPPUNIT_ASSERT(eventually([&] { return answered > after + 100; }));
        load.request_stop();
        load.join();
        CPPUNIT_ASSERT(one.put("k", "again"));
        CPPUNIT_ASSERT(server.command({"EXISTS", "larder:cache:k"}).starts_with("1"));
    }

    // What was deleted or changed while Redis could not be reached must not come back with it.
    void undoes_what_it_could_not_do() {
        RedisServer server;
        Daemon one(server.url(), std::chrono::milliseconds(150));
        one.put("deleted", "old");
        one.put("changed", "old");
        one.put("tagged", "old", std::nullopt, {"t"});
        one.put("kept", "old");
        server.pause();
        one.erase("deleted");
        CPPUNIT_ASSERT(one.goes());
        one.put("changed", "new");
        one.tiers.erase({Match::Kind::tag, "t"});
        CPPUNIT_ASSERT_EQUAL(std::string("new"), one.get("changed"));
        CPPUNIT_ASSERT(one.get("deleted").empty() && one.get("tagged").empty());
        server.resume();
        CPPUNIT_ASSERT(one.comes_back());
        Daemon two(server.url());
        for (Daemon* daemon : {&one, &two}) {
            CPPUNIT_ASSERT(daemon->get("deleted").empty());
            CPPUNIT_ASSERT(daemon->get("changed") != "old");
            CPPUNIT_ASSERT(daemon->get("tagged").empty());
            CPPUNIT_ASSERT_EQUAL(std::string("old"), daemon->get("kept"));
        }
    }

    void a_session_ended_meanwhile_stays_ended() {
        RedisServer server;
        Daemon one(server.url(), std::chrono::milliseconds(150));
        MemorySessions memory(1U << 20U);
        SharedSessions sessions(*one.link, memory, one.tiers.outbox());
        Session session;
        session.user_id = "ann";
        session.data = "{}";
        session.ttl_ms = 600'000;
        session.created_ms = 1'000'000'000'000;
        session.until_ms = session.created_ms + 600'000;
        const std::int64_t now = session.created_ms + 1;
        for (const char* id : {"a", "b", "c"}) sessions.create(id, session);
        session.user_id = "bob";
        sessions.create("d", session);
        server.pause();
        CPPUNIT_ASSERT(sessions.end("a"));
        CPPUNIT_ASSERT(one.goes());
        sessions.end_of("bob");
        CPPUNIT_ASSERT(!sessions.touch("b", now));  // Redis has it, and is away
        CPPUNIT_ASSERT(sessions.create("meanwhile", session));
        server.resume();
        CPPUNIT_ASSERT(one.comes_back());
        CPPUNIT_ASSERT(!sessions.touch("a", now));
        CPPUNIT_ASSERT(!sessions.touch("d", now));
        CPPUNIT_ASSERT(sessions.touch("b", now).has_value());
        CPPUNIT_ASSERT(sessions.touch("meanwhile", now).has_value());
        CPPUNIT_ASSERT_EQUAL(std::size_t{1}, sessions.list("bob", now).size());
    }

    void lists_sessions_many_at_a_time() {
        RedisServer server;
        Daemon one(server.url());
        MemorySessions memory(1U << 20U);
        SharedSessions sessions(*one.link, memory, one.tiers.outbox());
        Session session;
        session.data = R"({"large":true})";
        session.ttl_ms = 600'000;
        session.created_ms = session.last_ms = 1'000'000'000'000;
        session.until_ms = session.created_ms + 600'000;
        std::map<std::string, std::string> users;  // by id
        for (int i = 0; i < 501; ++i) {
            session.user_id = i % 5 == 0 ? "ann" : "bob";
            users[std::to_string(i)] = session.user_id;
            sessions.create(std::to_string(i), session);
        }
        server.command({"DEL", "larder:session:7"});  // gone, and still in its user's set
        users.erase("7");
        const auto commands = [&] {
            const std::string facts = server.command({"INFO", "stats"});
            const std::string_view name = "total_commands_processed:";
            return std::stoi(facts.substr(facts.find(name) + name.size()));
        };
        const auto listed = [&](const std::string& user) {
            std::map<std::string, std::string> found;
            for (const Session& shown : sessions.list(user, session.created_ms + 1)) {
                CPPUNIT_ASSERT(shown.data.empty());
                CPPUNIT_ASSERT_EQUAL(session.created_ms, shown.created_ms);
                CPPUNIT_ASSERT(shown.expires_ms > session.created_ms);
                CPPUNIT_ASSERT(found.emplace(shown.id, shown.user_id).second);
            }
            return found;
        };
        const int before = commands();
        CPPUNIT_ASSERT(users == listed(""));
        // What a script asks counts as well: two commands a session, and few beside them.
        CPPUNIT_ASSERT(commands() - before < 2 * 501 + 50);
        std::erase_if(users, [](const auto& user) { return user.second == "ann"; });
        CPPUNIT_ASSERT(users == listed("bob"));
    }

    void hears_of_a_flush() {
        RedisServer server;
        Daemon one(server.url());
        FillToken token;
        CPPUNIT_ASSERT(one.get("m", &token).empty());
        one.put("k", "v");
        server.command({"FLUSHALL"});
        CPPUNIT_ASSERT(!one.put("m", "v", token));  // nobody knows any more what was invalidated
        CPPUNIT_ASSERT(eventually([&] { return !one.has_in_memory("k"); }));
        CPPUNIT_ASSERT(one.is_ready());
        one.put("k", "w");
        CPPUNIT_ASSERT_EQUAL(std::string("w"), one.get("k"));
    }

    void tells_what_is_wrong_with_redis() {
        RedisServer closed({"--requirepass", "secret"});
        const std::string at = std::to_string(closed.port());
        {
            Daemon wrong("redis://:guess@127.0.0.1:" + at);
            CPPUNIT_ASSERT(!wrong.is_ready());
            CPPUNIT_ASSERT_MESSAGE(wrong.why(), wrong.why().find("WRONGPASS") != std::string::npos);
            CPPUNIT_ASSERT(wrong.put("k", "v"));
            CPPUNIT_ASSERT_EQUAL(std::string("v"), wrong.get("k"));
            Daemon none("redis://127.0.0.1:" + at);
            CPPUNIT_ASSERT_MESSAGE(none.why(), none.why().find("NOAUTH") != std::string::npos);
            Daemon right("redis://:secret@127.0.0.1:" + at);
            CPPUNIT_ASSERT(right.is_ready());
        }
        RedisServer server;
        Daemon one(server.url());
        one.put("k", "v");
        server.command({"REPLICAOF", "127.0.0.1", "1"});
        CPPUNIT_ASSERT(one.put("k", "w"));
        CPPUNIT_ASSERT(one.goes());
        CPPUNIT_ASSERT(eventually([&] { return one.why().find("READONLY") != std::string::npos; }));
        CPPUNIT_ASSERT_EQUAL(std::string("w"), one.get("k"));
        server.command({"REPLICAOF", "NO", "ONE"});
        CPPUNIT_ASSERT(one.comes_back());
    }

    void a_stopped_redis_holds_nobody_up() {
        RedisServer server;
        Daemon one(server.url(), std::chrono::milliseconds(200));
        one.put("k", "v");
        server.pause();
        CPPUNIT_ASSERT(one.goes());  // nobody asks: the keeper finds out
        for (int i = 0; i < 1000; ++i) {
            CPPUNIT_ASSERT(one.put(fmt::format("k{}", i), "v"));
            CPPUNIT_ASSERT_EQUAL(std::string("v"), one.get(fmt::format("k{}", i)));
        }
        server.resume();
        CPPUNIT_ASSERT(one.comes_back());
        {
            // Longer than the keeper's looks are apart.
            const std::jthread sleeper([&] { server.command({"DEBUG", "SLEEP", "2.5"}); });
            CPPUNIT_ASSERT(one.goes());
        }
        CPPUNIT_ASSERT(one.comes_back());
    }

    void foreign_values_are_misses() {
        RedisServer server;
        Daemon one(server.url());
        server.command({"HSET", "larder:cache:a", "d", R"({"json": 1})"});
        server.command({"PEXPIRE", "larder:cache:a", "10000"});
        server.command({"SET", "larder:cache:b", "a string"});
        one.put("c", "v");
        server.command({"PERSIST", "larder:cache:c"});
        one.tiers.memory().erase(hash_of("c"), "c");
        for (const char* key : {"a", "b", "c"}) CPPUNIT_ASSERT(one.get(key).empty());
        CPPUNIT_ASSERT(one.is_ready());
        CPPUNIT_ASSERT(one.put("b", "ours"));
        CPPUNIT_ASSERT_EQUAL(std::string("ours"), one.get("b"));
    }

    // Two daemons fill from one source, a third party changes it and invalidates by either. Once an
    // invalidation has been answered and heard of, nobody reads anything older.
    void no_stale_value_over_daemons() {
        RedisServer server;
        Daemon one(server.url()), two(server.url());
        std::atomic<int> source{0};
        std::vector<std::jthread> fillers;
        for (Daemon* daemon : {&one, &two}) {
            fillers.emplace_back([&source, daemon](const std::stop_token& over) {
                while (!over.stop_requested()) {
                    FillToken token;
                    if (!daemon->get("k", &token).empty()) continue;
                    daemon->put("k", std::to_string(source.load()), token);
                }
            });
        }
        for (int round = 1; round <= 150; ++round) {
            source = round;
            Daemon& daemon = round % 2 == 0 ? one : two;
            if (round % 5 == 0) {
                daemon.tiers.erase({Match::Kind::all, ""});
            } else {
                daemon.erase("k");
            }
            const std::string own = daemon.get("k");
            CPPUNIT_ASSERT(own.empty() || std::stoi(own) >= round);
            Daemon& other = round % 2 == 0 ? two : one;
            CPPUNIT_ASSERT(eventually([&] {
                const std::string found = other.get("k");
                return found.empty() || std::stoi(found) >= round;
            }));
        }
        fillers.clear();
        CPPUNIT_ASSERT(one.is_ready() && two.is_ready());
    }

    // Each lie is told where a good answer would be; none may be taken for a value, crash or hang.
    void believes_no_liar() {
        Entry entry;
        entry.key = "k";
        entry.value = std::string(100, 'v');
        entry.type = "text/plain";
        entry.fresh_until_ms = entry.stale_until_ms = 60'000;
        const std::string envelope = sealed(entry);
        const std::string good = fmt::format("*4\r\n${}\r\n{}\r\n:1000\r\n$2\r\nab\r\n$1\r\n0\r\n",
                                             envelope.size(), envelope);
        CPPUNIT_ASSERT_EQUAL(std::string("found"), told(good));
        CPPUNIT_ASSERT_EQUAL(std::string("away"),
                             told(good.substr(0, 60), true));               // R1: cut in a text
        CPPUNIT_ASSERT_EQUAL(std::string("away"), told("*4\r\n$1", true));  // R2: in a length
        CPPUNIT_ASSERT_EQUAL(std::string("away"), told("*4\r\n$2147483647\r\nx"));  // R3
        CPPUNIT_ASSERT_EQUAL(std::string("away"), told("*2147483647\r\n"));         // R3
        CPPUNIT_ASSERT_EQUAL(std::string("away"), told("$9223372036854775808\r\n"));
        CPPUNIT_ASSERT_EQUAL(std::string("away"), told(good + "+more\r\n"));  // R4: not asked for
        CPPUNIT_ASSERT_EQUAL(std::string("away"), told(""));                  // R5: hangs
        CPPUNIT_ASSERT_EQUAL(std::string("miss"), told("+OK\r\n"));  // R6: another's answer
        CPPUNIT_ASSERT_EQUAL(std::string("away"), told("HTTP/1.1 400 Bad Request\r\n\r\n"));
        CPPUNIT_ASSERT_EQUAL(std::string("away"), told("*4\r\n$3\r\nabcdef\r\n"));
        std::string padded = good;
        padded.replace(padded.find("vvvvvv"), 6, "      ");  // what a padded cut would look like
        CPPUNIT_ASSERT_EQUAL(std::string("miss"), told(padded));
        CPPUNIT_ASSERT_EQUAL(std::string("miss"), told("*4\r\n:1\r\n:1\r\n:1\r\n:1\r\n"));
        CPPUNIT_ASSERT_EQUAL(std::string("miss"), told("*0\r\n"));
    }

    // R4: after a bad reply nothing more is read from that connection, nor from its siblings.
    void a_liar_is_left_alone_at_once() {
        LyingServer server([](const LyingServer& self, int fd) {
            while (!self.read(fd).empty()) LyingServer::say(fd, "+OK\r\n");
        });
        Daemon daemon("redis://127.0.0.1:" + std::to_string(server.port()),
                      std::chrono::milliseconds(100));
        CPPUNIT_ASSERT(!daemon.is_ready());  // it answers everything with OK, and so is no Redis
        const int before = server.connections();
        for (int i = 0; i < 500; ++i) {
            CPPUNIT_ASSERT(daemon.put("k", "v"));
            CPPUNIT_ASSERT_EQUAL(std::string("v"), daemon.get("k"));
        }
        // Only the keeper asks, and ever more seldom.
        CPPUNIT_ASSERT(server.connections() <= before + 40);
    }

private:
    // What comes of a look when the server behaves until it is asked for an entry, and then says
    // `lie`; `cut` closes the connection behind it.
    static std::string told(const std::string& lie, bool cut = false) {
        std::atomic<bool> lying{false};
        LyingServer server([&](const LyingServer& self, int fd) {
            for (;;) {
                const std::string asked = self.read(fd);
                if (asked.empty()) return;
                if (asked.find("SELECT") != std::string::npos) {
                    LyingServer::say(fd, "+OK\r\n");
                } else if (asked.find("SUBSCRIBE") != std::string::npos) {
                    LyingServer::say(fd,
                                     "*3\r\n$9\r\nsubscribe\r\n$14\r\nlarder:changes\r\n:1\r\n");
                } else if (asked.find("PING") != std::string::npos) {
                    LyingServer::say(fd, "*2\r\n$4\r\npong\r\n$0\r\n\r\n");
                } else if (lying && asked.find("\r\n$1\r\nk\r\n") != std::string::npos) {
                    LyingServer::say(fd, lie);
                    if (cut) return;
                } else {
                    LyingServer::say(fd, "$4\r\nabcd\r\n");
                }
            }
        });
        Daemon daemon("redis://127.0.0.1:" + std::to_string(server.port()),
                      std::chrono::milliseconds(150));
        CPPUNIT_ASSERT_MESSAGE(daemon.why(), daemon.is_ready());
        lying = true;
        const bool found = !daemon.get("k").empty();
        if (found) return "found";
        return daemon.is_ready() ? "miss" : "away";
    }
};

LARDER_TEST_SUITE(CacheRedisTest);

}  // namespace
}  // namespace larder::cache
