// larderd behind TLS, as curl sees it: certificates, their exchange while it runs, and what it does
// not speak. Credentials are auth_test.cpp's.
#include <fmt/format.h>
#include <signal.h>

#include <filesystem>
#include <memory>

#include "support/command.hpp"
#include "support/daemon_process.hpp"
#include "support/json_view.hpp"
#include "support/raw_client.hpp"
#include "support/suite.hpp"

namespace larder::test {
namespace {

namespace fs = std::filesystem;

class TlsTest : public CppUnit::TestFixture {
    CPPUNIT_TEST_SUITE(TlsTest);
    CPPUNIT_TEST(serves_over_tls);
    CPPUNIT_TEST(speaks_no_old_tls);
    CPPUNIT_TEST(bears_those_who_speak_plainly);
    CPPUNIT_TEST(takes_a_new_certificate_by_signal);
    CPPUNIT_TEST(keeps_the_old_certificate_when_the_new_is_bad);
    CPPUNIT_TEST(refuses_to_start_with_a_bad_certificate);
    CPPUNIT_TEST(its_unix_socket_stays_plain);
    CPPUNIT_TEST_SUITE_END();

public:
    void setUp() override {
        make_certificate("first");
        make_certificate("second");
        use("first");
        start();
    }
    void tearDown() override { daemon_.reset(); }

    void serves_over_tls() {
        const Ran got = curl("first", {url("/healthz")});
        CPPUNIT_ASSERT_EQUAL_MESSAGE(got.err, std::string(R"({"status":"ok"})"), got.out);
        write_file(folder_ / "value", "\"" + std::string(900000, 'a') + "\"");
        const std::string key = url("/api/kv/storage/a");
        CPPUNIT_ASSERT_EQUAL(0, curl("first", {"-f", "-T", folder_ / "value", "-H",
                                               "Content-Type: application/json", key})
                                    .exit);
        CPPUNIT_ASSERT_EQUAL(read_file(folder_ / "value"), curl("first", {key}).out);
        // A page that was served over https may write back.
        CPPUNIT_ASSERT_EQUAL(
            0, curl("first", {"-f", "-X", "DELETE", "-H", "Origin: " + url(""), key}).exit);
        CPPUNIT_ASSERT_EQUAL(0, daemon_->stop());
    }

    void speaks_no_old_tls() {
        const Ran old = curl("first", {"--tls-max", "1.1", url("/healthz")});
        CPPUNIT_ASSERT_MESSAGE(old.out, old.exit != 0);
        CPPUNIT_ASSERT_EQUAL(0, curl("first", {"-f", "--tls-max", "1.2", url("/healthz")}).exit);
    }

    void bears_those_who_speak_plainly() {
        for (const std::string& text :
             {std::string("GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"), std::string("\x16"),
              std::string("\x16\x03\x01\xff\xff", 5), std::string(70000, '\0')}) {
            RawClient client(daemon_->port());
            client.send(text);
            client.half_close();
            try {
                client.read_to_end();
            } catch (const std::runtime_error&) {  // a reset is an end, too
            }
            CPPUNIT_ASSERT_EQUAL(0, curl("first", {"-f", url("/healthz")}).exit);
        }
    }

    void takes_a_new_certificate_by_signal() {
        CPPUNIT_ASSERT(curl("second", {url("/healthz")}).exit != 0);
        use("second");
        daemon_->signal(SIGHUP);
        CPPUNIT_ASSERT(eventually([&] {
            return curl("second", {"-f", url("/healthz")}).exit == 0;
        }));
        CPPUNIT_ASSERT(curl("first", {url("/healthz")}).exit != 0);
        CPPUNIT_ASSERT_EQUAL(0, daemon_->stop());
    }

    void keeps_the_old_certificate_when_the_new_is_bad() {
        fs::copy_file(folder_ / "second.key", folder_ / "tls.key",
                      fs::copy_options::overwrite_existing);  // of another certificate
        daemon_->signal(SIGHUP);
        CPPUNIT_ASSERT(daemon_->wait_for_log("not reloaded, nothing has changed"));
        CPPUNIT_ASSERT_EQUAL(0, curl("first", {"-f", url("/healthz")}).exit);
        write_file(folder_ / "tls.crt", "nonsense");
        const Ran asked = curl("first", {"-X", "POST", url("/api/reload")});
        for (const char* part : {R"("status":422)", R"("key":"http.tls_certificate")"}) {
            CPPUNIT_ASSERT_MESSAGE(asked.out, asked.out.find(part) != std::string::npos);
        }
        CPPUNIT_ASSERT_EQUAL(0, curl("first", {"-f", url("/healthz")}).exit);
    }

    void refuses_to_start_with_a_bad_certificate() {
        daemon_.reset();
        for (const char* text : {"nonsense", ""}) {
            write_file(folder_ / "tls.crt", text);
            const Ran ran = run({DaemonProcess::binary(), "--data-dir", folder_ / "data",
                                 "--listen", "127.0.0.1:0"},
                                environment());
            CPPUNIT_ASSERT_EQUAL(78, ran.exit);
            CPPUNIT_ASSERT_MESSAGE(ran.err, ran.err.find(folder_ / "tls.crt") != std::string::npos);
        }
    }

    void its_unix_socket_stays_plain() {
        RawClient client(folder_ / "data/larder.sock");
        CPPUNIT_ASSERT_EQUAL(200, client.request("GET", "/healthz").status);
    }

private:
    void make_certificate(const std::string& name) const {
        const Ran made =
            run({"openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
                 "-nodes", "-days", "2", "-subj", "/CN=localhost", "-addext",
                 "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", folder_ / (name + ".key"),
                 "-out", folder_ / (name + ".crt")});
        CPPUNIT_ASSERT_EQUAL_MESSAGE(made.err, 0, made.exit);
    }
    void use(const std::string& name) const {
        for (const char* part : {".key", ".crt"}) {
            fs::copy_file(folder_ / (name + part), folder_ / (std::string("tls") + part),
                          fs::copy_options::overwrite_existing);
        }
    }
    std::vector<std::pair<std::string, std::string>> environment() const {
        return {{"LARDER_HTTP_TLS_CERTIFICATE", folder_ / "tls.crt"},
                {"LARDER_HTTP_TLS_KEY", folder_ / "tls.key"}};
    }
    void start() {
        daemon_ = std::make_unique<DaemonProcess>(
            DaemonOptions{folder_ / "data", {}, environment(), {}, true, true, {}});
    }
    std::string url(const std::string& path) const {
        return fmt::format("https://localhost:{}{}", daemon_->port(), path);
    }
    // Trusting this certificate alone.
    Ran curl(const std::string& trusted, std::vector<std::string> words) const {
        words.insert(words.begin(), {"curl", "-sS", "-4", "--noproxy", "*", "--cacert",
                                     folder_ / (trusted + ".crt")});
        return run(std::move(words));
    }

    TemporaryFolder folder_;
    std::unique_ptr<DaemonProcess> daemon_;
};

LARDER_TEST_SUITE(TlsTest);

}  // namespace
}  // namespace larder::test
