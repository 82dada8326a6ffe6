// larderd as a command: its options, exit codes and what it says of a configuration before it runs.
// What a running daemon does with settings is reload_test.cpp's.
#include <fmt/format.h>

#include <filesystem>

#include "support/command.hpp"
#include "support/daemon_process.hpp"
#include "support/json_view.hpp"
#include "support/raw_client.hpp"
#include "support/suite.hpp"

namespace larder::test {
namespace {

constexpr int kUsage = 64, kUnavailable = 69, kConfig = 78;  // sysexits.h

class OptionsTest : public CppUnit::TestFixture {
    CPPUNIT_TEST_SUITE(OptionsTest);
    CPPUNIT_TEST(tells_its_version);
    CPPUNIT_TEST(tells_its_options);
    CPPUNIT_TEST(refuses_what_is_no_option);
    CPPUNIT_TEST(checks_a_good_configuration);
    CPPUNIT_TEST(tells_every_fault_at_once);
    CPPUNIT_TEST(suggests_the_nearest_name);
    CPPUNIT_TEST(refuses_half_of_a_tls_pair);
    CPPUNIT_TEST(says_where_an_unsafe_listener_stands);
    CPPUNIT_TEST(a_checked_configuration_touches_nothing);
    CPPUNIT_TEST(refuses_to_run_with_faults);
    CPPUNIT_TEST(warns_of_a_strange_variable);
    CPPUNIT_TEST(the_stronger_source_wins);
    CPPUNIT_TEST_SUITE_END();

public:
    void tells_its_version() {
        for (const char* option : {"--version", "-V"}) {
            const Ran ran = larderd({option});
            CPPUNIT_ASSERT_EQUAL(0, ran.exit);
            CPPUNIT_ASSERT_MESSAGE(ran.out, ran.out.starts_with("larderd "));
            CPPUNIT_ASSERT_EQUAL(std::string(), ran.err);
        }
    }

    void tells_its_options() {
        const Ran ran = larderd({"--help"});
        CPPUNIT_ASSERT_EQUAL(0, ran.exit);
        for (const char* option : {"--config", "--data-dir", "--listen", "--check-config",
                                   "--version", "--daemon", "--pidfile"}) {
            CPPUNIT_ASSERT_MESSAGE(option, ran.out.find(option) != std::string::npos);
        }
    }

    void refuses_what_is_no_option() {
        expect(larderd({"--nonsense"}), kUsage, {"larderd: ", "nonsense", "--help"});
        expect(larderd({"--verison"}), kUsage, {"did you mean 'version'"});
        expect(larderd({"-x"}), kUsage, {"larderd: ", "--help"});
        expect(larderd({"extra"}), kUsage, {"'extra' is no option", "--help"});
        expect(larderd({"--listen"}), kUsage, {"listen", "--help"});
        expect(larderd({"--data-dir=" + folder_ / "data", "--check-config", "more"}), kUsage,
               {"'more' is no option"});
    }

    void checks_a_good_configuration() {
        const std::string file = folder_ / "larder.ini";
        write_file(file, "[daemon]\nlog_level = debug\n\n[http]\nlisten = 127.0.0.1:0\n");
        write_file(folder_ / "plugins.d/kv.ini", "[kv]\nmax_value = 2MiB\n");
        const Ran ran = larderd({"--check-config", "--config", file});
        CPPUNIT_ASSERT_EQUAL_MESSAGE(ran.err, 0, ran.exit);
        CPPUNIT_ASSERT_EQUAL(std::string("configuration is good\n"), ran.out);
        CPPUNIT_ASSERT_EQUAL(std::string(), ran.err);
    }

    void tells_every_fault_at_once() {
        const std::string file = folder_ / "larder.ini", kv = folder_ / "plugins.d/kv.ini";
        write_file(file,
                   "[daemon]\nlog_level = loud\nworker_threads = 0\n\n"
                   "[http]\nhead_timeout = soon\nnonsense = 1\n");
        write_file(kv, "[kv]\nmax_value = 1TiB\n");
        const Ran ran =
            larderd({"--check-config", "--config", file}, {{"LARDER_HTTP_IDLE_TIMEOUT", "never"}});
        expect(ran, kConfig,
               {file + ":2: daemon.log_level: ", file + ":3: daemon.worker_threads: ",
                file + ":6: http.head_timeout: ", file + ":7: http.nonsense: ",
                kv + ":2: kv.max_value: ", "environment: http.idle_timeout: "});
        CPPUNIT_ASSERT_EQUAL(std::string(), ran.out);
    }

    void suggests_the_nearest_name() {
        const std::string file = folder_ / "larder.ini";
        write_file(file, "[http]\nlsiten = 127.0.0.1:0\n[htpp]\n");
        write_file(folder_ / "plugins.d/kv.ini", "[kv]\nmax_vaule = 1MiB\n");
        expect(larderd({"--check-config", "--config", file}), kConfig,
               {"did you mean 'listen'", "did you mean 'http'", "did you mean 'max_value'"});
        expect(larderd({"--check-config", "--config", folder_ / "missing.ini"}), kConfig,
               {folder_ / "missing.ini"});
    }

    void refuses_half_of_a_tls_pair() {
        expect(larderd({"--check-config"}, {{"LARDER_HTTP_TLS_CERTIFICATE", "/nowhere/c.pem"}}),
               kConfig, {"environment: http.tls_certificate", "http.tls_key"});
    }

    void says_where_an_unsafe_listener_stands() {
        const std::string file = folder_ / "larder.ini";
        write_file(file, "[http]\nlisten = 0.0.0.0:8080\n");
        expect(larderd({"--check-config", "--config", file}), kConfig,
               {file + ":2: http.listen: 0.0.0.0:8080", "allow_insecure"});
    }

    void a_checked_configuration_touches_nothing() {
        const std::string data = folder_ / "data";
        const Ran ran = larderd({"--check-config", "--data-dir", data});
        CPPUNIT_ASSERT_EQUAL_MESSAGE(ran.err, 0, ran.exit);
        CPPUNIT_ASSERT(!std::filesystem::exists(data));
    }

    void refuses_to_run_with_faults() {
        const std::string file = folder_ / "larder.ini";
        write_file(file, "[http]\nlsiten = 127.0.0.1:0\n");
        expect(larderd({"--config", file, "--data-dir", folder_ / "data"}), kConfig,
               {file + ":2: http.lsiten: "});
        CPPUNIT_ASSERT(!std::filesystem::exists(folder_ / "data"));
        expect(larderd({"--data-dir", folder_ / "data", "--listen", "127.0.0.1"}), kUnavailable,
               {"127.0.0.1", "port"});
        expect(larderd({"--data-dir", "/proc/nowhere", "--listen", "127.0.0.1:0"}), kUnavailable,
               {"/proc/nowhere", "--data-dir"});
    }

    void warns_of_a_strange_variable() {
        const Ran ran = larderd({"--check-config"}, {{"LARDER_HTTP_LSITEN", "x"}});
        CPPUNIT_ASSERT_EQUAL(0, ran.exit);
        CPPUNIT_ASSERT_MESSAGE(ran.err, ran.err.find("warning: ") != std::string::npos);
        CPPUNIT_ASSERT_MESSAGE(ran.err, ran.err.find("LARDER_HTTP_LISTEN") != std::string::npos);
    }

    void the_stronger_source_wins() {
        const std::string file = folder_ / "larder.ini";
        write_file(file,
                   "[daemon]\nworker_threads = 3\nworker_queue = 30\n"
                   "[http]\nlisten = 127.0.0.1:1\nhead_timeout = 7s\n");
        DaemonProcess daemon(
            {folder_ / "data",
             {"--config", file},
             {{"LARDER_DAEMON_WORKER_QUEUE", "50"}, {"LARDER_HTTP_LISTEN", "127.0.0.1:2"}},
             {},
             true,
             true,
             {}});
        const auto config = object_of(request(daemon.port(), "GET", "/api/config").body);
        const auto shown = [&](const std::string& key) {
            const auto item = find_item(config, {{"key", key}});
            CPPUNIT_ASSERT_MESSAGE(key, !item.isNull());
            const auto origin = item->getObject("origin");
            return fmt::format(
                "{} {} {}{} {}", item->getValue<std::string>("value"),
                origin->getValue<std::string>("kind"), origin->optValue<std::string>("file", ""),
                origin->optValue<std::string>("variable", ""), origin->optValue<int>("line", 0));
        };
        CPPUNIT_ASSERT_EQUAL(fmt::format("3 file {} 2", file), shown("daemon.worker_threads"));
        CPPUNIT_ASSERT_EQUAL(std::string("50 environment LARDER_DAEMON_WORKER_QUEUE 0"),
                             shown("daemon.worker_queue"));
        CPPUNIT_ASSERT_EQUAL(std::string("127.0.0.1:0 command line  0"), shown("http.listen"));
        CPPUNIT_ASSERT_EQUAL(std::string("cores default  0"), shown("http.reactors"));
        const auto limits = object_of(request(daemon.port(), "GET", "/api/limits").body);
        CPPUNIT_ASSERT_EQUAL(7.0, limits->getValue<double>("head_timeout"));
        CPPUNIT_ASSERT_EQUAL(50, limits->getValue<int>("worker_queue"));
        CPPUNIT_ASSERT_EQUAL(0, daemon.stop());
    }

private:
    static Ran larderd(std::vector<std::string> options,
                       const std::vector<std::pair<std::string, std::string>>& environment = {}) {
        options.insert(options.begin(), DaemonProcess::binary());
        return run(std::move(options), environment);
    }

    // The exit code, and one line a fault that holds each of these.
    static void expect(const Ran& ran, int exit, const std::vector<std::string>& said) {
        CPPUNIT_ASSERT_EQUAL_MESSAGE(ran.err, exit, ran.exit);
        for (const std::string& text : said) {
            CPPUNIT_ASSERT_MESSAGE(fmt::format("expected '{}' in: {}", text, ran.err),
                                   ran.err.find(text) != std::string::npos);
        }
    }

    TemporaryFolder folder_;
};

LARDER_TEST_SUITE(OptionsTest);

}  // namespace
}  // namespace larder::test
