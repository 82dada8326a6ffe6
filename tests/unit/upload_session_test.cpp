// Uploads between the front and a plugin: bytes in order, one call at a time, back-pressure, and
// every way they may end short.
//
// Contents: the upload that is watched · good ones · cuts · throws · the gate · many.
#include "routing/upload_session.hpp"

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

constexpr std::size_t kHighWater = 1U << 20U;

// What became of an upload, and what a test wants to go wrong.
struct Story {
    std::function<void()> at_open = [] {}, at_take = [] {}, at_finish = [] {};
    std::mutex mutex;
    std::string bytes;  // guarded by mutex, as are the rest
    std::string calls;  // o take* f|a, a letter a call
    std::string trailers;
    std::atomic<int> inside{0};  // calls under way
    std::atomic<bool> overlapped{false};

    void note(char call) {
        const std::scoped_lock lock(mutex);
        if (call != 't' || !calls.ends_with('t')) calls += call;
    }
    std::string told() {
        const std::scoped_lock lock(mutex);
        return calls;
    }
};

class StoryUpload final : public Upload {
public:
    explicit StoryUpload(Story& story) : story_(story) {}
    ~StoryUpload() override { story_.note('d'); }
    void take(std::span<const std::byte> bytes) override {
        enter();
        story_.note('t');
        {
            const std::scoped_lock lock(story_.mutex);
            story_.bytes.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
        }
        --story_.inside;
        story_.at_take();
    }
    Response finish(const Headers& trailers) override {
        enter();
        story_.note('f');
        for (const auto& [name, value] : trailers) {
            story_.trailers += fmt::format("{}={};", name, value);
        }
        --story_.inside;
        story_.at_finish();
        return {201, {}, std::string("stored"), {}};
    }
    void abort() noexcept override {
        enter();
        story_.note('a');
        --story_.inside;
    }

private:
    void enter() {
        if (++story_.inside != 1) story_.overlapped = true;
    }
    Story& story_;
};

class UploadSessionTest : public CppUnit::TestFixture {
    CPPUNIT_TEST_SUITE(UploadSessionTest);
    CPPUNIT_TEST(takes_bytes_in_order);
    CPPUNIT_TEST(takes_an_empty_body);
    CPPUNIT_TEST(hands_on_trailers);
    CPPUNIT_TEST(holds_the_sender_back);
    CPPUNIT_TEST(holds_no_worker_while_nothing_comes);
    CPPUNIT_TEST(a_cut_body_is_aborted);
    CPPUNIT_TEST(a_cut_before_it_was_opened);
    CPPUNIT_TEST(a_cut_while_it_takes);
    CPPUNIT_TEST(a_throw_when_it_is_opened);
    CPPUNIT_TEST(no_upload_is_a_500);
    CPPUNIT_TEST(a_throw_in_take);
    CPPUNIT_TEST(a_throw_in_finish);
    CPPUNIT_TEST(what_comes_after_the_answer_is_passed_over);
    CPPUNIT_TEST(a_closed_gate_and_a_full_queue_open_nothing);
    CPPUNIT_TEST(the_gate_waits_for_it);
    CPPUNIT_TEST(many_at_once);
    CPPUNIT_TEST_SUITE_END();

public:
    void setUp() override {
        story_ = std::make_unique<Story>();
        to_ = std::make_unique<Dispatch>();
        declare(*to_);
    }
    void tearDown() override {
        sink_.reset();
        if (exchange_) exchange_->attachment.reset();  // they hold each other until then
        exchange_.reset();
        to_.reset();
    }

    void takes_bytes_in_order() {
        begin();
        std::string sent;
        for (int i = 0; i < 2000; ++i) {
            std::string chunk = fmt::format("{},", i);
            sent += chunk;
            sink_->take(std::move(chunk));
        }
        sink_->end({});
        CPPUNIT_ASSERT_EQUAL(std::string("201 "), end());
        CPPUNIT_ASSERT_EQUAL(std::string("stored"), to_->body());
        CPPUNIT_ASSERT(sent == story_->bytes);
        expect_told("otfd");
        CPPUNIT_ASSERT(!story_->overlapped);
        CPPUNIT_ASSERT_EQUAL(std::string(), to_->log());
    }

    void takes_an_empty_body() {
        begin();
        sink_->end({});
        CPPUNIT_ASSERT_EQUAL(std::string("201 "), end());
        expect_told("ofd");
    }

    void hands_on_trailers() {
        begin();
        sink_->take("x");
        sink_->end({{"Digest", "y"}});
        CPPUNIT_ASSERT_EQUAL(std::string("201 "), end());
        CPPUNIT_ASSERT_EQUAL(std::string("Digest=y;"), story_->trailers);
    }

    void holds_the_sender_back() {
        std::promise<void> release;
        const std::shared_future<void> released = release.get_future().share();
        story_->at_take = [released] { released.wait(); };
        const http::BodyPlan plan = begin();
        CPPUNIT_ASSERT_MESSAGE("nothing is read before it is open", !plan.sink_ready);
        CPPUNIT_ASSERT(exchange_->wait_for_resume(1));
        CPPUNIT_ASSERT(sink_->take(std::string(10, 'a')));
        CPPUNIT_ASSERT(eventually([&] { return story_->told() == "ot"; }));  // and there it stands
        bool more = true;
        std::size_t queued = 0;
        while (more && queued < 10 * kHighWater) {
            more = sink_->take(std::string(64U << 10U, 'a'));
            queued += 64U << 10U;
        }
        CPPUNIT_ASSERT_EQUAL(kHighWater, queued);
        CPPUNIT_ASSERT_EQUAL(1, exchange_->resumes());
        release.set_value();
        CPPUNIT_ASSERT(exchange_->wait_for_resume(2));
        sink_->end({});
        CPPUNIT_ASSERT_EQUAL(std::string("201 "), end());
        CPPUNIT_ASSERT_EQUAL(kHighWater + 10, story_->bytes.size());
        CPPUNIT_ASSERT_EQUAL(2, exchange_->resumes());
    }

    void holds_no_worker_while_nothing_comes() {
        begin();
        sink_->take("x");
        CPPUNIT_ASSERT(eventually([&] { return story_->told() == "ot"; }));
        CPPUNIT_ASSERT(eventually([&] { return to_->workers.running() == 0; }));
        sink_->end({});
        CPPUNIT_ASSERT_EQUAL(std::string("201 "), end());
    }

    void a_cut_body_is_aborted() {
        begin();
        CPPUNIT_ASSERT(exchange_->wait_for_resume(1));
        sink_->take("x");
        sink_->abort();
        end();
        expect_told_eventually({"oad", "otad"});
        CPPUNIT_ASSERT_EQUAL(1, exchange_->answers());
        expect_gate_empty();
    }

    void a_cut_before_it_was_opened() {
        std::promise<void> release;
        const std::shared_future<void> released = release.get_future().share();
        to_ = std::make_unique<Dispatch>(access::Policy(), 1, 10);
        declare(*to_);
        CPPUNIT_ASSERT(to_->workers.post([released] { released.wait(); }));
        begin();
        sink_->abort();
        release.set_value();
        end();
        CPPUNIT_ASSERT_EQUAL(std::string(), story_->told());  // the plugin never heard of it
        CPPUNIT_ASSERT_EQUAL(1, exchange_->answers());
        expect_gate_empty();
    }

    void a_cut_while_it_takes() {
        std::promise<void> release;
        const std::shared_future<void> released = release.get_future().share();
        story_->at_take = [released] { released.wait(); };
        begin();
        sink_->take("x");
        CPPUNIT_ASSERT(eventually([&] { return story_->told() == "ot"; }));
        sink_->take("y");
        sink_->abort();
        release.set_value();
        end();
        expect_told_eventually({"otad"});
        CPPUNIT_ASSERT(!story_->overlapped);
        CPPUNIT_ASSERT_EQUAL(std::string("x"), story_->bytes);
        expect_gate_empty();
    }

    void a_throw_when_it_is_opened() {
        story_->at_open = [] { throw Error(Errc::no_space, "quota-exceeded", "there is no room"); };
        begin();
        CPPUNIT_ASSERT_EQUAL(std::string("507 quota-exceeded"), end());
        sink_->abort();  // as the front does then
        CPPUNIT_ASSERT_EQUAL(std::string("o"), story_->told());
        CPPUNIT_ASSERT_EQUAL(1, exchange_->answers());
        expect_gate_empty();
    }

    void no_upload_is_a_500() {
        begin("/nothing");
        CPPUNIT_ASSERT_EQUAL(std::string("500 internal"), end());
    }

    void a_throw_in_take() {
        story_->at_take = [] { throw Error(Errc::bad_request, "digest-mismatch", "not so"); };
        begin();
        sink_->take("x");
        CPPUNIT_ASSERT_EQUAL(std::string("400 digest-mismatch"), end());
        sink_->take("y");
        sink_->abort();
        expect_told_eventually({"otad"});
        CPPUNIT_ASSERT_EQUAL(std::string("x"), story_->bytes);
        CPPUNIT_ASSERT_EQUAL(1, exchange_->answers());
        expect_gate_empty();
    }

    void a_throw_in_finish() {
        story_->at_finish = [] { throw std::runtime_error("secret"); };
        begin();
        sink_->take("x");
        sink_->end({});
        CPPUNIT_ASSERT_EQUAL(std::string("500 internal"), end());
        CPPUNIT_ASSERT_EQUAL(std::string::npos, to_->body().find("secret"));
        CPPUNIT_ASSERT_MESSAGE(to_->log(), to_->log().find("secret") != std::string::npos);
        expect_told_eventually({"otfad"});
        CPPUNIT_ASSERT_EQUAL(1, exchange_->answers());
        expect_gate_empty();
    }

    void what_comes_after_the_answer_is_passed_over() {
        story_->at_open = [] { throw Error(Errc::forbidden, "forbidden", "no"); };
        begin();
        CPPUNIT_ASSERT_EQUAL(std::string("403 forbidden"), end());
        CPPUNIT_ASSERT(eventually([&] { return to_->workers.running() == 0; }));
        for (int i = 0; i < 100; ++i) {
            CPPUNIT_ASSERT(sink_->take(std::string(64U << 10U, 'a')));  // never asks to wait
        }
        sink_->end({});
        CPPUNIT_ASSERT_EQUAL(1, exchange_->answers());
        expect_gate_empty();
    }

    void a_closed_gate_and_a_full_queue_open_nothing() {
        to_->maker.owner.gate.close();
        CPPUNIT_ASSERT_EQUAL(std::string("503 plugin-disabled"), to_->ask("PUT", "/up"));
        std::promise<void> release;
        const std::shared_future<void> released = release.get_future().share();
        Dispatch full({}, 1, 1);
        declare(full);
        CPPUNIT_ASSERT(full.workers.post([released] { released.wait(); }));
        CPPUNIT_ASSERT(eventually([&] { return full.workers.queued() == 0; }));
        CPPUNIT_ASSERT(full.workers.post([] {}));
        CPPUNIT_ASSERT_EQUAL(std::string("503 overloaded"), full.ask("PUT", "/up"));
        CPPUNIT_ASSERT_EQUAL(std::string("1"), full.header("Retry-After"));
        release.set_value();
        CPPUNIT_ASSERT_EQUAL(std::string(), story_->told());
        CPPUNIT_ASSERT_EQUAL(std::uint64_t{0}, full.maker.owner.gate.inside());
    }

    void the_gate_waits_for_it() {
        begin();
        sink_->take("x");
        Gate& gate = to_->maker.owner.gate;
        gate.close();
        CPPUNIT_ASSERT(!gate.wait_empty(std::chrono::steady_clock::now()));
        sink_->end({});
        CPPUNIT_ASSERT_EQUAL(std::string("201 "), end());
        expect_gate_empty();
    }

    void many_at_once() {
        constexpr int kUploads = 50;
        std::vector<std::unique_ptr<Story>> stories;
        std::vector<std::shared_ptr<test::FakeExchange>> exchanges;
        std::vector<std::shared_ptr<http::BodySink>> sinks;
        sinks.reserve(kUploads);
        for (int i = 0; i < kUploads; ++i) {
            stories.push_back(std::make_unique<Story>());
            const auto route = fmt::format("/many{}", i);
            routes_.push_back(std::make_unique<std::string>(route));
            to_->add(
                {Method::put, *routes_.back(), Permission::write, "", "", "", "", 1U << 30U, ""},
                handler_of(*stories.back()));
            exchanges.push_back(to_->exchange("PUT", route));
        }
        for (auto& exchange : exchanges) sinks.push_back(to_->begin(exchange).sink);
        for (int round = 0; round < 100; ++round) {
            for (auto& sink : sinks) sink->take(fmt::format("{},", round));
        }
        for (int i = 0; i < kUploads; ++i) {
            auto& sink = sinks[static_cast<std::size_t>(i)];
            i % 3 == 0 ? sink->abort() : sink->end({});
        }
        for (int i = 0; i < kUploads; ++i) {
            const auto at = static_cast<std::size_t>(i);
            const std::string settled = to_->settle(exchanges[at]);
            CPPUNIT_ASSERT_EQUAL(std::string(i % 3 == 0 ? "400 bad-request" : "201 "), settled);
            CPPUNIT_ASSERT(!stories[at]->overlapped);
        }
        sinks.clear();
        exchanges.clear();
        expect_gate_empty();
        to_.reset();  // before the stories
    }

private:
    static UploadHandler handler_of(Story& story) {
        return [&story](const Request&, const std::shared_ptr<Cancel>&) {
            story.note('o');
            story.at_open();
            return std::make_unique<StoryUpload>(story);
        };
    }
    void declare(Dispatch& to) {
        to.add({Method::put, "/up", Permission::write, "", "", "", "", 1U << 30U, ""},
               handler_of(*story_));
        to.add({Method::put, "/nothing", Permission::write, "", "", "", "", 1U << 30U, ""},
               UploadHandler([](const Request&, const std::shared_ptr<Cancel>&) {
                   return std::unique_ptr<Upload>();
               }));
    }

    http::BodyPlan begin(const char* target = "/up") {
        exchange_ = to_->exchange("PUT", target);
        http::BodyPlan plan = to_->begin(exchange_);
        CPPUNIT_ASSERT(plan.kind == http::BodyPlan::Kind::stream);
        sink_ = plan.sink;
        return plan;
    }
    std::string end() { return to_->settle(exchange_); }

    void expect_told(const std::string& calls) {
        CPPUNIT_ASSERT(eventually([&] { return story_->told() == calls; }));
    }
    void expect_told_eventually(const std::vector<std::string>& either) {
        const bool so = eventually([&] {
            return std::find(either.begin(), either.end(), story_->told()) != either.end();
        });
        CPPUNIT_ASSERT_MESSAGE(story_->told(), so);
    }
    void expect_gate_empty() {
        sink_.reset();
        exchange_.reset();
        CPPUNIT_ASSERT(eventually([&] { return to_->maker.owner.gate.inside() == 0; }));
    }

    std::unique_ptr<Story> story_;
    std::vector<std::unique_ptr<std::string>> routes_;  // patterns must outlive the table
    std::unique_ptr<Dispatch> to_;
    std::shared_ptr<test::FakeExchange> exchange_;
    std::shared_ptr<http::BodySink> sink_;
};

LARDER_TEST_SUITE(UploadSessionTest);

}  // namespace
}  // namespace larder::routing
