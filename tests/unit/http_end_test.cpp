// The front at its end: draining what is under way, cutting what does not end, stopping; and
// exchanges that nothing was decided of yet.
#include <atomic>
#include <filesystem>
#include <vector>

#include "larder/error.hpp"
#include "support/suite.hpp"
#include "support/toy_requests.hpp"
#include "support/toy_server.hpp"

namespace {

using namespace larder;
using namespace larder::http;
using namespace std::chrono_literals;
using namespace std::string_literals;
using test::eventually;
using test::FrontAnswer;
using test::FrontClient;
using test::get;
using test::post;
using test::ToyServer;

class HttpEndTest final : public CppUnit::TestFixture {
    CPPUNIT_TEST_SUITE(HttpEndTest);
    CPPUNIT_TEST(drains_what_is_under_way);
    CPPUNIT_TEST(asks_again_where_nothing_was_decided);
    CPPUNIT_TEST(forgets_the_undecided_whose_client_leaves);
    CPPUNIT_TEST(cuts_what_does_not_end);
    CPPUNIT_TEST(drains_under_load_without_a_lost_answer);
    CPPUNIT_TEST(answers_after_the_stop_are_harmless);
    CPPUNIT_TEST(stops_with_streams_open);
    CPPUNIT_TEST_SUITE_END();

    void drains_what_is_under_way() {
        ToyServer toy;
        ToyServer::Held held;
        std::atomic<bool> running{false};
        toy.on_run = [&](const ToyServer::Held& exchange) {
            if (exchange->head().target == "/fast") {
                return exchange->answer(ToyServer::text(200, "fast"));
            }
            held = exchange;
            running = true;
        };
        toy.start();
        FrontClient idle = toy.client(), fresh = toy.client(), busy = toy.client();
        FrontClient half = toy.client();
        CPPUNIT_ASSERT_EQUAL(200, idle.exchange(get("/fast")).status);
        CPPUNIT_ASSERT_EQUAL(200, half.exchange(get("/fast")).status);
        busy.send(get("/slow"));
        half.send("GET /fast HTTP/1.1\r\n");
        CPPUNIT_ASSERT(eventually([&] { return running.load(); }));
        toy.server().on_each_reactor([](std::size_t) {});
        std::size_t cut = 99;
        std::thread draining(
            [&] { cut = toy.server().drain(std::chrono::steady_clock::now() + 30s); });
        CPPUNIT_ASSERT(idle.at_end());
        CPPUNIT_ASSERT(fresh.at_end());
        CPPUNIT_ASSERT_THROW(toy.client(), std::runtime_error);
        half.send("Host: a\r\n\r\n");
        const FrontAnswer last = half.read_answer();
        CPPUNIT_ASSERT_EQUAL(200, last.status);
        CPPUNIT_ASSERT_EQUAL("close"s, last.field.at("connection"));
        half.close();
        std::exchange(held, nullptr)->answer(ToyServer::text(200, "slow"));
        const FrontAnswer slow = busy.read_answer();
        CPPUNIT_ASSERT_EQUAL("slow"s, slow.body);
        CPPUNIT_ASSERT_EQUAL("close"s, slow.field.at("connection"));
        CPPUNIT_ASSERT(busy.at_end());
        busy.close();
        draining.join();
        CPPUNIT_ASSERT_EQUAL(std::size_t{0}, cut);
    }

    // GET, a buffered body, a streamed one, and one that asks first: each waits undecided for a
    // worker, and goes on as if it had not.
    void asks_again_where_nothing_was_decided() {
        ToyServer toy;
        std::mutex mutex;
        std::map<std::string, int> asked;
        const auto sink = std::make_shared<test::CollectingSink>();
        toy.on_begin = [&](const ToyServer::Held& exchange) -> http::BodyPlan {
            const std::string target(exchange->head().target);
            {
                const std::lock_guard lock(mutex);
                if (++asked[target] == 1) {
                    toy.on_worker([exchange] { exchange->begin_again(); });
                    return {http::BodyPlan::Kind::later, 0, nullptr, true};
                }
            }
            if (target == "/no") {
                exchange->answer(ToyServer::text(403, "no"));
                return ToyServer::answered();
            }
            if (target != "/stream") return ToyServer::buffered(1U << 20U);
            sink->at_end = [exchange](test::CollectingSink& all) {
                exchange->answer(ToyServer::text(200, all.bytes()));
            };
            return ToyServer::streamed(sink);
        };
        toy.start();
        FrontClient client = toy.client();
        CPPUNIT_ASSERT_EQUAL(std::string("GET /a\n"), client.exchange(get("/a")).body);
        CPPUNIT_ASSERT_EQUAL(403, client.exchange(get("/no")).status);
        const std::string body(100000, 'x');
        const auto post = [&](const std::string& target, const std::string& field) {
            return "POST " + target + " HTTP/1.1\r\nHost: a\r\n" + field + "\r\n";
        };
        const std::string length = "Content-Length: 100000\r\n";
        CPPUNIT_ASSERT_EQUAL("POST /b\n" + body, client.exchange(post("/b", length) + body).body);
        CPPUNIT_ASSERT_EQUAL(body, client.exchange(post("/stream", length) + body).body);
        client.send(post("/ask", length + "Expect: 100-continue\r\n"));
        CPPUNIT_ASSERT_EQUAL(100, client.read_answer(true).status);
        client.send(body);
        CPPUNIT_ASSERT_EQUAL("POST /ask\n" + body, client.read_answer().body);
        // Two in one go: the second waits for the first.
        client.send(get("/one") + get("/two"));
        CPPUNIT_ASSERT_EQUAL(std::string("GET /one\n"), client.read_answer().body);
        CPPUNIT_ASSERT_EQUAL(std::string("GET /two\n"), client.read_answer().body);
        const std::lock_guard lock(mutex);
        for (const auto& [target, times] : asked) CPPUNIT_ASSERT_EQUAL_MESSAGE(target, 2, times);
    }

    void forgets_the_undecided_whose_client_leaves() {
        ToyServer toy;
        std::mutex mutex;
        std::vector<ToyServer::Held> held;
        toy.on_begin = [&](const ToyServer::Held& exchange) -> http::BodyPlan {
            const std::lock_guard lock(mutex);
            held.push_back(exchange);
            return {http::BodyPlan::Kind::later, 0, nullptr, true};
        };
        toy.start();
        {
            FrontClient client = toy.client();
            client.send(get("/"));
            CPPUNIT_ASSERT(eventually([&] {
                const std::lock_guard lock(mutex);
                return held.size() == 1;
            }));
            client.reset();
        }
        CPPUNIT_ASSERT(eventually([&] { return toy.ended().size() == 1; }));
        CPPUNIT_ASSERT_EQUAL(0, toy.ended().front().status);
        held.front()->begin_again();
        // Whatever is asked now comes after that in the reactors' mail.
        CPPUNIT_ASSERT(toy.server().on_each_reactor([](std::size_t) {}));
        const std::lock_guard lock(mutex);
        CPPUNIT_ASSERT_EQUAL(std::size_t{1}, held.size());
        held.clear();
    }

    void cuts_what_does_not_end() {
        ToyServer toy;
        std::mutex mutex;
        std::vector<ToyServer::Held> held;
        toy.on_run = [&](const ToyServer::Held& exchange) {
            const std::lock_guard lock(mutex);
            held.push_back(exchange);
        };
        toy.start();
        FrontClient one = toy.client(), two = toy.client();
        one.send(get("/"));
        two.send(get("/"));
        CPPUNIT_ASSERT(eventually([&] {
            const std::lock_guard lock(mutex);
            return held.size() == 2;
        }));
        const auto cancel = held[0]->cancel();
        CPPUNIT_ASSERT_EQUAL(std::size_t{2},
                             toy.server().drain(std::chrono::steady_clock::now() + 50ms));
        CPPUNIT_ASSERT(cancel->cancelled());
        CPPUNIT_ASSERT(one.at_end() && two.at_end());
        CPPUNIT_ASSERT_EQUAL(std::size_t{2}, toy.ended().size());
        held[0]->answer(ToyServer::text(200, "late"));
        held.clear();
    }

    // Clients that ask on and on: each request gets its whole answer or none at all.
    void drains_under_load_without_a_lost_answer() {
        ToyServer toy;
        toy.on_run = [&](const ToyServer::Held& exchange) {
            toy.on_worker([exchange] { exchange->answer(ToyServer::text(200, "yes")); });
        };
        toy.start();
        std::atomic<int> answered{0}, torn{0};
        std::vector<std::thread> clients;
        clients.reserve(8);
        for (int i = 0; i < 8; ++i) {
            clients.emplace_back([&] {
                FrontClient client = toy.client();
                try {
                    for (;;) {
                        if (!client.send(get("/"))) return;
                        if (client.exchange(get("/")).whole) ++answered;
                        if (!client.read_answer().whole) ++torn;
                    }
                } catch (const std::runtime_error& error) {
                    if (error.what() != "the answer was cut: "s) ++torn;
                }
            });
        }
        CPPUNIT_ASSERT(eventually([&] { return answered > 100; }));
        CPPUNIT_ASSERT_EQUAL(std::size_t{0},
                             toy.server().drain(std::chrono::steady_clock::now() + 30s));
        for (std::thread& client : clients) client.join();
        CPPUNIT_ASSERT_EQUAL(0, torn.load());
        for (const auto& record : toy.ended()) CPPUNIT_ASSERT(record.whole);
    }

    void answers_after_the_stop_are_harmless() {
        ToyServer toy;
        ToyServer::Held answered, streamed, dropped;
        std::atomic<int> running{0};
        toy.on_run = [&](const ToyServer::Held& exchange) {
            if (exchange->head().target == "/1") answered = exchange;
            if (exchange->head().target == "/2") streamed = exchange;
            if (exchange->head().target == "/3") dropped = exchange;
            ++running;
        };
        toy.start();
        FrontClient one = toy.client(), two = toy.client(), three = toy.client();
        one.send(get("/1"));
        two.send(get("/2"));
        three.send(get("/3"));
        CPPUNIT_ASSERT(eventually([&] { return running == 3; }));
        toy.server().stop();
        CPPUNIT_ASSERT(answered->cancel()->cancelled());
        answered->answer(ToyServer::text(200, "late"));
        const auto stream = streamed->stream({});
        CPPUNIT_ASSERT(stream->send(std::make_shared<const std::string>("x")) ==
                       EventStream::Sent::closed);
        dropped->resume_body();
        CPPUNIT_ASSERT_EQUAL("/3"s, std::string(dropped->head().target));
        answered.reset();
        streamed.reset();
        dropped.reset();
        CPPUNIT_ASSERT_EQUAL(std::size_t{3}, toy.ended().size());
    }

    void stops_with_streams_open() {
        std::shared_ptr<EventStream> stream;
        std::atomic<bool> open{false};
        std::atomic<int> closed{0};
        ToyServer toy;
        toy.on_run = [&](const ToyServer::Held& exchange) {
            StreamHead head;
            head.closed = [&] { ++closed; };
            stream = exchange->stream(std::move(head));
            open = true;
        };
        toy.start();
        FrontClient client = toy.client();
        client.send(get("/"));
        CPPUNIT_ASSERT(eventually([&] { return open.load(); }));
        client.read_until("\r\n\r\n");
        toy.server().stop();
        CPPUNIT_ASSERT_EQUAL(1, closed.load());
        CPPUNIT_ASSERT(stream->send(std::make_shared<const std::string>("x")) ==
                       EventStream::Sent::closed);
        stream->close();
    }
};

LARDER_TEST_SUITE(HttpEndTest);

}  // namespace
