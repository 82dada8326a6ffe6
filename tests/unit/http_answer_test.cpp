// The front over real sockets, the way out: every kind of body, generators, event streams, and
// clients that read slowly, leave early or only half.
#include <fcntl.h>
#include <unistd.h>

#include <atomic>
#include <vector>

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
using test::pattern;
using test::ToyServer;

std::string head(const std::string& target) {
    return "HEAD " + target + " HTTP/1.1\r\nHost: a\r\n\r\n";
}

std::shared_ptr<FileHandle> file_with(const std::string& content) {
    std::string name = "/tmp/larder_answer_XXXXXX";
    const int fd = ::mkstemp(name.data());
    CPPUNIT_ASSERT(fd >= 0);
    ::unlink(name.c_str());
    CPPUNIT_ASSERT_EQUAL(static_cast<ssize_t>(content.size()),
                         ::write(fd, content.data(), content.size()));
    return std::make_shared<FileHandle>(fd);
}

// Yields the parts one by one.
Generator generator_of(std::vector<std::string> parts) {
    return [parts = std::move(parts), i = std::size_t{0}](std::string& chunk) mutable {
        if (i < parts.size()) chunk = parts[i++];
        return i < parts.size();
    };
}

class HttpAnswerTest final : public CppUnit::TestFixture {
    CPPUNIT_TEST_SUITE(HttpAnswerTest);
    CPPUNIT_TEST(every_kind_of_body);
    CPPUNIT_TEST(heads_of_every_kind_of_body);
    CPPUNIT_TEST(statuses_without_a_body);
    CPPUNIT_TEST(http_1_0_gets_no_chunks);
    CPPUNIT_TEST(a_file_that_ends_early_cuts);
    CPPUNIT_TEST(shared_bytes_are_let_go);
    CPPUNIT_TEST(what_would_split_an_answer_is_a_500);
    CPPUNIT_TEST(a_second_answer_is_dropped);
    CPPUNIT_TEST(sent_is_called_once);
    CPPUNIT_TEST(a_generator_that_throws_cuts);
    CPPUNIT_TEST(a_generator_waits_for_a_worker);
    CPPUNIT_TEST(a_generator_dropped_by_the_pool_cuts);
    CPPUNIT_TEST(a_slow_reader_holds_a_generator_back);
    CPPUNIT_TEST(a_slow_reader_gets_all_of_a_large_body);
    CPPUNIT_TEST(a_reader_that_stops_is_cut);
    CPPUNIT_TEST(half_closed_clients_get_their_answer);
    CPPUNIT_TEST(a_reset_cancels);
    CPPUNIT_TEST(a_reset_while_sending_is_noticed);
    CPPUNIT_TEST(streams_events);
    CPPUNIT_TEST(streams_events_to_http_1_0);
    CPPUNIT_TEST(a_stream_for_head_is_a_head);
    CPPUNIT_TEST(a_stream_fills_and_becomes_writable);
    CPPUNIT_TEST(a_stream_fills_by_number_of_blocks);
    CPPUNIT_TEST(a_stream_hears_that_its_client_left);
    CPPUNIT_TEST(a_stream_reader_that_stops_is_cut);
    CPPUNIT_TEST(a_stream_client_that_talks_on_is_cut);
    CPPUNIT_TEST(many_streams_many_senders);
    CPPUNIT_TEST_SUITE_END();

    static Response plain() {
        Response response;
        response.headers.emplace_back("Content-Type", "text/plain");
        return response;
    }

    // Paths name kinds of bodies; `expected` is what each says.
    const std::string big_ = pattern(3U << 20U);
    const std::shared_ptr<FileHandle> file_ = file_with(pattern(3U << 20U));
    const std::vector<std::pair<std::string, std::string>> kinds_{
        {"/none", ""},
        {"/string", "hello"},
        {"/large", big_},
        {"/shared", pattern(5000)},
        {"/file", big_.substr(1000, 2000000)},
        {"/small-file", big_.substr(100, 500)},
        {"/empty-file", ""},
        {"/segments", "first" + big_.substr(0, 100000) + "second" + big_.substr(26, 10)},
        {"/generator", "one" + pattern(100000) + "three"},
        {"/empty-generator", ""},
    };

    Response body_of(std::string_view kind) const {
        Response response = plain();
        if (kind == "/string") response.body = "hello"s;
        if (kind == "/large") response.body = big_;
        if (kind == "/shared") {
            const auto owner = std::make_shared<const std::string>(pattern(5000));
            response.body = SharedBytes{owner, *owner};
        }
        if (kind == "/file") response.body = FileRegion{file_, 1000, 2000000};
        if (kind == "/small-file") response.body = FileRegion{file_, 100, 500};
        if (kind == "/empty-file") response.body = FileRegion{file_, 100, 0};
        if (kind == "/segments") {
            Segments segments;
            segments.emplace_back("first"s);
            segments.emplace_back(FileRegion{file_, 0, 100000});
            segments.emplace_back(""s);
            segments.emplace_back(FileRegion{file_, 0, 0});
            segments.emplace_back("second"s);
            segments.emplace_back(FileRegion{file_, 26, 10});
            response.body = std::move(segments);
        }
        if (kind == "/generator")
            response.body = generator_of({"one", "", pattern(100000), "three"});
        if (kind == "/empty-generator") response.body = generator_of({});
        return response;
    }

    void serve_kinds(ToyServer& toy) const {
        toy.on_run = [this](const ToyServer::Held& exchange) {
            exchange->answer(body_of(exchange->head().target));
        };
        toy.start();
    }

    void every_kind_of_body() {
        ToyServer toy;
        serve_kinds(toy);
        FrontClient client = toy.client();
        for (const auto& [kind, expected] : kinds_) {
            const FrontAnswer answer = client.exchange(get(kind));
            CPPUNIT_ASSERT_EQUAL(200, answer.status);
            CPPUNIT_ASSERT_MESSAGE(kind, answer.whole && answer.body == expected);
            CPPUNIT_ASSERT_EQUAL(kind.ends_with("generator"), answer.chunked);
        }
        CPPUNIT_ASSERT(eventually([&] { return toy.ended().size() == kinds_.size(); }));
        const auto ended = toy.ended();
        for (std::size_t i = 0; i < kinds_.size(); ++i) {
            CPPUNIT_ASSERT_EQUAL_MESSAGE(kinds_[i].first, std::uint64_t{kinds_[i].second.size()},
                                         ended[i].bytes_out);
        }
        // All at once, down one connection.
        std::string all;
        for (const auto& [kind, expected] : kinds_) all += get(kind);
        client.send(all);
        for (const auto& [kind, expected] : kinds_) {
            CPPUNIT_ASSERT_MESSAGE(kind, client.read_answer().body == expected);
        }
    }

    void heads_of_every_kind_of_body() {
        ToyServer toy;
        serve_kinds(toy);
        FrontClient client = toy.client();
        for (const auto& [kind, expected] : kinds_) {
            client.send(head(kind));
            const FrontAnswer answer = client.read_answer(true);
            CPPUNIT_ASSERT_EQUAL(200, answer.status);
            if (kind.ends_with("generator")) {
                CPPUNIT_ASSERT(answer.chunked);
            } else {
                CPPUNIT_ASSERT_EQUAL(std::to_string(expected.size()),
                                     answer.field.at("content-length"));
            }
        }
        CPPUNIT_ASSERT_EQUAL("hello"s, client.exchange(get("/string")).body);
    }

    void statuses_without_a_body() {
        ToyServer toy;
        toy.on_run = [](const ToyServer::Held& exchange) {
            const int status = std::stoi(std::string(exchange->head().target.substr(1)));
            exchange->answer(ToyServer::text(status, "never seen"));
        };
        toy.start();
        FrontClient client = toy.client();
        for (const int status : {204, 304}) {
            const FrontAnswer answer = client.exchange(get("/" + std::to_string(status)));
            CPPUNIT_ASSERT_EQUAL(status, answer.status);
            CPPUNIT_ASSERT(!answer.field.contains("content-length"));
        }
        CPPUNIT_ASSERT_EQUAL("never seen"s, client.exchange(get("/200")).body);
    }

    void http_1_0_gets_no_chunks() {
        ToyServer toy;
        serve_kinds(toy);
        FrontClient client = toy.client();
        client.send("GET /generator HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
        const FrontAnswer answer = client.read_answer();
        CPPUNIT_ASSERT(!answer.chunked);
        CPPUNIT_ASSERT(!answer.field.contains("content-length"));
        CPPUNIT_ASSERT_EQUAL("close"s, answer.field.at("connection"));
        CPPUNIT_ASSERT(answer.body == "one" + pattern(100000) + "three");
    }

    void a_file_that_ends_early_cuts() {
        ToyServer toy;
        const auto file = file_with(pattern(200000));
        toy.on_run = [&](const ToyServer::Held& exchange) {
            Response response = plain();
            const std::uint64_t length = exchange->head().target == "/small" ? 5000 : 300000;
            response.body = FileRegion{file, 199000 - length / 2, length};
            exchange->answer(std::move(response));
        };
        toy.start();
        for (const std::string target : {"/small", "/large"}) {
            FrontClient client = toy.client();
            const FrontAnswer answer = client.exchange(get(target));
            CPPUNIT_ASSERT_EQUAL(200, answer.status);
            CPPUNIT_ASSERT(!answer.whole);
        }
        CPPUNIT_ASSERT(eventually([&] { return toy.ended().size() == 2; }));
        CPPUNIT_ASSERT(!toy.ended()[0].whole && !toy.ended()[1].whole);
    }

    void shared_bytes_are_let_go() {
        ToyServer toy;
        const auto owner = std::make_shared<const std::string>(pattern(100000));
        toy.on_run = [&](const ToyServer::Held& exchange) {
            Response response = plain();
            response.body = SharedBytes{owner, *owner};
            exchange->answer(std::move(response));
        };
        toy.start();
        FrontClient client = toy.client();
        CPPUNIT_ASSERT(client.exchange(get("/")).body == *owner);
        CPPUNIT_ASSERT(eventually([&] { return owner.use_count() == 1; }));
    }

    void what_would_split_an_answer_is_a_500() {
        ToyServer toy;
        std::atomic<int> unsent{0};
        toy.on_run = [&](const ToyServer::Held& exchange) {
            Response response = ToyServer::text(200, "secret");
            response.headers.emplace_back("X-A", "b\r\nX-Evil: c");
            response.sent = [&](std::uint64_t bytes, bool whole) {
                if (bytes == 0 && !whole) ++unsent;
            };
            exchange->answer(std::move(response));
        };
        toy.start();
        FrontClient client = toy.client();
        for (int i = 1; i <= 2; ++i) {
            const FrontAnswer answer = client.exchange(get("/"));
            CPPUNIT_ASSERT_EQUAL(500, answer.status);
            CPPUNIT_ASSERT(answer.head.find("Evil") == std::string::npos);
            CPPUNIT_ASSERT(answer.body.find("secret") == std::string::npos);
            CPPUNIT_ASSERT(answer.body.find("\"code\":\"internal\"") != std::string::npos);
            CPPUNIT_ASSERT_EQUAL(i, unsent.load());
        }
        CPPUNIT_ASSERT(toy.logged("X-A"));
    }

    void a_second_answer_is_dropped() {
        ToyServer toy;
        toy.on_begin = [](const ToyServer::Held& exchange) {
            // Within begin() of a request with a body, so that the exchange is not over yet.
            exchange->answer(ToyServer::text(200, std::string(1U << 24U, 'x')));
            exchange->answer(ToyServer::text(200, "second"));
            return ToyServer::answered();
        };
        toy.start();
        FrontClient client = toy.client();
        CPPUNIT_ASSERT_EQUAL(std::size_t{1U << 24U}, client.exchange(get("/")).body.size());
        CPPUNIT_ASSERT(toy.logged("second answer"));
    }

    void sent_is_called_once() {
        ToyServer toy;
        std::atomic<int> calls{0};
        std::atomic<std::uint64_t> last{0};
        std::atomic<bool> all{false};
        toy.on_run = [&](const ToyServer::Held& exchange) {
            Response response = body_of(exchange->head().target);
            response.sent = [&](std::uint64_t bytes, bool whole) {
                last = bytes;
                all = whole;
                ++calls;
            };
            exchange->answer(std::move(response));
        };
        toy.start();
        FrontClient client = toy.client();
        int expected = 0;
        for (const auto& [kind, body] : kinds_) {
            client.exchange(get(kind));
            ++expected;
            CPPUNIT_ASSERT(eventually([&] { return calls == expected; }));
            CPPUNIT_ASSERT_EQUAL(std::uint64_t{body.size()}, last.load());
            CPPUNIT_ASSERT(all.load());
        }
    }

    // ---- generators

    void a_generator_that_throws_cuts() {
        ToyServer toy;
        toy.on_run = [](const ToyServer::Held& exchange) {
            Response response = plain();
            const bool foreign = exchange->head().target == "/foreign";
            response.body = Generator([foreign, calls = 0](std::string& chunk) mutable {
                if (++calls == 3 && foreign) throw 7;  // NOLINT: what a careless plugin might do
                if (calls == 3) throw std::runtime_error("the disk is gone");
                chunk = "part";
                return true;
            });
            exchange->answer(std::move(response));
        };
        toy.start();
        for (const std::string target : {"/", "/foreign"}) {
            FrontClient client = toy.client();
            const FrontAnswer answer = client.exchange(get(target));
            CPPUNIT_ASSERT_EQUAL("partpart"s, answer.body);
            CPPUNIT_ASSERT(!answer.whole);
        }
        CPPUNIT_ASSERT(toy.logged("the disk is gone"));
        CPPUNIT_ASSERT(toy.logged("no std::exception"));
    }

    void a_generator_waits_for_a_worker() {
        ToyServer toy;
        std::atomic<int> refusals{0};
        toy.may_post = [&] { return ++refusals % 3 == 0; };
        serve_kinds(toy);
        FrontClient client = toy.client();
        CPPUNIT_ASSERT(client.exchange(get("/generator")).body ==
                       "one" + pattern(100000) + "three");
        CPPUNIT_ASSERT(refusals.load() > 3);
    }

    void a_generator_dropped_by_the_pool_cuts() {
        struct Forgetful final : Application {
            BodyPlan begin(const ToyServer::Held& exchange) override {
                Response response;
                response.body = generator_of({"never"});
                exchange->answer(std::move(response));
                return ToyServer::answered();
            }
            void run(const ToyServer::Held&) override {}
            void ended(const Ended&) noexcept override {}
        } application;
        // Takes the task and loses it, as a pool does that is shut down.
        Server server(
            {.reactors = 1}, application, [](Task) { return true; }, nullptr);
        server.listen({"127.0.0.1:0"});
        server.start();
        FrontClient client(server.addresses().front());
        const FrontAnswer answer = client.exchange(get("/"));
        CPPUNIT_ASSERT(!answer.whole);
    }

    void a_slow_reader_holds_a_generator_back() {
        http::Options options = ToyServer::two_reactors();
        options.body_timeout = 400ms;
        ToyServer toy(options);
        std::atomic<std::uint64_t> made{0};
        toy.on_run = [&](const ToyServer::Held& exchange) {
            Response response = plain();
            response.body = Generator([&](std::string& chunk) {
                chunk.assign(65536, 'x');
                made += chunk.size();
                return true;
            });
            exchange->answer(std::move(response));
        };
        toy.start();
        FrontClient client = toy.client(4096);
        client.send(get("/"));
        // It reads nothing and is cut for it; until then the kernel's buffers filled and no more.
        CPPUNIT_ASSERT(eventually([&] { return toy.ended().size() == 1; }));
        CPPUNIT_ASSERT(!toy.ended()[0].whole);
        CPPUNIT_ASSERT(made.load() < 32U << 20U);
    }

    void a_slow_reader_gets_all_of_a_large_body() {
        ToyServer toy;
        serve_kinds(toy);
        for (const std::string kind : {"/large", "/file", "/segments", "/generator"}) {
            FrontClient client = toy.client(4096);
            client.send(get(kind));
            std::string all;
            while (all.find("\r\n\r\n") == std::string::npos) all += client.read(10);
            CPPUNIT_ASSERT(all.starts_with("HTTP/1.1 200 OK\r\n"));
            client.send("GET /none HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
            all += client.read_to_end();
            // The next answer stands behind it, where it belongs.
            CPPUNIT_ASSERT(all.rfind("HTTP/1.1 200 OK\r\n") > 100000);
        }
    }

    void a_reader_that_stops_is_cut() {
        http::Options options = ToyServer::two_reactors();
        options.body_timeout = 300ms;
        ToyServer toy(options);
        toy.on_run = [&](const ToyServer::Held& exchange) {
            exchange->answer(ToyServer::text(200, std::string(64U << 20U, 'x')));
        };
        toy.start();
        FrontClient client = toy.client(4096);
        client.send(get("/"));
        CPPUNIT_ASSERT(eventually([&] { return toy.ended().size() == 1; }));
        CPPUNIT_ASSERT_EQUAL(200, toy.ended()[0].status);
        CPPUNIT_ASSERT(!toy.ended()[0].whole);
        CPPUNIT_ASSERT(!client.read_answer().whole);
    }

    // ---- clients that leave

    void half_closed_clients_get_their_answer() {
        ToyServer toy;
        ToyServer::Held held;
        std::shared_ptr<Cancel> cancel;
        std::atomic<bool> running{false};
        toy.on_run = [&](const ToyServer::Held& exchange) {
            held = exchange;
            cancel = exchange->cancel();
            running = true;
        };
        toy.start();
        FrontClient client = toy.client();
        client.send(get("/"));
        client.finish_sending();
        CPPUNIT_ASSERT(eventually([&] { return running.load(); }));
        // The FIN has been seen once the reactor has gone round with it.
        for (int i = 0; i < 3; ++i) toy.server().on_each_reactor([](std::size_t) {});
        CPPUNIT_ASSERT(!cancel->cancelled());
        toy.on_worker([&] { std::exchange(held, nullptr)->answer(ToyServer::text(200, "yes")); });
        const FrontAnswer answer = client.read_answer();
        CPPUNIT_ASSERT_EQUAL("yes"s, answer.body);
        CPPUNIT_ASSERT(client.at_end());
    }

    void a_reset_cancels() {
        ToyServer toy;
        ToyServer::Held held;
        std::shared_ptr<Cancel> cancel;
        std::atomic<bool> running{false}, told{false};
        std::atomic<int> sent{0};
        toy.on_run = [&](const ToyServer::Held& exchange) {
            held = exchange;
            cancel = exchange->cancel();
            running = true;
        };
        toy.start();
        FrontClient client = toy.client();
        client.send("GET /held HTTP/1.1\r\nHost: a\r\nX-Long: " + pattern(2000) + "\r\n\r\n");
        CPPUNIT_ASSERT(eventually([&] { return running.load(); }));
        CPPUNIT_ASSERT(!cancel->cancelled());
        client.reset();
        CPPUNIT_ASSERT(eventually([&] { return cancel->cancelled(); }));
        CPPUNIT_ASSERT(eventually([&] { return toy.ended().size() == 1; }));
        CPPUNIT_ASSERT_EQUAL(0, toy.ended()[0].status);
        CPPUNIT_ASSERT(held->cancel()->cancelled());
        // What the head said still stands, and a late answer does no harm.
        CPPUNIT_ASSERT_EQUAL("/held"s, std::string(held->head().target));
        CPPUNIT_ASSERT_EQUAL(pattern(2000), std::string(held->head().field("x-long").value()));
        Response late = ToyServer::text(200, "late");
        late.sent = [&](std::uint64_t bytes, bool whole) {
            told = bytes == 0 && !whole;
            ++sent;
        };
        held->answer(std::move(late));
        CPPUNIT_ASSERT(eventually([&] { return sent == 1; }));
        CPPUNIT_ASSERT(told.load());
        held.reset();
        CPPUNIT_ASSERT(eventually([&] { return toy.server().stats().connections_open == 0; }));
        CPPUNIT_ASSERT_EQUAL(std::size_t{1}, toy.ended().size());
    }

    void a_reset_while_sending_is_noticed() {
        ToyServer toy;
        std::atomic<int> sent{0};
        toy.on_run = [&](const ToyServer::Held& exchange) {
            Response response = ToyServer::text(200, std::string(64U << 20U, 'x'));
            response.sent = [&](std::uint64_t, bool whole) { sent += whole ? 100 : 1; };
            exchange->answer(std::move(response));
        };
        toy.start();
        FrontClient client = toy.client(4096);
        client.send(get("/"));
        CPPUNIT_ASSERT_EQUAL("HTTP/1.1 200 OK"s, client.read(15));
        client.reset();
        CPPUNIT_ASSERT(eventually([&] { return toy.ended().size() == 1; }));
        CPPUNIT_ASSERT_EQUAL(1, sent.load());
        CPPUNIT_ASSERT_EQUAL(200, toy.ended()[0].status);
        CPPUNIT_ASSERT(!toy.ended()[0].whole);
    }

    // ---- streams

    using Block = std::shared_ptr<const std::string>;
    static Block block(const std::string& text) {
        return std::make_shared<const std::string>(text);
    }

    // Makes every request a stream and keeps the last.
    struct Streams {
        std::mutex mutex;
        std::vector<std::shared_ptr<EventStream>> all;
        std::atomic<int> writable{0}, closed{0};

        void serve(ToyServer& toy) {
            toy.on_run = [this](const ToyServer::Held& exchange) {
                StreamHead stream_head;
                stream_head.headers.emplace_back("Larder-Revision", "1-2");
                stream_head.writable = [this] { ++writable; };
                stream_head.closed = [this] { ++closed; };
                const auto stream = exchange->stream(std::move(stream_head));
                const std::lock_guard lock(mutex);
                all.push_back(stream);
            };
            toy.start();
        }
        std::size_t count() {
            const std::lock_guard lock(mutex);
            return all.size();
        }
        std::shared_ptr<EventStream> first() {
            CPPUNIT_ASSERT(eventually([this] { return count() > 0; }));
            const std::lock_guard lock(mutex);
            return all.front();
        }
    };

    void streams_events() {
        Streams streams;
        ToyServer toy;
        streams.serve(toy);
        FrontClient client = toy.client();
        client.send(get("/"));
        const auto stream = streams.first();
        std::string expected;
        for (int i = 0; i < 500; ++i) {
            const std::string event = "data: " + std::to_string(i) + "\n\n";
            expected += event;
            CPPUNIT_ASSERT(stream->send(block(event)) == EventStream::Sent::taken);
        }
        stream->close();
        CPPUNIT_ASSERT(stream->send(block("x")) == EventStream::Sent::closed);
        const FrontAnswer answer = client.read_answer();
        CPPUNIT_ASSERT_EQUAL("text/event-stream"s, answer.field.at("content-type"));
        CPPUNIT_ASSERT_EQUAL("no-cache"s, answer.field.at("cache-control"));
        CPPUNIT_ASSERT_EQUAL("1-2"s, answer.field.at("larder-revision"));
        CPPUNIT_ASSERT(answer.chunked && answer.whole);
        CPPUNIT_ASSERT_EQUAL(expected, answer.body);
        CPPUNIT_ASSERT(client.at_end());
        CPPUNIT_ASSERT_EQUAL(0, streams.closed.load());
        CPPUNIT_ASSERT_EQUAL(std::uint64_t{expected.size()}, toy.ended().at(0).bytes_out);
        CPPUNIT_ASSERT(toy.ended().at(0).whole);
    }

    void streams_events_to_http_1_0() {
        Streams streams;
        ToyServer toy;
        streams.serve(toy);
        FrontClient client = toy.client();
        client.send("GET / HTTP/1.0\r\n\r\n");
        const auto stream = streams.first();
        stream->send(block("data: 1\n\n"));
        stream->send(block("data: 2\n\n"));
        stream->close();
        const FrontAnswer answer = client.read_answer();
        CPPUNIT_ASSERT(!answer.chunked);
        CPPUNIT_ASSERT_EQUAL("data: 1\n\ndata: 2\n\n"s, answer.body);
    }

    void a_stream_for_head_is_a_head() {
        Streams streams;
        ToyServer toy;
        streams.serve(toy);
        FrontClient client = toy.client();
        client.send(head("/"));
        CPPUNIT_ASSERT_EQUAL("text/event-stream"s,
                             client.read_answer(true).field.at("content-type"));
        CPPUNIT_ASSERT(eventually([&] { return streams.closed == 1; }));
        CPPUNIT_ASSERT(streams.first()->send(block("x")) == EventStream::Sent::closed);
    }

    void a_stream_fills_and_becomes_writable() {
        Streams streams;
        ToyServer toy;
        streams.serve(toy);
        FrontClient client = toy.client(4096);
        client.send(get("/"));
        const auto stream = streams.first();
        const auto large = block(std::string(65536, 'x'));
        std::size_t taken = 0;
        while (stream->send(large) == EventStream::Sent::taken) ++taken;
        // The kernel's buffers and a queue of 1 MiB; a client that reads nothing holds no more.
        CPPUNIT_ASSERT(taken >= 16 && taken < 512);
        CPPUNIT_ASSERT_EQUAL(0, streams.writable.load());
        CPPUNIT_ASSERT(stream->send(large) == EventStream::Sent::full);
        const std::string start = client.read_until("\r\n\r\n");
        CPPUNIT_ASSERT(start.starts_with("HTTP/1.1 200 OK"));
        // Not to the last byte: writable() may come only after the write that carried it.
        for (std::size_t read = 0; read + 2 * large->size() < taken * large->size();) {
            read += client.read(large->size()).size();
        }
        CPPUNIT_ASSERT(eventually([&] { return streams.writable == 1; }));
        CPPUNIT_ASSERT(stream->send(large) == EventStream::Sent::taken);
        stream->close();
        CPPUNIT_ASSERT(client.read_to_end().ends_with("\r\n0\r\n\r\n"));
        CPPUNIT_ASSERT_EQUAL(std::uint64_t{(taken + 1) * 65536}, toy.ended().at(0).bytes_out);
    }

    void a_stream_fills_by_number_of_blocks() {
        Streams streams;
        ToyServer toy;
        streams.serve(toy);
        FrontClient client = toy.client();
        client.send(get("/"));
        const auto stream = streams.first();
        client.read_until("\r\n\r\n");
        // The reactors are held, so that nothing leaves the queue.
        std::atomic<int> held{0};
        std::atomic<bool> go{false};
        std::thread holding([&] {
            toy.server().on_each_reactor([&](std::size_t) {
                ++held;
                eventually([&] { return go.load(); });
            });
        });
        CPPUNIT_ASSERT(eventually([&] { return held == 2; }));
        const auto event = block("data\n\n");
        for (int i = 0; i < 4096; ++i) {
            CPPUNIT_ASSERT(stream->send(event) == EventStream::Sent::taken);
        }
        CPPUNIT_ASSERT(stream->send(event) == EventStream::Sent::full);
        go = true;
        holding.join();
        CPPUNIT_ASSERT(eventually([&] { return streams.writable == 1; }));
        CPPUNIT_ASSERT(stream->send(event) == EventStream::Sent::taken);
        stream->close();
        CPPUNIT_ASSERT(client.read_to_end().ends_with("\r\n0\r\n\r\n"));
        CPPUNIT_ASSERT_EQUAL(std::uint64_t{4097 * 6}, toy.ended().at(0).bytes_out);
        CPPUNIT_ASSERT_EQUAL(1, streams.writable.load());
    }

    void a_stream_hears_that_its_client_left() {
        for (const bool hard : {false, true}) {
            Streams streams;
            ToyServer toy;
            streams.serve(toy);
            FrontClient client = toy.client();
            client.send(get("/"));
            const auto stream = streams.first();
            client.read_until("\r\n\r\n");
            if (hard) {
                client.reset();
            } else {
                client.close();
            }
            CPPUNIT_ASSERT(eventually([&] { return streams.closed == 1; }));
            CPPUNIT_ASSERT(stream->send(block("x")) == EventStream::Sent::closed);
            stream->close();
            CPPUNIT_ASSERT(eventually([&] { return toy.ended().size() == 1; }));
            CPPUNIT_ASSERT(!toy.ended()[0].whole);
            CPPUNIT_ASSERT(eventually([&] { return toy.server().stats().connections_open == 0; }));
            CPPUNIT_ASSERT_EQUAL(1, streams.closed.load());
        }
    }

    void a_stream_reader_that_stops_is_cut() {
        Streams streams;
        http::Options options = ToyServer::two_reactors();
        options.body_timeout = 300ms;
        ToyServer toy(options);
        streams.serve(toy);
        FrontClient client = toy.client(4096);
        client.send(get("/"));
        const auto stream = streams.first();
        const auto large = block(std::string(65536, 'x'));
        CPPUNIT_ASSERT(eventually([&] {
            stream->send(large);
            return streams.closed == 1;
        }));
    }

    void a_stream_client_that_talks_on_is_cut() {
        Streams streams;
        ToyServer toy;
        streams.serve(toy);
        FrontClient client = toy.client();
        client.send(get("/") + get("/pipelined"));
        const auto stream = streams.first();
        stream->send(block("data: 1\n\n"));
        CPPUNIT_ASSERT(client.read_until("data: 1\n\n").ends_with("data: 1\n\n"));
        client.send(std::string(200000, 'x'));
        CPPUNIT_ASSERT(eventually([&] { return streams.closed == 1; }));
        CPPUNIT_ASSERT_EQUAL(std::size_t{1}, streams.count());
    }

    void many_streams_many_senders() {
        Streams streams;
        ToyServer toy;
        streams.serve(toy);
        std::vector<FrontClient> clients;
        for (int i = 0; i < 40; ++i) {
            clients.push_back(toy.client());
            clients.back().send(get("/"));
        }
        CPPUNIT_ASSERT(eventually([&] { return streams.count() == 40; }));
        std::vector<std::thread> senders;
        std::atomic<int> full{0};
        for (int thread = 0; thread < 4; ++thread) {
            senders.emplace_back([&] {
                const auto event = block("data: x\n\n");
                for (int i = 0; i < 200; ++i) {
                    for (const auto& stream : streams.all) {
                        if (stream->send(event) != EventStream::Sent::taken) ++full;
                    }
                }
            });
        }
        for (std::thread& sender : senders) sender.join();
        for (const auto& stream : streams.all) stream->close();
        for (FrontClient& client : clients) {
            const FrontAnswer answer = client.read_answer();
            CPPUNIT_ASSERT(answer.whole);
            CPPUNIT_ASSERT_EQUAL(std::size_t{800 * 9}, answer.body.size());
        }
        CPPUNIT_ASSERT_EQUAL(0, full.load());
    }
};

LARDER_TEST_SUITE(HttpAnswerTest);

}  // namespace
