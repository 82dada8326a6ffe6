// Clients that take their time: each is ended after its own time-out and told so where it can be,
// and hundreds of them hold nobody else up. How fast the daemon is, the bench says.
#include <fmt/format.h>

#include <atomic>
#include <memory>
#include <thread>

#include "support/problem.hpp"
#include "support/suite.hpp"
#include "support/wire_daemon.hpp"

namespace larder::test {
namespace {

using Clients = std::vector<std::unique_ptr<RawClient>>;

constexpr int kMany = 200;
constexpr int kAnswers = 6;  // of a megabyte

class SlowTest : public CppUnit::TestFixture {
    CPPUNIT_TEST_SUITE(SlowTest);
    CPPUNIT_TEST(answers_408_to_a_slow_head);
    CPPUNIT_TEST(answers_408_to_a_head_that_trickles);
    CPPUNIT_TEST(answers_408_to_a_slow_body);
    CPPUNIT_TEST(bears_a_body_that_trickles);
    CPPUNIT_TEST(closes_idle_connections_silently);
    CPPUNIT_TEST(cuts_a_reader_that_stands_still);
    CPPUNIT_TEST(ends_well);
    CPPUNIT_TEST(serves_others_beside_many_slow_clients);
    CPPUNIT_TEST_SUITE_END();

public:
    void answers_408_to_a_slow_head() {
        for (const char* text :
             {"G", "GET /healthz HTTP/1.1\r\n", "\r\nGET /healthz HTTP/1.1\r\nX"}) {
            RawClient client(daemon().port());
            client.send(text);
            expect_timeout(client);
        }
        RawClient second(daemon().port());  // also for a later request of a connection
        CPPUNIT_ASSERT_EQUAL(200, second.request("GET", "/healthz").status);
        second.send("GET /healthz");
        expect_timeout(second);
    }

    // The time is the head's, not a byte's.
    void answers_408_to_a_head_that_trickles() {
        RawClient client(daemon().port());
        std::atomic<bool> answered{false};
        client.send("GET /healthz HTTP/1.1\r\nX-A: ");
        std::thread sender([&] {
            while (!answered && client.send("a")) {
                std::this_thread::sleep_for(std::chrono::milliseconds(50));
            }
        });
        try {
            const Answer answer = client.read_answer();
            answered = true;
            sender.join();
            CPPUNIT_ASSERT_EQUAL(408, answer.status);
        } catch (const std::runtime_error&) {
            answered = true;
            sender.join();
            throw;
        }
    }

    void answers_408_to_a_slow_body() {
        const std::string key = "/api/kv/storage/slow";
        for (const std::string& text :
             {text_of("PUT", key, "Content-Length: 2\r\n", "1"),
              text_of("PUT", key, "Content-Length: 2\r\n"),
              text_of("PUT", key, "Content-Length: 900000\r\n", std::string(300000, '1')),
              text_of("PUT", key, "Transfer-Encoding: chunked\r\n", "1\r\n1\r\n"),
              text_of("PUT", key, "Transfer-Encoding: chunked\r\n", "1\r\n1\r\n0\r\n")}) {
            RawClient client(daemon().port());
            client.send(text);
            expect_timeout(client);
        }
        RawClient client(daemon().port());
        client.send(text_of("PUT", key, "Content-Length: 10\r\n", "123"));
        CPPUNIT_ASSERT(client.read_answer().member("detail").ends_with("; 3 bytes had come"));
        CPPUNIT_ASSERT_EQUAL(404, request(daemon().port(), "GET", key).status);
        CPPUNIT_ASSERT_EQUAL(std::string(), daemon().fault_of_service());
    }

    // The time is from byte to byte: who goes on sending is slow, not gone.
    void bears_a_body_that_trickles() {
        RawClient client(daemon().port());
        client.send(text_of("PUT", "/api/kv/storage/trickle", "Content-Length: 40\r\n"));
        for (int i = 0; i < 40; ++i) {
            CPPUNIT_ASSERT(client.send("1"));
            std::this_thread::sleep_for(
                std::chrono::milliseconds(50));  // twice the time-out in all
        }
        CPPUNIT_ASSERT_EQUAL(201, client.read_answer().status);
    }

    void closes_idle_connections_silently() {
        RawClient silent(daemon().port()), used(daemon().port()), blank(daemon().port());
        CPPUNIT_ASSERT_EQUAL(200, used.request("GET", "/healthz").status);
        blank.send("\r\n");
        CPPUNIT_ASSERT(silent.is_closed());
        CPPUNIT_ASSERT(used.is_closed());
        CPPUNIT_ASSERT(blank.is_closed());
    }

    void cuts_a_reader_that_stands_still() {
        const std::string value = "\"" + std::string(1000000, 'a') + "\"";
        CPPUNIT_ASSERT_EQUAL(
            201, request(daemon().port(), "PUT", "/api/kv/storage/large", {}, value).status);
        RawClient reader(daemon().port());
        std::string many;
        for (int i = 0; i < 100; ++i) many += text_of("GET", "/api/kv/storage/large");
        reader.send(many);  // 100 MB of answers that nobody takes
        const auto open = [&] { return daemon().metric("larder_connections_open"); };
        CPPUNIT_ASSERT_MESSAGE("it is still open", eventually([&] { return open() <= 1; }));
        CPPUNIT_ASSERT_EQUAL(std::string(), daemon().fault_of_service());
    }

    void ends_well() {
        CPPUNIT_ASSERT_EQUAL(std::string(), daemon().fault_of_end());
        slot().reset();
    }

    void serves_others_beside_many_slow_clients() {
        WireDaemon patient({{"LARDER_HTTP_HEAD_TIMEOUT", "120s"},
                            {"LARDER_HTTP_BODY_TIMEOUT", "120s"},
                            {"LARDER_HTTP_IDLE_TIMEOUT", "120s"}});
        const int port = patient.port();
        const std::string large = "\"" + std::string(1000000, 'a') + "\"";
        CPPUNIT_ASSERT_EQUAL(201, request(port, "PUT", "/api/kv/storage/large", {}, large).status);
        Clients senders, readers;
        for (int i = 0; i < kMany; ++i) {
            senders.push_back(std::make_unique<RawClient>(port));
            // Half of them have not even finished their heads.
            senders.back()->send(i % 2 == 0 ? put_head(i) : put_head(i).substr(0, 30));
            readers.push_back(std::make_unique<RawClient>(port));
            // More than the kernel keeps for who does not read.
            for (int j = 0; j < kAnswers; ++j) {
                readers.back()->send(text_of("GET", "/api/kv/storage/large"));
            }
        }
        expect_others_served(port, senders);
        for (int i = 0; i < kMany; ++i) {  // and none of the slow ones was forgotten
            RawClient& sender = *senders[static_cast<std::size_t>(i)];
            if (i % 2 != 0) sender.send(put_head(i).substr(30));
            sender.send(i % 2 == 0 ? "1\"" : "\"11\"");
            const Answer put = sender.read_answer();
            CPPUNIT_ASSERT_EQUAL_MESSAGE(put.body, 201, put.status);
            CPPUNIT_ASSERT_EQUAL(
                std::string("\"11\""),
                request(port, "GET", fmt::format("/api/kv/storage/slow{}", i)).body);
        }
        for (const auto& reader : readers) {
            for (int j = 0; j < kAnswers; ++j) {
                const Answer read = reader->read_answer();
                CPPUNIT_ASSERT_EQUAL(200, read.status);
                CPPUNIT_ASSERT_EQUAL(large.size(), read.body.size());
            }
        }
        senders.clear();
        readers.clear();
        CPPUNIT_ASSERT_EQUAL(std::string(), patient.fault_of_end());
    }

private:
    static std::string put_head(int i) {
        return text_of("PUT", fmt::format("/api/kv/storage/slow{}", i), "Content-Length: 4\r\n");
    }

    // Others ask on, while the slow senders add a byte here and there.
    static void expect_others_served(int port, const Clients& senders) {
        std::atomic<int> answered{0}, failed{0};
        std::vector<std::thread> others;
        others.reserve(4);
        for (int i = 0; i < 4; ++i) {
            others.emplace_back([&answered, &failed, port] {
                for (int j = 0; j < 250; ++j) {
                    try {
                        const char* target = j % 2 == 0 ? "/healthz" : "/api/status";
                        ++(request(port, "GET", target).status == 200 ? answered : failed);
                    } catch (const std::runtime_error&) {
                        ++failed;
                    }
                }
            });
        }
        for (std::size_t i = 0; i < senders.size(); i += 2) senders[i]->send("\"");
        for (std::size_t i = 0; i < senders.size(); i += 2) senders[i]->send("1");
        for (std::thread& other : others) other.join();
        CPPUNIT_ASSERT_EQUAL(0, failed.load());
        CPPUNIT_ASSERT_EQUAL(1000, answered.load());
    }

    static void expect_timeout(RawClient& client) {
        const Answer answer = client.read_answer();
        CPPUNIT_ASSERT_EQUAL(408, answer.status);
        CPPUNIT_ASSERT_EQUAL(std::string("timeout"), answer.member("code"));
        CPPUNIT_ASSERT_EQUAL(std::string(), fault_of_problem(answer));
        CPPUNIT_ASSERT(answer.close);
        CPPUNIT_ASSERT(client.is_closed());
    }

    static std::unique_ptr<WireDaemon>& slot() {
        static std::unique_ptr<WireDaemon> kept;
        return kept;
    }
    static WireDaemon& daemon() {
        if (!slot()) {
            slot() = std::make_unique<WireDaemon>(std::vector<std::pair<std::string, std::string>>{
                {"LARDER_HTTP_HEAD_TIMEOUT", "1s"},
                {"LARDER_HTTP_BODY_TIMEOUT", "1s"},
                {"LARDER_HTTP_IDLE_TIMEOUT", "1s"}});
        }
        return *slot();
    }
};

LARDER_TEST_SUITE(SlowTest);

}  // namespace
}  // namespace larder::test
