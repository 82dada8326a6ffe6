// The front over real sockets, the way in: requests one after the other, bodies of every framing,
// and what is refused. Answers have http_answer_test, time and sockets http_life_test.
#include <atomic>
#include <mutex>
#include <utility>
#include <vector>

#include "support/suite.hpp"
#include "support/toy_requests.hpp"
#include "support/toy_server.hpp"

namespace {

using namespace larder;
using namespace larder::http;
using namespace std::string_literals;
using test::CollectingSink;
using test::eventually;
using test::FrontAnswer;
using test::FrontClient;
using test::get;
using test::pattern;
using test::post;
using test::ToyServer;

std::string chunked(const std::string& target, const std::string& coded) {
    return "POST " + target + " HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + coded;
}

class HttpServerTest final : public CppUnit::TestFixture {
    CPPUNIT_TEST_SUITE(HttpServerTest);
    CPPUNIT_TEST(answers_on_one_connection);
    CPPUNIT_TEST(takes_or_makes_a_request_id);
    CPPUNIT_TEST(pipelined_requests_in_order);
    CPPUNIT_TEST(pipelined_requests_answered_elsewhere);
    CPPUNIT_TEST(heads_larger_than_the_first_buffer);
    CPPUNIT_TEST(bodies_in_place_and_collected);
    CPPUNIT_TEST(bodies_in_pieces);
    CPPUNIT_TEST(chunked_bodies);
    CPPUNIT_TEST(a_request_behind_a_chunked_body);
    CPPUNIT_TEST(too_large_is_refused_before_the_body);
    CPPUNIT_TEST(too_large_by_chunks);
    CPPUNIT_TEST(a_refusal_can_be_read_by_a_client_that_sends_on);
    CPPUNIT_TEST(continue_is_said_when_the_body_is_wanted);
    CPPUNIT_TEST(continue_is_not_said_otherwise);
    CPPUNIT_TEST(a_small_unread_body_is_passed_over);
    CPPUNIT_TEST(a_large_unread_body_closes);
    CPPUNIT_TEST(an_unread_chunked_body_closes);
    CPPUNIT_TEST(streams_a_body_to_a_sink);
    CPPUNIT_TEST(streams_a_chunked_body_with_trailers);
    CPPUNIT_TEST(a_full_sink_stops_the_reading);
    CPPUNIT_TEST(a_sink_that_is_not_ready_is_waited_for);
    CPPUNIT_TEST(an_empty_body_ends_a_sink_at_once);
    CPPUNIT_TEST(a_sink_may_answer_before_the_end);
    CPPUNIT_TEST(an_early_answer_leaves_nothing_to_the_next_body);
    CPPUNIT_TEST(a_sink_beyond_its_limit_is_aborted);
    CPPUNIT_TEST(cut_bodies_never_look_whole);
    CPPUNIT_TEST(malformed_chunks_abort);
    CPPUNIT_TEST(framing_refusals);
    CPPUNIT_TEST(an_application_that_throws);
    CPPUNIT_TEST_SUITE_END();

    void answers_on_one_connection() {
        ToyServer toy;
        toy.start();
        FrontClient client = toy.client();
        for (int i = 0; i < 3; ++i) {
            const FrontAnswer answer = client.exchange(get("/x?" + std::to_string(i)));
            CPPUNIT_ASSERT_EQUAL(200, answer.status);
            CPPUNIT_ASSERT_EQUAL("GET /x?" + std::to_string(i) + "\n", answer.body);
            CPPUNIT_ASSERT(answer.field.at("date").ends_with(" GMT"));
            CPPUNIT_ASSERT_EQUAL("text/plain"s, answer.field.at("content-type"));
            CPPUNIT_ASSERT(!answer.field.contains("connection"));
        }
        const FrontAnswer last =
            client.exchange("GET /last HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        CPPUNIT_ASSERT_EQUAL("close"s, last.field.at("connection"));
        CPPUNIT_ASSERT(client.at_end());
        const auto ended = toy.ended();
        CPPUNIT_ASSERT_EQUAL(std::size_t{4}, ended.size());
        CPPUNIT_ASSERT_EQUAL("/last"s, ended[3].target);
        CPPUNIT_ASSERT_EQUAL(200, ended[3].status);
        CPPUNIT_ASSERT(ended[3].whole);
        CPPUNIT_ASSERT_EQUAL(std::uint64_t{last.body.size()}, ended[3].bytes_out);

        FrontClient old = toy.client();
        const FrontAnswer kept = old.exchange("GET /0 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
        CPPUNIT_ASSERT_EQUAL("keep-alive"s, kept.field.at("connection"));
        const FrontAnswer left = old.exchange("GET /1 HTTP/1.0\r\n\r\n");
        CPPUNIT_ASSERT_EQUAL("GET /1\n"s, left.body);
        CPPUNIT_ASSERT(old.at_end());
    }

    void takes_or_makes_a_request_id() {
        ToyServer toy;
        toy.on_run = [](const ToyServer::Held& exchange) {
            exchange->answer(ToyServer::text(200, std::string(exchange->id())));
        };
        toy.start();
        FrontClient client = toy.client();
        const auto with = [&](const std::string& id) {
            return client.exchange("GET / HTTP/1.1\r\nHost: a\r\nX-Request-ID: " + id + "\r\n\r\n");
        };
        const FrontAnswer taken = with("a.B_c-9");
        CPPUNIT_ASSERT_EQUAL("a.B_c-9"s, taken.field.at("x-request-id"));
        CPPUNIT_ASSERT_EQUAL("a.B_c-9"s, taken.body);
        for (const std::string& bad : {""s, "a b"s, "a/b"s, "\xC3\xA9"s, std::string(65, 'a')}) {
            const FrontAnswer made = with(bad);
            CPPUNIT_ASSERT_EQUAL(std::size_t{16}, made.field.at("x-request-id").size());
            CPPUNIT_ASSERT_EQUAL(made.body, made.field.at("x-request-id"));
        }
        CPPUNIT_ASSERT(with("").body != with("").body);
    }

    void pipelined_requests_in_order() {
        ToyServer toy;
        toy.start();
        FrontClient client = toy.client();
        std::string all;
        for (int i = 0; i < 200; ++i) {
            all += i % 3 == 0 ? get("/" + std::to_string(i))
                              : post("/" + std::to_string(i), pattern(static_cast<std::size_t>(i)));
        }
        client.send(all);
        for (int i = 0; i < 200; ++i) {
            const std::string expected = i % 3 == 0 ? "GET /" + std::to_string(i) + "\n"
                                                    : "POST /" + std::to_string(i) + "\n" +
                                                          pattern(static_cast<std::size_t>(i));
            CPPUNIT_ASSERT_EQUAL(expected, client.read_answer().body);
        }
    }

    // The answers come from another thread, while more requests wait in the buffer.
    void pipelined_requests_answered_elsewhere() {
        ToyServer toy;
        toy.on_run = [&](const ToyServer::Held& exchange) {
            toy.on_worker([exchange] {
                exchange->answer(ToyServer::text(200, std::string(exchange->head().target)));
            });
        };
        toy.start();
        std::vector<FrontClient> clients;
        clients.reserve(16);
        for (int i = 0; i < 16; ++i) clients.push_back(toy.client());
        std::string all;
        for (int i = 0; i < 100; ++i) all += get("/" + std::to_string(i));
        for (FrontClient& client : clients) client.send(all);
        for (FrontClient& client : clients) {
            for (int i = 0; i < 100; ++i) {
                CPPUNIT_ASSERT_EQUAL("/" + std::to_string(i), client.read_answer().body);
            }
        }
    }

    void heads_larger_than_the_first_buffer() {
        ToyServer toy;
        toy.on_run = [](const ToyServer::Held& exchange) {
            exchange->answer(
                ToyServer::text(200, std::string(exchange->head().field("X-Long").value())));
        };
        toy.start();
        FrontClient client = toy.client();
        for (const std::size_t size : {5000U, 31000U, 10U, 20000U}) {
            const std::string value = pattern(size);
            const FrontAnswer answer =
                client.exchange("GET / HTTP/1.1\r\nHost: a\r\nX-Long: " + value + "\r\n\r\n");
            CPPUNIT_ASSERT_EQUAL(value, answer.body);
        }
    }

    void bodies_in_place_and_collected() {
        ToyServer toy;
        toy.start();
        FrontClient client = toy.client();
        for (const std::size_t size :
             {0U, 1U, 100U, 3900U, 4000U, 4096U, 5000U, 70000U, 300000U, 1048576U, 7U}) {
            const FrontAnswer answer = client.exchange(post("/", pattern(size)));
            CPPUNIT_ASSERT_EQUAL(200, answer.status);
            CPPUNIT_ASSERT(answer.body == "POST /\n" + pattern(size));
        }
        CPPUNIT_ASSERT_EQUAL(std::uint64_t{1048576}, toy.ended().at(9).bytes_in);
    }

    void bodies_in_pieces() {
        ToyServer toy;
        toy.start();
        FrontClient client = toy.client();
        for (const std::size_t size : {20U, 3000U, 100000U}) {
            const std::string request = post("/", pattern(size)) + get("/next");
            for (std::size_t at = 0; at < request.size();) {
                const std::size_t step = at < 200 ? 1 : 1777;
                client.send(std::string_view(request).substr(at, step));
                at += step;
            }
            CPPUNIT_ASSERT(client.read_answer().body == "POST /\n" + pattern(size));
            CPPUNIT_ASSERT_EQUAL("GET /next\n"s, client.read_answer().body);
        }
    }

    void chunked_bodies() {
        ToyServer toy;
        toy.start();
        FrontClient client = toy.client();
        CPPUNIT_ASSERT_EQUAL("POST /\n"s, client.exchange(chunked("/", "0\r\n\r\n")).body);
        CPPUNIT_ASSERT_EQUAL(
            "POST /\nabcde"s,
            client.exchange(chunked("/", "3;x\r\nabc\r\n2\r\nde\r\n0\r\nX: y\r\n\r\n")).body);
        const std::string part = pattern(0x4321);
        std::string coded, whole;
        for (int i = 0; i < 40; ++i) {
            coded += "4321\r\n" + part + "\r\n";
            whole += part;
        }
        CPPUNIT_ASSERT(client.exchange(chunked("/", coded + "0\r\n\r\n")).body ==
                       "POST /\n" + whole);
        const std::string slow = chunked("/", "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n");
        for (const char c : slow) client.send({&c, 1});
        CPPUNIT_ASSERT_EQUAL("POST /\nabcde"s, client.read_answer().body);
    }

    void a_request_behind_a_chunked_body() {
        ToyServer toy;
        toy.start();
        FrontClient client = toy.client();
        // Small: it arrives in the buffer of the head. Large: it arrives where bodies are read.
        for (const std::size_t size : {0x100U, 0x20000U}) {
            const std::string body = pattern(size);
            const std::string coded =
                (size == 0x100U ? "100\r\n" : "20000\r\n") + body + "\r\n0\r\n\r\n";
            client.send(chunked("/1", coded) + get("/2") + chunked("/3", coded) + get("/4"));
            CPPUNIT_ASSERT(client.read_answer().body == "POST /1\n" + body);
            CPPUNIT_ASSERT_EQUAL("GET /2\n"s, client.read_answer().body);
            CPPUNIT_ASSERT(client.read_answer().body == "POST /3\n" + body);
            CPPUNIT_ASSERT_EQUAL("GET /4\n"s, client.read_answer().body);
        }
    }

    void too_large_is_refused_before_the_body() {
        ToyServer toy;
        toy.on_begin = [](const ToyServer::Held&) { return ToyServer::buffered(1000); };
        toy.start();
        FrontClient client = toy.client();
        // Not a byte of the body is sent.
        const FrontAnswer answer =
            client.exchange("PUT /big HTTP/1.1\r\nHost: a\r\nContent-Length: 1001\r\n\r\n");
        CPPUNIT_ASSERT_EQUAL(413, answer.status);
        CPPUNIT_ASSERT_EQUAL("application/problem+json"s, answer.field.at("content-type"));
        CPPUNIT_ASSERT(answer.body.find("\"code\":\"body-too-large\"") != std::string::npos);
        CPPUNIT_ASSERT(answer.body.find("\"limit\":1000") != std::string::npos);
        CPPUNIT_ASSERT_EQUAL("close"s, answer.field.at("connection"));
        CPPUNIT_ASSERT(client.at_end());
        CPPUNIT_ASSERT_EQUAL(200, toy.client().exchange(post("/", pattern(1000))).status);
    }

    void too_large_by_chunks() {
        ToyServer toy;
        std::atomic<int> runs{0};
        toy.on_begin = [](const ToyServer::Held&) { return ToyServer::buffered(10); };
        toy.on_run = [&](const ToyServer::Held&) { ++runs; };
        toy.start();
        FrontClient client = toy.client();
        const FrontAnswer answer = client.exchange(chunked("/", "6\r\nabcdef\r\n6\r\nabcdef\r\n"));
        CPPUNIT_ASSERT_EQUAL(413, answer.status);
        CPPUNIT_ASSERT(client.at_end());
        CPPUNIT_ASSERT_EQUAL(0, runs.load());
    }

    void a_refusal_can_be_read_by_a_client_that_sends_on() {
        ToyServer toy;
        toy.on_begin = [](const ToyServer::Held&) { return ToyServer::buffered(1000); };
        toy.start();
        FrontClient client = toy.client();
        const std::string body = pattern(10U << 20U);
        CPPUNIT_ASSERT(client.send(post("/", body)));  // all of it, before it looks for an answer
        CPPUNIT_ASSERT_EQUAL(413, client.read_answer().status);
    }

    void continue_is_said_when_the_body_is_wanted() {
        ToyServer toy;
        auto sink = std::make_shared<CollectingSink>();
        toy.on_begin = [&](const ToyServer::Held& exchange) {
            if (exchange->head().target != "/sink") return ToyServer::buffered(1000);
            sink->at_end = [exchange](CollectingSink&) {
                exchange->answer(ToyServer::text(200, "kept"));
            };
            return ToyServer::streamed(sink);
        };
        toy.start();
        for (const std::string target : {"/", "/sink"}) {
            FrontClient client = toy.client();
            client.send(
                "PUT " + target +
                " HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n");
            CPPUNIT_ASSERT_EQUAL("HTTP/1.1 100 Continue\r\n\r\n"s, client.read_until("\r\n\r\n"));
            client.send("abc");
            CPPUNIT_ASSERT_EQUAL(200, client.read_answer().status);
            CPPUNIT_ASSERT_EQUAL(200, client.exchange(get("/next")).status);
        }
        CPPUNIT_ASSERT_EQUAL("abc"s, sink->bytes());
    }

    void continue_is_not_said_otherwise() {
        ToyServer toy;
        toy.on_begin = [](const ToyServer::Held& exchange) {
            if (exchange->head().target != "/no") return ToyServer::buffered(1000);
            exchange->answer(ToyServer::text(403, "no"));
            return ToyServer::answered();
        };
        toy.start();
        const std::string expect = "Expect: 100-continue\r\n";
        {  // refused on its head: the body need not come, so the connection cannot go on
            FrontClient client = toy.client();
            const FrontAnswer answer = client.exchange("PUT /no HTTP/1.1\r\nHost: a\r\n" + expect +
                                                       "Content-Length: 3\r\n\r\n");
            CPPUNIT_ASSERT_EQUAL(403, answer.status);
            CPPUNIT_ASSERT_EQUAL("close"s, answer.field.at("connection"));
            client.send("abc");
            CPPUNIT_ASSERT(client.at_end());
        }
        CPPUNIT_ASSERT_EQUAL(413, toy.client()
                                      .exchange("PUT / HTTP/1.1\r\nHost: a\r\n" + expect +
                                                "Content-Length: 2000\r\n\r\n")
                                      .status);
        // The body has begun to arrive; an empty one; HTTP/1.0.
        CPPUNIT_ASSERT_EQUAL(200, toy.client().exchange(post("/", "abc", expect)).status);
        CPPUNIT_ASSERT_EQUAL(200, toy.client().exchange(post("/", "", expect)).status);
        FrontClient old = toy.client();
        old.send("PUT / HTTP/1.0\r\n" + expect + "Content-Length: 3\r\n\r\n");
        old.send("abc");
        CPPUNIT_ASSERT_EQUAL(200, old.read_answer().status);
    }

    void a_small_unread_body_is_passed_over() {
        ToyServer toy;
        toy.on_begin = [](const ToyServer::Held& exchange) {
            exchange->answer(ToyServer::text(404, std::string(exchange->head().target)));
            return ToyServer::answered();
        };
        toy.start();
        FrontClient client = toy.client();
        // The body is a request: it must not be taken for one.
        const std::string trap = get("/trap");
        for (int i = 0; i < 3; ++i) {
            const FrontAnswer answer = client.exchange(post("/first", trap));
            CPPUNIT_ASSERT_EQUAL("/first"s, answer.body);
            CPPUNIT_ASSERT(!answer.field.contains("connection"));
        }
        client.send(post("/big", pattern(65536)) + get("/after"));
        CPPUNIT_ASSERT_EQUAL("/big"s, client.read_answer().body);
        CPPUNIT_ASSERT_EQUAL("/after"s, client.read_answer().body);
        for (const auto& ended : toy.ended()) CPPUNIT_ASSERT(ended.target != "/trap");
    }

    void a_large_unread_body_closes() {
        ToyServer toy;
        toy.on_begin = [](const ToyServer::Held& exchange) {
            exchange->answer(ToyServer::text(404, "no"));
            return ToyServer::answered();
        };
        toy.start();
        FrontClient client = toy.client();
        client.send(post("/", pattern(65537)) + get("/trap"));
        const FrontAnswer answer = client.read_answer();
        CPPUNIT_ASSERT_EQUAL("close"s, answer.field.at("connection"));
        CPPUNIT_ASSERT(client.at_end());
        CPPUNIT_ASSERT_EQUAL(std::size_t{1}, toy.ended().size());
    }

    void an_unread_chunked_body_closes() {
        ToyServer toy;
        toy.on_begin = [](const ToyServer::Held& exchange) {
            exchange->answer(ToyServer::text(404, "no"));
            return ToyServer::answered();
        };
        toy.start();
        FrontClient client = toy.client();
        client.send(chunked("/", "3\r\nabc\r\n0\r\n\r\n") + get("/trap"));
        CPPUNIT_ASSERT_EQUAL("close"s, client.read_answer().field.at("connection"));
        CPPUNIT_ASSERT(client.at_end());
        CPPUNIT_ASSERT_EQUAL(std::size_t{1}, toy.ended().size());
    }

    // ---- sinks

    static void answer_at_end(const std::shared_ptr<CollectingSink>& sink,
                              const ToyServer::Held& exchange) {
        sink->at_end = [exchange](CollectingSink& self) {
            exchange->answer(ToyServer::text(201, std::to_string(self.bytes().size())));
        };
    }

    void streams_a_body_to_a_sink() {
        ToyServer toy;
        std::shared_ptr<CollectingSink> sink;
        toy.on_begin = [&](const ToyServer::Held& exchange) {
            sink = std::make_shared<CollectingSink>();
            answer_at_end(sink, exchange);
            return ToyServer::streamed(sink);
        };
        toy.start();
        FrontClient client = toy.client();
        for (const std::size_t size : {5U, 4000U, 3U << 20U}) {
            client.send(post("/", pattern(size)) + get("/empty"));
            const FrontAnswer answer = client.read_answer();
            CPPUNIT_ASSERT_EQUAL(201, answer.status);
            CPPUNIT_ASSERT_EQUAL(std::to_string(size), answer.body);
            CPPUNIT_ASSERT_EQUAL("0"s, client.read_answer().body);
        }
        client.send(post("/", pattern(3U << 20U)));
        client.read_answer();
        CPPUNIT_ASSERT(sink->bytes() == pattern(3U << 20U));
        CPPUNIT_ASSERT(sink->largest() <= 256U << 10U);
        CPPUNIT_ASSERT_EQUAL(1, sink->ends());
        CPPUNIT_ASSERT_EQUAL(0, sink->aborts());
    }

    void streams_a_chunked_body_with_trailers() {
        ToyServer toy;
        std::shared_ptr<CollectingSink> sink;
        toy.on_begin = [&](const ToyServer::Held& exchange) {
            sink = std::make_shared<CollectingSink>();
            answer_at_end(sink, exchange);
            return ToyServer::streamed(sink);
        };
        toy.start();
        FrontClient client = toy.client();
        std::string coded, whole;
        for (int i = 0; i < 30; ++i) {
            coded += "10000\r\n" + pattern(0x10000) + "\r\n";
            whole += pattern(0x10000);
        }
        client.send(chunked("/", coded + "0\r\nUpload-Checksum: x\r\n\r\n") + get("/"));
        CPPUNIT_ASSERT_EQUAL(std::to_string(whole.size()), client.read_answer().body);
        const Headers expected{{"Upload-Checksum", "x"}};
        CPPUNIT_ASSERT_EQUAL("0"s, client.read_answer().body);
        client.exchange(chunked("/", "3\r\nabc\r\n0\r\nUpload-Checksum: x\r\n\r\n"));
        CPPUNIT_ASSERT(sink->trailers() == expected);
        CPPUNIT_ASSERT_EQUAL("abc"s, sink->bytes());
    }

    void a_full_sink_stops_the_reading() {
        for (const bool is_chunked : {false, true}) {
            ToyServer toy;
            auto sink = std::make_shared<CollectingSink>();
            ToyServer::Held held;
            std::atomic<bool> open{false};
            sink->after_take = [&](CollectingSink&) { return open.load(); };
            toy.on_begin = [&](const ToyServer::Held& exchange) {
                held = exchange;
                answer_at_end(sink, exchange);
                return ToyServer::streamed(sink);
            };
            toy.start();
            FrontClient client = toy.client();
            const std::string body = pattern(600000);
            client.send(is_chunked ? chunked("/", "927c0\r\n" + body + "\r\n0\r\n\r\n")
                                   : post("/", body));
            CPPUNIT_ASSERT(eventually([&] { return sink->takes() == 1; }));
            // Nothing more is handed over until it is asked for; each time one piece.
            for (int takes = 1; takes < 4; ++takes) {
                std::atomic<bool> turned{false};
                toy.server().on_each_reactor([&](std::size_t) { turned = true; });
                CPPUNIT_ASSERT_EQUAL(takes, sink->takes());
                held->resume_body();
                CPPUNIT_ASSERT(eventually([&] { return sink->takes() == takes + 1; }));
            }
            open = true;
            held->resume_body();
            CPPUNIT_ASSERT_EQUAL("600000"s, client.read_answer().body);
            CPPUNIT_ASSERT(sink->bytes() == body);
        }
    }

    void a_sink_that_is_not_ready_is_waited_for() {
        ToyServer toy;
        auto sink = std::make_shared<CollectingSink>();
        ToyServer::Held held;
        std::atomic<bool> begun{false};
        toy.on_begin = [&](const ToyServer::Held& exchange) {
            answer_at_end(sink, exchange);
            BodyPlan plan = ToyServer::streamed(sink);
            plan.sink_ready = false;
            held = exchange;
            begun = true;
            return plan;
        };
        toy.start();
        FrontClient client = toy.client();
        client.send(
            "PUT / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n");
        CPPUNIT_ASSERT(eventually([&] { return begun.load(); }));
        toy.server().on_each_reactor([](std::size_t) {});
        held->resume_body();
        CPPUNIT_ASSERT_EQUAL("HTTP/1.1 100 Continue\r\n\r\n"s, client.read_until("\r\n\r\n"));
        CPPUNIT_ASSERT_EQUAL(0, sink->takes());
        client.send("abc");
        CPPUNIT_ASSERT_EQUAL("3"s, client.read_answer().body);
    }

    void an_empty_body_ends_a_sink_at_once() {
        ToyServer toy;
        auto sink = std::make_shared<CollectingSink>();
        toy.on_begin = [&](const ToyServer::Held& exchange) {
            answer_at_end(sink, exchange);
            return ToyServer::streamed(sink);
        };
        toy.start();
        FrontClient client = toy.client();
        CPPUNIT_ASSERT_EQUAL("0"s, client.exchange(get("/")).body);
        CPPUNIT_ASSERT_EQUAL("0"s, client.exchange(post("/", "")).body);
        CPPUNIT_ASSERT_EQUAL("0"s, client.exchange(chunked("/", "0\r\n\r\n")).body);
        CPPUNIT_ASSERT_EQUAL(0, sink->takes());
        CPPUNIT_ASSERT_EQUAL(3, sink->ends());
    }

    void a_sink_may_answer_before_the_end() {
        ToyServer toy;
        std::shared_ptr<CollectingSink> sink;
        std::atomic<bool> elsewhere{false};
        toy.on_begin = [&](const ToyServer::Held& exchange) {
            sink = std::make_shared<CollectingSink>();
            sink->after_take = [&toy, &elsewhere, exchange](CollectingSink&) {
                if (elsewhere) {
                    toy.on_worker([exchange] { exchange->answer(ToyServer::text(507, "full")); });
                    return false;
                }
                exchange->answer(ToyServer::text(507, "full"));
                return true;
            };
            return ToyServer::streamed(sink);
        };
        toy.start();
        for (const bool other_thread : {false, true}) {
            elsewhere = other_thread;
            {  // a short rest is passed over
                FrontClient client = toy.client();
                const std::string request = post("/", pattern(5000));
                client.send(request.substr(0, 1000));
                const FrontAnswer answer = client.read_answer();
                CPPUNIT_ASSERT_EQUAL(507, answer.status);
                CPPUNIT_ASSERT(!answer.field.contains("connection"));
                CPPUNIT_ASSERT(eventually([&] { return sink->aborts() == 1; }));
                client.send(request.substr(1000));
                CPPUNIT_ASSERT_EQUAL(507, client.exchange(post("/", "abc")).status);
            }
            FrontClient client = toy.client();
            client.send(post("/", pattern(8U << 20U)));
            const FrontAnswer answer = client.read_answer();
            CPPUNIT_ASSERT_EQUAL(507, answer.status);
            CPPUNIT_ASSERT_EQUAL("close"s, answer.field.at("connection"));
            CPPUNIT_ASSERT(client.at_end());
            CPPUNIT_ASSERT_EQUAL(1, sink->aborts());
            CPPUNIT_ASSERT_EQUAL(0, sink->ends());
        }
    }

    // The answer comes while a read for the sink (or for run()) is under way; what that read brings
    // belongs to the old body, not to the next one.
    void an_early_answer_leaves_nothing_to_the_next_body() {
        ToyServer toy;
        std::shared_ptr<CollectingSink> sink;
        std::mutex mutex;
        ToyServer::Held held;
        toy.on_begin = [&](const ToyServer::Held& exchange) {
            const std::lock_guard lock(mutex);
            if (exchange->head().target == "/early") held = exchange;
            if (exchange->head().field("X-Buffer")) return ToyServer::buffered(1U << 20U);
            sink = std::make_shared<CollectingSink>();
            if (!held) answer_at_end(sink, exchange);
            return ToyServer::streamed(sink);
        };
        toy.start();
        for (const std::string& fields : {""s, "X-Buffer: y\r\n"s}) {
            FrontClient client = toy.client();
            const std::string early = post("/early", std::string(20000, 'o'), fields);
            client.send(early.substr(0, 9000));
            CPPUNIT_ASSERT(eventually([&] {
                const std::lock_guard lock(mutex);
                return held != nullptr;
            }));
            for (int i = 0; i < 3; ++i) toy.server().on_each_reactor([](std::size_t) {});
            std::exchange(held, nullptr)->answer(ToyServer::text(507, "full"));
            CPPUNIT_ASSERT_EQUAL(507, client.read_answer().status);
            client.send(early.substr(9000));
            for (const std::size_t size : {100U, 30000U}) {
                const FrontAnswer next = client.exchange(post("/next", pattern(size), fields));
                const std::string expected =
                    fields.empty() ? std::to_string(size) : "POST /next\n" + pattern(size);
                CPPUNIT_ASSERT_EQUAL(expected, next.body);
                if (fields.empty()) CPPUNIT_ASSERT_EQUAL(pattern(size), sink->bytes());
            }
        }
    }

    void a_sink_beyond_its_limit_is_aborted() {
        ToyServer toy;
        std::shared_ptr<CollectingSink> sink;
        toy.on_begin = [&](const ToyServer::Held&) {
            sink = std::make_shared<CollectingSink>();
            return ToyServer::streamed(sink, 10);
        };
        toy.start();
        FrontClient known = toy.client();
        CPPUNIT_ASSERT_EQUAL(413, known.exchange(post("/", pattern(11))).status);
        CPPUNIT_ASSERT_EQUAL(1, sink->aborts());
        CPPUNIT_ASSERT_EQUAL(0, sink->takes());
        FrontClient unknown = toy.client();
        CPPUNIT_ASSERT_EQUAL(413, unknown.exchange(chunked("/", "b\r\nabcdefghijk\r\n")).status);
        CPPUNIT_ASSERT_EQUAL(1, sink->aborts());
        CPPUNIT_ASSERT_EQUAL(0, sink->ends());
    }

    void cut_bodies_never_look_whole() {
        ToyServer toy;
        std::atomic<int> runs{0};
        std::shared_ptr<CollectingSink> sink;
        toy.on_begin = [&](const ToyServer::Held& exchange) {
            sink = std::make_shared<CollectingSink>();
            return exchange->head().target == "/sink" ? ToyServer::streamed(sink)
                                                      : ToyServer::buffered(1U << 20U);
        };
        toy.on_run = [&](const ToyServer::Held&) { ++runs; };
        toy.start();
        const std::vector<std::string> cut{post("/", pattern(100)).substr(0, 120),
                                           post("/", pattern(100000)).substr(0, 50000),
                                           chunked("/", "5\r\nabc"),
                                           chunked("/", "3\r\nabc\r\n0\r\n"),
                                           chunked("/sink", "3\r\nabc\r\n"),
                                           post("/sink", pattern(100)).substr(0, 120),
                                           post("/sink", pattern(100000)).substr(0, 50000)};
        std::size_t count = 0;
        for (const std::string& request : cut) {
            FrontClient client = toy.client();
            client.send(request);
            client.finish_sending();
            const FrontAnswer answer = client.read_answer();
            CPPUNIT_ASSERT_EQUAL(400, answer.status);
            CPPUNIT_ASSERT(client.at_end());
            CPPUNIT_ASSERT_EQUAL(++count, toy.ended().size());
            if (request.find("/sink") != std::string::npos) {
                CPPUNIT_ASSERT_EQUAL(1, sink->aborts());
                CPPUNIT_ASSERT_EQUAL(0, sink->ends());
            }
            FrontClient hard = toy.client();
            hard.send(request);
            CPPUNIT_ASSERT(eventually([&] { return toy.server().stats().requests_total > count; }));
            hard.reset();
            ++count;
            CPPUNIT_ASSERT(eventually([&] { return toy.ended().size() == count; }));
            CPPUNIT_ASSERT_EQUAL(0, toy.ended().back().status);
            CPPUNIT_ASSERT(!toy.ended().back().whole);
        }
        CPPUNIT_ASSERT_EQUAL(0, runs.load());
    }

    void malformed_chunks_abort() {
        ToyServer toy;
        std::atomic<int> runs{0};
        std::shared_ptr<CollectingSink> sink;
        toy.on_begin = [&](const ToyServer::Held& exchange) {
            sink = std::make_shared<CollectingSink>();
            return exchange->head().target == "/sink" ? ToyServer::streamed(sink)
                                                      : ToyServer::buffered(1U << 20U);
        };
        toy.on_run = [&](const ToyServer::Held&) { ++runs; };
        toy.start();
        for (const std::string target : {"/sink", "/"}) {
            FrontClient client = toy.client();
            client.send(chunked(target, "3\r\nabc\r\nxyz\r\n") + get("/trap"));
            CPPUNIT_ASSERT_EQUAL(400, client.read_answer().status);
            CPPUNIT_ASSERT(client.at_end());
        }
        CPPUNIT_ASSERT_EQUAL(0, runs.load());
        CPPUNIT_ASSERT_EQUAL(std::size_t{2}, toy.ended().size());
        FrontClient client = toy.client();
        client.exchange(chunked("/sink", "3\r\nabc\r\nxyz\r\n"));
        CPPUNIT_ASSERT_EQUAL(1, sink->aborts());
        CPPUNIT_ASSERT_EQUAL(0, sink->ends());
    }

    void framing_refusals() {
        ToyServer toy;
        toy.start();
        const std::vector<std::pair<std::string, int>> rows{
            {"\x16\x03\x01\x02\x00\x01\xfc\x03\x03"s, 400},
            {"GET / HTTP/1.1\n\n", 400},
            {"GET / HTTP/2.0\r\n\r\n", 505},
            {"GET /" + std::string(9000, 'a') + " HTTP/1.1\r\n\r\n", 414},
            {"GET / HTTP/1.1\r\nHost: a\r\nX: " + std::string(40000, 'a') + "\r\n\r\n", 431},
            {"GET / HTTP/1.1\r\nHost: a\r\nExpect: x\r\n\r\n", 417},
            {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
             400},
            {"GET / HTTP/1.1\r\nHost: a\r\n", 400}};  // then FIN: a cut head
        for (const auto& [bytes, status] : rows) {
            FrontClient client = toy.client();
            client.send(bytes);
            client.finish_sending();
            const FrontAnswer answer = client.read_answer();
            CPPUNIT_ASSERT_EQUAL_MESSAGE(bytes.substr(0, 60), status, answer.status);
            CPPUNIT_ASSERT_EQUAL("application/problem+json"s, answer.field.at("content-type"));
            CPPUNIT_ASSERT(answer.body.find(answer.field.at("x-request-id")) != std::string::npos);
            CPPUNIT_ASSERT_EQUAL("close"s, answer.field.at("connection"));
            CPPUNIT_ASSERT(client.at_end());
        }
        const auto ended = toy.ended();
        CPPUNIT_ASSERT_EQUAL(rows.size(), ended.size());
        for (const auto& record : ended) CPPUNIT_ASSERT_EQUAL(""s, record.target);
        // Behind a good request, too, and nothing after it is looked at.
        FrontClient client = toy.client();
        client.send(get("/good") + "BAD\r\n\r\n" + get("/trap"));
        CPPUNIT_ASSERT_EQUAL(200, client.read_answer().status);
        CPPUNIT_ASSERT_EQUAL(400, client.read_answer().status);
        CPPUNIT_ASSERT(client.at_end());
    }

    void an_application_that_throws() {
        ToyServer toy;
        toy.on_begin = [](const ToyServer::Held& exchange) -> BodyPlan {
            if (exchange->head().target == "/begin") throw std::runtime_error("in begin");
            if (exchange->head().target == "/late") {
                exchange->answer(ToyServer::text(200, "said"));
                throw std::runtime_error("after the answer");
            }
            return ToyServer::buffered(10);
        };
        toy.on_run = [](const ToyServer::Held&) { throw std::runtime_error("in run"); };
        toy.start();
        CPPUNIT_ASSERT_EQUAL(500, toy.client().exchange(get("/begin")).status);
        CPPUNIT_ASSERT_EQUAL(500, toy.client().exchange(get("/run")).status);
        FrontClient client = toy.client();
        CPPUNIT_ASSERT_EQUAL("said"s, client.exchange(get("/late")).body);
        CPPUNIT_ASSERT_EQUAL("said"s, client.exchange(get("/late")).body);
        CPPUNIT_ASSERT(toy.logged("in begin") && toy.logged("in run"));
        CPPUNIT_ASSERT(eventually([&] { return toy.ended().size() == 4; }));
    }
};

LARDER_TEST_SUITE(HttpServerTest);

}  // namespace
