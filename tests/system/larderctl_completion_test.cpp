// The completion scripts, tried in the shells that they are for; a shell that is not installed is
// told of and left out.
#include <fmt/format.h>

#include <iostream>

#include "support/command.hpp"
#include "support/daemon_process.hpp"
#include "support/suite.hpp"
#include "support/temporary_folder.hpp"

namespace larder::test {
namespace {

class LarderctlCompletionTest : public CppUnit::TestFixture {
    CPPUNIT_TEST_SUITE(LarderctlCompletionTest);
    CPPUNIT_TEST(bash_completes);
    CPPUNIT_TEST(zsh_completes);
    CPPUNIT_TEST(fish_completes);
    CPPUNIT_TEST(names_the_shells);
    CPPUNIT_TEST_SUITE_END();

public:
    void bash_completes() {
        const std::string script = script_for("bash");
        const auto complete = [&](const std::string& words) {
            const Ran ran = run({"bash", "-c",
                                 "source " + script + "; set -- larderctl " + words +
                                     "; COMP_WORDS=(\"$@\"); COMP_CWORD=$(($# - 1)); _larderctl; "
                                     "echo \"${COMPREPLY[*]}\""});
            CPPUNIT_ASSERT_EQUAL_MESSAGE(ran.err, std::string(), ran.err);
            return ran.out;
        };
        CPPUNIT_ASSERT_EQUAL(std::string("kv\n"), complete("k"));
        CPPUNIT_ASSERT_EQUAL(std::string("export\n"), complete("--socket /x kv ex"));
        CPPUNIT_ASSERT_EQUAL(std::string("--pointer\n"), complete("kv get --p"));
        CPPUNIT_ASSERT_EQUAL(std::string("--zone\n"), complete("import-origin /x --z"));
        CPPUNIT_ASSERT_EQUAL_MESSAGE("the shell's own names", std::string("\n"),
                                     complete("kv get bucket k"));
    }

    void zsh_completes() {
        if (is_missing("zsh")) return;
        const Ran ran = run({"zsh", "-f", "-c",
                             "autoload -U compinit; compinit -D -u; source " + script_for("zsh") +
                                 "; _describe() { print -l -- ${(P)2} }; "
                                 "words=(larderctl kv e); CURRENT=3; _larderctl; "
                                 "words=(larderctl kv get --p); CURRENT=4; _larderctl"});
        CPPUNIT_ASSERT_EQUAL_MESSAGE(ran.err, std::string(), ran.err);
        CPPUNIT_ASSERT_MESSAGE(ran.out, ran.out.find("export:") != std::string::npos);
        CPPUNIT_ASSERT_MESSAGE(ran.out, ran.out.find("--pointer:") != std::string::npos);
    }

    void fish_completes() {
        if (is_missing("fish")) return;
        const Ran ran = run({"fish", "--no-config", "-c",
                             "source " + script_for("fish") +
                                 "; complete -C 'larderctl kv ex'; "
                                 "complete -C 'larderctl kv get --p'; complete -C 'larderctl pl'"});
        CPPUNIT_ASSERT_EQUAL_MESSAGE(ran.err, std::string(), ran.err);
        for (const char* word : {"export\t", "--pointer\t", "plugin\t"}) {
            CPPUNIT_ASSERT_MESSAGE(ran.out, ran.out.find(word) != std::string::npos);
        }
    }

    void names_the_shells() {
        const Ran ran = run({DaemonProcess::larderctl(), "completion", "tcsh"});
        CPPUNIT_ASSERT_EQUAL(2, ran.exit);
        CPPUNIT_ASSERT(ran.err.find("bash, zsh and fish") != std::string::npos);
    }

private:
    static bool is_missing(const std::string& shell) {
        if (is_installed(shell)) return false;
        std::cerr << "skipped: there is no " << shell << "\n";
        return true;
    }
    std::string script_for(const std::string& shell) const {
        const Ran made = run({DaemonProcess::larderctl(), "completion", shell});
        CPPUNIT_ASSERT_EQUAL_MESSAGE(made.err, 0, made.exit);
        write_file(folder_ / shell, made.out);
        return folder_ / shell;
    }

    TemporaryFolder folder_;
};

LARDER_TEST_SUITE(LarderctlCompletionTest);

}  // namespace
}  // namespace larder::test
