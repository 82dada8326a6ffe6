// The daemon's own routes, as an admin and a monitoring system see them; and its access log.
#include <fmt/format.h>
#include <signal.h>

#include <filesystem>
#include <memory>
#include <regex>
#include <set>

#include "support/command.hpp"
#include "support/daemon_process.hpp"
#include "support/json_view.hpp"
#include "support/raw_client.hpp"
#include "support/suite.hpp"

namespace larder::test {
namespace {

namespace fs = std::filesystem;

class AdminTest : public CppUnit::TestFixture {
    CPPUNIT_TEST_SUITE(AdminTest);
    CPPUNIT_TEST(is_alive_and_ready);
    CPPUNIT_TEST(tells_how_it_stands);
    CPPUNIT_TEST(lists_its_plugins);
    CPPUNIT_TEST(publishes_its_limits);
    CPPUNIT_TEST(tells_settings_and_their_origin);
    CPPUNIT_TEST(counts_for_prometheus);
    CPPUNIT_TEST(counts_for_openmetrics);
    CPPUNIT_TEST(logs_each_request);
    CPPUNIT_TEST(nobody_forges_a_log_line);
    CPPUNIT_TEST(takes_a_rotated_log_anew);
    CPPUNIT_TEST(writes_no_log_when_told_so);
    CPPUNIT_TEST_SUITE_END();

public:
    void setUp() override { start({}); }
    void tearDown() override { daemon_.reset(); }

    void is_alive_and_ready() {
        const Answer alive = get("/healthz");
        CPPUNIT_ASSERT_EQUAL(200, alive.status);
        CPPUNIT_ASSERT_EQUAL(std::string(R"({"status":"ok"})"), alive.body);
        CPPUNIT_ASSERT_EQUAL(std::string("no-store"), alive.header("Cache-Control"));
        const auto ready = object_of(get("/readyz").body);
        CPPUNIT_ASSERT_EQUAL(std::string("ready"), ready->getValue<std::string>("status"));
        const auto kv = find_item(ready, {{"name", "kv"}, {"state", "ok"}});
        CPPUNIT_ASSERT(!kv.isNull());
        CPPUNIT_ASSERT(std::regex_match(kv->getValue<std::string>("since"), time_form()));
    }

    void tells_how_it_stands() {
        const auto status = object_of(get("/api/status").body);
        CPPUNIT_ASSERT_EQUAL(static_cast<int>(daemon_->pid()), status->getValue<int>("pid"));
        CPPUNIT_ASSERT_EQUAL(fs::canonical(data()).string(),
                             status->getValue<std::string>("data_directory"));
        CPPUNIT_ASSERT(std::regex_match(status->getValue<std::string>("started_at"), time_form()));
        CPPUNIT_ASSERT(status->getValue<double>("uptime") >= 0);
        CPPUNIT_ASSERT(status->getObject("memory")->getValue<double>("resident") > 0);
        CPPUNIT_ASSERT(status->getObject("connections")->getValue<int>("open") >= 1);
        const auto listeners = status->getArray("listeners");
        std::set<std::string> addresses;
        for (unsigned i = 0; i < listeners->size(); ++i) {
            addresses.insert(listeners->getElement<std::string>(i));
        }
        CPPUNIT_ASSERT(addresses.contains(fmt::format("http://127.0.0.1:{}", daemon_->port())));
        CPPUNIT_ASSERT(
            addresses.contains("unix:" + fs::canonical(data()).string() + "/larder.sock"));
    }

    void lists_its_plugins() {
        const auto list = object_of(get("/api/plugins").body);
        CPPUNIT_ASSERT(list->isNull("next"));
        const auto kv = find_item(list, {{"name", "kv"}});
        CPPUNIT_ASSERT(!kv.isNull());
        CPPUNIT_ASSERT_EQUAL(std::string("running"), kv->getValue<std::string>("state"));
        CPPUNIT_ASSERT(kv->getArray("routes")->size() > 0);
        CPPUNIT_ASSERT(kv->getArray("settings")->size() > 0);
        CPPUNIT_ASSERT(!kv->getValue<std::string>("version").empty());
        const auto one = object_of(get("/api/plugins/kv").body);
        CPPUNIT_ASSERT_EQUAL(kv->getValue<std::string>("summary"),
                             one->getValue<std::string>("summary"));
        CPPUNIT_ASSERT_EQUAL(404, get("/api/plugins/nonsense").status);
        CPPUNIT_ASSERT_EQUAL(std::string("plugin-not-found"),
                             get("/api/plugins/nonsense").member("code"));
        CPPUNIT_ASSERT_EQUAL(std::string("invalid-cursor"),
                             get("/api/plugins?cursor=x").member("code"));
        for (const char* limit : {"0", "1001", "-1", "x", ""}) {
            CPPUNIT_ASSERT_EQUAL(400, get(fmt::format("/api/plugins?limit={}", limit)).status);
        }
    }

    void publishes_its_limits() {
        const auto limits = object_of(get("/api/limits").body);
        for (const auto& [name, value] :
             std::vector<std::pair<std::string, double>>{{"header_section", 32768},
                                                         {"target", 8192},
                                                         {"body", 1048576},
                                                         {"head_timeout", 30},
                                                         {"body_timeout", 60},
                                                         {"idle_timeout", 75},
                                                         {"list_limit", 1000},
                                                         {"list_limit_default", 100},
                                                         {"json_depth", 1024}}) {
            CPPUNIT_ASSERT_EQUAL_MESSAGE(name, value, limits->getValue<double>(name));
        }
        CPPUNIT_ASSERT_EQUAL(
            1048576.0,
            limits->getObject("plugins")->getObject("kv")->getValue<double>("max_value"));
    }

    void tells_settings_and_their_origin() {
        const auto config = object_of(get("/api/config").body);
        CPPUNIT_ASSERT(config->isNull("next"));
        const auto page = object_of(get("/api/config?limit=2").body);
        const auto rest = object_of(
            get("/api/config?limit=1000&cursor=" + page->getValue<std::string>("next")).body);
        CPPUNIT_ASSERT_EQUAL(config->getArray("items")->size(),
                             2 + rest->getArray("items")->size());
        const auto timeout = find_item(config, {{"key", "http.head_timeout"}});
        CPPUNIT_ASSERT(!timeout.isNull());
        CPPUNIT_ASSERT_EQUAL(std::string("30s"), timeout->getValue<std::string>("value"));
        CPPUNIT_ASSERT_EQUAL(std::string("default"),
                             timeout->getObject("origin")->getValue<std::string>("kind"));
        CPPUNIT_ASSERT(!timeout->getValue<std::string>("says").empty());
        CPPUNIT_ASSERT(!find_item(config, {{"key", "kv.enabled"}}).isNull());
    }

    void counts_for_prometheus() {
        for (int i = 0; i < 3; ++i) get("/healthz");
        get("/nothing");
        const Answer page = get("/metrics");
        CPPUNIT_ASSERT(page.header("Content-Type").starts_with("text/plain; version=0.0.4"));
        for (const char* text : {"larder_connections_open ", "# HELP ", "# TYPE ", "/healthz"}) {
            CPPUNIT_ASSERT_MESSAGE(page.body, page.body.find(text) != std::string::npos);
        }
        CPPUNIT_ASSERT_MESSAGE("a raw path is no label",
                               page.body.find("/nothing") == std::string::npos);
        CPPUNIT_ASSERT(page.body.find("# EOF") == std::string::npos);
        static const std::regex kLine(
            R"re((#.*|[a-zA-Z_:][a-zA-Z0-9_:]*(\{[^}]*\})? [-+0-9.eEinfNaI]+))re");
        std::size_t begin = 0;
        for (std::size_t end; (end = page.body.find('\n', begin)) != std::string::npos;
             begin = end + 1) {
            const std::string line = page.body.substr(begin, end - begin);
            CPPUNIT_ASSERT_MESSAGE(line, std::regex_match(line, kLine));
        }
        CPPUNIT_ASSERT_EQUAL(page.body.size(), begin);
        if (!is_installed("promtool")) return;
        write_file(data() + "/page.txt", page.body);
        const Ran judged = run({"sh", "-c", "promtool check metrics < " + data() + "/page.txt"});
        CPPUNIT_ASSERT_EQUAL_MESSAGE(judged.out + judged.err, 0, judged.exit);
    }

    void counts_for_openmetrics() {
        const Answer page =
            request(daemon_->port(), "GET", "/metrics",
                    "Accept: application/openmetrics-text; version=1.0.0, text/plain;q=0.5\r\n");
        CPPUNIT_ASSERT(page.header("Content-Type").starts_with("application/openmetrics-text"));
        CPPUNIT_ASSERT(page.body.ends_with("# EOF\n"));
    }

    void logs_each_request() {
        request(daemon_->port(), "GET", "/healthz",
                "X-Request-Id: seen-1\r\nReferer: http://a.example/x\r\nUser-Agent: probe/1.0\r\n");
        request(daemon_->port(), "PUT", "/api/kv/storage/a%20b?ttl=1x", "X-Request-Id: seen-2\r\n",
                "1");
        const std::string log = log_with("seen-2");
        static const std::regex kFirst(
            R"re(127\.0\.0\.1 - - \[\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d \+0000\] )re"
            R"re("GET /healthz HTTP/1\.1" 200 15 "http://a\.example/x" "probe/1\.0" seen-1 \d+\.\d{6})re");
        CPPUNIT_ASSERT_MESSAGE(log, std::regex_match(line_of(log, "seen-1"), kFirst));
        const std::string second = line_of(log, "seen-2");
        CPPUNIT_ASSERT_MESSAGE(second, second.find("\"PUT /api/kv/storage/a%20b?ttl=1x HTTP/1.1\" "
                                                   "400 ") != std::string::npos);
    }

    void nobody_forges_a_log_line() {
        request(daemon_->port(), "GET", "/healthz",
                "X-Request-Id: forged\r\nUser-Agent: a\" 200 1 \"b\\\xc2\x9b"
                "31m\r\n");
        const std::string line = line_of(log_with("forged"), "forged");
        CPPUNIT_ASSERT_MESSAGE(line, line.find("\xc2\x9b") == std::string::npos);
        CPPUNIT_ASSERT_MESSAGE(line, line.find("a\" 200") == std::string::npos);
    }

    void takes_a_rotated_log_anew() {
        request(daemon_->port(), "GET", "/healthz", "X-Request-Id: before\r\n");
        log_with("before");
        fs::rename(log_path(), log_path() + ".1");
        daemon_->signal(SIGHUP);
        CPPUNIT_ASSERT(eventually([&] { return fs::exists(log_path()); }));
        request(daemon_->port(), "GET", "/healthz", "X-Request-Id: after\r\n");
        const std::string fresh = log_with("after");
        CPPUNIT_ASSERT(fresh.find("before") == std::string::npos);
        CPPUNIT_ASSERT(read_file(log_path() + ".1").find("before") != std::string::npos);
    }

    void writes_no_log_when_told_so() {
        daemon_.reset();
        fs::remove(log_path());
        start({{"LARDER_DAEMON_ACCESS_LOG", "false"}});
        get("/healthz");
        CPPUNIT_ASSERT_EQUAL(0, daemon_->stop());
        CPPUNIT_ASSERT(!fs::exists(log_path()));
    }

private:
    static const std::regex& time_form() {
        static const std::regex form(R"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z)");
        return form;
    }

    void start(std::vector<std::pair<std::string, std::string>> environment) {
        daemon_ = std::make_unique<DaemonProcess>(
            DaemonOptions{data(), {}, std::move(environment), {}, true, true, {}});
    }
    std::string data() const { return folder_ / "data"; }
    std::string log_path() const { return data() + "/logs/access.log"; }
    Answer get(const std::string& target) const { return request(daemon_->port(), "GET", target); }

    // The access log, once this stands in it.
    std::string log_with(const std::string& text) const {
        std::string log;
        CPPUNIT_ASSERT_MESSAGE(text + " is not logged", eventually([&] {
                                   log = fs::exists(log_path()) ? read_file(log_path()) : "";
                                   const std::size_t at = log.find(text);
                                   return at != std::string::npos &&
                                          log.find('\n', at) != std::string::npos;
                               }));
        return log;
    }
    static std::string line_of(const std::string& log, const std::string& text) {
        const std::size_t at = log.find(text);
        const std::size_t begin = log.rfind('\n', at) + 1;
        return log.substr(begin, log.find('\n', at) - begin);
    }

    TemporaryFolder folder_;
    std::unique_ptr<DaemonProcess> daemon_;
};

LARDER_TEST_SUITE(AdminTest);

}  // namespace
}  // namespace larder::test
