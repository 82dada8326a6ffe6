// Turning plugins on and off, restarting them and changing their settings while the daemon serves:
// over the interface, by the files, and what of it survives a restart. How bad ones fare at it is
// bad_plugins_test.cpp's.
//
// Contents: choices · side by side · what is under way · leases · live settings · by the file.
#include <fmt/format.h>
#include <signal.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <memory>
#include <thread>
#include <vector>

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

class PluginControlTest : public CppUnit::TestFixture {
    CPPUNIT_TEST_SUITE(PluginControlTest);
    CPPUNIT_TEST(turns_one_off_and_on);
    CPPUNIT_TEST(a_choice_survives_a_restart_and_wins);
    CPPUNIT_TEST(what_is_so_already_changes_nothing);
    CPPUNIT_TEST(refuses_damaged_choices);
    CPPUNIT_TEST(refuses_what_cannot_be_done);
    CPPUNIT_TEST(walks_one_at_a_time_a_plugin);
    CPPUNIT_TEST(works_with_a_single_worker);
    CPPUNIT_TEST(finishes_what_ends_in_time);
    CPPUNIT_TEST(cuts_off_what_does_not_end);
    CPPUNIT_TEST(waits_for_a_lease);
    CPPUNIT_TEST(a_reload_hands_over_live_settings);
    CPPUNIT_TEST(a_refused_setting_undoes_the_reload);
    CPPUNIT_TEST(the_file_turns_plugins_on_and_off);
    CPPUNIT_TEST(a_restart_of_the_plugin_takes_the_rest);
    CPPUNIT_TEST_SUITE_END();

public:
    void setUp() override {
        fs::create_directory(folder_ / "plugins");
        fs::create_directory(folder_ / "plugins.d");
        write_file(folder_ / "larder.ini", "");
        install("one");
        install("two");
        write_file(ini("one"), "[one]\nenabled = true\n");
        write_file(ini("two"), "[two]\nenabled = true\n");
    }
    void tearDown() override { daemon_.reset(); }

    // ---- choices

    void turns_one_off_and_on() {
        start();
        for (int i = 0; i < 3; ++i) {
            const Answer off = act("one", "disable");
            CPPUNIT_ASSERT_EQUAL_MESSAGE(off.body, 200, off.status);
            CPPUNIT_ASSERT_EQUAL(std::string("disabled"), off.member("state"));
            const Answer refused = get("/api/one/hello");
            CPPUNIT_ASSERT_EQUAL(503, refused.status);
            CPPUNIT_ASSERT_EQUAL(std::string("plugin-disabled"), refused.member("code"));
            CPPUNIT_ASSERT(refused.member("reason").find("turned off") != std::string::npos);
            CPPUNIT_ASSERT_EQUAL(200, get("/api/two/hello").status);
            CPPUNIT_ASSERT_EQUAL(200, get("/readyz").status);
            const Answer on = act("one", "enable");
            CPPUNIT_ASSERT_EQUAL_MESSAGE(on.body, 200, on.status);
            CPPUNIT_ASSERT_EQUAL(std::string("running"), on.member("state"));
            CPPUNIT_ASSERT_EQUAL(200, get("/api/one/hello").status);
        }
        // kv as well, with its data.
        CPPUNIT_ASSERT_EQUAL(201, put("1"));
        CPPUNIT_ASSERT_EQUAL(200, act("kv", "disable").status);
        CPPUNIT_ASSERT_EQUAL(503, get("/api/kv/storage/a").status);
        CPPUNIT_ASSERT_EQUAL(200, act("kv", "enable").status);
        CPPUNIT_ASSERT_EQUAL(std::string("1"), get("/api/kv/storage/a").body);
        CPPUNIT_ASSERT_EQUAL(0, daemon_->stop());
    }

    void a_choice_survives_a_restart_and_wins() {
        start();
        CPPUNIT_ASSERT_EQUAL(200, act("one", "disable").status);
        CPPUNIT_ASSERT_EQUAL(200, act("kv", "disable").status);
        restart();
        expect_choice("one", true, "false");
        CPPUNIT_ASSERT_EQUAL(503, get("/api/one/hello").status);
        CPPUNIT_ASSERT_EQUAL(503, get("/api/kv").status);
        const Answer back = act("one", "reset");
        CPPUNIT_ASSERT_EQUAL(std::string("running"), back.member("state"));
        expect_choice("one", true, "null");
        // Against a file that says no, the other way round.
        write_file(ini("two"), "[two]\nenabled = false\n");
        restart();
        CPPUNIT_ASSERT_EQUAL(503, get("/api/two/hello").status);
        CPPUNIT_ASSERT_EQUAL(200, act("two", "enable").status);
        restart();
        expect_choice("two", false, "true");
        CPPUNIT_ASSERT_EQUAL(200, get("/api/two/hello").status);
        CPPUNIT_ASSERT_EQUAL(std::string("disabled"), act("two", "reset").member("state"));
        CPPUNIT_ASSERT_EQUAL(503, get("/api/two/hello").status);
        // Nor does a kill lose what was answered.
        CPPUNIT_ASSERT_EQUAL(200, act("kv", "enable").status);
        daemon_->kill();
        start();
        expect_choice("kv", true, "true");
        CPPUNIT_ASSERT_EQUAL(200, get("/api/kv").status);
    }

    void what_is_so_already_changes_nothing() {
        start();
        const std::string since = plugin("one")->getValue<std::string>("since");
        for (int i = 0; i < 2; ++i) {
            CPPUNIT_ASSERT_EQUAL(200, act("one", "enable").status);
            CPPUNIT_ASSERT_EQUAL(200, act("one", "reset").status);
        }
        CPPUNIT_ASSERT_EQUAL(since, plugin("one")->getValue<std::string>("since"));
        expect_choice("one", true, "null");
        CPPUNIT_ASSERT(!fs::exists(folder_ / "data/plugins.json"));
        CPPUNIT_ASSERT_EQUAL(200, act("one", "disable").status);
        const std::string text = read_file(folder_ / "data/plugins.json");
        CPPUNIT_ASSERT_EQUAL(200, act("one", "disable").status);
        CPPUNIT_ASSERT_EQUAL(text, read_file(folder_ / "data/plugins.json"));
    }

    void refuses_damaged_choices() {
        fs::create_directory(folder_ / "data");
        for (const auto& [text, word] : std::vector<std::pair<std::string, std::string>>{
                 {"", "byte 0"},
                 {"{\"version\": 2, \"plugins\": {}}", "knows 1"},
                 {"{\"version\": 1, \"plugins\": {\"kv\": {\"enabled\": 1}}}", "enabled"},
                 {"{\"version\": 1, \"plugins\": {\"kv\": {}}}", "enabled"}}) {
            write_file(folder_ / "data/plugins.json", text);
            const Ran ran = run({DaemonProcess::binary(), "--data-dir", folder_ / "data",
                                 "--listen", "127.0.0.1:0"});
            CPPUNIT_ASSERT_EQUAL_MESSAGE(text, 69, ran.exit);
            CPPUNIT_ASSERT_MESSAGE(ran.err, ran.err.find("plugins.json") != std::string::npos);
            CPPUNIT_ASSERT_MESSAGE(ran.err, ran.err.find(word) != std::string::npos);
            CPPUNIT_ASSERT_MESSAGE(ran.err,
                                   ran.err.find("mend it, or remove it") != std::string::npos);
        }
    }

    void refuses_what_cannot_be_done() {
        start();
        for (const char* action : {"enable", "disable", "reload", "reset"}) {
            const Answer unknown = act("nobody", action);
            CPPUNIT_ASSERT_EQUAL(404, unknown.status);
            CPPUNIT_ASSERT_EQUAL(std::string("plugin-not-found"), unknown.member("code"));
            CPPUNIT_ASSERT_EQUAL(405, get(fmt::format("/api/plugins/one/{}", action)).status);
        }
        CPPUNIT_ASSERT_EQUAL(200, act("one", "disable").status);
        const Answer off = act("one", "reload");
        CPPUNIT_ASSERT_EQUAL(409, off.status);
        CPPUNIT_ASSERT_EQUAL(std::string("plugin-disabled"), off.member("code"));
        write_file(ini("one"), "[one]\nenabled = true\nnonsense = 1\n");
        const Answer faulty = act("one", "enable");
        CPPUNIT_ASSERT_EQUAL(422, faulty.status);
        CPPUNIT_ASSERT_EQUAL(std::string("one.nonsense"), faulty.member("key"));
        CPPUNIT_ASSERT_EQUAL(422, act("two", "reload").status);
        CPPUNIT_ASSERT_EQUAL(200, get("/api/two/hello").status);  // it was not stopped for that
    }

    // ---- side by side

    void walks_one_at_a_time_a_plugin() {
        start();
        std::atomic<bool> failed{false};
        std::vector<std::thread> threads;
        for (int i = 0; i < 6; ++i) {
            threads.emplace_back([this, i, &failed] {
                for (int j = 0; j < 10; ++j) {
                    const char* const action = (i + j) % 3 == 0   ? "disable"
                                               : (i + j) % 3 == 1 ? "enable"
                                                                  : "reset";
                    if (act(i % 2 == 0 ? "one" : "two", action).status != 200) failed = true;
                }
            });
        }
        for (std::thread& thread : threads) thread.join();
        CPPUNIT_ASSERT(!failed);
        CPPUNIT_ASSERT_EQUAL(200, act("one", "enable").status);
        CPPUNIT_ASSERT_EQUAL(200, get("/api/one/hello").status);
        CPPUNIT_ASSERT_EQUAL(0, daemon_->stop());
    }

    // The walk itself wants none, not even where that one is held by what is to be stopped.
    void works_with_a_single_worker() {
        start({{"LARDER_DAEMON_WORKER_THREADS", "1"}});
        RawClient waiting(daemon_->port()), upload(daemon_->port());
        begin_upload(upload);
        ask(waiting, "wait");
        CPPUNIT_ASSERT(eventually([&] { return get("/api/one/under_way").body == "0 1"; }));
        // It holds the only worker until it is cancelled, which the walk does.
        const Answer off = act("one", "disable");
        CPPUNIT_ASSERT_EQUAL_MESSAGE(off.body, 200, off.status);
        CPPUNIT_ASSERT_EQUAL(503, upload.read_answer().status);
        CPPUNIT_ASSERT_EQUAL(200, act("one", "enable").status);
        CPPUNIT_ASSERT_EQUAL(0, daemon_->stop());
    }

    // ---- what is under way

    void finishes_what_ends_in_time() {
        start({{"LARDER_DAEMON_DRAIN_TIMEOUT", "20s"}});
        RawClient upload(daemon_->port());
        begin_upload(upload);
        Answer off;
        std::thread stopping([&] { off = act("one", "disable"); });
        const bool drains =
            eventually([&] { return plugin("one")->getValue<std::string>("state") == "draining"; });
        const Answer late = get("/api/one/hello");
        upload.send("34");
        const Answer answer = upload.read_answer();
        stopping.join();
        CPPUNIT_ASSERT(drains);
        CPPUNIT_ASSERT_EQUAL(503, late.status);
        CPPUNIT_ASSERT_EQUAL(std::string("plugin-disabled"), late.member("code"));
        CPPUNIT_ASSERT_EQUAL(std::string("4"), answer.body);
        CPPUNIT_ASSERT_EQUAL(200, off.status);
    }

    // Everything that may be under way, none of which would end by itself.
    void cuts_off_what_does_not_end() {
        start();
        for (int i = 0; i < 3; ++i) {
            RawClient upload(daemon_->port()), endless(daemon_->port()), stream(daemon_->port()),
                parked(daemon_->port()), waiting(daemon_->port()), slow(daemon_->port());
            begin_upload(upload);
            ask(endless, "endless");
            ask(stream, "stream");
            ask(parked, "park");
            ask(waiting, "wait");
            slow.send(
                "GET /api/one/hello HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\n\r\n1");
            CPPUNIT_ASSERT(stream.read_some().starts_with("HTTP/1.1 200"));
            CPPUNIT_ASSERT(endless.read_some().starts_with("HTTP/1.1 200"));
            CPPUNIT_ASSERT(eventually([&] { return get("/api/one/under_way").body == "1 1"; }));
            const Answer off = act("one", "disable");
            CPPUNIT_ASSERT_EQUAL_MESSAGE(off.body, 200, off.status);
            CPPUNIT_ASSERT_EQUAL(503, parked.read_answer().status);
            CPPUNIT_ASSERT_EQUAL(503, upload.read_answer().status);
            CPPUNIT_ASSERT_EQUAL(503, slow.read_answer().status);
            for (RawClient* cut : {&endless, &stream, &waiting}) cut->read_to_end();
            CPPUNIT_ASSERT_EQUAL(200, get("/api/two/hello").status);
            CPPUNIT_ASSERT_EQUAL(200, act("one", "enable").status);
            CPPUNIT_ASSERT_EQUAL(std::string("1"), get("/api/one/unpark").body);
        }
        CPPUNIT_ASSERT_EQUAL(0, daemon_->stop());
        CPPUNIT_ASSERT(daemon_->log().find("second answer") == std::string::npos);
    }

    // ---- leases

    void waits_for_a_lease() {
        install("offers");
        write_file(ini("offers"), "[offers]\nenabled = true\n");
        start({{"LARDER_DAEMON_STOP_TIMEOUT", "300ms"}});
        CPPUNIT_ASSERT_EQUAL(std::string("held"), get("/api/one/lease").body);
        const Answer used = act("offers", "disable");
        CPPUNIT_ASSERT_EQUAL(409, used.status);
        CPPUNIT_ASSERT_EQUAL(std::string("plugin-in-use"), used.member("code"));
        CPPUNIT_ASSERT_MESSAGE(
            used.body, used.member("reason").find("but one still uses") != std::string::npos);
        CPPUNIT_ASSERT_EQUAL(200, act("one", "disable").status);
        const Answer off = act("offers", "disable");
        CPPUNIT_ASSERT_EQUAL_MESSAGE(off.body, 200, off.status);
        CPPUNIT_ASSERT_EQUAL(200, act("one", "enable").status);
        CPPUNIT_ASSERT_EQUAL(std::string("none"), get("/api/one/lease").body);
        CPPUNIT_ASSERT_EQUAL(200, act("offers", "enable").status);
        CPPUNIT_ASSERT_EQUAL(std::string("held"), get("/api/one/lease").body);
    }

    // ---- live settings

    void a_reload_hands_over_live_settings() {
        start();
        CPPUNIT_ASSERT_EQUAL(std::string("hello you"), get("/api/one/hello").body);
        write_file(ini("one"), "[one]\nenabled = true\ngreeting = hail\nname = all\n");
        const Answer answer = reload();
        CPPUNIT_ASSERT_EQUAL_MESSAGE(answer.body, 200, answer.status);
        CPPUNIT_ASSERT_EQUAL(std::string("one.greeting"), keys(answer, "applied"));
        CPPUNIT_ASSERT_EQUAL(std::string("one.name"), keys(answer, "needs_restart"));
        CPPUNIT_ASSERT_EQUAL(std::string("hail you"), get("/api/one/hello").body);
        write_file(ini("one"), "[one]\nenabled = true\ngreeting = ahoy\n");
        daemon_->signal(SIGHUP);
        CPPUNIT_ASSERT(daemon_->wait_for_log("one.greeting is now ahoy"));
        CPPUNIT_ASSERT_EQUAL(std::string("ahoy you"), get("/api/one/hello").body);
    }

    void a_refused_setting_undoes_the_reload() {
        start();
        write_file(ini("one"), "[one]\nenabled = true\ngreeting = hail\n");
        write_file(ini("two"), "[two]\nenabled = true\n\ngreeting = bad\n");
        write_file(folder_ / "larder.ini", "[http]\nallowed_hosts = fresh.example\n");
        const Answer answer = reload();
        CPPUNIT_ASSERT_EQUAL_MESSAGE(answer.body, 422, answer.status);
        const auto problem = object_of(answer.body);
        CPPUNIT_ASSERT_EQUAL(ini("two"), problem->getValue<std::string>("file"));
        CPPUNIT_ASSERT_EQUAL(4, problem->getValue<int>("line"));
        CPPUNIT_ASSERT_EQUAL(std::string("two.greeting"), problem->getValue<std::string>("key"));
        CPPUNIT_ASSERT(answer.member("detail").find("'bad' is no greeting") != std::string::npos);
        CPPUNIT_ASSERT_EQUAL(std::string("hello you"), get("/api/one/hello").body);
        CPPUNIT_ASSERT_EQUAL(std::string("hello you"), get("/api/two/hello").body);
        CPPUNIT_ASSERT_EQUAL(std::string("hello"), setting("one.greeting"));
        CPPUNIT_ASSERT_EQUAL(std::string(), setting("http.allowed_hosts"));
        write_file(ini("two"), "[two]\nenabled = true\n");
        CPPUNIT_ASSERT_EQUAL(200, reload().status);
        CPPUNIT_ASSERT_EQUAL(std::string("hail you"), get("/api/one/hello").body);
    }

    // ---- by the file

    void the_file_turns_plugins_on_and_off() {
        install("throws_in_start");
        write_file(ini("two"), "[two]\nenabled = false\n");
        start();
        write_file(ini("one"), "[one]\nenabled = false\n");
        write_file(ini("two"), "[two]\nenabled = true\nname = all\n");
        const Answer answer = reload();
        CPPUNIT_ASSERT_EQUAL_MESSAGE(answer.body, 200, answer.status);
        CPPUNIT_ASSERT_EQUAL(std::string("one.enabled two.enabled two.name"),
                             keys(answer, "applied"));
        CPPUNIT_ASSERT_EQUAL(std::string(), keys(answer, "needs_restart"));
        CPPUNIT_ASSERT_EQUAL(503, get("/api/one/hello").status);
        CPPUNIT_ASSERT_EQUAL(std::string("hello all"), get("/api/two/hello").body);
        // One that does not start undoes the whole.
        write_file(ini("one"), "[one]\nenabled = true\n");
        write_file(ini("throws_in_start"), "[throws_in_start]\nenabled = true\n");
        const Answer refused = reload();
        CPPUNIT_ASSERT_EQUAL_MESSAGE(refused.body, 422, refused.status);
        CPPUNIT_ASSERT_EQUAL(std::string("throws_in_start.enabled"), refused.member("key"));
        CPPUNIT_ASSERT(refused.member("detail").find("it broke") != std::string::npos);
        CPPUNIT_ASSERT_EQUAL(503, get("/api/one/hello").status);
        CPPUNIT_ASSERT_EQUAL(std::string("disabled"),
                             plugin("throws_in_start")->getValue<std::string>("state"));
        CPPUNIT_ASSERT_EQUAL(200, get("/readyz").status);
        // A choice stands against it.
        CPPUNIT_ASSERT_EQUAL(200, act("two", "enable").status);
        CPPUNIT_ASSERT_EQUAL(200, act("two", "disable").status);
        write_file(ini("throws_in_start"), "[throws_in_start]\nenabled = false\n");
        write_file(ini("two"), "[two]\nenabled = false\n");
        CPPUNIT_ASSERT_EQUAL(200, reload().status);
        write_file(ini("two"), "[two]\nenabled = true\n");
        CPPUNIT_ASSERT_EQUAL(200, reload().status);
        CPPUNIT_ASSERT_EQUAL(200, get("/api/one/hello").status);
        CPPUNIT_ASSERT_EQUAL(503, get("/api/two/hello").status);
        expect_choice("two", true, "false");
    }

    void a_restart_of_the_plugin_takes_the_rest() {
        start();
        write_file(ini("one"), "[one]\nenabled = true\nname = all\n");
        write_file(ini("two"), "[two]\nenabled = true\nname = all\n");
        CPPUNIT_ASSERT_EQUAL(std::string("one.name two.name"), keys(reload(), "needs_restart"));
        CPPUNIT_ASSERT_EQUAL(200, act("one", "reload").status);
        CPPUNIT_ASSERT_EQUAL(std::string("hello all"), get("/api/one/hello").body);
        CPPUNIT_ASSERT_EQUAL(std::string("hello you"), get("/api/two/hello").body);
        CPPUNIT_ASSERT_EQUAL(std::string("two.name"), keys(reload(), "needs_restart"));
    }

private:
    std::string ini(const std::string& plugin) const {
        return folder_ / ("plugins.d/" + plugin + ".ini");
    }
    void install(const std::string& id) const { TestPlugin(id).write_to(folder_ / "plugins"); }
    void start(Environment further = {}) {
        Environment environment{{"LARDER_DAEMON_PLUGIN_DIRS", folder_ / "plugins"},
                                {"LARDER_DAEMON_DRAIN_TIMEOUT", "300ms"}};
        for (auto& entry : further) {
            std::erase_if(environment,
                          [&](const auto& known) { return known.first == entry.first; });
            environment.push_back(std::move(entry));
        }
        daemon_ =
            std::make_unique<DaemonProcess>(DaemonOptions{folder_ / "data",
                                                          {"--config", folder_ / "larder.ini"},
                                                          std::move(environment),
                                                          {},
                                                          true,
                                                          true,
                                                          {}});
    }
    void restart() {
        CPPUNIT_ASSERT_EQUAL(0, daemon_->stop());
        start();
    }

    Answer get(const std::string& target) const { return request(daemon_->port(), "GET", target); }
    int put(const std::string& value) const {
        return request(daemon_->port(), "PUT", "/api/kv/storage/a", {}, value).status;
    }
    Answer act(const std::string& name, const std::string& action) const {
        return request(daemon_->port(), "POST", fmt::format("/api/plugins/{}/{}", name, action));
    }
    Answer reload() const { return request(daemon_->port(), "POST", "/api/reload"); }
    static void ask(RawClient& client, const std::string& what) {
        client.send(fmt::format("GET /api/one/{} HTTP/1.1\r\nHost: localhost\r\n\r\n", what));
    }
    Poco::JSON::Object::Ptr plugin(const std::string& name) const {
        return object_of(get("/api/plugins/" + name).body);
    }
    std::string setting(const std::string& key) const {
        return find_item(object_of(get("/api/config").body), {{"key", key}})
            ->getValue<std::string>("value");
    }
    // Of four bytes two; the plugin has opened it when it asks for them.
    static void begin_upload(RawClient& client) {
        client.send(
            "PUT /api/one/upload HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\n"
            "Content-Length: 4\r\n\r\n");
        CPPUNIT_ASSERT(client.read_some().starts_with("HTTP/1.1 100"));
        client.send("12");
    }

    void expect_choice(const std::string& name, bool configured, const std::string& chosen) const {
        const auto choice = plugin(name)->getObject("choice");
        CPPUNIT_ASSERT_EQUAL(configured, choice->getValue<bool>("configured"));
        const std::string was = choice->isNull("chosen")           ? "null"
                                : choice->getValue<bool>("chosen") ? "true"
                                                                   : "false";
        CPPUNIT_ASSERT_EQUAL(chosen, was);
    }

    // The keys of one of a reload's lists, sorted.
    static std::string keys(const Answer& answer, const std::string& member) {
        const auto array = object_of(answer.body)->getArray(member);
        std::vector<std::string> names;
        for (unsigned i = 0; i < array->size(); ++i) {
            names.push_back(array->getObject(i)->getValue<std::string>("key"));
        }
        std::sort(names.begin(), names.end());
        return fmt::format("{}", fmt::join(names, " "));
    }

    TemporaryFolder folder_;
    std::unique_ptr<DaemonProcess> daemon_;
};

LARDER_TEST_SUITE(PluginControlTest);

}  // namespace
}  // namespace larder::test
