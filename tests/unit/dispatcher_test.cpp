// The way of a request through the dispatcher, without sockets: refusals and their order, what a
// handler sees, and what becomes of everything a handler may throw or forget. Uploads are
// upload_session_test.cpp's.
//
// Contents: refusals · what a handler reads · replies and what is thrown · gate, queue, observer.
#include "routing/dispatcher.hpp"

#include <fmt/format.h>

#include <future>
#include <stdexcept>

#include "support/daemon_process.hpp"
#include "support/dispatch.hpp"
#include "support/suite.hpp"

namespace larder::routing {
namespace {

using test::Dispatch;
using test::eventually;

using Fields = std::vector<http::Field>;

class DispatcherTest : public CppUnit::TestFixture {
    CPPUNIT_TEST_SUITE(DispatcherTest);
    CPPUNIT_TEST(refuses_what_leads_nowhere);
    CPPUNIT_TEST(refuses_in_the_promised_order);
    CPPUNIT_TEST(judges_media_types);
    CPPUNIT_TEST(judges_conditions_on_changes);
    CPPUNIT_TEST(decodes_what_a_handler_reads);
    CPPUNIT_TEST(refuses_what_cannot_be_decoded);
    CPPUNIT_TEST(answers_304);
    CPPUNIT_TEST(a_dropped_reply_is_a_500);
    CPPUNIT_TEST(an_error_is_its_problem);
    CPPUNIT_TEST(foreign_exceptions_are_a_500_that_tells_nothing);
    CPPUNIT_TEST(a_throw_beside_a_reply_that_went_elsewhere);
    CPPUNIT_TEST(answers_from_another_thread);
    CPPUNIT_TEST(a_blocking_handler_runs_on_a_worker);
    CPPUNIT_TEST(a_full_queue_is_a_503);
    CPPUNIT_TEST(a_closed_gate_is_a_503);
    CPPUNIT_TEST(counts_what_is_under_way);
    CPPUNIT_TEST(a_plugin_cut_off_is_called_no_more);
    CPPUNIT_TEST(a_reply_of_a_former_life_is_inert);
    CPPUNIT_TEST(a_generator_keeps_the_gate);
    CPPUNIT_TEST(tells_the_observer_how_it_ended);
    CPPUNIT_TEST_SUITE_END();

public:
    void refuses_what_leads_nowhere() {
        Dispatch to;
        to.add({Method::get, "/a", Permission::read, "", "", "", "", 100, ""}, ok());
        to.off("/api/kv", "plugin-failed", "plugin kv is failed: it broke");
        CPPUNIT_ASSERT_EQUAL(std::string("404 not-found"), to.ask("GET", "/b"));
        CPPUNIT_ASSERT_EQUAL(std::string("405 method-not-allowed"), to.ask("PUT", "/a"));
        CPPUNIT_ASSERT_EQUAL(std::string("GET, HEAD, OPTIONS"), to.header("Allow"));
        CPPUNIT_ASSERT_EQUAL(std::string("405 method-not-allowed"), to.ask("TRACE", "/a"));
        CPPUNIT_ASSERT_EQUAL(std::string("204 "), to.ask("OPTIONS", "/a"));
        CPPUNIT_ASSERT_EQUAL(std::string("GET, HEAD, OPTIONS"), to.header("Allow"));
        CPPUNIT_ASSERT_EQUAL(std::string("404 not-found"), to.ask("OPTIONS", "/b"));
        CPPUNIT_ASSERT_EQUAL(std::string("204 "), to.ask("OPTIONS", "*"));
        for (const char* method : {"GET", "PUT", "OPTIONS", "BREW"}) {
            CPPUNIT_ASSERT_EQUAL(std::string("503 plugin-failed"), to.ask(method, "/api/kv/x?y=z"));
        }
        CPPUNIT_ASSERT(to.body().find("\"reason\":\"plugin kv is failed: it broke\"") !=
                       std::string::npos);
    }

    // Each line mends the fault that the one before was refused for.
    void refuses_in_the_promised_order() {
        Dispatch to(with_auth());
        to.add({Method::put, "/a/{x}", Permission::write, "", "", "application/json", "", 10, ""},
               ok());
        const auto ask = [&](const char* method, const char* target, Fields fields,
                             const std::string& host, bool local, const std::string& body) {
            auto exchange = to.exchange(method, target, std::move(fields), body);
            exchange->mutable_head().authority = host;
            exchange->mutable_peer().local = local;
            return to.carry_out(exchange);
        };
        const std::string large(100, '1');
        const http::Field origin{"Origin", "https://evil.example"}, type{"Content-Type", "text/x"},
            condition{"If-Match", "*"};
        CPPUNIT_ASSERT_EQUAL(
            std::string("421 misdirected"),
            ask("BREW", "/b/%00?q=1", {origin, type, condition}, "evil.example", false, large));
        CPPUNIT_ASSERT_EQUAL(
            std::string("403 cross-site"),
            ask("BREW", "/b/%00?q=1", {origin, type, condition}, "localhost", false, large));
        CPPUNIT_ASSERT_EQUAL(
            std::string("401 unauthorized"),
            ask("BREW", "/b/%00?q=1", {type, condition}, "localhost", false, large));
        CPPUNIT_ASSERT_EQUAL(
            std::string("404 not-found"),
            ask("BREW", "/b/%00?q=1", {type, condition}, "localhost", true, large));
        CPPUNIT_ASSERT_EQUAL(
            std::string("405 method-not-allowed"),
            ask("BREW", "/a/%00?q=1", {type, condition}, "localhost", true, large));
        CPPUNIT_ASSERT_EQUAL(std::string("415 unsupported-media-type"),
                             ask("PUT", "/a/%00?q=1", {type, condition}, "localhost", true, large));
        CPPUNIT_ASSERT_EQUAL(std::string("413 body-too-large"),
                             ask("PUT", "/a/%00?q=1", {condition}, "localhost", true, large));
        CPPUNIT_ASSERT_EQUAL(std::string("400 bad-request"),
                             ask("PUT", "/a/%00?q=1", {condition}, "localhost", true, "1"));
        CPPUNIT_ASSERT_EQUAL(std::string("400 invalid-parameter"),
                             ask("PUT", "/a/b?q=1", {condition}, "localhost", true, "1"));
        CPPUNIT_ASSERT_EQUAL(std::string("400 condition-not-supported"),
                             ask("PUT", "/a/b", {condition}, "localhost", true, "1"));
        CPPUNIT_ASSERT_EQUAL(std::string("200 "), ask("PUT", "/a/b", {}, "localhost", true, "1"));
    }

    void judges_media_types() {
        Dispatch to;
        to.add({Method::put, "/json", Permission::write, "", "", "application/json", "", 10, ""},
               ok());
        to.add({Method::put, "/any", Permission::write, "", "", "*/*", "", 10, ""}, ok());
        to.add({Method::put, "/none", Permission::write, "", "", "", "", 10, ""}, ok());
        to.add({Method::put, "/two", Permission::write, "", "",
                "application/merge-patch+json, application/json-patch+json", "", 10, ""},
               ok());
        const auto put = [&](const char* target, const char* type) {
            return to.ask("PUT", target, {{"Content-Type", type}}, "1");
        };
        for (const char* type :
             {"application/json", "APPLICATION/Json ; charset=utf-8", "application/geo+json",
              "application/x-www-form-urlencoded", "application/json;"}) {
            CPPUNIT_ASSERT_EQUAL_MESSAGE(type, std::string("200 "), put("/json", type));
        }
        for (const char* type : {"text/plain", "application/jsonx", "application/json5", "json", "",
                                 "+json", "multipart/form-data", "*/*"}) {
            CPPUNIT_ASSERT_EQUAL_MESSAGE(type, std::string("415 unsupported-media-type"),
                                         put("/json", type));
        }
        CPPUNIT_ASSERT_EQUAL(std::string("application/json"), to.header("Accept"));
        CPPUNIT_ASSERT_EQUAL(std::string("200 "), put("/any", "text/x"));
        // What wants no body is as strict as what wants JSON.
        CPPUNIT_ASSERT_EQUAL(std::string("200 "), put("/none", "application/json"));
        CPPUNIT_ASSERT_EQUAL(std::string("415 unsupported-media-type"), put("/none", "text/x"));
        CPPUNIT_ASSERT_EQUAL(std::string("200 "), to.ask("PUT", "/none", {}, "1"));
        CPPUNIT_ASSERT_EQUAL(std::string("200 "), put("/two", "application/json-patch+json"));
        CPPUNIT_ASSERT_EQUAL(std::string("415 unsupported-media-type"),
                             put("/two", "application/json"));
        CPPUNIT_ASSERT_EQUAL(std::string("200 "), to.ask("PUT", "/json", {}, "1"));
        CPPUNIT_ASSERT_EQUAL(std::string("200 "),  // nothing is of that type
                             to.ask("PUT", "/json", {{"Content-Type", "text/x"}}));
    }

    void judges_conditions_on_changes() {
        Dispatch to;
        to.add({Method::put, "/a", Permission::write, "", "", "", "", 10, "if-match,if-none-match"},
               ok());
        to.add({Method::get, "/a", Permission::read, "", "", "", "", 10, ""}, ok());
        for (const char* name : {"If-Match", "IF-NONE-MATCH"}) {
            CPPUNIT_ASSERT_EQUAL(std::string("200 "), to.ask("PUT", "/a", {{name, "*"}}));
        }
        for (const char* name : {"If-Unmodified-Since", "If-Modified-Since", "If-Range"}) {
            CPPUNIT_ASSERT_EQUAL(std::string("400 condition-not-supported"),
                                 to.ask("PUT", "/a", {{name, "x"}}));
            CPPUNIT_ASSERT_EQUAL(std::string("200 "), to.ask("GET", "/a", {{name, "x"}}));
        }
        // What is no date would be passed over.
        to.add({Method::del, "/a", Permission::write, "", "", "", "", 10,
                "if-match,if-unmodified-since"},
               ok());
        const char* const name = "If-Unmodified-Since";
        CPPUNIT_ASSERT_EQUAL(std::string("400 bad-request"), to.ask("DELETE", "/a", {{name, "x"}}));
        CPPUNIT_ASSERT_EQUAL(std::string("200 "),
                             to.ask("DELETE", "/a", {{name, "Sun, 06 Nov 1994 08:49:37 GMT"}}));
        CPPUNIT_ASSERT_EQUAL(std::string("200 "),
                             to.ask("DELETE", "/a", {{name, "x"}, {"If-Match", "*"}}));
    }

    void decodes_what_a_handler_reads() {
        Dispatch to;
        std::string seen;
        to.add({Method::get, "/a/{x}/{rest...}/tail", Permission::read, "", "q+,r", "", "", 10, ""},
               PromptHandler([&](const Request& request, Reply reply) {
                   seen = fmt::format(
                       "{}|{}|{}|{}|{}|{}|{}|{}|{}", request.param("x"), request.param("rest"),
                       request.param("none"), request.query("q").value_or("-"),
                       request.query("r").value_or("-"), fmt::join(request.queries("q"), "+"),
                       request.header("x-many").value_or("-"), request.header("none").value_or("-"),
                       request.id());
                   std::move(reply).send({});
               }));
        CPPUNIT_ASSERT_EQUAL(std::string("200 "),
                             to.ask("GET", "/a/b%20c/d/%2F%2e%25/tail?q=1+%2B&q=&&q=%3D&r",
                                    {{"X-Many", "1"}, {"x-other", "0"}, {"X-MANY", "2"}}));
        CPPUNIT_ASSERT_EQUAL(std::string("b c|d//.%||1 +||1 +++=|1, 2|-|id-1"), seen);
        CPPUNIT_ASSERT_EQUAL(std::string("400 invalid-parameter"),
                             to.ask("GET", "/a/b/c/tail?r=1&q=2&r=1"));
        CPPUNIT_ASSERT_EQUAL(std::string("200 "), to.ask("GET", "/a/+/+/tail"));
        CPPUNIT_ASSERT_EQUAL(std::string("+|+||-|-||-|-|id-1"), seen);
    }

    void refuses_what_cannot_be_decoded() {
        Dispatch to;
        to.add({Method::get, "/a/{x}", Permission::read, "", "q", "", "", 10, ""}, ok());
        for (const char* target : {"/a/%", "/a/%0", "/a/%zz", "/a/%00", "/a/b%0%30"}) {
            CPPUNIT_ASSERT_EQUAL_MESSAGE(target, std::string("400 bad-request"),
                                         to.ask("GET", target));
        }
        for (const char* target : {"/a/b?q=%", "/a/b?q=%00", "/a/b?%zz=1", "/a/b?x=1", "/a/b?Q=1",
                                   "/a/b?q=1&x", "/a/b?=1", "/a/b?q%3d1"}) {
            CPPUNIT_ASSERT_EQUAL_MESSAGE(target, std::string("400 invalid-parameter"),
                                         to.ask("GET", target));
        }
        CPPUNIT_ASSERT_EQUAL(std::string("200 "), to.ask("GET", "/a/b?"));
    }

    void answers_304() {
        Dispatch to;
        to.add({Method::get, "/a", Permission::read, "", "", "", "", 10, ""},
               BlockingHandler([](const Request&) {
                   return Response{200, {{"ETag", "\"1\""}}, std::string("body"), {}};
               }));
        CPPUNIT_ASSERT_EQUAL(std::string("304 "),
                             to.ask("GET", "/a", {{"If-None-Match", "\"1\""}}));
        CPPUNIT_ASSERT_EQUAL(std::string("200 "),
                             to.ask("GET", "/a", {{"If-None-Match", "\"2\""}}));
    }

    void a_dropped_reply_is_a_500() {
        Dispatch to;
        std::optional<Reply> kept;
        to.add({Method::get, "/drop", Permission::read, "", "", "", "", 10, ""},
               PromptHandler([](const Request&, Reply) {}));
        to.add({Method::get, "/later", Permission::read, "", "", "", "", 10, ""},
               PromptHandler([&](const Request&, Reply reply) { kept.emplace(std::move(reply)); }));
        CPPUNIT_ASSERT_EQUAL(std::string("500 internal"), to.ask("GET", "/drop"));
        CPPUNIT_ASSERT_MESSAGE(to.log(), to.log().find("dropped") != std::string::npos);
        CPPUNIT_ASSERT_MESSAGE(to.log(), to.log().find("(request id-1)") != std::string::npos);
        auto exchange = to.exchange("GET", "/later");
        to.begin(exchange);
        CPPUNIT_ASSERT(!exchange->is_answered());
        kept.reset();
        CPPUNIT_ASSERT_EQUAL(500, exchange->wait_for_answer()->status);
        CPPUNIT_ASSERT_EQUAL(1, exchange->answers());
    }

    void an_error_is_its_problem() {
        const Error error = Error(Errc::no_space, "quota-exceeded", "there is no room")
                                .with("available", "7")
                                .with_header("Retry-After", "9")
                                .because("/secret/path is full");
        Dispatch to;
        to.add({Method::get, "/thrown", Permission::read, "", "", "", "", 10, ""},
               PromptHandler([&](const Request&, Reply) { throw Error(error); }));
        to.add({Method::get, "/failed", Permission::read, "", "", "", "", 10, ""},
               PromptHandler([&](const Request&, Reply reply) { std::move(reply).fail(error); }));
        to.add({Method::get, "/blocking", Permission::read, "", "", "", "", 10, ""},
               BlockingHandler([&](const Request&) -> Response { throw Error(error); }));
        for (const char* target : {"/thrown", "/failed", "/blocking"}) {
            CPPUNIT_ASSERT_EQUAL(std::string("507 quota-exceeded"), to.ask("GET", target));
            CPPUNIT_ASSERT_EQUAL(std::string("9"), to.header("Retry-After"));
            CPPUNIT_ASSERT(to.body().find("\"available\":7") != std::string::npos);
            CPPUNIT_ASSERT(to.body().find("\"request_id\":\"id-1\"") != std::string::npos);
            CPPUNIT_ASSERT(to.body().find("secret") == std::string::npos);
            CPPUNIT_ASSERT_MESSAGE(to.log(), to.log().find("/secret/path") != std::string::npos);
        }
    }

    void foreign_exceptions_are_a_500_that_tells_nothing() {
        Dispatch to;
        to.add({Method::get, "/std", Permission::read, "", "", "", "", 10, ""},
               PromptHandler([](const Request&, Reply) { throw std::runtime_error("secret a"); }));
        to.add({Method::get, "/int", Permission::read, "", "", "", "", 10, ""},
               PromptHandler([](const Request&, Reply) { throw 7; }));  // NOLINT: on purpose
        to.add({Method::get, "/blocking", Permission::read, "", "", "", "", 10, ""},
               BlockingHandler(
                   [](const Request&) -> Response { throw std::logic_error("secret b"); }));
        for (const char* target : {"/std", "/int", "/blocking"}) {
            CPPUNIT_ASSERT_EQUAL_MESSAGE(target, std::string("500 internal"),
                                         to.ask("GET", target));
            CPPUNIT_ASSERT_MESSAGE(to.body(), to.body().find("secret") == std::string::npos);
        }
        for (const char* text : {"secret a", "secret b", "no std::exception"}) {
            CPPUNIT_ASSERT_MESSAGE(to.log(), to.log().find(text) != std::string::npos);
        }
    }

    void a_throw_beside_a_reply_that_went_elsewhere() {
        Dispatch to;
        std::optional<Reply> kept;
        to.add({Method::get, "/kept", Permission::read, "", "", "", "", 10, ""},
               PromptHandler([&](const Request&, Reply reply) {
                   kept.emplace(std::move(reply));
                   throw std::runtime_error("after it was moved");
               }));
        to.add({Method::get, "/sent", Permission::read, "", "", "", "", 10, ""},
               PromptHandler([&](const Request&, Reply reply) {
                   std::move(reply).send({201, {}, {}, {}});
                   throw Error(Errc::conflict, "late", "after it was sent");
               }));
        auto exchange = to.exchange("GET", "/kept");
        to.begin(exchange);
        CPPUNIT_ASSERT(!exchange->is_answered());
        std::move(*kept).send({202, {}, {}, {}});
        CPPUNIT_ASSERT_EQUAL(202, exchange->wait_for_answer()->status);
        CPPUNIT_ASSERT_EQUAL(1, exchange->answers());
        CPPUNIT_ASSERT_MESSAGE(to.log(), to.log().find("after it was moved") != std::string::npos);
        exchange = to.exchange("GET", "/sent");
        to.begin(exchange);
        CPPUNIT_ASSERT_EQUAL(201, exchange->wait_for_answer()->status);
        CPPUNIT_ASSERT_EQUAL(1, exchange->answers());
        CPPUNIT_ASSERT_MESSAGE(to.log(), to.log().find("after it was sent") != std::string::npos);
    }

    void answers_from_another_thread() {
        Dispatch to;
        std::vector<std::thread> threads;
        to.add({Method::get, "/a", Permission::read, "", "", "", "", 10, ""},
               PromptHandler([&](const Request&, Reply reply) {
                   threads.emplace_back([reply = std::move(reply)]() mutable {
                       std::move(reply).send({200, {}, std::string("late"), {}});
                   });
               }));
        for (int i = 0; i < 200; ++i) {
            CPPUNIT_ASSERT_EQUAL(std::string("200 "), to.ask("GET", "/a"));
        }
        for (std::thread& thread : threads) thread.join();
        CPPUNIT_ASSERT_EQUAL(std::uint64_t{0}, to.maker.owner.gate.inside());
    }

    void a_blocking_handler_runs_on_a_worker() {
        Dispatch to;
        std::thread::id where;
        to.add({Method::put, "/a", Permission::write, "", "", "", "", 10, ""},
               BlockingHandler([&](const Request& request) {
                   where = std::this_thread::get_id();
                   return Response{200, {}, std::string(request.body()), {}};
               }));
        CPPUNIT_ASSERT_EQUAL(std::string("200 "), to.ask("PUT", "/a", {}, "text"));
        CPPUNIT_ASSERT_EQUAL(std::string("text"), to.body());
        CPPUNIT_ASSERT(where != std::this_thread::get_id());
    }

    void a_full_queue_is_a_503() {
        std::promise<void> release;
        std::shared_future<void> released = release.get_future().share();
        Dispatch to({}, 1, 1);
        to.add({Method::get, "/a", Permission::read, "", "", "", "", 10, ""},
               BlockingHandler([released](const Request&) {
                   released.wait();
                   return Response();
               }));
        auto running = to.exchange("GET", "/a"), waiting = to.exchange("GET", "/a");
        to.begin(running);
        CPPUNIT_ASSERT(eventually([&] { return to.workers.queued() == 0; }));
        to.begin(waiting);
        CPPUNIT_ASSERT_EQUAL(std::string("503 overloaded"), to.ask("GET", "/a"));
        CPPUNIT_ASSERT_EQUAL(std::string("1"), to.header("Retry-After"));
        release.set_value();
        CPPUNIT_ASSERT_EQUAL(200, running->wait_for_answer()->status);
        CPPUNIT_ASSERT_EQUAL(200, waiting->wait_for_answer()->status);
    }

    void a_closed_gate_is_a_503() {
        Dispatch to;
        bool called = false;
        to.add({Method::get, "/a", Permission::read, "", "", "", "", 10, ""},
               PromptHandler([&](const Request&, Reply) { called = true; }));
        to.maker.owner.gate.close();
        CPPUNIT_ASSERT_EQUAL(std::string("503 plugin-disabled"), to.ask("GET", "/a"));
        CPPUNIT_ASSERT_EQUAL(std::string("1"), to.header("Retry-After"));
        CPPUNIT_ASSERT(!called);
        CPPUNIT_ASSERT_EQUAL(std::uint64_t{0}, to.maker.owner.gate.inside());
    }

    // What waits for a worker when its plugin is cut off never reaches the handler.
    void a_plugin_cut_off_is_called_no_more() {
        Dispatch to({}, 1);
        std::promise<void> release;
        std::atomic<int> calls{0};
        to.add({Method::get, "/a", Permission::read, "", "", "", "", 10, ""},
               BlockingHandler([&](const Request&) {
                   ++calls;
                   release.get_future().get();
                   return Response{200, {}, std::string("late"), {}};
               }));
        auto running = to.exchange("GET", "/a"), queued = to.exchange("GET", "/a");
        to.begin(running);
        CPPUNIT_ASSERT(eventually([&] { return calls == 1; }));
        to.begin(queued);
        Owner& owner = to.maker.owner;
        owner.gate.close();
        ++owner.life;
        CPPUNIT_ASSERT(Dispatcher::withdraw(*running, owner));
        CPPUNIT_ASSERT(Dispatcher::withdraw(*queued, owner));
        CPPUNIT_ASSERT(!Dispatcher::withdraw(*queued, test::RouteMaker().owner));
        CPPUNIT_ASSERT_MESSAGE("its views must hold while it runs", !running->is_answered());
        CPPUNIT_ASSERT_EQUAL(std::string("503 plugin-disabled"), to.settle(queued));
        release.set_value();
        CPPUNIT_ASSERT_EQUAL(std::string("503 plugin-disabled"), to.settle(running));
        CPPUNIT_ASSERT(
            owner.gate.wait_empty(std::chrono::steady_clock::now() + std::chrono::hours(1)));
        CPPUNIT_ASSERT_EQUAL(1, calls.load());
        CPPUNIT_ASSERT_EQUAL(1, running->answers());
        CPPUNIT_ASSERT_EQUAL(1, queued->answers());
    }

    void a_reply_of_a_former_life_is_inert() {
        for (const char* use : {"send", "fail", "stream", "drop"}) {
            Dispatch to;
            std::optional<Reply> kept;
            to.add({Method::get, "/a", Permission::read, "", "", "", "", 10, ""},
                   PromptHandler(
                       [&](const Request&, Reply reply) { kept.emplace(std::move(reply)); }));
            auto exchange = to.exchange("GET", "/a");
            to.begin(exchange);
            Owner& owner = to.maker.owner;
            owner.gate.close();
            ++owner.life;
            CPPUNIT_ASSERT(Dispatcher::withdraw(*exchange, owner));
            CPPUNIT_ASSERT(exchange->is_answered());
            to.dispatcher.ended({exchange.get(), 0, &exchange->peer(), 503, 0, 0, {}, true});
            CPPUNIT_ASSERT_EQUAL(std::string("503 plugin-disabled"), to.settle(exchange));
            CPPUNIT_ASSERT_EQUAL(std::uint64_t{0}, owner.gate.busy());
            CPPUNIT_ASSERT_EQUAL(std::uint64_t{1}, owner.gate.aside());
            const std::string_view word = use;
            if (word == "send") std::move(*kept).send({200, {}, std::string("late"), {}});
            if (word == "fail") std::move(*kept).fail(Error(Errc::conflict, "late", "late"));
            if (word == "stream") {
                const auto stream = std::move(*kept).stream({});
                CPPUNIT_ASSERT(stream->send(std::make_shared<std::string>("x")) ==
                               EventStream::Sent::closed);
                stream->close();
            }
            kept.reset();
            CPPUNIT_ASSERT_EQUAL_MESSAGE(use, 1, exchange->answers());
            CPPUNIT_ASSERT_EQUAL_MESSAGE(use, std::string(), to.log());
            CPPUNIT_ASSERT_EQUAL(std::uint64_t{0}, owner.gate.inside());
        }
    }

    // It may run on a worker when its exchange is over.
    void a_generator_keeps_the_gate() {
        Dispatch to;
        to.add({Method::get, "/a", Permission::read, "", "", "", "", 10, ""},
               PromptHandler([](const Request&, Reply reply) {
                   std::move(reply).send({200,
                                          {},
                                          Generator([](std::string& chunk) {
                                              chunk = "more";
                                              return true;
                                          }),
                                          {}});
               }));
        auto exchange = to.exchange("GET", "/a");
        to.begin(exchange);
        auto generator = std::get<Generator>(exchange->wait_for_answer()->body);
        exchange->drop_answer();
        exchange->attachment.reset();
        Owner& owner = to.maker.owner;
        CPPUNIT_ASSERT_EQUAL(std::uint64_t{1}, owner.gate.busy());
        std::string chunk;
        CPPUNIT_ASSERT(generator(chunk));
        CPPUNIT_ASSERT_EQUAL(std::string("more"), chunk);
        ++owner.life;
        CPPUNIT_ASSERT_THROW(generator(chunk), std::runtime_error);
        generator = nullptr;
        CPPUNIT_ASSERT_EQUAL(std::uint64_t{0}, owner.gate.inside());
    }

    // The pass is held by whichever lasts longer: the Reply, or the exchange until it has ended.
    void counts_what_is_under_way() {
        Dispatch to;
        std::optional<Reply> kept;
        to.add({Method::get, "/a", Permission::read, "", "", "", "", 10, ""},
               PromptHandler([&](const Request&, Reply reply) { kept.emplace(std::move(reply)); }));
        Gate& gate = to.maker.owner.gate;
        auto exchange = to.exchange("GET", "/a");
        to.begin(exchange);
        CPPUNIT_ASSERT_EQUAL(std::uint64_t{1}, gate.inside());
        exchange->attachment.reset();  // the client has gone
        CPPUNIT_ASSERT_EQUAL(std::uint64_t{1}, gate.inside());
        std::move(*kept).send({});
        CPPUNIT_ASSERT_EQUAL(std::uint64_t{0}, gate.inside());
        exchange = to.exchange("GET", "/a");
        to.begin(exchange);
        std::move(*kept).send({});
        CPPUNIT_ASSERT_EQUAL(std::uint64_t{1}, gate.inside());  // its body may still be leaving
        exchange->attachment.reset();
        CPPUNIT_ASSERT_EQUAL(std::uint64_t{0}, gate.inside());
    }

    void tells_the_observer_how_it_ended() {
        Dispatch to(with_auth());
        to.add({Method::get, "/a/{x}", Permission::read, "", "", "", "", 10, ""}, ok());
        auto exchange = to.exchange("GET", "/a/1");
        exchange->mutable_peer().local = true;
        to.begin(exchange);
        http::Ended ended{exchange.get(), 0, &exchange->peer(), 200, 0, 0, {}, true};
        to.dispatcher.ended(ended);
        CPPUNIT_ASSERT_EQUAL(std::string("200 /a/{x} local"), to.observed);
        auto lost = to.exchange("GET", "/b");
        to.begin(lost);
        ended.exchange = lost.get();
        ended.status = 404;
        to.dispatcher.ended(ended);
        CPPUNIT_ASSERT_EQUAL(std::string("404 - "), to.observed);
        ended.exchange = nullptr;
        ended.status = 400;
        to.dispatcher.ended(ended);
        CPPUNIT_ASSERT_EQUAL(std::string("400 - "), to.observed);
    }

private:
    static access::Policy with_auth() {
        access::Policy policy;
        policy.auth_enabled = true;
        return policy;
    }
    static PromptHandler ok() {
        return [](const Request&, Reply reply) { std::move(reply).send({}); };
    }
};

LARDER_TEST_SUITE(DispatcherTest);

}  // namespace
}  // namespace larder::routing
