// Watching as a client sees it: what is told, in which order, and how a watcher goes on after a
// cut, a restart, a removal. Times are not judged, but that a heartbeat comes.
//
// Contents: what is told · resuming · what is kept · refusals · slow ones and many · life
#include <fmt/format.h>

#include <atomic>
#include <thread>
#include <vector>

#include "support/daemon_fixture.hpp"
#include "support/event_client.hpp"

namespace larder::test {
namespace {

class KvWatchTest : public DaemonFixture {
    CPPUNIT_TEST_SUITE(KvWatchTest);
    CPPUNIT_TEST(tells_changes_as_they_come);
    CPPUNIT_TEST(a_transaction_has_one_id);
    CPPUNIT_TEST(picks_by_prefix);
    CPPUNIT_TEST(leaves_values_out);
    CPPUNIT_TEST(tells_expiry_before_what_follows);
    CPPUNIT_TEST(resumes_without_a_gap);
    CPPUNIT_TEST(cut_a_hundred_times_it_misses_nothing);
    CPPUNIT_TEST(the_header_wins_over_since);
    CPPUNIT_TEST(resumes_over_a_kill);
    CPPUNIT_TEST(resumes_over_a_clean_restart);
    CPPUNIT_TEST(tells_what_is_not_kept_any_more);
    CPPUNIT_TEST(keeps_no_more_than_it_may);
    CPPUNIT_TEST(ends_with_the_bucket);
    CPPUNIT_TEST(refuses_bad_watches);
    CPPUNIT_TEST(refuses_too_many);
    CPPUNIT_TEST(cuts_off_who_is_too_slow);
    CPPUNIT_TEST(many_watchers_see_the_same);
    CPPUNIT_TEST(answers_head_without_a_stream);
    CPPUNIT_TEST(gives_a_sign_of_life);
    CPPUNIT_TEST_SUITE_END();

public:
    void setUp() override {
        environment_.clear();
        DaemonFixture::setUp();
    }

    void tells_changes_as_they_come() {
        EventClient watcher = watch();
        put("a", R"({"x": 1e400})");
        put("é\"", "2");
        send("DELETE", "/api/kv/storage/a");
        CPPUNIT_ASSERT_EQUAL(std::string(R"(set {"key":"a","revision":1,"value":{"x":1e400}} 1-1)"),
                             told(watcher));
        CPPUNIT_ASSERT_EQUAL(std::string(R"(set {"key":"é\"","revision":2,"value":2} 1-2)"),
                             told(watcher));
        CPPUNIT_ASSERT_EQUAL(std::string(R"(delete {"key":"a","revision":3,"value":null} 1-3)"),
                             told(watcher));
    }

    void a_transaction_has_one_id() {
        put("gone", "1");
        EventClient watcher = watch();
        transact(R"([{"op":"set","key":"a","value":1},{"op":"set","key":"b","value":1},
                     {"op":"set","key":"a","value":2},{"op":"delete","key":"gone"}])");
        CPPUNIT_ASSERT_EQUAL(std::string(R"(set {"key":"a","revision":2,"value":2} )"),
                             told(watcher));
        CPPUNIT_ASSERT_EQUAL(std::string("1-1"), watcher.last_id());
        CPPUNIT_ASSERT_EQUAL(std::string(R"(set {"key":"b","revision":2,"value":1} )"),
                             told(watcher));
        CPPUNIT_ASSERT_EQUAL(std::string(R"(delete {"key":"gone","revision":2,"value":null} 1-2)"),
                             told(watcher));
    }

    void picks_by_prefix() {
        EventClient watcher = watch("&prefix=p/");
        transact(R"([{"op":"set","key":"p/1","value":1},{"op":"set","key":"q","value":1}])");
        put("other", "1");
        put("p/2", "2");
        CPPUNIT_ASSERT_EQUAL(std::string(R"(set {"key":"p/1","revision":1,"value":1} 1-1)"),
                             told(watcher));
        CPPUNIT_ASSERT_EQUAL(std::string(R"(set {"key":"p/2","revision":3,"value":2} 1-3)"),
                             told(watcher));
    }

    void leaves_values_out() {
        EventClient watcher = watch("&values=false");
        put("a", "1");
        send("DELETE", "/api/kv/storage/a");
        CPPUNIT_ASSERT_EQUAL(std::string(R"(set {"key":"a","revision":1} 1-1)"), told(watcher));
        CPPUNIT_ASSERT_EQUAL(std::string(R"(delete {"key":"a","revision":2} 1-2)"), told(watcher));
    }

    void tells_expiry_before_what_follows() {
        EventClient watcher = watch();
        send("PUT", "/api/kv/storage/t?ttl=0.05", {}, "1");
        CPPUNIT_ASSERT_EQUAL(std::string(R"(set {"key":"t","revision":1,"value":1} 1-1)"),
                             told(watcher));
        CPPUNIT_ASSERT_EQUAL(std::string(R"(expire {"key":"t","revision":2,"value":null} 1-2)"),
                             told(watcher));
        // Set again the moment that it is not to be read any more, whoever comes first.
        send("PUT", "/api/kv/storage/t?ttl=0.02", {}, "1");
        CPPUNIT_ASSERT(eventually([&] { return send("GET", "/api/kv/storage/t").status == 404; }));
        put("t", "2");
        CPPUNIT_ASSERT_EQUAL(std::string(R"(set {"key":"t","revision":3,"value":1} 1-3)"),
                             told(watcher));
        CPPUNIT_ASSERT_EQUAL(std::string(R"(expire {"key":"t","revision":4,"value":null} 1-4)"),
                             told(watcher));
        CPPUNIT_ASSERT_EQUAL(std::string(R"(set {"key":"t","revision":5,"value":2} 1-5)"),
                             told(watcher));
    }

    void resumes_without_a_gap() {
        for (int i = 1; i <= 20; ++i) put(fmt::format("k{}", i), "1");
        EventClient all = watch("&since=1-0");
        for (int i = 1; i <= 20; ++i) CPPUNIT_ASSERT_EQUAL(fmt::format("1-{}", i), next_id(all));
        EventClient some = watch("&since=1-17");
        CPPUNIT_ASSERT_EQUAL(std::string("1-18"), next_id(some));
        EventClient none = watch("&since=1-20");
        put("late", "1");
        CPPUNIT_ASSERT_EQUAL(std::string("1-21"), next_id(none));
        CPPUNIT_ASSERT_EQUAL(std::string("1-21"), next_id(all));
    }

    // A cut in the midst of a transaction repeats all of it; what has an id was seen to its end.
    void cut_a_hundred_times_it_misses_nothing() {
        constexpr int kCuts = 100;
        std::atomic<bool> over{false};
        std::jthread writer([&] {
            RawClient client(daemon_->port());
            for (int i = 1; !over; ++i) {
                const std::string ops = fmt::format(
                    R"({{"op":"set","key":"a","value":{0}}},{{"op":"set","key":"b","value":{0}}},)"
                    R"({{"op":"set","key":"c","value":{0}}})",
                    i);
                client.request("POST", "/api/kv/storage", "Content-Type: application/json\r\n",
                               fmt::format(R"({{"ops":[{}]}})", ops));
            }
        });
        std::string id = "1-0";
        int seen = 0;  // whole transactions
        for (int cut = 0; cut < kCuts; ++cut) {
            EventClient watcher = watch("&since=" + id);
            std::string parts;
            // Anywhere: after a whole one, or one or two of its three events later.
            for (int events = 0; events < 1 + cut % 11; ++events) {
                const auto event = watcher.next();
                CPPUNIT_ASSERT(event);
                parts += event->data;
                if (event->id.empty()) continue;
                ++seen;
                std::string whole;
                for (const char* key : {"a", "b", "c"}) {
                    whole +=
                        fmt::format(R"({{"key":"{}","revision":{},"value":{}}})", key, seen, seen);
                }
                CPPUNIT_ASSERT_EQUAL(whole, parts);
                parts.clear();
                id = event->id;
            }
        }
        over = true;
        CPPUNIT_ASSERT(seen >= kCuts);
    }

    void the_header_wins_over_since() {
        for (int i = 1; i <= 5; ++i) put("k", "1");
        EventClient watcher(daemon_->port(), "/api/kv/storage?watch=true&since=1-0",
                            "Last-Event-ID: 1-4\r\n");
        CPPUNIT_ASSERT_EQUAL(std::string("1-5"), next_id(watcher));
    }

    void resumes_over_a_kill() {
        put("a", "1");
        send("PUT", "/api/kv/storage/t?ttl=0.001", {}, "1");
        CPPUNIT_ASSERT(eventually(
            [&] { return send("GET", "/api/kv/storage").header("Larder-Revision") == "1-3"; }));
        transact(R"([{"op":"delete","key":"a"},{"op":"set","key":"b","value":[1]}])");
        kill_and_start();
        EventClient watcher = watch("&since=1-1");
        CPPUNIT_ASSERT_EQUAL(std::string(R"(set {"key":"t","revision":2,"value":1} 1-2)"),
                             told(watcher));
        CPPUNIT_ASSERT_EQUAL(std::string(R"(expire {"key":"t","revision":3,"value":null} 1-3)"),
                             told(watcher));
        CPPUNIT_ASSERT_EQUAL(std::string(R"(delete {"key":"a","revision":4,"value":null} )"),
                             told(watcher));
        CPPUNIT_ASSERT_EQUAL(std::string(R"(set {"key":"b","revision":4,"value":[1]} 1-4)"),
                             told(watcher));
    }

    // Who watched to the end was told where that was, and goes on from there.
    void resumes_over_a_clean_restart() {
        EventClient watcher = watch("&prefix=none");
        for (int i = 0; i < 10; ++i) put("k", "1");
        CPPUNIT_ASSERT_EQUAL(0, daemon_->stop());
        CPPUNIT_ASSERT(!watcher.next());
        CPPUNIT_ASSERT_EQUAL(std::string("1-10"), watcher.last_id());
        start();
        EventClient again = watch("&since=" + watcher.last_id());
        put("k", "2");
        CPPUNIT_ASSERT_EQUAL(std::string("1-11"), next_id(again));
    }

    void tells_what_is_not_kept_any_more() {
        for (int i = 0; i < 5; ++i) put("k", "1");
        send("POST", "/api/kv/storage/checkpoint");
        CPPUNIT_ASSERT_EQUAL(std::string("1-2"), [&] {
            EventClient watcher = watch("&since=1-1");  // memory has what the journal has not
            return next_id(watcher);
        }());
        put("k", "2");
        kill_and_start();
        CPPUNIT_ASSERT_EQUAL(std::string("410 compacted"), refused("&since=1-4"));
        EventClient watcher = watch("&since=1-5");
        CPPUNIT_ASSERT_EQUAL(std::string("1-6"), next_id(watcher));
    }

    void keeps_no_more_than_it_may() {
        environment_ = {{"LARDER_KV_WATCH_HISTORY", "64KiB"}};
        restart();
        const std::string large = "\"" + std::string(10'000, 'x') + "\"";
        for (int i = 0; i < 3; ++i) put("first", large);
        for (int i = 0; i < 10; ++i) send("PUT", "/api/kv/another/k", {}, large);
        CPPUNIT_ASSERT_EQUAL(std::string("410 compacted"), refused("&since=1-1"));
        EventClient newest(daemon_->port(), "/api/kv/another?watch=true&since=1-8");
        CPPUNIT_ASSERT_EQUAL(std::string("1-9"), next_id(newest));
    }

    void ends_with_the_bucket() {
        send("PUT", "/api/kv/mine/a", {}, "1");
        EventClient watcher(daemon_->port(), "/api/kv/mine?watch=true");
        CPPUNIT_ASSERT_EQUAL(204, send("DELETE", "/api/kv/mine?confirm=mine").status);
        CPPUNIT_ASSERT(!watcher.next());
        const std::string resume = "/api/kv/mine?watch=true&since=" + watcher.last_id();
        CPPUNIT_ASSERT_EQUAL(std::string("410 epoch-changed"), outcome("GET", resume));
        CPPUNIT_ASSERT_EQUAL(std::string("404 bucket-not-found"),
                             outcome("GET", "/api/kv/mine?watch=true"));
        kill_and_start();
        CPPUNIT_ASSERT_EQUAL(std::string("410 epoch-changed"), outcome("GET", resume));
        send("PUT", "/api/kv/mine/a", {}, "1");
        CPPUNIT_ASSERT_EQUAL(std::string("410 epoch-changed"), outcome("GET", resume));
        EventClient again(daemon_->port(), "/api/kv/mine?watch=true&since=2-1");
        CPPUNIT_ASSERT_EQUAL(std::string("2-2"), next_id(again));
    }

    void refuses_bad_watches() {
        put("k", "1");
        for (const char* id : {"", "1", "-", "1-", "-1", "0-1", "a-b", "1-1x", "1-1-1", "+1-1",
                               "99999999999999999999-1", "1-%20"}) {
            CPPUNIT_ASSERT_EQUAL_MESSAGE(id, std::string("400 invalid-parameter"),
                                         refused(fmt::format("&since={}", id)));
            if (*id == '\0' || *id == '1') continue;
            CPPUNIT_ASSERT_EQUAL_MESSAGE(id, std::string("400 invalid-parameter"),
                                         outcome("GET", "/api/kv/storage?watch=true",
                                                 fmt::format("Last-Event-ID: {}\r\n", id)));
        }
        CPPUNIT_ASSERT_EQUAL(std::string("400 invalid-parameter"), refused("&since=1-2"));
        CPPUNIT_ASSERT_EQUAL(std::string("410 epoch-changed"), refused("&since=2-1"));
        for (const char* query :
             {"&limit=5", "&where=/a=1", "&cursor=x", "&all=true", "&values=maybe", "&other=1"}) {
            CPPUNIT_ASSERT_EQUAL_MESSAGE(query, std::string("400 invalid-parameter"),
                                         refused(query));
        }
        CPPUNIT_ASSERT_EQUAL(std::string("400 invalid-parameter"),
                             outcome("GET", "/api/kv/storage?since=1-1"));
        CPPUNIT_ASSERT_EQUAL(std::string("400 invalid-parameter"),
                             outcome("GET", "/api/kv/storage?watch=yes"));
        CPPUNIT_ASSERT_EQUAL(std::string("404 bucket-not-found"),
                             outcome("GET", "/api/kv/never?watch=true"));
        CPPUNIT_ASSERT_EQUAL(std::string("404 bucket-not-found"),
                             outcome("GET", "/api/kv/never?watch=true&since=1-1"));
        CPPUNIT_ASSERT_EQUAL(std::string("404 bucket-not-found"),
                             outcome("GET", "/api/kv/No?watch=true"));
    }

    void refuses_too_many() {
        environment_ = {{"LARDER_KV_MAX_WATCHERS", "2"}};
        restart();
        CPPUNIT_ASSERT(send("GET", "/api/limits").body.find(R"("max_watchers":2)") !=
                       std::string::npos);
        auto first = std::make_unique<EventClient>(daemon_->port(), "/api/kv/storage?watch=true");
        EventClient second = watch();
        const Answer third = send("GET", "/api/kv/storage?watch=true");
        CPPUNIT_ASSERT_EQUAL(503, third.status);
        CPPUNIT_ASSERT_EQUAL(std::string("too-many-watchers"), third.member("code"));
        CPPUNIT_ASSERT(third.body.find(R"("limit":2)") != std::string::npos);
        CPPUNIT_ASSERT(!third.header("Retry-After").empty());
        first.reset();
        CPPUNIT_ASSERT(eventually([&] {
            try {
                watch();
                return true;
            } catch (const std::runtime_error&) {
                return false;
            }
        }));
    }

    void cuts_off_who_is_too_slow() {
        environment_ = {{"LARDER_KV_WATCH_HISTORY", "1MiB"}};
        restart();
        EventClient slow = watch();
        EventClient quick = watch("&values=false");
        const std::string large = "\"" + std::string(500'000, 'x') + "\"";
        for (int i = 1; i <= 40; ++i) {
            put("k", large);
            CPPUNIT_ASSERT_EQUAL(fmt::format("1-{}", i), next_id(quick));
        }
        // What had left for the slow one it gets, in order, then the end.
        int seen = 0;
        while (const auto event = slow.next()) {
            ++seen;
            CPPUNIT_ASSERT_EQUAL(fmt::format("1-{}", seen), event->id);
        }
        CPPUNIT_ASSERT(seen < 40);
        CPPUNIT_ASSERT_EQUAL(std::string("410 compacted"), refused("&since=" + slow.last_id()));
    }

    void many_watchers_see_the_same() {
        constexpr int kWatchers = 24;
        constexpr int kWrites = 300;
        std::vector<std::string> seen(kWatchers);
        {
            std::vector<std::unique_ptr<EventClient>> watchers;
            for (int i = 0; i < kWatchers; ++i) {
                watchers.push_back(std::make_unique<EventClient>(
                    daemon_->port(), i % 3 == 0 ? "/api/kv/storage?watch=true&prefix=w1"
                                                : "/api/kv/storage?watch=true"));
            }
            std::vector<std::jthread> threads;
            for (int i = 0; i < kWatchers; ++i) {
                threads.emplace_back([&, i] {
                    while (const auto event = watchers[static_cast<std::size_t>(i)]->next()) {
                        if (event->data.find("\"end\"") != std::string::npos) break;
                        if (event->data.find("\"w1") == std::string::npos) continue;
                        seen[static_cast<std::size_t>(i)] += event->data + '\n';
                        if (i % 3 == 0 && event->data.find("\"w1/last\"") != std::string::npos)
                            break;
                    }
                });
            }
            std::vector<std::jthread> writers;
            for (int w = 0; w < 3; ++w) {
                writers.emplace_back([this, w] {
                    RawClient client(daemon_->port());
                    for (int i = 0; i < kWrites; ++i) {
                        client.request("PUT", fmt::format("/api/kv/storage/w{}/{}", w, i % 7), {},
                                       std::to_string(i));
                    }
                });
            }
            writers.clear();
            put("w1/last", "1");
            put("end", "1");
        }
        CPPUNIT_ASSERT_EQUAL(std::ptrdiff_t{kWrites + 1},
                             std::count(seen[0].begin(), seen[0].end(), '\n'));
        for (int i = 0; i < kWatchers; ++i) {
            CPPUNIT_ASSERT_EQUAL(seen[0], seen[static_cast<std::size_t>(i)]);
        }
    }

    void answers_head_without_a_stream() {
        RawClient client(daemon_->port());
        client.send("HEAD /api/kv/storage?watch=true HTTP/1.1\r\nHost: localhost\r\n\r\n");
        const Answer head = client.read_answer(true);
        CPPUNIT_ASSERT_EQUAL(200, head.status);
        CPPUNIT_ASSERT_EQUAL(std::string("text/event-stream"), head.header("Content-Type"));
    }

    // A comment and the id, about every 15 seconds; the client's patience is 20.
    void gives_a_sign_of_life() {
        put("k", "1");
        EventClient watcher = watch("&prefix=none");
        CPPUNIT_ASSERT(watcher.read_until([](const std::string& line) { return line.empty(); }));
        put("k", "2");
        CPPUNIT_ASSERT(
            watcher.read_until([](const std::string& line) { return line.starts_with(":"); }));
        CPPUNIT_ASSERT(
            watcher.read_until([](const std::string& line) { return line == "id: 1-2"; }));
    }

private:
    EventClient watch(const std::string& more = {}) {
        return EventClient(daemon_->port(), "/api/kv/storage?watch=true" + more);
    }
    std::string refused(const std::string& more) {
        return outcome("GET", "/api/kv/storage?watch=true" + more);
    }
    void put(const std::string& key, const std::string& value) {
        std::string path = "/api/kv/storage/";
        for (const char c : key) {
            path += std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '/'
                        ? std::string(1, c)
                        : fmt::format("%{:02X}", static_cast<unsigned char>(c));
        }
        CPPUNIT_ASSERT(send("PUT", path, {}, value).status < 300);
    }
    void transact(const std::string& ops) {
        CPPUNIT_ASSERT_EQUAL(
            200, send("POST", "/api/kv/storage", {}, fmt::format(R"({{"ops":{}}})", ops)).status);
    }
    static std::string told(EventClient& watcher) {
        const auto event = watcher.next();
        if (!event) return "the end";
        return fmt::format("{} {} {}", event->type, event->data, event->id);
    }
    static std::string next_id(EventClient& watcher) {
        const auto event = watcher.next();
        return event ? event->id : "the end";
    }
};

LARDER_TEST_SUITE(KvWatchTest);

}  // namespace
}  // namespace larder::test
