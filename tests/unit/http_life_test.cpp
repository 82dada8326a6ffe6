// The front over real sockets, its life: listeners, TLS, limits of connections and descriptors,
// time-outs, draining and stopping.
#include <fcntl.h>
#include <netinet/in.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
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
#include "support/toy_server.hpp"

namespace {

using namespace larder;
using namespace larder::http;
using namespace std::chrono_literals;
using namespace std::string_literals;
using test::eventually;
using test::FrontAnswer;
using test::FrontClient;
using test::ToyServer;

std::string get(const std::string& target) {
    return "GET " + target + " HTTP/1.1\r\nHost: a\r\n\r\n";
}
std::string post(const std::string& target, const std::string& body) {
    return "POST " + target +
           " HTTP/1.1\r\nHost: a\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" +
           body;
}

// A self-signed certificate whose serial number tells it from others.
void write_certificate(const std::string& chain, const std::string& key, long serial) {
    const std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)> pair(EVP_EC_gen("P-256"),
                                                                   EVP_PKEY_free);
    const std::unique_ptr<X509, decltype(&X509_free)> certificate(X509_new(), X509_free);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate.get()), serial);
    X509_gmtime_adj(X509_getm_notBefore(certificate.get()), 0);
    X509_gmtime_adj(X509_getm_notAfter(certificate.get()), 3600);
    X509_set_pubkey(certificate.get(), pair.get());
    X509_sign(certificate.get(), pair.get(), EVP_sha256());
    const std::unique_ptr<FILE, decltype(&std::fclose)> out(std::fopen(chain.c_str(), "w"),
                                                            std::fclose);
    CPPUNIT_ASSERT_EQUAL(1, PEM_write_X509(out.get(), certificate.get()));
    const std::unique_ptr<FILE, decltype(&std::fclose)> secret(std::fopen(key.c_str(), "w"),
                                                               std::fclose);
    CPPUNIT_ASSERT_EQUAL(
        1, PEM_write_PrivateKey(secret.get(), pair.get(), nullptr, nullptr, 0, nullptr, nullptr));
}

class TlsClient final : public FrontClient {
public:
    explicit TlsClient(const std::string& address, int newest = 0)
        : FrontClient(address), context_(SSL_CTX_new(TLS_client_method()), SSL_CTX_free) {
        if (newest != 0) SSL_CTX_set_max_proto_version(context_.get(), newest);
        SSL_CTX_set_mode(context_.get(), SSL_MODE_AUTO_RETRY);
        ssl_.reset(SSL_new(context_.get()));
        static constexpr unsigned char kOffer[] = {2,   'h', '2', 8,   'h', 't',
                                                   't', 'p', '/', '1', '.', '1'};
        SSL_set_alpn_protos(ssl_.get(), kOffer, sizeof kOffer);
        SSL_set_fd(ssl_.get(), fd());
        connected = SSL_connect(ssl_.get()) == 1;
    }

    bool connected = false;

    bool send(std::string_view bytes) override {
        std::size_t sent = 0;
        return SSL_write_ex(ssl_.get(), bytes.data(), bytes.size(), &sent) == 1;
    }
    long serial() const {
        const std::unique_ptr<X509, decltype(&X509_free)> peer(
            SSL_get1_peer_certificate(ssl_.get()), X509_free);
        return ASN1_INTEGER_get(X509_get0_serialNumber(peer.get()));
    }
    std::string protocol() const {
        const unsigned char* name = nullptr;
        unsigned size = 0;
        SSL_get0_alpn_selected(ssl_.get(), &name, &size);
        return {name, name + size};
    }

private:
    std::ptrdiff_t receive(char* into, std::size_t size) override {
        return SSL_read(ssl_.get(), into, static_cast<int>(size));
    }

    std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)> context_;
    std::unique_ptr<SSL, decltype(&SSL_free)> ssl_{nullptr, SSL_free};
};

class HttpLifeTest final : public CppUnit::TestFixture {
    CPPUNIT_TEST_SUITE(HttpLifeTest);
    CPPUNIT_TEST(listens_on_several_addresses);
    CPPUNIT_TEST(refuses_addresses_with_a_reason);
    CPPUNIT_TEST(a_unix_socket_knows_its_peer);
    CPPUNIT_TEST(a_stale_unix_socket_is_replaced);
    CPPUNIT_TEST(an_inherited_socket_is_used);
    CPPUNIT_TEST(tls_in_both_versions);
    CPPUNIT_TEST(tls_sends_files_and_takes_bodies);
    CPPUNIT_TEST(a_new_certificate_is_for_new_connections);
    CPPUNIT_TEST(a_bad_certificate_changes_nothing);
    CPPUNIT_TEST(plain_bytes_on_a_tls_port_are_let_go);
    CPPUNIT_TEST(too_many_connections_are_told);
    CPPUNIT_TEST(no_descriptor_left_is_told);
    CPPUNIT_TEST(connections_spread_over_the_reactors);
    CPPUNIT_TEST(slow_heads_time_out);
    CPPUNIT_TEST(slow_bodies_time_out);
    CPPUNIT_TEST(idle_connections_are_closed_silently);
    CPPUNIT_TEST(options_change_while_serving);
    CPPUNIT_TEST(runs_on_each_reactor);
    CPPUNIT_TEST(drains_what_is_under_way);
    CPPUNIT_TEST(cuts_what_does_not_end);
    CPPUNIT_TEST(asks_again_where_nothing_was_decided);
    CPPUNIT_TEST(forgets_the_undecided_whose_client_leaves);
    CPPUNIT_TEST(drains_under_load_without_a_lost_answer);
    CPPUNIT_TEST(answers_after_the_stop_are_harmless);
    CPPUNIT_TEST(stops_with_streams_open);
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

    // ---- TLS

    struct Certified {
        larder::test::TemporaryFolder folder;
        ToyServer toy;
        explicit Certified(const http::Options& options = ToyServer::two_reactors())
            : toy(options) {
            certify(1);
        }
        void certify(long serial) {
            write_certificate(folder / "chain.pem", folder / "key.pem", serial);
            toy.server().use_certificate(folder / "chain.pem", folder / "key.pem");
        }
        TlsClient client(int newest = 0) { return TlsClient(toy.address(), newest); }
    };

    void tls_in_both_versions() {
        Certified certified;
        certified.toy.on_run = [](const ToyServer::Held& exchange) {
            exchange->answer(ToyServer::text(200, exchange->peer().tls ? "tls" : "plain"));
        };
        certified.toy.start("127.0.0.1:0", true);
        CPPUNIT_ASSERT(certified.toy.address().starts_with("https://"));
        for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
            TlsClient client = certified.client(version);
            CPPUNIT_ASSERT(client.connected);
            CPPUNIT_ASSERT_EQUAL("http/1.1"s, client.protocol());
            for (int i = 0; i < 3; ++i) {
                CPPUNIT_ASSERT_EQUAL("tls"s, client.exchange(get("/")).body);
            }
            client.send(get("/1") + get("/2") +
                        "GET /3 HTTP/1.1\r\nHost: a\r\n"
                        "Connection: close\r\n\r\n");
            for (int i = 0; i < 3; ++i) CPPUNIT_ASSERT_EQUAL(200, client.read_answer().status);
            CPPUNIT_ASSERT(client.at_end());
        }
        CPPUNIT_ASSERT(!certified.client(TLS1_1_VERSION).connected);
    }

    void tls_sends_files_and_takes_bodies() {
        Certified certified;
        const std::string content(5U << 20U, 'f');
        const std::string path = certified.folder / "file";
        std::ofstream(path) << content;
        const auto file = std::make_shared<FileHandle>(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
        certified.toy.on_run = [&](const ToyServer::Held& exchange) {
            Response response = ToyServer::text(200, std::string(exchange->body()));
            if (exchange->head().target == "/file") {
                response.body = FileRegion{file, 0, content.size()};
            }
            if (exchange->head().target == "/generator") {
                response.body = Generator([left = 20](std::string& chunk) mutable {
                    chunk.assign(100000, 'g');
                    return --left > 0;
                });
            }
            exchange->answer(std::move(response));
        };
        certified.toy.start("127.0.0.1:0", true);
        TlsClient client = certified.client();
        CPPUNIT_ASSERT(client.exchange(get("/file")).body == content);
        CPPUNIT_ASSERT_EQUAL(std::size_t{2000000}, client.exchange(get("/generator")).body.size());
        for (const std::size_t size : {10U, 5000U, 1000000U}) {
            const std::string body(size, 'b');
            CPPUNIT_ASSERT(client.exchange(post("/echo", body)).body == body);
        }
    }

    void a_new_certificate_is_for_new_connections() {
        Certified certified;
        certified.toy.start("127.0.0.1:0", true);
        TlsClient before = certified.client();
        CPPUNIT_ASSERT_EQUAL(1L, before.serial());
        certified.certify(2);
        TlsClient after = certified.client();
        CPPUNIT_ASSERT_EQUAL(2L, after.serial());
        CPPUNIT_ASSERT_EQUAL(200, before.exchange(get("/")).status);
        CPPUNIT_ASSERT_EQUAL(200, after.exchange(get("/")).status);
    }

    void a_bad_certificate_changes_nothing() {
        Certified certified;
        certified.toy.start("127.0.0.1:0", true);
        Server& server = certified.toy.server();
        const larder::test::TemporaryFolder& folder = certified.folder;
        write_certificate(folder / "other.pem", folder / "other-key.pem", 3);
        std::ofstream(folder / "junk") << "no pem";
        CPPUNIT_ASSERT_THROW(server.use_certificate(folder / "gone", folder / "key.pem"), Error);
        CPPUNIT_ASSERT_THROW(server.use_certificate(folder / "junk", folder / "key.pem"), Error);
        CPPUNIT_ASSERT_THROW(server.use_certificate(folder / "chain.pem", folder / "junk"), Error);
        CPPUNIT_ASSERT_THROW(server.use_certificate(folder / "chain.pem", folder / "other-key.pem"),
                             Error);
        CPPUNIT_ASSERT_EQUAL(1L, certified.client().serial());
    }

    void plain_bytes_on_a_tls_port_are_let_go() {
        http::Options options = ToyServer::two_reactors();
        options.head_timeout = 200ms;
        Certified certified(options);
        certified.toy.start("127.0.0.1:0", true);
        FrontClient plain = certified.toy.client();
        plain.send(get("/"));
        plain.read_to_end();
        FrontClient silent = certified.toy.client();  // a handshake that never comes
        CPPUNIT_ASSERT(silent.at_end());
        CPPUNIT_ASSERT(
            eventually([&] { return certified.toy.server().stats().connections_open == 0; }));
        CPPUNIT_ASSERT(certified.toy.ended().empty());
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

    // ---- the end

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

LARDER_TEST_SUITE(HttpLifeTest);

}  // namespace
