// Where larderd listens: addresses, Unix sockets, sockets it inherits; and which it refuses. What
// goes over them is tests/wire's.
#include <fmt/format.h>
#include <sys/stat.h>

#include <atomic>
#include <filesystem>
#include <iostream>
#include <memory>
#include <thread>

#include "support/command.hpp"
#include "support/daemon_process.hpp"
#include "support/json_view.hpp"
#include "support/listening_socket.hpp"
#include "support/raw_client.hpp"
#include "support/suite.hpp"

namespace larder::test {
namespace {

namespace fs = std::filesystem;
using Environment = std::vector<std::pair<std::string, std::string>>;

constexpr int kUnavailable = 69, kConfig = 78;  // sysexits.h

class ListenTest : public CppUnit::TestFixture {
    CPPUNIT_TEST_SUITE(ListenTest);
    CPPUNIT_TEST(listens_on_several_addresses);
    CPPUNIT_TEST(listens_on_ipv6);
    CPPUNIT_TEST(listens_on_unix_sockets);
    CPPUNIT_TEST(is_ready_on_unix_sockets_alone);
    CPPUNIT_TEST(takes_over_a_socket_left_behind);
    CPPUNIT_TEST(refuses_an_address_in_use);
    CPPUNIT_TEST(refuses_to_be_reached_from_afar);
    CPPUNIT_TEST(is_reached_from_afar_when_told_so);
    CPPUNIT_TEST(one_daemon_a_data_directory);
    CPPUNIT_TEST(a_killed_daemon_leaves_no_lock);
    CPPUNIT_TEST(takes_inherited_sockets);
    CPPUNIT_TEST(takes_its_own_socket_from_the_service_manager);
    CPPUNIT_TEST(refuses_inherited_sockets_that_are_reached_from_afar);
    CPPUNIT_TEST(refuses_an_inherited_descriptor_that_does_not_listen);
    CPPUNIT_TEST(a_restart_under_a_held_socket_drops_nothing);
    CPPUNIT_TEST_SUITE_END();

public:
    void listens_on_several_addresses() {
        const std::string path = folder_ / "own.sock";
        DaemonProcess daemon(options(
            {"--listen", "127.0.0.1:0", "--listen", "localhost:0", "--listen", "unix:" + path}));
        const auto addresses = listeners(daemon.port());
        CPPUNIT_ASSERT_EQUAL(std::size_t{5}, addresses.size());  // two of them options' own
        std::size_t answered = 0;
        for (const std::string& address : addresses) {
            if (!address.starts_with("http://")) continue;  // localhost may be [::1]
            const Ran ran = run({"curl", "-sS", "-g", address + "/healthz"});
            CPPUNIT_ASSERT_EQUAL_MESSAGE(ran.err, std::string(R"({"status":"ok"})"), ran.out);
            ++answered;
        }
        CPPUNIT_ASSERT_EQUAL(std::size_t{3}, answered);
        RawClient local(path);
        CPPUNIT_ASSERT_EQUAL(200, local.request("GET", "/healthz").status);
        CPPUNIT_ASSERT_EQUAL(0, daemon.stop());
    }

    void listens_on_ipv6() {
        if (!has_ipv6()) {
            std::cout << " (passed over: this machine has no ::1)";
            return;
        }
        DaemonProcess daemon(options({"--listen", "[::1]:0"}));
        for (const std::string& address : listeners(daemon.port())) {
            if (!address.starts_with("http://[::1]:")) continue;
            const Ran ran = run({"curl", "-sS", "-g", address + "/healthz"});
            CPPUNIT_ASSERT_EQUAL_MESSAGE(ran.err, std::string(R"({"status":"ok"})"), ran.out);
            return;
        }
        CPPUNIT_FAIL("no listener says [::1]");
    }

    void listens_on_unix_sockets() {
        const std::string path = folder_ / "own.sock", admin = folder_ / "admin.sock";
        DaemonProcess daemon(
            options({"--listen", "unix:" + path}, {{"LARDER_HTTP_SOCKET", admin}}));
        for (const std::string& each : {path, admin}) {
            RawClient client(each);
            const Answer answer = client.request("GET", "/api/status");
            CPPUNIT_ASSERT_EQUAL(200, answer.status);
            struct stat facts {};
            CPPUNIT_ASSERT_EQUAL(0, stat(each.c_str(), &facts));
            CPPUNIT_ASSERT_MESSAGE("others may not connect", (facts.st_mode & 07U) == 0);
        }
        CPPUNIT_ASSERT(!fs::exists(folder_ / "data/larder.sock"));
        CPPUNIT_ASSERT_EQUAL(0, daemon.stop());
        CPPUNIT_ASSERT(!fs::exists(path));
        CPPUNIT_ASSERT(!fs::exists(admin));
    }

    void is_ready_on_unix_sockets_alone() {
        const std::string path = folder_ / "own.sock";
        DaemonOptions wanted = options({"--listen", "unix:" + path});
        wanted.listen = false;
        wanted.expect_ready = false;
        DaemonProcess daemon(std::move(wanted));
        CPPUNIT_ASSERT(daemon.wait_for_log(fmt::format("larderd: ready on unix:{}\n", path)));
        RawClient client(path);
        CPPUNIT_ASSERT_EQUAL(200, client.request("GET", "/healthz").status);
        CPPUNIT_ASSERT_EQUAL(0, daemon.stop());
    }

    void takes_over_a_socket_left_behind() {
        {
            DaemonProcess killed(options({}));
            killed.kill();
        }
        const std::string path = folder_ / "data/larder.sock";
        CPPUNIT_ASSERT(fs::exists(path));
        DaemonProcess daemon(options({}));
        RawClient client(path);
        CPPUNIT_ASSERT_EQUAL(200, client.request("GET", "/healthz").status);
        write_file(folder_ / "file", "mine");
        expect_refusal({"--listen", "unix:" + (folder_ / "file")}, {}, {"no socket"});
        CPPUNIT_ASSERT_EQUAL(std::string("mine"), read_file(folder_ / "file"));
        expect_refusal({"--listen", "unix:" + path}, {}, {"another process answers there"});
        expect_refusal({"--listen", "unix:/" + std::string(200, 'x')}, {}, {"path"});
    }

    void refuses_an_address_in_use() {
        const ListeningSocket held;
        expect_refusal({"--listen", fmt::format("127.0.0.1:{}", held.port())}, {},
                       {fmt::format("127.0.0.1:{}", held.port()), "in use"});
        expect_refusal({"--listen", "127.0.0.1:65536"}, {}, {"127.0.0.1:65536"});
        expect_refusal({"--listen", "no.such.host.invalid:0"},
                       {{"LARDER_HTTP_ALLOW_INSECURE", "true"}}, {"no.such.host.invalid"});
    }

    void refuses_to_be_reached_from_afar() {
        for (const char* address :
             {"0.0.0.0:0", "[::]:0", "192.0.2.1:80", ":0", "*:0", "127.0.0.1.evil.example:0"}) {
            expect_refusal({"--listen", address}, {},
                           {address, "auth.enabled", "tls_certificate", "allow_insecure"}, kConfig);
        }
        // Credentials alone would go over the wire in clear.
        expect_refusal({"--listen", "0.0.0.0:0"}, {{"LARDER_AUTH_ENABLED", "true"}},
                       {"tls_certificate"}, kConfig);
    }

    void is_reached_from_afar_when_told_so() {
        DaemonProcess daemon(
            options({"--listen", "0.0.0.0:0"}, {{"LARDER_HTTP_ALLOW_INSECURE", "true"}}));
        const auto status = [&](const std::string& host) {
            RawClient client(daemon.port());
            client.send(fmt::format("GET /healthz HTTP/1.1\r\nHost: {}\r\n\r\n", host));
            return client.read_answer().status;
        };
        CPPUNIT_ASSERT_EQUAL(200, status("192.0.2.7:80"));  // any address may be this machine's
        CPPUNIT_ASSERT_EQUAL(421, status("evil.example"));  // a name may be rebound
    }

    void one_daemon_a_data_directory() {
        DaemonProcess first(options({}));
        const Ran second = run(
            {DaemonProcess::binary(), "--data-dir", folder_ / "data", "--listen", "127.0.0.1:0"});
        CPPUNIT_ASSERT_EQUAL(69, second.exit);
        CPPUNIT_ASSERT_MESSAGE(second.err,
                               second.err.find(std::to_string(first.pid())) != std::string::npos);
        CPPUNIT_ASSERT_EQUAL(200, request(first.port(), "GET", "/healthz").status);
        RawClient admin(folder_ / "data/larder.sock");  // nor was its socket taken away
        CPPUNIT_ASSERT_EQUAL(200, admin.request("GET", "/healthz").status);
    }

    void a_killed_daemon_leaves_no_lock() {
        DaemonProcess first(options({}));
        CPPUNIT_ASSERT_EQUAL(201,
                             request(first.port(), "PUT", "/api/kv/storage/a", {}, "1").status);
        first.kill();
        DaemonProcess second(options({}));
        CPPUNIT_ASSERT_EQUAL(std::string("1"),
                             request(second.port(), "GET", "/api/kv/storage/a").body);
    }

    void takes_inherited_sockets() {
        const ListeningSocket held;
        const std::string path = folder_ / "held.sock";
        const ListeningSocket local(path);
        DaemonOptions wanted = options({});
        wanted.listen = false;
        wanted.inherited_sockets = {held.fd(), local.fd()};
        DaemonProcess daemon(std::move(wanted));
        CPPUNIT_ASSERT_EQUAL(held.port(), daemon.port());
        CPPUNIT_ASSERT_EQUAL(200, request(held.port(), "GET", "/healthz").status);
        RawClient client(path);
        CPPUNIT_ASSERT_EQUAL(200, client.request("GET", "/healthz").status);
        CPPUNIT_ASSERT_EQUAL(0, daemon.stop());
        CPPUNIT_ASSERT_MESSAGE("it is the service manager's", fs::exists(path));
    }

    // It stands where the daemon would make one itself, which would take it away.
    void takes_its_own_socket_from_the_service_manager() {
        const ListeningSocket held;
        const std::string path = folder_ / "larder.sock";
        const ListeningSocket local(path);
        DaemonOptions wanted = options({}, {{"RUNTIME_DIRECTORY", folder_.path()}});
        wanted.listen = false;
        wanted.inherited_sockets = {held.fd(), local.fd()};
        DaemonProcess daemon(std::move(wanted));
        CPPUNIT_ASSERT_EQUAL(std::size_t{2}, listeners(daemon.port()).size());
        CPPUNIT_ASSERT(daemon.log().find("http.listen is not") != std::string::npos);
        RawClient client(path);
        CPPUNIT_ASSERT_EQUAL(200, client.request("GET", "/healthz").status);
        CPPUNIT_ASSERT_EQUAL(0, daemon.stop());
        CPPUNIT_ASSERT(fs::exists(path));
    }

    void refuses_inherited_sockets_that_are_reached_from_afar() {
        const ListeningSocket open(INADDR_ANY);
        DaemonOptions wanted = options({});
        wanted.listen = false;
        wanted.inherited_sockets = {open.fd()};
        wanted.expect_ready = false;
        {
            DaemonProcess daemon(wanted);
            CPPUNIT_ASSERT_EQUAL(kConfig, daemon.wait());
            for (const char* text :
                 {"0.0.0.0", "auth.enabled", "ListenStream=", "allow_insecure"}) {
                CPPUNIT_ASSERT_MESSAGE(daemon.log(), daemon.log().find(text) != std::string::npos);
            }
        }
        wanted.environment = {{"LARDER_HTTP_ALLOW_INSECURE", "true"}};
        wanted.expect_ready = true;
        DaemonProcess daemon(std::move(wanted));
        const auto status = [&](const std::string& host) {
            RawClient client(daemon.port());
            client.send(fmt::format("GET /healthz HTTP/1.1\r\nHost: {}\r\n\r\n", host));
            return client.read_answer().status;
        };
        CPPUNIT_ASSERT_EQUAL(200, status("192.0.2.7:80"));
        CPPUNIT_ASSERT_EQUAL(421, status("evil.example"));
    }

    void refuses_an_inherited_descriptor_that_does_not_listen() {
        const int datagrams = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        DaemonOptions wanted = options({});
        wanted.inherited_sockets = {datagrams};
        wanted.expect_ready = false;
        DaemonProcess daemon(std::move(wanted));
        CPPUNIT_ASSERT_EQUAL(69, daemon.wait());
        CPPUNIT_ASSERT_MESSAGE(daemon.log(),
                               daemon.log().find("ListenStream") != std::string::npos);
        close(datagrams);
    }

    // Clients that come and go while the daemon is restarted, twice, are all answered: those that
    // it has accepted by the old one, those that wait by the new one.
    void a_restart_under_a_held_socket_drops_nothing() {
        const ListeningSocket held;
        auto daemon = start_under(held);
        std::atomic<bool> over{false};
        std::atomic<int> answered{0};
        std::mutex mutex;
        std::string failures;  // guarded by mutex
        std::vector<std::thread> clients;
        clients.reserve(4);
        for (int i = 0; i < 4; ++i) {
            clients.emplace_back([&] {
                while (!over) {
                    try {
                        RawClient client(held.port());
                        const Answer answer = client.request("GET", "/healthz");
                        if (answer.status != 200) {
                            throw std::runtime_error(fmt::format("status {}", answer.status));
                        }
                        ++answered;
                    } catch (const std::runtime_error& error) {
                        const std::scoped_lock lock(mutex);
                        failures += fmt::format("{}; ", error.what());
                    }
                }
            });
        }
        const auto has_answered = [&](int more) {
            const int wanted = answered + more;
            return eventually([&, wanted] { return answered >= wanted; });
        };
        bool moved = has_answered(200);
        for (int i = 0; i < 2 && moved; ++i) {
            moved = daemon->stop() == 0;
            daemon = start_under(held);
            moved = moved && has_answered(200);
        }
        over = true;
        for (std::thread& client : clients) client.join();
        CPPUNIT_ASSERT_EQUAL(std::string(), failures);
        CPPUNIT_ASSERT(moved);
    }

private:
    DaemonOptions options(std::vector<std::string> arguments, Environment environment = {}) const {
        return {folder_ / "data", std::move(arguments), std::move(environment), {}, true, true, {}};
    }

    std::unique_ptr<DaemonProcess> start_under(const ListeningSocket& held) const {
        DaemonOptions wanted = options({});
        wanted.listen = false;
        wanted.inherited_sockets = {held.fd()};
        return std::make_unique<DaemonProcess>(std::move(wanted));
    }

    static std::vector<std::string> listeners(int port) {
        const auto status = object_of(request(port, "GET", "/api/status").body);
        const auto array = status->getArray("listeners");
        std::vector<std::string> addresses;
        for (unsigned i = 0; i < array->size(); ++i) {
            addresses.push_back(array->getElement<std::string>(i));
        }
        return addresses;
    }

    // A start that ends so and says each of these.
    void expect_refusal(std::vector<std::string> arguments, const Environment& environment,
                        const std::vector<std::string>& said, int exit = kUnavailable) const {
        std::vector<std::string> words = {DaemonProcess::binary(), "--data-dir", folder_ / "other"};
        words.insert(words.end(), arguments.begin(), arguments.end());
        const Ran ran = run(words, environment);
        CPPUNIT_ASSERT_EQUAL_MESSAGE(fmt::format("{}: {}", arguments.back(), ran.err), exit,
                                     ran.exit);
        for (const std::string& text : said) {
            CPPUNIT_ASSERT_MESSAGE(fmt::format("expected '{}' in: {}", text, ran.err),
                                   ran.err.find(text) != std::string::npos);
        }
    }

    static bool has_ipv6() {
        const int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd < 0) return false;
        sockaddr_in6 address{};
        address.sin6_family = AF_INET6;
        address.sin6_addr = in6addr_loopback;
        const bool bound = bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0;
        close(fd);
        return bound;
    }

    TemporaryFolder folder_;
};

LARDER_TEST_SUITE(ListenTest);

}  // namespace
}  // namespace larder::test
