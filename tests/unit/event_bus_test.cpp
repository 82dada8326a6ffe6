// Facts on their way: who gets what, what an older plugin's look like, what is dropped, and that
// nobody is called after a ticket is gone.
#include "observe/event_bus.hpp"

#include <atomic>
#include <cstring>
#include <future>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "support/eventually.hpp"
#include "support/kept_log.hpp"
#include "support/suite.hpp"

namespace larder::observe {
namespace {

using test::eventually;

constexpr std::uint32_t kFiles = event_bit(EventKind::file_stored);

class EventBusTest : public CppUnit::TestFixture {
    CPPUNIT_TEST_SUITE(EventBusTest);
    CPPUNIT_TEST(brings_facts_to_who_asked_for_their_kind);
    CPPUNIT_TEST(wants_nothing_that_nobody_asked_for);
    CPPUNIT_TEST(keeps_the_order_of_each_thread);
    CPPUNIT_TEST(keeps_the_order_in_which_plugins_came_to_stand);
    CPPUNIT_TEST(completes_what_an_older_plugin_says);
    CPPUNIT_TEST(cuts_long_texts_between_characters);
    CPPUNIT_TEST(drops_and_counts_for_who_does_not_take);
    CPPUNIT_TEST(delivers_by_itself);
    CPPUNIT_TEST(survives_a_subscriber_that_throws);
    CPPUNIT_TEST(a_ticket_waits_for_the_call);
    CPPUNIT_TEST(a_ticket_may_go_inside_the_call);
    CPPUNIT_TEST(closing_delivers_what_is_there);
    CPPUNIT_TEST_SUITE_END();

public:
    void brings_facts_to_who_asked_for_their_kind() {
        EventBus bus(log_);
        bus.open("metrics");
        std::vector<std::string> seen;
        const auto ticket = bus.subscribe("metrics", kFiles, [&](const EventBatch& batch) {
            for (const Event* event : batch.events) {
                const auto* file = event_as<FileStored>(*event);
                CPPUNIT_ASSERT(file != nullptr && event_as<ProgramRan>(*event) == nullptr);
                CPPUNIT_ASSERT(file->time_ms > 0);
                seen.emplace_back(file->filename);
            }
        });
        store(bus, "a.txt");
        bus.publish(ProgramRan());
        store(bus, "b.txt");
        bus.flush();
        const std::vector<std::string> wanted{"a.txt", "b.txt"};
        CPPUNIT_ASSERT(wanted == seen);
        Exposition page;
        bus.collect(page);
        CPPUNIT_ASSERT(page.text(Format::prometheus)
                           .find("larder_events_delivered_total{subscriber=\"metrics\"} 2") !=
                       std::string::npos);
    }

    void wants_nothing_that_nobody_asked_for() {
        EventBus bus(log_);
        CPPUNIT_ASSERT(!bus.wanted(EventKind::file_stored));
        auto ticket = bus.subscribe("metrics", kFiles, [](const EventBatch&) {});
        CPPUNIT_ASSERT(!bus.wanted(EventKind::file_stored));  // its start() has not returned
        bus.open("metrics");
        CPPUNIT_ASSERT(bus.wanted(EventKind::file_stored));
        CPPUNIT_ASSERT(!bus.wanted(EventKind::request_ended));
        ticket.reset();
        CPPUNIT_ASSERT(!bus.wanted(EventKind::file_stored));
    }

    void keeps_the_order_of_each_thread() {
        EventBus bus(log_);
        bus.start();
        bus.open("metrics");
        constexpr int kThreads = 4, kFacts = 2000;
        std::mutex mutex;
        std::vector<std::int64_t> latest(kThreads, -1);
        int count = 0, out_of_order = 0;
        std::uint64_t dropped = 0;
        const auto ticket = bus.subscribe(
            "metrics", event_bit(EventKind::program_ran), [&](const EventBatch& batch) {
                const std::scoped_lock lock(mutex);
                dropped += batch.dropped;
                for (const Event* event : batch.events) {
                    const auto* run = event_as<ProgramRan>(*event);
                    auto& before = latest.at(static_cast<std::size_t>(run->return_code));
                    out_of_order += run->execution_id > before ? 0 : 1;
                    before = run->execution_id;
                    ++count;
                }
            });
        std::vector<std::thread> threads;
        for (int t = 0; t < kThreads; ++t) {
            threads.emplace_back([&bus, t] {
                for (int i = 0; i < kFacts; ++i) {
                    ProgramRan run;
                    run.return_code = t;
                    run.execution_id = i;
                    bus.publish(run);
                }
            });
        }
        for (auto& thread : threads) thread.join();
        bus.flush();
        const std::scoped_lock lock(mutex);
        CPPUNIT_ASSERT_EQUAL(0, out_of_order);
        CPPUNIT_ASSERT_EQUAL(kThreads * kFacts, count + static_cast<int>(dropped));
    }

    // Told by one thread after the other, as when a plugin is stopped by a thread of its own.
    void keeps_the_order_in_which_plugins_came_to_stand() {
        EventBus bus(log_);
        bus.open("metrics");
        std::string seen;
        const auto ticket = bus.subscribe("metrics", event_bit(EventKind::plugin_changed),
                                          [&](const EventBatch& batch) {
                                              for (const Event* event : batch.events) {
                                                  seen += event_as<PluginChanged>(*event)->state;
                                              }
                                          });
        std::string told;
        for (int i = 0; i < 20; ++i) {
            const std::string state(1, static_cast<char>('a' + i));
            told += state;
            std::thread([&] {
                PluginChanged fact;
                fact.state = state;
                bus.publish(fact);
            }).join();
        }
        bus.close("metrics");
        CPPUNIT_ASSERT_EQUAL(told, seen);
    }

    void completes_what_an_older_plugin_says() {
        EventBus bus(log_);
        bus.open("metrics");
        std::string filename = "none", digest = "none";
        std::uint64_t bytes = 99;
        const auto ticket = bus.subscribe("metrics", kFiles, [&](const EventBatch& batch) {
            const auto* file = event_as<FileStored>(*batch.events.front());
            filename = file->filename;
            digest = file->sha256;
            bytes = file->bytes;
            CPPUNIT_ASSERT_EQUAL(sizeof(FileStored), static_cast<std::size_t>(file->size));
        });
        // As if the struct had ended after the name when that plugin was built.
        FileStored fact;
        fact.filename = "old.txt";
        fact.sha256 = "not there then";
        fact.bytes = 7;
        fact.size = sizeof(Event) + sizeof(std::string_view);
        bus.publish(fact);
        bus.flush();
        CPPUNIT_ASSERT_EQUAL(std::string("old.txt"), filename);
        CPPUNIT_ASSERT_EQUAL(std::string(), digest);
        CPPUNIT_ASSERT_EQUAL(std::uint64_t{0}, bytes);
    }

    void cuts_long_texts_between_characters() {
        EventBus bus(log_);
        bus.open("metrics");
        std::string seen;
        const auto ticket = bus.subscribe("metrics", kFiles, [&](const EventBatch& batch) {
            seen = event_as<FileStored>(*batch.events.front())->filename;
        });
        std::string name(1023, 'x');
        for (int i = 0; i < 500; ++i) name += "ü";
        store(bus, name);
        bus.flush();
        CPPUNIT_ASSERT_EQUAL(std::string(1023, 'x'), seen);
    }

    void drops_and_counts_for_who_does_not_take() {
        EventBus bus(log_);  // not started: nobody delivers
        bus.open("metrics");
        std::uint64_t taken = 0, dropped = 0;
        const auto ticket = bus.subscribe("metrics", kFiles, [&](const EventBatch& batch) {
            taken += batch.events.size();
            dropped += batch.dropped;
        });
        constexpr std::uint64_t kFacts = 100000;
        for (std::uint64_t i = 0; i < kFacts; ++i) store(bus, "x");
        bus.flush();
        CPPUNIT_ASSERT(dropped > 0);
        CPPUNIT_ASSERT_EQUAL(kFacts, taken + dropped);
        Exposition page;
        bus.collect(page);
        const std::string line =
            "larder_events_dropped_total{subscriber=\"metrics\"} " + std::to_string(dropped);
        CPPUNIT_ASSERT(page.text(Format::prometheus).find(line) != std::string::npos);
    }

    void delivers_by_itself() {
        EventBus bus(log_);
        bus.start();
        bus.open("metrics");
        std::atomic<int> seen{0};
        const auto ticket = bus.subscribe("metrics", kFiles, [&](const EventBatch&) { ++seen; });
        store(bus, "a");
        CPPUNIT_ASSERT(eventually([&] { return seen == 1; }));
        store(bus, "b");
        CPPUNIT_ASSERT(eventually([&] { return seen == 2; }));
    }

    void survives_a_subscriber_that_throws() {
        EventBus bus(log_);
        bus.open("bad");
        bus.open("good");
        int seen = 0;
        const auto bad = bus.subscribe(
            "bad", kFiles, [](const EventBatch&) { throw std::runtime_error("not today"); });
        const auto good = bus.subscribe("good", kFiles, [&](const EventBatch&) { ++seen; });
        store(bus, "a");
        bus.flush();
        store(bus, "b");
        bus.flush();
        CPPUNIT_ASSERT_EQUAL(2, seen);
        CPPUNIT_ASSERT(log_.has("bad threw at a batch of 1 events"));
        CPPUNIT_ASSERT(log_.has("not today"));
    }

    void a_ticket_waits_for_the_call() {
        EventBus bus(log_);
        bus.start();
        bus.open("slow");
        std::promise<void> inside, leave;
        std::atomic<bool> over{false};
        auto ticket = bus.subscribe("slow", kFiles, [&](const EventBatch&) {
            inside.set_value();
            leave.get_future().wait();
            over = true;
        });
        store(bus, "a");
        inside.get_future().wait();
        auto gone = std::async(std::launch::async, [&] {
            ticket.reset();
            return over.load();
        });
        leave.set_value();
        CPPUNIT_ASSERT(gone.get());
    }

    void a_ticket_may_go_inside_the_call() {
        EventBus bus(log_);
        bus.open("once");
        int seen = 0;
        std::unique_ptr<Ticket> ticket;
        ticket = bus.subscribe("once", kFiles, [&](const EventBatch&) {
            ++seen;
            ticket.reset();
        });
        store(bus, "a");
        bus.flush();
        store(bus, "b");
        bus.flush();
        CPPUNIT_ASSERT_EQUAL(1, seen);
    }

    void closing_delivers_what_is_there() {
        EventBus bus(log_);
        bus.open("metrics");
        int seen = 0;
        const auto ticket = bus.subscribe("metrics", kFiles, [&](const EventBatch&) { ++seen; });
        store(bus, "a");
        bus.close("metrics");
        CPPUNIT_ASSERT_EQUAL(1, seen);
        store(bus, "b");
        bus.flush();
        CPPUNIT_ASSERT_EQUAL(1, seen);
    }

private:
    static void store(EventBus& bus, std::string_view name) {
        FileStored fact;
        fact.filename = name;
        bus.publish(fact);
    }

    test::KeptLog log_;
};

LARDER_TEST_SUITE(EventBusTest);

}  // namespace
}  // namespace larder::observe
