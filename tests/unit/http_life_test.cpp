// The front over real sockets: listeners, limits of connections and descriptors, time-outs. TLS is
// http_tls_test.cpp, draining and stopping http_end_test.cpp.
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <vector>

#include "larder/error.hpp"
#include "support/suite.hpp"
#include "support/temporary_folder.hpp"
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

class HttpLifeTest final : public CppUnit::TestFixture {
    CPPUNIT_TEST_SUITE(HttpLifeTest);
    CPPUNIT_TEST(listens_on_several_addresses);
    CPPUNIT_TEST(refuses_addresses_with_a_reason);
    CPPUNIT_TEST(a_unix_socket_knows_its_peer);
    CPPUNIT_TEST(a_stale_unix_socket_is_replaced);
    CPPUNIT_TEST(an_inherited_socket_is_used);
    CPPUNIT_TEST(too_many_connections_are_told);
    CPPUNIT_TEST(no_descriptor_left_is_told);
    CPPUNIT_TEST(connections_spread_over_the_reactors);
    CPPUNIT_TEST(slow_heads_time_out);
    CPPUNIT_TEST(slow_bodies_time_out);
    CPPUNIT_TEST(idle_connections_are_closed_silently);
    CPPUNIT_TEST(options_change_while_serving);
    CPPUNIT_TEST(runs_on_each_reactor);
    CPPUNIT_TEST_SUITE_END();

    static http::Options short_times() {
        http::Options options = ToyServer::two_reactors();
        options.head_timeout = options.body_timeout = options.idle_timeout = 200ms;
        return options;
    }

    // ---- listeners

    void listens_on_several_addresses() {
        ToyServer toy;
        toy.server().listen({"localhost:0"});
        toy.server().listen({"[::1]:0"});
        toy.start("127.0.0.1:0");
        const auto addresses = toy.server().addresses();
        CPPUNIT_ASSERT_EQUAL(std::size_t{3}, addresses.size());
        CPPUNIT_ASSERT(addresses[1].starts_with("http://[::1]:"));
        CPPUNIT_ASSERT(addresses[2].starts_with("http://127.0.0.1:"));
        for (const std::string& address : addresses) {
            CPPUNIT_ASSERT(!address.ends_with(":0"));
            CPPUNIT_ASSERT_EQUAL(200, FrontClient(address).exchange(get("/")).status);
        }
    }

    void refuses_addresses_with_a_reason() {
        ToyServer first;
        first.start();
        const std::string taken = first.address().substr(7);
        ToyServer toy;
        const std::vector<std::pair<std::string, std::string>> rows{
            {taken, "in use"},
            {"127.0.0.1", "port"},
            {"unix:/nowhere/at/all.sock", "No such file"},
            {"unix:/" + std::string(200, 'x'), "bytes"},
            {"unix:/dev/null", "no socket"}};
        for (const auto& [address, reason] : rows) {
            try {
                toy.server().listen({address});
                CPPUNIT_FAIL(address);
            } catch (const Error& error) {
                CPPUNIT_ASSERT(error.code() == Errc::unavailable);
                CPPUNIT_ASSERT_MESSAGE(error.detail(),
                                       error.detail().find(reason) != std::string::npos);
            }
        }
        CPPUNIT_ASSERT_THROW(toy.server().listen({"127.0.0.1:0", -1, true}), Error);
    }

    void a_unix_socket_knows_its_peer() {
        const larder::test::TemporaryFolder folder;
        const std::string path = folder / "x.sock";
        {
            ToyServer toy;
            toy.on_run = [](const ToyServer::Held& exchange) {
                const Peer& peer = exchange->peer();
                exchange->answer(ToyServer::text(
                    200, peer.address + " " + std::to_string(peer.local) + " " +
                             std::to_string(peer.uid) + " " + std::to_string(peer.pid)));
            };
            toy.start("unix:" + path);
            CPPUNIT_ASSERT_EQUAL("unix:" + path, toy.address());
            struct stat status {};
            CPPUNIT_ASSERT_EQUAL(0, ::stat(path.c_str(), &status));
            CPPUNIT_ASSERT_EQUAL(0660U, status.st_mode & 07777U);
            const std::string uid = std::to_string(::getuid());
            CPPUNIT_ASSERT_EQUAL("unix:uid=" + uid + " 1 " + uid + " " + std::to_string(::getpid()),
                                 toy.client().exchange(get("/")).body);
            ToyServer second;
            try {
                second.server().listen({"unix:" + path});
                CPPUNIT_FAIL("a socket in use was taken over");
            } catch (const Error& error) {
                CPPUNIT_ASSERT(error.detail().find("answers there") != std::string::npos);
            }
            CPPUNIT_ASSERT_EQUAL(200, toy.client().exchange(get("/")).status);
        }
        CPPUNIT_ASSERT(!std::filesystem::exists(path));
        ToyServer tcp;
        tcp.on_run = [](const ToyServer::Held& exchange) {
            CPPUNIT_ASSERT(!exchange->peer().local && exchange->peer().port != 0);
            exchange->answer(ToyServer::text(200, exchange->peer().address));
        };
        tcp.server().listen({"[::1]:0"});
        tcp.start();
        CPPUNIT_ASSERT_EQUAL("::1"s, tcp.client().exchange(get("/")).body);
        CPPUNIT_ASSERT_EQUAL("127.0.0.1"s,
                             FrontClient(tcp.server().addresses()[1]).exchange(get("/")).body);
    }

    void a_stale_unix_socket_is_replaced() {
        const larder::test::TemporaryFolder folder;
        const std::string path = folder / "x.sock";
        {
            ToyServer gone;
            gone.start("unix:" + path);
            std::filesystem::rename(path, folder / "kept");  // as a killed daemon leaves it
        }
        std::filesystem::rename(folder / "kept", path);
        ToyServer toy;
        toy.start("unix:" + path);
        CPPUNIT_ASSERT_EQUAL(200, toy.client().exchange(get("/")).status);
    }

    void an_inherited_socket_is_used() {
        const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        void* const generic = &address;
        CPPUNIT_ASSERT_EQUAL(0, ::bind(fd, static_cast<sockaddr*>(generic), sizeof address));
        CPPUNIT_ASSERT_EQUAL(0, ::listen(fd, 16));
        ToyServer toy;
        toy.server().listen({"", fd, false});
        toy.server().start();
        CPPUNIT_ASSERT(toy.address().starts_with("http://127.0.0.1:"));
        CPPUNIT_ASSERT_EQUAL(200, toy.client().exchange(get("/")).status);

        const larder::test::TemporaryFolder folder;
        const std::string path = folder / "x.sock";
        ToyServer unix_toy;
        const int unix_fd = ::socket(AF_UNIX, SOCK_STREAM, 0);
        std::string raw(sizeof(sa_family_t) + path.size() + 1, '\0');
        const sa_family_t family = AF_UNIX;
        raw.replace(0, sizeof family, static_cast<const char*>(static_cast<const void*>(&family)),
                    sizeof family);
        raw.replace(sizeof family, path.size(), path);
        void* const bytes = raw.data();
        CPPUNIT_ASSERT_EQUAL(
            0, ::bind(unix_fd, static_cast<sockaddr*>(bytes), static_cast<socklen_t>(raw.size())));
        CPPUNIT_ASSERT_EQUAL(0, ::listen(unix_fd, 16));
        unix_toy.server().listen({"", unix_fd, false});
        unix_toy.server().start();
        CPPUNIT_ASSERT_EQUAL("unix:" + path, unix_toy.address());
        CPPUNIT_ASSERT_EQUAL(200, unix_toy.client().exchange(get("/")).status);
        unix_toy.server().stop();
        CPPUNIT_ASSERT(std::filesystem::exists(path));  // the service manager's, not ours
    }

    // ---- limits

    void too_many_connections_are_told() {
        http::Options options = ToyServer::two_reactors();
        options.max_connections = 3;
        ToyServer toy(options);
        toy.start();
        std::vector<FrontClient> clients;
        for (int i = 0; i < 3; ++i) {
            clients.push_back(toy.client());
            CPPUNIT_ASSERT_EQUAL(200, clients.back().exchange(get("/")).status);
        }
        FrontClient fourth = toy.client();
        const FrontAnswer answer = fourth.exchange(get("/"));
        CPPUNIT_ASSERT_EQUAL(503, answer.status);
        CPPUNIT_ASSERT_EQUAL("1"s, answer.field.at("retry-after"));
        CPPUNIT_ASSERT(answer.body.find("too-many-connections") != std::string::npos);
        CPPUNIT_ASSERT(fourth.at_end());
        CPPUNIT_ASSERT_EQUAL(std::uint64_t{1}, toy.server().stats().connections_refused);
        clients.pop_back();
        CPPUNIT_ASSERT(eventually([&] { return toy.server().stats().connections_open == 2; }));
        CPPUNIT_ASSERT_EQUAL(200, toy.client().exchange(get("/")).status);
    }

    void no_descriptor_left_is_told() {
        ToyServer toy;
        toy.start();
        FrontClient before = toy.client();
        CPPUNIT_ASSERT_EQUAL(200, before.exchange(get("/")).status);
        // The clients' own descriptors are made first, since they share the table.
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        const std::string at = toy.address();
        address.sin_port =
            htons(static_cast<std::uint16_t>(std::stoi(at.substr(at.rfind(':') + 1))));
        std::vector<FrontClient> clients;
        clients.reserve(3);
        for (int i = 0; i < 3; ++i) {
            clients.emplace_back(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
        }
        rlimit old{};
        CPPUNIT_ASSERT_EQUAL(0, ::getrlimit(RLIMIT_NOFILE, &old));
        const rlimit low{static_cast<rlim_t>(clients.back().fd()) + 20, old.rlim_max};
        CPPUNIT_ASSERT_EQUAL(0, ::setrlimit(RLIMIT_NOFILE, &low));
        std::vector<int> fill;
        for (int fd = 0; fd >= 0;) {
            fd = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
            if (fd >= 0) fill.push_back(fd);
        }
        for (FrontClient& client : clients) {
            void* const generic = &address;
            CPPUNIT_ASSERT_EQUAL(
                0, ::connect(client.fd(), static_cast<sockaddr*>(generic), sizeof address));
            const FrontAnswer answer = client.read_answer();
            CPPUNIT_ASSERT_EQUAL(503, answer.status);
            CPPUNIT_ASSERT_EQUAL("1"s, answer.field.at("retry-after"));
            CPPUNIT_ASSERT(client.at_end());
        }
        CPPUNIT_ASSERT_EQUAL(200, before.exchange(get("/")).status);
        for (const int fd : fill) ::close(fd);
        CPPUNIT_ASSERT_EQUAL(0, ::setrlimit(RLIMIT_NOFILE, &old));
        CPPUNIT_ASSERT_EQUAL(200, toy.client().exchange(get("/")).status);
        CPPUNIT_ASSERT_EQUAL(std::uint64_t{3}, toy.server().stats().connections_refused);
    }

    void connections_spread_over_the_reactors() {
        ToyServer toy;
        toy.on_run = [](const ToyServer::Held& exchange) {
            exchange->answer(ToyServer::text(200, std::to_string(exchange->reactor())));
        };
        toy.start();
        std::vector<FrontClient> clients;
        int first = 0;
        for (int i = 0; i < 20; ++i) {
            clients.push_back(toy.client());
            const std::string reactor = clients.back().exchange(get("/")).body;
            CPPUNIT_ASSERT_EQUAL(reactor, clients.back().exchange(get("/")).body);
            if (reactor == "0") ++first;
        }
        CPPUNIT_ASSERT_EQUAL(10, first);
        CPPUNIT_ASSERT_EQUAL(std::uint64_t{20}, toy.server().stats().connections_open);
        CPPUNIT_ASSERT_EQUAL(std::uint64_t{40}, toy.server().stats().requests_total);
    }

    // ---- time

    void slow_heads_time_out() {
        http::Options options = short_times();
        options.idle_timeout = 1h;
        ToyServer toy(options);
        toy.start();
        for (const std::string& part : {"G"s, "GET / HTTP/1.1\r\nHost: a\r\n"s}) {
            FrontClient client = toy.client();
            CPPUNIT_ASSERT_EQUAL(200, client.exchange(get("/")).status);
            client.send(part);
            const FrontAnswer answer = client.read_answer();
            CPPUNIT_ASSERT_EQUAL(408, answer.status);
            CPPUNIT_ASSERT_EQUAL("close"s, answer.field.at("connection"));
            CPPUNIT_ASSERT(client.at_end());
        }
        // A byte now and then does not help.
        FrontClient drip = toy.client();
        std::atomic<bool> over{false};
        std::thread dripping([&] {
            const std::string slow = "GET / HTTP/1.1\r\nX: " + std::string(20000, 'a');
            for (std::size_t i = 0; i < slow.size() && !over; ++i) {
                drip.send(slow.substr(i, 1));
                std::this_thread::sleep_for(1ms);
            }
        });
        CPPUNIT_ASSERT_EQUAL(408, drip.read_answer().status);
        over = true;
        dripping.join();
    }

    void slow_bodies_time_out() {
        http::Options options = short_times();
        options.idle_timeout = 1h;
        ToyServer toy(options);
        std::atomic<int> runs{0};
        std::shared_ptr<test::CollectingSink> sink;
        toy.on_begin = [&](const ToyServer::Held& exchange) {
            sink = std::make_shared<test::CollectingSink>();
            return exchange->head().target == "/sink" ? ToyServer::streamed(sink)
                                                      : ToyServer::buffered(1U << 20U);
        };
        toy.on_run = [&](const ToyServer::Held&) { ++runs; };
        toy.start();
        const std::vector<std::string> cut{
            post("/", std::string(100, 'x')).substr(0, 80),
            post("/", std::string(100000, 'x')).substr(0, 50000),
            post("/sink", std::string(100, 'x')).substr(0, 90),
            "POST /sink HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab"};
        for (const std::string& request : cut) {
            FrontClient client = toy.client();
            const FrontAnswer answer = client.exchange(request);
            CPPUNIT_ASSERT_EQUAL(408, answer.status);
            CPPUNIT_ASSERT(client.at_end());
        }
        CPPUNIT_ASSERT_EQUAL(0, runs.load());
        CPPUNIT_ASSERT_EQUAL(1, sink->aborts());
    }

    void idle_connections_are_closed_silently() {
        http::Options options = short_times();
        options.head_timeout = 1h;
        ToyServer toy(options);
        toy.start();
        FrontClient fresh = toy.client();
        CPPUNIT_ASSERT(fresh.at_end());
        FrontClient used = toy.client();
        CPPUNIT_ASSERT_EQUAL(200, used.exchange(get("/")).status);
        CPPUNIT_ASSERT_EQUAL(""s, used.read_to_end());
        CPPUNIT_ASSERT_EQUAL(std::size_t{1}, toy.ended().size());
    }

    void options_change_while_serving() {
        ToyServer toy;
        toy.start();
        FrontClient client = toy.client();
        CPPUNIT_ASSERT_EQUAL(200, client.exchange(get("/" + std::string(1000, 'a'))).status);
        http::Options options = ToyServer::two_reactors();
        options.max_target = 100;
        options.idle_timeout = 200ms;
        toy.server().update(options);
        CPPUNIT_ASSERT_EQUAL(414, client.exchange(get("/" + std::string(1000, 'a'))).status);
        FrontClient idle = toy.client();
        CPPUNIT_ASSERT(idle.at_end());
    }

    void runs_on_each_reactor() {
        ToyServer toy;
        std::vector<std::thread::id> threads(2);
        const auto note = [&](std::size_t index) { threads[index] = std::this_thread::get_id(); };
        toy.server().on_each_reactor(note);
        CPPUNIT_ASSERT(threads[0] == std::this_thread::get_id());  // none runs yet
        toy.start();
        toy.server().on_each_reactor(note);
        CPPUNIT_ASSERT(threads[0] != threads[1]);
        CPPUNIT_ASSERT(threads[0] != std::this_thread::get_id());
        CPPUNIT_ASSERT_EQUAL(std::size_t{2}, toy.server().reactors());
    }
};

LARDER_TEST_SUITE(HttpLifeTest);

}  // namespace
