// Every command of larderctl as a new admin meets it: on an empty daemon, on one that is down, with
// words that are wrong. What each command does is tested where the command's subject is.
#include <fmt/format.h>

#include <memory>

#include "support/command.hpp"
#include "support/daemon_process.hpp"
#include "support/larderctl_help.hpp"
#include "support/suite.hpp"
#include "support/temporary_folder.hpp"

namespace larder::test {
namespace {

class LarderctlCommandsTest : public CppUnit::TestFixture {
    CPPUNIT_TEST_SUITE(LarderctlCommandsTest);
    CPPUNIT_TEST(each_tells_its_options);
    CPPUNIT_TEST(each_refuses_wrong_words);
    CPPUNIT_TEST(each_says_when_nobody_answers);
    CPPUNIT_TEST(each_ends_well_on_an_empty_daemon);
    CPPUNIT_TEST_SUITE_END();

public:
    void setUp() override {
        const Ran help = run({DaemonProcess::larderctl(), "--help"});
        CPPUNIT_ASSERT_EQUAL(0, help.exit);
        known_ = commands_of(help.out);
        CPPUNIT_ASSERT_MESSAGE(help.out, known_.size() > 40);
        write_file(folder_ / "file.json", R"({"a":1})");
    }

    void each_tells_its_options() {
        for (const KnownCommand& command : known_) {
            const Ran told = ctl(with(command.name, {"--help"}));
            CPPUNIT_ASSERT_EQUAL_MESSAGE(command.text(), 0, told.exit);
            CPPUNIT_ASSERT_MESSAGE(command.text(),
                                   has(told.out, "usage: larderctl " + command.text()));
        }
    }

    void each_refuses_wrong_words() {
        for (const KnownCommand& command : known_) {
            const Ran option = ctl(with(command.name, {"--no-such-option"}));
            CPPUNIT_ASSERT_EQUAL_MESSAGE(command.text(), 2, option.exit);
            CPPUNIT_ASSERT_MESSAGE(option.err, has(option.err, "--no-such-option"));
            bool any_number = false;
            for (const auto& argument : command.arguments) any_number |= has(argument, "...");
            if (any_number) continue;
            const Ran many = ctl(with(command.name, std::vector<std::string>(9, "word")));
            CPPUNIT_ASSERT_EQUAL_MESSAGE(command.text(), 2, many.exit);
            CPPUNIT_ASSERT_MESSAGE(many.err, has(many.err, "--help"));
        }
    }

    void each_says_when_nobody_answers() {
        for (const KnownCommand& command : known_) {
            const Ran ran = ctl(with(command.name, fitting(command)));
            CPPUNIT_ASSERT_MESSAGE(command.text() + ": " + ran.err, ran.exit < 5);
            if (ran.exit == 3) {
                CPPUNIT_ASSERT_MESSAGE(ran.err, has(ran.err, "is it running?"));
            } else if (ran.exit != 0) {
                CPPUNIT_ASSERT_MESSAGE(command.text(), !ran.err.empty() || !ran.out.empty());
            }
        }
        CPPUNIT_ASSERT_EQUAL(3, ctl({"status"}).exit);
    }

    void each_ends_well_on_an_empty_daemon() {
        DaemonProcess daemon({folder_ / "data", {}, {}, {}, true, true, {}});
        for (const KnownCommand& command : known_) {
            if (command.text() == "kv watch") continue;  // waits for what never comes
            const Ran ran = ctl(with(command.name, fitting(command)));
            const std::string what =
                fmt::format("{} ended with {}: {}", command.text(), ran.exit, ran.err);
            CPPUNIT_ASSERT_MESSAGE(what, ran.exit < 5 && ran.exit != 3);
            CPPUNIT_ASSERT_MESSAGE(what, ran.exit == 0 || !ran.err.empty() || !ran.out.empty());
            const bool lists = command.text().ends_with("list") || command.text() == "status" ||
                               command.text() == "health" || command.text() == "storage usage";
            if (lists && command.arguments.empty()) {
                CPPUNIT_ASSERT_EQUAL_MESSAGE(what, 0, ran.exit);
                CPPUNIT_ASSERT_MESSAGE(command.text(), !ran.out.empty());
                const Ran json = ctl(with(command.name, {"--json"}));
                CPPUNIT_ASSERT_MESSAGE(command.text(), json.out.starts_with('{'));
            }
        }
        CPPUNIT_ASSERT(daemon.is_running());
    }

private:
    static bool has(const std::string& text, std::string_view part) {
        return text.find(part) != std::string::npos;
    }
    static std::vector<std::string> with(std::vector<std::string> words,
                                         const std::vector<std::string>& more) {
        words.insert(words.end(), more.begin(), more.end());
        return words;
    }
    // A word for each argument that must be there.
    std::vector<std::string> fitting(const KnownCommand& command) const {
        std::vector<std::string> words;
        for (const auto& argument : command.arguments) {
            if (argument.starts_with('[')) continue;
            if (has(argument, "FILE")) {
                words.push_back(folder_ / "file.json");
            } else if (has(argument, "JSON")) {
                words.emplace_back("1");
            } else if (argument == "bash|zsh|fish") {
                words.emplace_back("bash");
            } else {
                words.emplace_back("word");
            }
        }
        if (command.text() == "plugin new") words.push_back("--into=" + (folder_ / "made"));
        if (command.text() == "support-bundle") words.push_back(folder_ / "bundle.zip");
        return words;
    }
    Ran ctl(const std::vector<std::string>& words) const {
        std::vector<std::string> line{DaemonProcess::larderctl(), "--socket",
                                      folder_ / "data/larder.sock"};
        return run(with(line, words));
    }

    TemporaryFolder folder_;
    std::vector<KnownCommand> known_;
};

LARDER_TEST_SUITE(LarderctlCommandsTest);

}  // namespace
}  // namespace larder::test
