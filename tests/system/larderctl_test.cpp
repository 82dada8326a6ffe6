// larderctl as an admin and a script use it: against a real larderd over its Unix socket, against
// none, with wrong words, and on files alone.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <thread>

#include "support/command.hpp"
#include "support/daemon_process.hpp"
#include "support/json_view.hpp"
#include "support/raw_client.hpp"
#include "support/suite.hpp"

namespace larder::test {
namespace {

namespace fs = std::filesystem;

class LarderctlTest : public CppUnit::TestFixture {
    CPPUNIT_TEST_SUITE(LarderctlTest);
    CPPUNIT_TEST(tells_how_the_daemon_stands);
    CPPUNIT_TEST(finds_the_daemon_by_itself);
    CPPUNIT_TEST(says_that_nobody_answers);
    CPPUNIT_TEST(refuses_wrong_words);
    CPPUNIT_TEST(helps);
    CPPUNIT_TEST(turns_a_plugin_off_and_on);
    CPPUNIT_TEST(tells_what_a_reload_did);
    CPPUNIT_TEST(runs_jobs_and_tells_alerts);
    CPPUNIT_TEST(sets_gets_and_deletes);
    CPPUNIT_TEST(obeys_conditions);
    CPPUNIT_TEST(lists_over_pages);
    CPPUNIT_TEST(carries_a_bucket_out_and_in);
    CPPUNIT_TEST(leaves_no_half_of_an_export);
    CPPUNIT_TEST(carries_files_in_and_out);
    CPPUNIT_TEST(looks_after_the_cache);
    CPPUNIT_TEST(watches_over_a_restart);
    CPPUNIT_TEST(judges_a_bucket_at_rest);
    CPPUNIT_TEST(checks_and_explains_files);
    CPPUNIT_TEST(judges_a_plugin_without_a_daemon);
    CPPUNIT_TEST(begins_a_plugin);
    CPPUNIT_TEST_SUITE_END();

public:
    void tearDown() override { daemon_.reset(); }

    void tells_how_the_daemon_stands() {
        start();
        const Ran status = ctl({"status"});
        CPPUNIT_ASSERT_EQUAL_MESSAGE(status.err, 0, status.exit);
        CPPUNIT_ASSERT(has(status.out, std::to_string(daemon_->pid())));
        CPPUNIT_ASSERT(has(status.out, "kv (running)"));
        CPPUNIT_ASSERT_EQUAL(static_cast<int>(daemon_->pid()),
                             object_of(ctl({"--json", "status"}).out)->getValue<int>("pid"));
        const Ran health = ctl({"health"});
        CPPUNIT_ASSERT_EQUAL_MESSAGE(health.out + health.err, 0, health.exit);
        CPPUNIT_ASSERT(health.out.starts_with("ready\n"));
        CPPUNIT_ASSERT(has(ctl({"plugin", "list"}).out, "running"));
        const Ran shown = ctl({"plugin", "show", "kv"});
        CPPUNIT_ASSERT(has(shown.out, "/api/kv/{bucket}") && has(shown.out, "kv.max_value"));
        const Ran unknown = ctl({"plugin", "show", "nothing"});
        CPPUNIT_ASSERT_EQUAL(1, unknown.exit);
        CPPUNIT_ASSERT(has(unknown.err, "plugin-not-found"));
    }

    void finds_the_daemon_by_itself() {
        start();
        CPPUNIT_ASSERT_EQUAL(0, run({binary(), "health"}, {{"LARDER_SOCKET", socket()}}).exit);
        const std::string url = fmt::format("http://127.0.0.1:{}", daemon_->port());
        CPPUNIT_ASSERT_EQUAL(0, run({binary(), "health"}, {{"LARDER_URL", url}}).exit);
        CPPUNIT_ASSERT_EQUAL(0, run({binary(), "--url", url, "health"}).exit);
        CPPUNIT_ASSERT_EQUAL(0, run({binary(), "health"}, {{"RUNTIME_DIRECTORY", data()}}).exit);
        // What is said on the command line wins.
        CPPUNIT_ASSERT_EQUAL(
            0,
            run({binary(), "--socket", socket(), "health"}, {{"LARDER_SOCKET", "/nowhere"}}).exit);
    }

    void says_that_nobody_answers() {
        const Ran none = run({binary(), "--socket", folder_ / "none.sock", "status"});
        CPPUNIT_ASSERT_EQUAL(3, none.exit);
        CPPUNIT_ASSERT(has(none.err, "none.sock") && has(none.err, "--url"));
        CPPUNIT_ASSERT_EQUAL(3, run({binary(), "--url", "http://127.0.0.1:1", "health"}).exit);
        start();
        daemon_->stop();
        CPPUNIT_ASSERT_EQUAL(3, ctl({"status"}).exit);
        CPPUNIT_ASSERT_EQUAL(3, ctl({"kv", "watch", "storage"}).exit);
    }

    void refuses_wrong_words() {
        for (const std::vector<std::string>& words :
             std::vector<std::vector<std::string>>{{},
                                                   {"frobnicate"},
                                                   {"plugin"},
                                                   {"plugin", "frobnicate"},
                                                   {"kv", "get", "storage"},
                                                   {"status", "now"},
                                                   {"status", "--frobnicate"},
                                                   {"status", "--json=yes"},
                                                   {"kv", "get", "a", "b", "--pointer"},
                                                   {"--url", "ftp://x", "status"},
                                                   {"--url", "http://x/y", "status"},
                                                   {"--url", "http://x", "--socket", "y", "status"},
                                                   {"kv", "set", "a", "b", "not json"},
                                                   {"kv", "watch", "a", "--count", "0"},
                                                   {"plugin", "new", "Bad-Name"},
                                                   {"config", "explain", "http.lisen"}}) {
            std::vector<std::string> line{binary()};
            line.insert(line.end(), words.begin(), words.end());
            const Ran ran = run(line, {{"LARDER_SOCKET", folder_ / "none.sock"}});
            CPPUNIT_ASSERT_EQUAL_MESSAGE(fmt::format("{}: {}", fmt::join(words, " "), ran.err), 2,
                                         ran.exit);
        }
        CPPUNIT_ASSERT(has(run({binary(), "statsu"}).err, "did you mean 'status'"));
        CPPUNIT_ASSERT(has(run({binary(), "config", "explain", "http.lisen"}).err,
                           "did you mean 'http.listen'"));
    }

    void helps() {
        const Ran overview = run({binary(), "--help"});
        CPPUNIT_ASSERT_EQUAL(0, overview.exit);
        for (const char* command : {"status", "plugin enable NAME", "kv watch BUCKET"}) {
            CPPUNIT_ASSERT_MESSAGE(command, has(overview.out, command));
        }
        const Ran one = run({binary(), "kv", "set", "--help"});
        CPPUNIT_ASSERT_EQUAL(0, one.exit);
        CPPUNIT_ASSERT(has(one.out, "--ttl SECONDS|keep") && has(one.out, "--socket PATH"));
    }

    void turns_a_plugin_off_and_on() {
        start();
        const Ran off = ctl({"plugin", "disable", "kv"});
        CPPUNIT_ASSERT_EQUAL_MESSAGE(off.err, 0, off.exit);
        CPPUNIT_ASSERT(off.out.starts_with("kv is disabled"));
        const Ran refused = ctl({"kv", "list"});
        CPPUNIT_ASSERT_EQUAL(1, refused.exit);
        CPPUNIT_ASSERT(has(refused.err, "plugin-disabled"));
        CPPUNIT_ASSERT(ctl({"plugin", "enable", "kv"}).out.starts_with("kv is running"));
        CPPUNIT_ASSERT(has(ctl({"plugin", "show", "kv"}).out, "chosen"));
        CPPUNIT_ASSERT(ctl({"plugin", "reload", "kv"}).out.starts_with("kv is running"));
        CPPUNIT_ASSERT_EQUAL(0, ctl({"plugin", "reset", "kv"}).exit);
        CPPUNIT_ASSERT(!has(ctl({"plugin", "show", "kv"}).out, "chosen"));
    }

    void tells_what_a_reload_did() {
        write_file(folder_ / "larder.ini", "[daemon]\nlog_level = info\n");
        start({"--config", folder_ / "larder.ini"});
        CPPUNIT_ASSERT_EQUAL(std::string("nothing has changed\n"), ctl({"reload"}).out);
        write_file(folder_ / "larder.ini", "[daemon]\nlog_level = debug\n");
        const Ran applied = ctl({"reload"});
        CPPUNIT_ASSERT(has(applied.out, "APPLIED") && has(applied.out, "daemon.log_level"));
        write_file(folder_ / "larder.ini", "[daemon]\nlog_levle = debug\n");
        const Ran refused = ctl({"reload"});
        CPPUNIT_ASSERT_EQUAL(1, refused.exit);
        CPPUNIT_ASSERT(has(refused.err, "line: 2"));
    }

    void runs_jobs_and_tells_alerts() {
        // Without programs, which raise an alert where the machine grants them no sandbox.
        start({}, {{"LARDER_PROGRAMS_ENABLED", "false"}});
        if (request(daemon_->port(), "GET", "/api/alerts").status == 404) return;
        CPPUNIT_ASSERT_EQUAL(std::string("no alert\n"), ctl({"alerts", "--all"}).out);
        CPPUNIT_ASSERT_EQUAL(0, ctl({"jobs", "list"}).exit);
        CPPUNIT_ASSERT_EQUAL(1, ctl({"jobs", "run", "no-such-job"}).exit);
    }

    void sets_gets_and_deletes() {
        start();
        CPPUNIT_ASSERT(has(ctl({"kv", "set", "notes", "a/b", R"({"n": 1e400})"}).out, "new"));
        CPPUNIT_ASSERT_EQUAL(std::string("{\"n\":1e400}\n"),
                             ctl({"kv", "get", "notes", "a/b"}).out);
        CPPUNIT_ASSERT_EQUAL(std::string("1e400\n"),
                             ctl({"kv", "get", "notes", "a/b", "--pointer", "/n"}).out);
        ctl({"kv", "set", "notes", "text", "--text", "it's \"said\""});
        CPPUNIT_ASSERT_EQUAL(std::string("\"it's \\\"said\\\"\"\n"),
                             ctl({"kv", "get", "notes", "text"}).out);
        ctl({"kv", "set", "notes", "--", "-dash", "-1"});
        CPPUNIT_ASSERT_EQUAL(std::string("-1\n"), ctl({"kv", "get", "notes", "--", "-dash"}).out);
        ctl({"kv", "set", "notes", "m", "1", "--metadata", R"({"by":"ann"})", "--ttl", "3600"});
        const auto record = object_of(ctl({"kv", "get", "notes", "m", "--meta"}).out);
        CPPUNIT_ASSERT(!record->isNull("expires_at"));
        CPPUNIT_ASSERT_EQUAL(0, ctl({"kv", "delete", "notes", "a/b"}).exit);
        const Ran gone = ctl({"kv", "get", "notes", "a/b"});
        CPPUNIT_ASSERT_EQUAL(1, gone.exit);
        CPPUNIT_ASSERT(has(gone.err, "key-not-found") && gone.out.empty());
    }

    void obeys_conditions() {
        start();
        CPPUNIT_ASSERT_EQUAL(0, ctl({"kv", "set", "b", "k", "1", "--if-new"}).exit);
        const Ran again = ctl({"kv", "set", "b", "k", "2", "--if-new"});
        CPPUNIT_ASSERT_EQUAL(1, again.exit);
        CPPUNIT_ASSERT(has(again.err, "if-none-match"));
        CPPUNIT_ASSERT_EQUAL(0, ctl({"kv", "set", "b", "k", "2", "--if-match", "1"}).exit);
        CPPUNIT_ASSERT_EQUAL(1, ctl({"kv", "delete", "b", "k", "--if-match", "1"}).exit);
        CPPUNIT_ASSERT_EQUAL(0, ctl({"kv", "delete", "b", "k", "--if-match", "2"}).exit);
    }

    void lists_over_pages() {
        start();
        import_numbers(1500);
        const Ran all = ctl({"kv", "list", "many"});
        CPPUNIT_ASSERT_EQUAL(std::ptrdiff_t{1500},
                             std::count(all.out.begin(), all.out.end(), '\n'));
        CPPUNIT_ASSERT_EQUAL(std::string("k1499\t1499\n"),
                             ctl({"kv", "list", "many", "--prefix", "k1499", "--values"}).out);
        CPPUNIT_ASSERT(has(ctl({"kv", "list"}).out, "kv/many.json"));
    }

    void carries_a_bucket_out_and_in() {
        start();
        import_numbers(2100);
        ctl({"kv", "set", "many", "big", "--text", std::string(700'000 / 8, 'x')});
        const std::string out = folder_ / "out.json";
        const Ran exported = ctl({"kv", "export", "many", out});
        CPPUNIT_ASSERT_EQUAL_MESSAGE(exported.err, 0, exported.exit);
        CPPUNIT_ASSERT(has(exported.out, "2101 keys"));
        CPPUNIT_ASSERT_EQUAL_MESSAGE("to import it again", 0,
                                     ctl({"kv", "import", "copy", out}).exit);
        CPPUNIT_ASSERT_EQUAL(read_file(out) + "\n", ctl({"kv", "export", "copy"}).out);
        const std::string cut = folder_ / "cut.json";
        write_file(cut, R"({"fine": 1, "half": )");
        const Ran refused = ctl({"kv", "import", "other", cut});
        CPPUNIT_ASSERT_EQUAL(4, refused.exit);
        CPPUNIT_ASSERT(has(refused.err, "cut.json"));
        CPPUNIT_ASSERT_EQUAL(4, ctl({"kv", "import", "other", folder_ / "none.json"}).exit);
    }

    void leaves_no_half_of_an_export() {
        start();
        const std::string out = folder_ / "out.json";
        write_file(out, "{}");
        CPPUNIT_ASSERT_EQUAL(1, ctl({"kv", "export", "nothing", out}).exit);
        CPPUNIT_ASSERT_EQUAL(std::string("{}"), read_file(out));
        CPPUNIT_ASSERT(!fs::exists(out + ".part"));
    }

    void carries_files_in_and_out() {
        start();
        const std::string source = folder_ / "a b.txt", copy = folder_ / "copy.txt";
        const std::string bytes(300000, 'x');
        write_file(source, bytes);
        const Ran put = ctl({"file", "put", source});
        CPPUNIT_ASSERT_EQUAL_MESSAGE(put.err, 0, put.exit);
        const std::string name = put.out.substr(0, put.out.size() - 1);
        CPPUNIT_ASSERT(name.starts_with("a b_"));
        CPPUNIT_ASSERT(has(ctl({"file", "list", "--prefix", "a", "--sort", "size"}).out, name));
        CPPUNIT_ASSERT(has(ctl({"file", "info", name}).out, "original_name    a b.txt"));
        CPPUNIT_ASSERT_EQUAL(0, ctl({"file", "get", name, copy}).exit);
        CPPUNIT_ASSERT(read_file(copy) == bytes);
        CPPUNIT_ASSERT(ctl({"file", "get", name, "-"}).out == bytes);
        CPPUNIT_ASSERT_EQUAL(0, ctl({"file", "verify"}).exit);
        write_file(data() + "/files/" + name, std::string(300000, 'y'));
        const Ran damaged = ctl({"file", "verify", name});
        CPPUNIT_ASSERT_EQUAL(1, damaged.exit);
        CPPUNIT_ASSERT(has(damaged.out, "damaged  " + name));
        CPPUNIT_ASSERT_EQUAL(1, ctl({"file", "get", name, copy}).exit);
        CPPUNIT_ASSERT(read_file(copy) == bytes);  // it was not touched
        CPPUNIT_ASSERT_EQUAL(1, ctl({"file", "put", source, "--name", "a.exe"}).exit);
        CPPUNIT_ASSERT_EQUAL(4, ctl({"file", "put", folder_ / "none"}).exit);
        CPPUNIT_ASSERT_EQUAL(0, ctl({"file", "delete", name}).exit);
        CPPUNIT_ASSERT_EQUAL(1, ctl({"file", "info", name}).exit);
    }

    void looks_after_the_cache() {
        start();
        for (const char* key : {"user:1", "user:2", "page"}) {
            request(daemon_->port(), "PUT", std::string("/api/cache/") + key, "", "v");
        }
        request(daemon_->port(), "GET", "/api/cache/page");
        CPPUNIT_ASSERT(has(ctl({"cache", "stats"}).out, "entries"));
        CPPUNIT_ASSERT_EQUAL(std::string("2 entries removed\n"),
                             ctl({"cache", "flush", "--pattern", "user:*"}).out);
        CPPUNIT_ASSERT_EQUAL(2, ctl({"cache", "flush"}).exit);
        CPPUNIT_ASSERT_EQUAL(2, ctl({"cache", "flush", "--all", "--tag", "x"}).exit);
        CPPUNIT_ASSERT_EQUAL(std::string("1 entries removed\n"),
                             ctl({"cache", "flush", "--all"}).out);
        for (const char* user : {"ann", "bob", "ann"}) {
            request(daemon_->port(), "POST", "/api/sessions", "",
                    fmt::format(R"({{"user_id":"{}"}})", user));
        }
        CPPUNIT_ASSERT(!has(ctl({"session", "list", "--user", "ann"}).out, "bob"));
        CPPUNIT_ASSERT(has(ctl({"session", "list"}).out, "bob"));
        CPPUNIT_ASSERT_EQUAL(std::string("2 sessions ended\n"),
                             ctl({"session", "revoke", "ann"}).out);
        CPPUNIT_ASSERT(!has(ctl({"session", "list"}).out, "ann"));
    }

    void watches_over_a_restart() {
        start();
        ctl({"kv", "set", "w", "before", "0"});
        const std::string since = version();
        const std::string out = folder_ / "seen";
        Ran ended;
        std::thread watcher([&] {
            ended =
                run({"sh", "-c", R"(out=$1; shift; exec "$@" >"$out")", "sh", out, binary(),
                     "--socket", socket(), "kv", "watch", "w", "--since", since, "--count", "3"});
        });
        ctl({"kv", "set", "w", "first", "1"});
        ctl({"kv", "delete", "w", "first"});
        const bool saw_two = eventually(
            [&] { return fs::exists(out) && read_file(out) == "set first 1\ndelete first\n"; });
        daemon_->stop();
        start();
        ctl({"kv", "set", "w", "second", R"({"a":[1,2]})"});
        watcher.join();
        CPPUNIT_ASSERT(saw_two);
        CPPUNIT_ASSERT_EQUAL_MESSAGE(ended.err, 0, ended.exit);
        CPPUNIT_ASSERT_EQUAL(std::string("set first 1\ndelete first\nset second {\"a\":[1,2]}\n"),
                             read_file(out));
    }

    void judges_a_bucket_at_rest() {
        start();
        for (const char* key : {"a", "b", "c"}) ctl({"kv", "set", "shelf", key, "1"});
        daemon_->stop();
        const std::string file = data() + "/kv/shelf.json";
        const Ran whole = run({binary(), "kv", "check", file});
        CPPUNIT_ASSERT_EQUAL_MESSAGE(whole.err, 0, whole.exit);
        CPPUNIT_ASSERT_MESSAGE(whole.out, whole.out.starts_with("whole: 3 keys"));
        write_file(file, "{\n\"a\": 1,\n\"b\": oops,\n\"c\": 1\n}\n");
        const std::string saved = folder_ / "saved.json";
        const Ran damaged = run({binary(), "kv", "check", file, "--save", saved});
        CPPUNIT_ASSERT_EQUAL_MESSAGE(damaged.out, 1, damaged.exit);
        CPPUNIT_ASSERT(damaged.out.starts_with("damaged"));
        CPPUNIT_ASSERT(has(read_file(saved), "\"a\": 1"));
        CPPUNIT_ASSERT_EQUAL(4, run({binary(), "kv", "check", folder_ / "none.json"}).exit);
    }

    void checks_and_explains_files() {
        const std::string file = folder_ / "larder.ini";
        write_file(file, "[http]\nhead_timeout = 5s\n");
        CPPUNIT_ASSERT_EQUAL(0, run({binary(), "config", "check", "--config", file}).exit);
        const Ran told =
            run({binary(), "config", "explain", "http.head_timeout", "--config", file});
        for (const std::string& part :
             {std::string("http.head_timeout = 5s"), std::string("duration"),
              std::string("default 30s"), "from " + file + ":2"}) {
            CPPUNIT_ASSERT_MESSAGE(told.out, has(told.out, part));
        }
        const Ran all = run({binary(), "config", "explain", "--json"});
        CPPUNIT_ASSERT(!find_item(object_of(all.out), {{"key", "kv.max_value"}}).isNull());
        write_file(file, "[http]\nhead_timeout = soon\nhead = 1\n");
        const Ran wrong = run({binary(), "config", "check", "--config", file});
        CPPUNIT_ASSERT_EQUAL(1, wrong.exit);
        CPPUNIT_ASSERT(has(wrong.err, file + ":2") && has(wrong.err, file + ":3"));
    }

    void judges_a_plugin_without_a_daemon() {
        const fs::path folder = fs::path(binary()).parent_path();
        const std::string kv = (folder / "../lib/larder/plugins/kv.so").string();
        const Ran taken = run({binary(), "plugin", "check", kv});
        CPPUNIT_ASSERT_EQUAL_MESSAGE(taken.err, 0, taken.exit);
        const Ran refused = run({binary(), "plugin", "check", binary()});
        CPPUNIT_ASSERT_EQUAL(1, refused.exit);
        CPPUNIT_ASSERT(has(refused.err, "stamp"));
        CPPUNIT_ASSERT_EQUAL(4, run({binary(), "plugin", "check", folder_ / "none.so"}).exit);
    }

    void begins_a_plugin() {
        const std::string into = folder_ / "shelf";
        CPPUNIT_ASSERT_EQUAL(0, run({binary(), "plugin", "new", "shelf", "--into", into}).exit);
        const std::string source = read_file(into + "/shelf_plugin.cpp");
        CPPUNIT_ASSERT(has(source, "shelf") && !has(source, "notes") && !has(source, "Notes"));
        CPPUNIT_ASSERT(fs::exists(into + "/shelf.ini"));
        CPPUNIT_ASSERT_EQUAL_MESSAGE(
            "what is there is left alone", 4,
            run({binary(), "plugin", "new", "shelf", "--into", into}).exit);
    }

private:
    static std::string binary() {
        return fs::path(DaemonProcess::binary()).replace_filename("larderctl").string();
    }
    static bool has(const std::string& text, const std::string& part) {
        return text.find(part) != std::string::npos;
    }
    std::string data() const { return folder_ / "data"; }
    std::string socket() const { return data() + "/larder.sock"; }
    void start(std::vector<std::string> arguments = {},
               std::vector<std::pair<std::string, std::string>> environment = {}) {
        daemon_ =
            std::make_unique<DaemonProcess>(DaemonOptions{.data_directory = data(),
                                                          .arguments = std::move(arguments),
                                                          .environment = std::move(environment)});
    }
    Ran ctl(std::vector<std::string> words) const {
        words.insert(words.begin(), {binary(), "--socket", socket()});
        return run(std::move(words));
    }
    void import_numbers(int count) const {
        std::string text = "{";
        for (int i = 0; i < count; ++i) {
            text += fmt::format("{}\"k{}\": {}\n", i == 0 ? "" : ", ", i, i);
        }
        write_file(folder_ / "many.json", text + "}");
        const Ran imported = ctl({"kv", "import", "many", folder_ / "many.json"});
        CPPUNIT_ASSERT_EQUAL_MESSAGE(imported.err, 0, imported.exit);
    }
    std::string version() const {
        return request(daemon_->port(), "GET", "/api/kv/w").header("Larder-Revision");
    }

    TemporaryFolder folder_;
    std::unique_ptr<DaemonProcess> daemon_;
};

LARDER_TEST_SUITE(LarderctlTest);

}  // namespace
}  // namespace larder::test
