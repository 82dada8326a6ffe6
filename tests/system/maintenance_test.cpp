// Snapshots and restores through a real larderd: one moment of all plugins, files swapped under kv,
// revisions that go on, and a kill in front of every rename on the way.
#include <fmt/format.h>
#include <signal.h>

#include <filesystem>
#include <iostream>
#include <memory>
#include <string>

#include "support/daemon_process.hpp"
#include "support/json_view.hpp"
#include "support/raw_client.hpp"
#include "support/suite.hpp"
#include "support/test_plugin.hpp"
#include "support/tracer.hpp"

namespace larder::test {
namespace {

namespace fs = std::filesystem;

class MaintenanceTest : public CppUnit::TestFixture {
    CPPUNIT_TEST_SUITE(MaintenanceTest);
    CPPUNIT_TEST(pins_what_stands_at_one_moment);
    CPPUNIT_TEST(restores_files);
    CPPUNIT_TEST(gives_up_on_who_does_not_come_to_rest);
    CPPUNIT_TEST(restores_what_was_pinned);
    CPPUNIT_TEST(puts_back_what_a_plugin_refuses);
    CPPUNIT_TEST(refuses_what_is_not_to_be_swapped);
    CPPUNIT_TEST(a_kill_at_every_rename_leaves_old_or_new);
    CPPUNIT_TEST_SUITE_END();

public:
    void setUp() override { begin(); }
    void tearDown() override { daemon_.reset(); }

    void pins_what_stands_at_one_moment() {
        put("storage/a", "1");
        put("feature_flags/dark", "true");
        put("notes/n", R"({"x":1e400})");
        const std::string pinned = "\n" + post("probe/snapshot?into=probe/snap").body;
        for (const char* plugin : {"\nfiles\n", "\nkv\n", "\nshelf\n"}) {
            CPPUNIT_ASSERT_MESSAGE(pinned, pinned.find(plugin) != std::string::npos);
        }
        const std::string snap = data() + "/probe/snap/";
        CPPUNIT_ASSERT_EQUAL(std::string("{\n\"a\": 1\n}\n"), read_file(snap + "kv/storage.json"));
        CPPUNIT_ASSERT_EQUAL(std::string("{\n\"n\": {\"x\":1e400}\n}\n"),
                             read_file(snap + "kv/kv/notes.json"));
        CPPUNIT_ASSERT(fs::exists(snap + "kv/config/feature_flags.json.meta"));
        CPPUNIT_ASSERT_EQUAL(std::string("yes"), read_file(snap + "shelf/shelf/pinned"));
        CPPUNIT_ASSERT(!fs::exists(data() + "/kv/.moment"));
        CPPUNIT_ASSERT_EQUAL(201, put("storage/b", "2").status);
    }

    // What was uploaded later goes, what was deleted comes back, as one.
    void restores_files() {
        const auto upload = [&](const std::string& bytes) {
            return client().request("PUT", "/api/files/a.txt", {}, bytes).header("location");
        };
        const std::string kept = upload("kept"), deleted = upload("deleted");
        CPPUNIT_ASSERT_EQUAL(200, get(kept).status);
        CPPUNIT_ASSERT_EQUAL(200, post("probe/snapshot?into=probe/snap").status);
        const std::string records =
            read_file(data() + "/probe/snap/files/files/files_metadata.json");
        CPPUNIT_ASSERT(records.ends_with("}, \"total_size\": 11, \"file_count\": 2}\n"));
        CPPUNIT_ASSERT_EQUAL(204, client().request("DELETE", deleted).status);
        const std::string later = upload("later");
        CPPUNIT_ASSERT_EQUAL(std::string("swapped"),
                             post("probe/swap?path=files&staged=probe/snap/files/files").body);
        for (int i = 0; i < 2; ++i) {
            CPPUNIT_ASSERT_EQUAL(std::string("kept"), get(kept).body);
            CPPUNIT_ASSERT_EQUAL(std::string("deleted"), get(deleted).body);
            CPPUNIT_ASSERT_EQUAL(404, get(later).status);
            const std::string state = get("/api/files/storage").body;
            CPPUNIT_ASSERT_MESSAGE(state, state.starts_with(R"({"used_bytes":11,)"));
            CPPUNIT_ASSERT(state.find(R"("orphans":[],"missing":[],"damaged":[])") !=
                           std::string::npos);
            CPPUNIT_ASSERT_EQUAL(0, daemon_->stop());
            start();
        }
    }

    void gives_up_on_who_does_not_come_to_rest() {
        post("shelf/stiff");
        const Answer late = post("probe/snapshot?into=probe/snap");
        CPPUNIT_ASSERT_EQUAL(503, late.status);
        CPPUNIT_ASSERT_EQUAL(std::string("not-held"), late.member("code"));
        CPPUNIT_ASSERT(late.member("detail").find("shelf did not come to rest") !=
                       std::string::npos);
        CPPUNIT_ASSERT_EQUAL(201, put("storage/a", "1").status);
        CPPUNIT_ASSERT_EQUAL(200, post("probe/snapshot?into=probe/snap").status);
    }

    void restores_what_was_pinned() {
        pin_then_change();
        const auto before = version();
        CPPUNIT_ASSERT_EQUAL(std::string("swapped"), post(kSwapAll).body);
        judge_new();
        const auto after = version();
        CPPUNIT_ASSERT(after.first > before.first);    // another epoch
        CPPUNIT_ASSERT(after.second > before.second);  // and no revision twice
        CPPUNIT_ASSERT_EQUAL(404, get("/api/kv/later/x").status);
        CPPUNIT_ASSERT_EQUAL(201, put("later/x", "3").status);
        const std::string etag = get("/api/kv/later/x").header("etag");
        CPPUNIT_ASSERT(etag != "\"1\"" && !etag.empty());  // the bucket's numbers were kept
        CPPUNIT_ASSERT(!fs::exists(data() + "/.swap.json"));
        CPPUNIT_ASSERT_EQUAL(0, daemon_->stop());
        start();
        judge_new();
    }

    void puts_back_what_a_plugin_refuses() {
        pin_then_change();
        const auto before = version();
        // kv adopts nothing that is damaged.
        write_file(data() + "/probe/snap/kv/storage.json", "no JSON");
        const Answer refused = post(kSwapAll);
        CPPUNIT_ASSERT_EQUAL(409, refused.status);
        CPPUNIT_ASSERT_EQUAL(std::string("restore-failed"), refused.member("code"));
        judge_old();
        CPPUNIT_ASSERT(before == version());
        CPPUNIT_ASSERT(!fs::exists(data() + "/.swap.json"));
    }

    void refuses_what_is_not_to_be_swapped() {
        fs::create_directories(data() + "/probe/snap");
        write_file(data() + "/probe/snap/x", "x");
        for (const char* path :
             {"../x", "plugins.json", "jobs.json", "nobodys", "probe/y", "logs/access.log"}) {
            const Answer answer = post(fmt::format("probe/swap?path={}&staged=probe/snap/x", path));
            CPPUNIT_ASSERT_EQUAL_MESSAGE(path, std::string("invalid-plan"), answer.member("code"));
        }
        client().request("POST", "/api/plugins/kv/disable");
        CPPUNIT_ASSERT_EQUAL(
            std::string("plugin-disabled"),
            post("probe/swap?path=storage.json&staged=probe/snap/x").member("code"));
    }

    void a_kill_at_every_rename_leaves_old_or_new() {
        if (!tracing_unavailable().empty()) {
            std::cout << " SKIPPED: " << tracing_unavailable() << ' ' << std::flush;
            return;
        }
        int kills = 0, olds = 0, news = 0;
        // The swap's own renames, and those of kv's stop and adoption.
        for (const char* const thread : {"larder-worker", "kv"}) {
            for (int number = 1; was_killed(thread, number); ++number) {
                ++kills;
                start();
                const bool is_new = get("/api/kv/storage/a").body == "1";
                is_new ? judge_new() : judge_old();
                ++(is_new ? news : olds);
                CPPUNIT_ASSERT(!fs::exists(data() + "/.swap.json"));
            }
            judge_new();
        }
        std::cout << fmt::format(" ({} kills: {} old, {} new)", kills, olds, news) << std::flush;
        CPPUNIT_ASSERT(kills >= 6);
        CPPUNIT_ASSERT(news >= 3);
    }

private:
    static constexpr const char* kSwapAll =
        "probe/swap?path=storage.json&staged=probe/snap/kv/storage.json"
        "&path=config&staged=probe/snap/kv/config&path=kv&staged=probe/snap/kv/kv";

    // In front of that thread's rename of this number, in the course of a swap; false: there are
    // not so many.
    bool was_killed(const char* thread, int number) {
        begin();
        pin_then_change();
        {
            const Tracer tracer(thread_named(daemon_->pid(), thread),
                                {fmt::format("rename:signal=KILL:when={}", number)});
            try {
                if (post(kSwapAll).status == 200) return false;
            } catch (const std::exception&) {
                // the connection was cut
            }
        }
        CPPUNIT_ASSERT_EQUAL(128 + SIGKILL, daemon_->wait());
        return true;
    }
    void begin() {
        daemon_.reset();
        folder_ = std::make_unique<TemporaryFolder>();
        fs::create_directory(*folder_ / "plugins");
        for (const char* plugin : {"shelf", "probe"}) {
            fs::copy_file(built_test_plugin(plugin),
                          *folder_ / fmt::format("plugins/{}.so", plugin));
        }
        start();
    }
    void start() {
        daemon_.reset();
        DaemonOptions options;
        options.data_directory = data();
        options.environment = {{"LARDER_DAEMON_PLUGIN_DIRS", *folder_ / "plugins"},
                               {"LARDER_SHELF_ENABLED", "true"},
                               {"LARDER_PROBE_ENABLED", "true"},
                               {"LARDER_DAEMON_WORKER_THREADS", "1"}};
        daemon_ = std::make_unique<DaemonProcess>(options);
    }
    void pin_then_change() {
        put("storage/a", "1");
        put("feature_flags/dark", "true");
        put("notes/n", "1");
        CPPUNIT_ASSERT_EQUAL(200, post("probe/snapshot?into=probe/snap").status);
        put("storage/a", "2");
        put("storage/b", "2");
        put("feature_flags/dark", "false");
        put("later/x", "2");
    }
    void judge_new() const {
        same("1", "storage/a");
        CPPUNIT_ASSERT_EQUAL(404, get("/api/kv/storage/b").status);
        same("true", "feature_flags/dark");
        same("1", "notes/n");
    }
    void judge_old() const {
        same("2", "storage/a");
        same("2", "storage/b");
        same("false", "feature_flags/dark");
        same("2", "later/x");
    }
    void same(const std::string& wanted, const std::string& key) const {
        CPPUNIT_ASSERT_EQUAL(wanted, get("/api/kv/" + key).body);
    }
    // Epoch and revision of storage.
    std::pair<int, int> version() const {
        const std::string text = get("/api/kv/storage/a").header("larder-revision");
        return {std::stoi(text), std::stoi(text.substr(text.find('-') + 1))};
    }
    std::string data() const { return *folder_ / "data"; }
    RawClient client() const { return RawClient(daemon_->port()); }
    Answer get(const std::string& target) const { return client().request("GET", target); }
    Answer post(const std::string& what) const { return client().request("POST", "/api/" + what); }
    Answer put(const std::string& key, const std::string& value) const {
        return client().request("PUT", "/api/kv/" + key, "", value);
    }

    std::unique_ptr<TemporaryFolder> folder_;
    std::unique_ptr<DaemonProcess> daemon_;
};

LARDER_TEST_SUITE(MaintenanceTest);

}  // namespace
}  // namespace larder::test
