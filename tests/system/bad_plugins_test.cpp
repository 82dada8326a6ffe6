// Plugins that are wrong in one way each: what an admin reads of them, and that nobody else comes
// to harm. Files that are no plugins at all are plugin_files_test.cpp's.
//
// Contents: the tables · refused, failed, throwing, hanging ones · other compilers · the table's
// judge.
#include <fmt/format.h>
#include <signal.h>

#include <filesystem>
#include <iostream>
#include <memory>

#include "larder/abi.hpp"
#include "support/command.hpp"
#include "support/daemon_process.hpp"
#include "support/json_view.hpp"
#include "support/raw_client.hpp"
#include "support/suite.hpp"
#include "support/test_plugin.hpp"

namespace larder::test {
namespace {

namespace fs = std::filesystem;
using Environment = std::vector<std::pair<std::string, std::string>>;

// What is expected of one plugin: its state, and words that its reason must hold.
struct Expected {
    TestPlugin plugin;
    std::string state;
    std::vector<std::string> words;
};

class BadPluginsTest : public CppUnit::TestFixture {
    CPPUNIT_TEST_SUITE(BadPluginsTest);
    CPPUNIT_TEST(names_what_it_refuses_and_runs_none_of_it);
    CPPUNIT_TEST(names_what_does_not_start);
    CPPUNIT_TEST(bears_what_throws_while_it_runs);
    CPPUNIT_TEST(gives_up_what_hangs);
    CPPUNIT_TEST(names_who_holds_up_an_io_thread);
    CPPUNIT_TEST(ends_while_a_plugin_hangs);
    CPPUNIT_TEST(a_reply_kept_for_ever_holds_nothing_up);
    CPPUNIT_TEST(takes_a_plugin_of_another_compiler);
    CPPUNIT_TEST(refuses_a_file_others_may_write_to);
    CPPUNIT_TEST_SUITE_END();

public:
    void setUp() override { fs::create_directory(plugins()); }

    void names_what_it_refuses_and_runs_none_of_it() {
        const AbiStamp ours;
        const auto major = [](AbiStamp& stamp) { ++stamp.api_major; };
        std::vector<Expected> table;
        const auto add = [&](TestPlugin plugin, std::vector<std::string> words) {
            table.push_back({std::move(plugin.trips()), "refused", std::move(words)});
        };
        add(TestPlugin("wrong_major").stamp(major),
            {fmt::format("{}.{}", kApiMajor + 1, kApiMinor), "rebuild it"});
        add(TestPlugin("newer_minor").stamp([](AbiStamp& stamp) { ++stamp.api_minor; }),
            {fmt::format("{}.{}", kApiMajor, kApiMinor + 1), "newer larder"});
        add(TestPlugin("other_containers", "bad_plugin_debug"), {"-D_GLIBCXX_DEBUG", "without"});
        add(TestPlugin("other_sanitizer").stamp([](AbiStamp& stamp) {
            stamp.flags ^= kAbiThreadSanitizer;
        }),
            {"-fsanitize=thread"});
        add(TestPlugin("no_stamp").replace(".note.larder", ".note.wooden"), {"LARDER_PLUGIN"});
        add(TestPlugin("damaged_stamp").stamp([](AbiStamp& stamp) { stamp.magic[0] = 'X'; }),
            {"stamp is damaged", "rebuild it or copy the file anew"});
        add(TestPlugin("no_library").replace(std::string("\x7f") + "ELF", "GARB"), {"no ELF"});
        // Most of these are loaded before they are refused: their entry tells what they claim.
        const auto load = [&](TestPlugin plugin, std::vector<std::string> words) {
            table.push_back({std::move(plugin), "refused", std::move(words)});
        };
        load(TestPlugin("truncated").trips().cut_to(5000), {"cut short", "copy the file anew"});
        load(TestPlugin("no_entry").replace("larder_plugin", "wooden_plugin"),
             {"exports no larder_plugin", "LARDER_PLUGIN"});
        load(TestPlugin("clashing_prefix").prefix("/api/kv/deeper"),
             {"/api/kv of plugin kv", "remove one of the two"});
        load(TestPlugin("clashing_claim").claim("kv/deeper/"),
             {"kv/ of plugin kv", "remove one of the two"});
        load(TestPlugin("greedy_prefix").prefix("/api/status"), {"/api/status", "choose one"});
        load(TestPlugin("greedy_claim").claim("plugins.json"), {"the daemon's own", "choose"});
        install(table);
        DaemonProcess daemon(options(table));
        judge(daemon, table);
        // What is refused for its claims alone is answered for where nobody else is.
        const Answer answer = request(daemon.port(), "GET", "/api/clashing_claim/hello");
        CPPUNIT_ASSERT_EQUAL(503, answer.status);
        CPPUNIT_ASSERT_EQUAL(std::string("plugin-failed"), answer.member("code"));
        CPPUNIT_ASSERT_EQUAL(404, request(daemon.port(), "GET", "/api/wrong_major").status);
        for (const char* action : {"enable", "reload"}) {
            const Answer refused = act(daemon, "wrong_major", action);
            CPPUNIT_ASSERT_EQUAL(409, refused.status);
            CPPUNIT_ASSERT_EQUAL(std::string("plugin-refused"), refused.member("code"));
            CPPUNIT_ASSERT(refused.member("reason").find("rebuild it") != std::string::npos);
        }
        // Who does not want it mended may say so.
        CPPUNIT_ASSERT_EQUAL(200, act(daemon, "wrong_major", "disable").status);
        const auto ready = object_of(request(daemon.port(), "GET", "/readyz").body);
        CPPUNIT_ASSERT(
            !find_item(ready, {{"name", "wrong_major"}, {"state", "disabled"}}).isNull());
        CPPUNIT_ASSERT_EQUAL(0, daemon.stop());
        // The proof that the tripwire works: taken by its stamp, it ends whoever loads it.
        fs::remove_all(plugins());
        fs::create_directory(plugins());
        TestPlugin("good").trips().write_to(plugins());
        const Ran ran = run({DaemonProcess::binary(), "--check-config"},
                            {{"LARDER_DAEMON_PLUGIN_DIRS", plugins()}});
        CPPUNIT_ASSERT_EQUAL(128 + SIGABRT, ran.exit);
    }

    void names_what_does_not_start() {
        std::vector<Expected> table;
        for (const auto& [id, words] :
             std::vector<std::pair<std::string, std::vector<std::string>>>{
                 {"throws_in_create", {"create() threw: it broke"}},
                 {"throws_in_configure", {"configure() threw: it broke"}},
                 {"throws_in_start", {"start() threw: it broke"}},
                 {"throws_a_number", {"start() threw something that is no std::exception"}},
                 {"misses_a_service", {"nothing/1", "enable the plugin"}},
                 {"repeats_a_route", {"/api/repeats_a_route/hello", "already served"}}}) {
            table.push_back({TestPlugin(id), "failed", words});
        }
        install(table);
        DaemonProcess daemon(options(table));
        judge(daemon, table);
        for (const Expected& row : table) {
            const Answer answer =
                request(daemon.port(), "GET", fmt::format("/api/{}/hello", row.plugin.id()));
            CPPUNIT_ASSERT_EQUAL(503, answer.status);
            CPPUNIT_ASSERT_EQUAL(std::string("plugin-failed"), answer.member("code"));
            expect_words(row, answer.member("reason"));
            const Answer again = act(daemon, row.plugin.id(), "enable");
            CPPUNIT_ASSERT_EQUAL(409, again.status);
            CPPUNIT_ASSERT_EQUAL(std::string("plugin-failed"), again.member("code"));
            expect_words(row, again.member("reason"));
        }
        CPPUNIT_ASSERT_EQUAL(503, request(daemon.port(), "GET", "/readyz").status);
        CPPUNIT_ASSERT_EQUAL(0, daemon.stop());
    }

    void bears_what_throws_while_it_runs() {
        std::vector<Expected> table;
        for (const char* id :
             {"throws_in_handler", "throws_a_number_in_handler", "throws_in_task"}) {
            table.push_back({TestPlugin(id), "running", {}});
        }
        install(table);
        DaemonProcess daemon(options(table));
        for (const char* id : {"throws_in_handler", "throws_a_number_in_handler"}) {
            const Answer answer = request(daemon.port(), "GET", fmt::format("/api/{}/work", id));
            CPPUNIT_ASSERT_EQUAL(500, answer.status);
            CPPUNIT_ASSERT_EQUAL(std::string("internal"), answer.member("code"));
            CPPUNIT_ASSERT(answer.body.find("it broke") == std::string::npos);
            CPPUNIT_ASSERT(daemon.wait_for_log(answer.member("request_id")));
        }
        CPPUNIT_ASSERT_EQUAL(200, request(daemon.port(), "GET", "/api/throws_in_task/work").status);
        CPPUNIT_ASSERT(daemon.wait_for_log("a task on a worker threw: it broke"));
        judge(daemon, table);
        CPPUNIT_ASSERT_EQUAL(200, request(daemon.port(), "GET", "/readyz").status);
        CPPUNIT_ASSERT_EQUAL(0, daemon.stop());
    }

    void gives_up_what_hangs() {
        std::vector<Expected> table;
        table.push_back({TestPlugin("hangs_in_start"),
                         "failed",
                         {"start() has not returned", "restart the daemon"}});
        for (const auto& [id, words] :
             std::vector<std::pair<std::string, std::vector<std::string>>>{
                 {"hangs_in_drain", {"drain() has not returned", "restart the daemon"}},
                 {"hangs_in_stop", {"stop() has not returned", "restart the daemon"}},
                 {"hangs_in_handler",
                  {"calls into it have not returned (1 of them)", "restart the daemon"}},
                 {"leaks_a_thread", {"1 of its threads still ran", "restart the daemon"}}}) {
            table.push_back({TestPlugin(id), "failed", words});
        }
        install(table);
        DaemonProcess daemon(options(table));
        RawClient hung(daemon.port());
        hung.send("GET /api/hangs_in_handler/work HTTP/1.1\r\nHost: localhost\r\n\r\n");
        CPPUNIT_ASSERT(eventually([&] { return workers_running(daemon) >= 2; }));
        for (std::size_t i = 1; i < table.size(); ++i) {
            const Answer answer = act(daemon, table[i].plugin.id(), "disable");
            CPPUNIT_ASSERT_EQUAL_MESSAGE(answer.body, 409, answer.status);
            CPPUNIT_ASSERT_EQUAL(std::string("plugin-stuck"), answer.member("code"));
            expect_words(table[i], answer.member("reason"));
        }
        CPPUNIT_ASSERT_MESSAGE("who waits for a call that hangs is let go", hung.is_closed());
        judge(daemon, table);
        for (const Expected& row : table) {
            for (const char* action : {"enable", "disable", "reload", "reset"}) {
                const Answer answer = act(daemon, row.plugin.id(), action);
                CPPUNIT_ASSERT_EQUAL(409, answer.status);
                CPPUNIT_ASSERT_EQUAL(std::string("plugin-stuck"), answer.member("code"));
            }
        }
        CPPUNIT_ASSERT_EQUAL_MESSAGE("it says that it had to be ended as it was", 70,
                                     daemon.stop());
        CPPUNIT_ASSERT(daemon.log().find("calls that did not return") != std::string::npos);
    }

    void names_who_holds_up_an_io_thread() {
        std::vector<Expected> table;
        table.push_back({TestPlugin("hangs_in_prompt"), "running", {}});
        install(table);
        auto given = options(table);
        given.environment.emplace_back("LARDER_HTTP_REACTORS", "2");
        DaemonProcess daemon(given);
        // Connections are dealt in turn: of these two, each I/O thread has one.
        RawClient one(daemon.port()), other(daemon.port());
        CPPUNIT_ASSERT_EQUAL(200, one.request("GET", "/healthz").status);
        CPPUNIT_ASSERT_EQUAL(200, other.request("GET", "/healthz").status);
        one.send("GET /api/hangs_in_prompt/hello HTTP/1.1\r\nHost: localhost\r\n\r\n");
        CPPUNIT_ASSERT(eventually([&] {
            other.request("POST", "/api/scheduler/jobs/larderd.reactors/run");
            return other.request("GET", "/api/alerts?state=raised")
                       .body.find("plugin hangs_in_prompt has held up an I/O thread") !=
                   std::string::npos;
        }));
        // Who comes anew is soon given to the other I/O thread alone.
        const auto is_served = [&] {
            return run({"curl", "-sf", "-m", "1",
                        fmt::format("http://127.0.0.1:{}/healthz", daemon.port())})
                       .exit == 0;
        };
        int in_a_row = 0;
        CPPUNIT_ASSERT(
            eventually([&] { return (in_a_row = is_served() ? in_a_row + 1 : 0) == 8; }));
        CPPUNIT_ASSERT_EQUAL(200, other.request("GET", "/healthz").status);
        CPPUNIT_ASSERT_EQUAL(70, daemon.stop());
    }

    void ends_while_a_plugin_hangs() {
        for (const char* id : {"hangs_in_stop", "leaks_a_thread", "hangs_in_drain"}) {
            fs::remove_all(plugins());
            fs::create_directory(plugins());
            std::vector<Expected> table;
            table.push_back({TestPlugin(id), "running", {}});
            install(table);
            DaemonProcess daemon(options(table));
            put(daemon);
            CPPUNIT_ASSERT_EQUAL(70, daemon.stop());
            const auto stored = object_of(read_file(folder_ / "data/storage.json"));
            CPPUNIT_ASSERT_EQUAL_MESSAGE("kv was stopped as it should", std::string("1"),
                                         stored->getValue<std::string>("a"));
        }
    }

    void a_reply_kept_for_ever_holds_nothing_up() {
        std::vector<Expected> table;
        table.push_back({TestPlugin("keeps_a_reply"), "running", {}});
        install(table);
        DaemonProcess daemon(options(table));
        for (int i = 0; i < 3; ++i) {
            RawClient waiting(daemon.port()), gone(daemon.port()), watching(daemon.port());
            const auto ask = [](RawClient& client, const std::string& what) {
                client.send(fmt::format(
                    "GET /api/keeps_a_reply/{} HTTP/1.1\r\nHost: localhost\r\n\r\n", what));
            };
            ask(watching, "stream");
            CPPUNIT_ASSERT(watching.read_some().starts_with("HTTP/1.1 200"));
            ask(waiting, "park");
            ask(gone, "park");
            CPPUNIT_ASSERT(eventually([&] { return under_way(daemon) == "2 0"; }));
            gone.reset();
            const Answer stopped = act(daemon, "keeps_a_reply", "disable");
            CPPUNIT_ASSERT_EQUAL_MESSAGE(stopped.body, 200, stopped.status);
            const Answer answer = waiting.read_answer();
            CPPUNIT_ASSERT_EQUAL(503, answer.status);
            CPPUNIT_ASSERT_EQUAL(std::string("plugin-disabled"), answer.member("code"));
            watching.read_to_end();  // or the test would wait for its patience
            CPPUNIT_ASSERT_EQUAL(200, act(daemon, "keeps_a_reply", "enable").status);
            // The Replies and the stream of the former life are used now, by the new one.
            const Answer unpark = request(daemon.port(), "GET", "/api/keeps_a_reply/unpark");
            CPPUNIT_ASSERT_EQUAL_MESSAGE(unpark.body, 200, unpark.status);
            CPPUNIT_ASSERT_EQUAL(std::string("2"), unpark.body);
        }
        RawClient last(daemon.port());
        last.send("GET /api/keeps_a_reply/park HTTP/1.1\r\nHost: localhost\r\n\r\n");
        CPPUNIT_ASSERT(eventually([&] { return under_way(daemon) == "1 0"; }));
        judge(daemon, table);
        CPPUNIT_ASSERT_EQUAL(0, daemon.stop());  // its static objects drop the last one
        CPPUNIT_ASSERT(daemon.log().find("Sanitizer") == std::string::npos);
    }

    void takes_a_plugin_of_another_compiler() {
        if (!fs::exists(built_test_plugin("bad_plugin_clang"))) {
            std::cout << " (passed over: this build has no second compiler)";
            return;
        }
        std::vector<Expected> table;
        table.push_back({TestPlugin("foreign", "bad_plugin_clang"), "running", {}});
        table.push_back({TestPlugin("throws_in_start", "bad_plugin_clang"),
                         "failed",
                         {"start() threw: it broke"}});
        install(table);
        DaemonProcess daemon(options(table));
        CPPUNIT_ASSERT_EQUAL(std::string("hello you"),
                             request(daemon.port(), "GET", "/api/foreign/hello").body);
        const Answer thrown = request(daemon.port(), "GET", "/api/foreign/fail");
        CPPUNIT_ASSERT_EQUAL(409, thrown.status);
        CPPUNIT_ASSERT_EQUAL(std::string("says-no"), thrown.member("code"));
        CPPUNIT_ASSERT_EQUAL(std::string("it was asked to"), thrown.member("detail"));
        CPPUNIT_ASSERT_EQUAL(
            std::string("5"),
            request(daemon.port(), "PUT", "/api/foreign/upload", {}, "12345").body);
        CPPUNIT_ASSERT_EQUAL(200, act(daemon, "foreign", "reload").status);
        judge(daemon, table);
        CPPUNIT_ASSERT_EQUAL(0, daemon.stop());
    }

    void refuses_a_file_others_may_write_to() {
        std::vector<Expected> table;
        table.push_back({TestPlugin("open_to_all").trips(), "refused", {"chmod o-w"}});
        install(table);
        fs::permissions(plugins() + "/open_to_all.so", fs::perms::others_write,
                        fs::perm_options::add);
        DaemonProcess daemon(options(table));
        judge(daemon, table);
        CPPUNIT_ASSERT_EQUAL(0, daemon.stop());
    }

private:
    std::string plugins() const { return folder_ / "plugins"; }

    void install(const std::vector<Expected>& table) const {
        for (const Expected& row : table) row.plugin.write_to(plugins());
    }

    // All of them enabled, and deadlines that a test can wait for.
    DaemonOptions options(const std::vector<Expected>& table) const {
        Environment environment{{"LARDER_DAEMON_PLUGIN_DIRS", plugins()},
                                {"LARDER_DAEMON_START_TIMEOUT", "4s"},
                                {"LARDER_DAEMON_DRAIN_TIMEOUT", "300ms"},
                                {"LARDER_DAEMON_STOP_TIMEOUT", "1s"}};
        for (const Expected& row : table) {
            std::string variable = "LARDER_" + row.plugin.id() + "_ENABLED";
            for (char& letter : variable) letter = static_cast<char>(std::toupper(letter));
            environment.emplace_back(variable, "true");
        }
        return {folder_ / "data", {}, environment, {}, true, true, {}};
    }

    static Answer act(const DaemonProcess& daemon, const std::string& plugin,
                      const std::string& action) {
        return request(daemon.port(), "POST", fmt::format("/api/plugins/{}/{}", plugin, action));
    }

    static std::string under_way(const DaemonProcess& daemon) {
        return request(daemon.port(), "GET", "/api/keeps_a_reply/under_way").body;
    }

    static void put(const DaemonProcess& daemon) {
        const int status = request(daemon.port(), "PUT", "/api/kv/storage/a", {}, "1").status;
        CPPUNIT_ASSERT(status == 201 || status == 200);
    }

    static int workers_running(const DaemonProcess& daemon) {
        return object_of(request(daemon.port(), "GET", "/api/status").body)
            ->getObject("workers")
            ->getValue<int>("running");
    }

    static void expect_words(const Expected& row, const std::string& reason) {
        for (const std::string& word : row.words) {
            CPPUNIT_ASSERT_MESSAGE(
                fmt::format("expected '{}' of {}: {}", word, row.plugin.id(), reason),
                reason.find(word) != std::string::npos);
        }
    }

    // Each as expected in /api/plugins and /readyz, printed as an admin reads it; kv serves.
    static void judge(const DaemonProcess& daemon, const std::vector<Expected>& table) {
        const auto list = object_of(request(daemon.port(), "GET", "/api/plugins").body);
        const auto ready = object_of(request(daemon.port(), "GET", "/readyz").body);
        std::cout << '\n';
        for (const Expected& row : table) {
            const auto plugin = find_item(list, {{"name", row.plugin.id()}});
            CPPUNIT_ASSERT_MESSAGE(row.plugin.id(), !plugin.isNull());
            const auto reason = plugin->getValue<std::string>("reason");
            CPPUNIT_ASSERT_EQUAL_MESSAGE(row.plugin.id() + ": " + reason, row.state,
                                         plugin->getValue<std::string>("state"));
            expect_words(row, reason);
            std::cout << fmt::format("  {:<26} {:<8} {}\n", row.plugin.id(), row.state, reason);
            const auto item = find_item(ready, {{"name", row.plugin.id()}});
            CPPUNIT_ASSERT(!item.isNull());
            CPPUNIT_ASSERT_EQUAL(std::string(row.state == "running" ? "ok" : "failed"),
                                 item->getValue<std::string>("state"));
            CPPUNIT_ASSERT_EQUAL(reason, item->getValue<std::string>("reason"));
        }
        put(daemon);
        CPPUNIT_ASSERT_EQUAL(200, request(daemon.port(), "GET", "/api/kv").status);
    }

    TemporaryFolder folder_;
};

LARDER_TEST_SUITE(BadPluginsTest);

}  // namespace
}  // namespace larder::test
