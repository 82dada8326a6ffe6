// The front over TLS: versions, bodies, certificates that change.
#include <fcntl.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <unistd.h>

#include <fstream>
#include <memory>
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
using test::FrontClient;
using test::get;
using test::post;
using test::ToyServer;

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

class HttpTlsTest final : public CppUnit::TestFixture {
    CPPUNIT_TEST_SUITE(HttpTlsTest);
    CPPUNIT_TEST(tls_in_both_versions);
    CPPUNIT_TEST(tls_sends_files_and_takes_bodies);
    CPPUNIT_TEST(a_new_certificate_is_for_new_connections);
    CPPUNIT_TEST(a_bad_certificate_changes_nothing);
    CPPUNIT_TEST(plain_bytes_on_a_tls_port_are_let_go);
    CPPUNIT_TEST_SUITE_END();

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
};

LARDER_TEST_SUITE(HttpTlsTest);

}  // namespace
