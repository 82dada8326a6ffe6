// Every command of larderctl as an admin uses it, one after the other, on one daemon that has
// something of everything. What each command does in detail is tested where its subject is.
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <set>
#include <string>
#include <vector>

#include "support/command.hpp"
#include "support/daemon_process.hpp"
#include "support/json_view.hpp"
#include "support/larderctl_help.hpp"
#include "support/raw_client.hpp"
#include "support/suite.hpp"
#include "support/temporary_folder.hpp"

namespace larder::test {
namespace {

class LarderctlFilledTest : public CppUnit::TestFixture {
    CPPUNIT_TEST_SUITE(LarderctlFilledTest);
    CPPUNIT_TEST(each_does_its_work);
    CPPUNIT_TEST_SUITE_END();

public:
    void setUp() override {
        daemon_ = std::make_unique<DaemonProcess>(DaemonOptions{
            folder_ / "data", {}, {{"LARDER_PROGRAMS_ISOLATION", "none"}}, {}, true, true, {}});
    }
    void tearDown() override { daemon_.reset(); }

    void each_does_its_work() {
        keys_and_files();
        people();
        programs();
        const std::string backup = backups();
        what_was_seen();
        the_daemon_itself();
        what_goes_away(backup);
        CPPUNIT_ASSERT_EQUAL(0, daemon_->stop());
        without_the_daemon();
        expect_all_done();
    }

private:
    void keys_and_files() {
        expect("kv set demo greeting {\"text\":\"hello\"}", "set, new");
        expect("kv get demo greeting", "hello");
        write_file(folder_ / "keys.json", R"({"b":2,"c":3})");
        expect("kv import demo " + (folder_ / "keys.json"), "2 keys");
        expect("kv list", "demo");
        expect("kv list demo", "greeting");
        expect("kv export demo", "\"b\":2");
        watch();
        write_file(folder_ / "notes.txt", "some notes\n");
        file_ = name_in(expect("file put " + (folder_ / "notes.txt"), "notes_"));
        expect("file list", "notes.txt");
        expect("file info " + file_, "notes.txt");
        expect("file get " + file_ + " -", "some notes");
        expect("file verify", "1 checked");
        expect("cache stats", "");
        expect("cache warm --dry-run", "to store");
        expect("cache warm", "stored");
        expect("cache flush --all", "removed");
        expect("storage usage", "file_store");
        expect("storage cleanup --older-than 1 --dry-run", "");
        expect("storage cleanup --older-than 1", "");
        expect("storage optimize", "metrics.db");
    }

    // It has no end of its own.
    void watch() {
        const std::string out = folder_ / "watched";
        const Ran ran = run(
            {"sh", "-c",
             fmt::format("{0} --socket {1} kv watch demo >{2} & watcher=$!; "
                         "for i in $(seq 100); do {0} --socket {1} kv set demo seen $i >/dev/null; "
                         "grep -q seen {2} && break; sleep 0.05; done; kill $watcher; "
                         "grep -c seen {2}",
                         DaemonProcess::larderctl(), socket(), out)});
        CPPUNIT_ASSERT_MESSAGE(ran.out + ran.err, ran.exit == 0);
        done_.insert("kv watch");
    }

    void people() {
        expect("whoami", "auth");
        typed("a long enough password", "user add ann --roles admin", "ann");
        typed("another long password", "user password ann", "ann");
        expect("user roles ann viewer", "");
        expect("user disable ann", "");
        expect("user enable ann", "");
        expect("user list", "viewer");
        const Ran made = ctl("token create ci kv:read");
        done_.insert("token create");
        CPPUNIT_ASSERT_EQUAL_MESSAGE(made.err, 0, made.exit);
        CPPUNIT_ASSERT_MESSAGE(made.err, made.err.ends_with("shown this once:\n"));
        expect("token list", "ci");
        expect("token revoke " + first("token list", "id"), "");
        expect("user remove ann", "");
        CPPUNIT_ASSERT_EQUAL(
            201,
            request(daemon_->port(), "POST", "/api/sessions", "", R"({"user_id":"bea"})").status);
        expect("session list", "bea");
        expect("session revoke bea", "1 sessions");
    }

    void programs() {
        write_file(folder_ / "greet.sh", "echo \"good morning $1\"\n");
        program_ = name_in(expect("program upload " + (folder_ / "greet.sh"), "program_"));
        expect("program list", "greet.sh");
        expect("program run " + program_ + " Bea", "good morning Bea");
        expect("program logs " + program_, "succeeded");
        expect("program schedule " + program_ + " --every 3600", "3600");
    }

    std::string backups() {
        const std::string backup = name_in(expect("backup create", "backup_"));
        expect("backup list", backup);
        expect("backup verify " + backup, "whole");
        expect("backup restore " + backup + " --dry-run config", "nothing would change");
        expect("kv set demo greeting 1", "set");
        expect("backup restore " + backup + " --dry-run", "kv");
        expect("backup restore " + backup, "restored");
        expect("kv get demo greeting", "hello");
        expect("backup cleanup", "keep");
        return backup;
    }

    void what_was_seen() {
        expect("metrics http", "/api/kv/{bucket}");
        expect("metrics system", "CPU");
        CPPUNIT_ASSERT_EQUAL(
            201, request(daemon_->port(), "POST", "/api/errors", "", R"({"message":"it broke"})")
                     .status);
        expect("errors", "it broke");
        expect("audit list", "user.add");
        expect("audit verify", "as they were written");
        expect("alerts", "alert");
    }

    void the_daemon_itself() {
        expect("status", "plugins");
        expect("health", "ready");
        expect("plugin list", "kv");
        expect("plugin show kv", "/api/kv");
        expect("plugin disable cache", "disabled");
        expect("plugin enable cache", "running");
        expect("plugin reset cache", "running");
        expect("plugin reload cache", "running");
        expect("reload", "nothing has changed");
        expect("jobs list", "backup.make");
        expect("jobs run larderd.disk", "larderd.disk");
        expect("support-bundle " + (folder_ / "bundle.tar.gz"), "");
        CPPUNIT_ASSERT(std::filesystem::file_size(folder_ / "bundle.tar.gz") > 1000);
    }

    void what_goes_away(const std::string& backup) {
        expect("backup extract " + (folder_ / "data/backups/") + backup + ".tar.gz " +
                   (folder_ / "extracted"),
               "");
        CPPUNIT_ASSERT(std::filesystem::exists(folder_ / "extracted/kv"));
        expect("program delete " + program_, "deleted");
        expect("file delete " + file_, "deleted");
        expect("kv delete demo b", "deleted");
    }

    void without_the_daemon() {
        expect("kv check " + (folder_ / "data/kv/demo.json"), "whole");
        expect("config check", "good");
        expect("config explain kv", "kv.");
        expect("plugin check " +
                   std::filesystem::path(DaemonProcess::binary()).parent_path().string() +
                   "/../lib/larder/plugins/kv.so",
               "would load it");
        expect("plugin new notes --into=" + (folder_ / "notes"), "");
        const std::string origin = folder_ / "origin";
        std::filesystem::create_directories(origin);
        write_file(origin + "/storage.json", R"({"hello":{"text":"x"}})");
        expect("import-origin " + origin + " --into " + (folder_ / "taken"), "");
        expect("completion bash", "larderctl");
    }

    void expect_all_done() {
        const Ran help = run({DaemonProcess::larderctl(), "--help"});
        std::string left;
        for (const KnownCommand& command : commands_of(help.out)) {
            if (!done_.contains(command.text())) left += command.text() + "; ";
        }
        CPPUNIT_ASSERT_EQUAL(std::string(), left);
    }

    // What it printed. It ends well, and says `part`.
    std::string expect(const std::string& line, const std::string& part) {
        const Ran ran = ctl(line);
        const auto words = words_of(line);
        done_.insert(words[0]);
        if (words.size() > 1) done_.insert(words[0] + " " + words[1]);
        CPPUNIT_ASSERT_EQUAL_MESSAGE(line + ": " + ran.out + ran.err, 0, ran.exit);
        CPPUNIT_ASSERT_MESSAGE(line + ": " + ran.out, ran.out.find(part) != std::string::npos);
        return ran.out;
    }
    void typed(const std::string& text, const std::string& line, const std::string& part) {
        const Ran ran = run({"sh", "-c",
                             fmt::format("echo '{}' | {} --socket {} {}", text,
                                         DaemonProcess::larderctl(), socket(), line)});
        const auto words = words_of(line);
        done_.insert(words[0] + " " + words[1]);
        CPPUNIT_ASSERT_EQUAL_MESSAGE(line + ": " + ran.err, 0, ran.exit);
        CPPUNIT_ASSERT_MESSAGE(line + ": " + ran.out, ran.out.find(part) != std::string::npos);
    }
    Ran ctl(const std::string& line) const {
        std::vector<std::string> words{DaemonProcess::larderctl(), "--socket", socket()};
        for (const auto& word : words_of(line)) words.push_back(word);
        return run(words);
    }
    std::string first(const std::string& list, const std::string& member) const {
        const auto all = object_of(ctl("--json " + list).out)->getArray("items");
        return all->getObject(0)->getValue<std::string>(member);
    }
    // The first word of what was printed.
    static std::string name_in(const std::string& printed) { return words_of(printed).at(0); }
    std::string socket() const { return folder_ / "data/larder.sock"; }

    TemporaryFolder folder_;
    std::unique_ptr<DaemonProcess> daemon_;
    std::set<std::string> done_;
    std::string file_, program_;
};

LARDER_TEST_SUITE(LarderctlFilledTest);

}  // namespace
}  // namespace larder::test
