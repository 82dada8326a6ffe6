// programs on machines that grant less than they want: what cannot be isolated is refused with the
// cause and the cure, or runs as the admin asked. Says SKIPPED where a machine cannot be made so.
#include <fmt/format.h>
#include <unistd.h>

#include <filesystem>
#include <iostream>
#include <string>
#include <vector>

#include "support/command.hpp"
#include "support/programs_fixture.hpp"

namespace larder::test {
namespace {

using std::string_literals::operator""s;
namespace fs = std::filesystem;

class ProgramsRefusalTest : public ProgramsFixture {
    CPPUNIT_TEST_SUITE(ProgramsRefusalTest);
    CPPUNIT_TEST(refuses_where_no_sandbox_can_be_had);
    CPPUNIT_TEST(refuses_where_namespaces_are_denied);
    CPPUNIT_TEST(does_without_proc);
    CPPUNIT_TEST(runs_bare_where_that_is_asked_for);
    CPPUNIT_TEST_SUITE_END();

    // Uploads, lists and deletes go on; what would run is refused, with the cause and the cure.
    void expect_refusal(const std::string& why) {
        CPPUNIT_ASSERT_EQUAL("unavailable"s, tier());
        const std::string id = upload("a.sh", ":");
        const Answer answer = try_execute(id);
        CPPUNIT_ASSERT_EQUAL_MESSAGE(answer.body, "503 sandbox-unavailable"s,
                                     fmt::format("{} {}", answer.status, answer.member("code")));
        CPPUNIT_ASSERT_MESSAGE(answer.body, answer.member("reason").find(why) != std::string::npos);
        CPPUNIT_ASSERT_EQUAL(200, send("GET", "/api/programs/" + id + "/executions").status);
        CPPUNIT_ASSERT_EQUAL("204"s, outcome("DELETE", "/api/programs/" + id));
        CPPUNIT_ASSERT(send("GET", "/readyz").body.find(why) != std::string::npos);
    }

    // In namespaces where no more may be made, as some containers and hardened hosts are.
    void refuses_where_namespaces_are_denied() {
        const std::vector<std::string> within{
            "unshare",
            "--user",
            "--map-user=1000",
            "--map-group=1000",
            "--keep-caps",
            "sh",
            "-c",
            "echo 0 > /proc/sys/user/max_user_namespaces && "
            "exec setpriv --inh-caps=-all --ambient-caps=-all \"$@\"",
            "sh"};
        std::vector<std::string> probe = within;
        probe.emplace_back("true");
        if (!is_installed("bwrap") || larder::test::run(probe).exit != 0) {
            std::cout << " SKIPPED: namespaces cannot be had to deny them" << std::flush;
            return;
        }
        CPPUNIT_ASSERT_EQUAL(0, daemon_->stop());
        wrapper_ = within;
        start();
        expect_refusal("raise user.max_user_namespaces");
    }

    void refuses_where_no_sandbox_can_be_had() {
        environment_ = {{"LARDER_PROGRAMS_HELPER", "/nowhere/larder-run"}};
        restart();
        expect_refusal("larder-run is neither");
        if (!is_installed("bwrap") || !is_installed("setpriv") || ::geteuid() != 0) return;
        environment_.clear();
        restart();
        if (skips()) return;
        CPPUNIT_ASSERT_EQUAL(0, daemon_->stop());
        fs::remove_all(folder_->path());
        fs::create_directory(folder_->path());
        fs::permissions(folder_->path(), fs::perms::all);
        wrapper_ = {"setpriv", "--reuid=61999", "--regid=61999", "--clear-groups"};
        environment_ = {{"LARDER_PROGRAMS_REQUIRE", "full"}};
        start();
        expect_refusal("programs.require = full");
    }

    void does_without_proc() {
        if (!is_installed("unshare") || ::geteuid() != 0 || skips()) return;
        CPPUNIT_ASSERT_EQUAL(0, daemon_->stop());
        fs::remove_all(folder_->path());
        fs::create_directory(folder_->path());
        fs::permissions(folder_->path(), fs::perms::all);
        // A part of it covered, as containers do: then nobody may mount a whole one.
        wrapper_ = {"unshare",
                    "-m",
                    "sh",
                    "-c",
                    "mount -t tmpfs none /proc/sys/fs && exec setpriv --reuid=61999 --regid=61999 "
                    "--clear-groups \"$@\"",
                    "sh"};
        start();
        CPPUNIT_ASSERT_EQUAL("reduced"s, tier());
        CPPUNIT_ASSERT(daemon_->wait_for_log("programs get no /proc"));
        const Object run =
            ProgramsFixture::run("a.py", "import os\nprint(os.path.exists('/proc/self'))");
        CPPUNIT_ASSERT_EQUAL("False\n"s, text(run, "stdout"));
    }

    void runs_bare_where_that_is_asked_for() {
        environment_ = {{"LARDER_PROGRAMS_ISOLATION", "none"}};
        restart();
        CPPUNIT_ASSERT_EQUAL("none"s, tier());
        const Object run =
            ProgramsFixture::run("a.sh", "sleep 1000 & echo $1; exit 3", R"({"args":["x"]})");
        CPPUNIT_ASSERT_EQUAL("failed 3 null null"s, story(run));
        CPPUNIT_ASSERT_EQUAL("x\n"s, text(run, "stdout"));
        CPPUNIT_ASSERT_EQUAL("none"s, text(run, "isolation"));
        CPPUNIT_ASSERT(daemon_->wait_for_log("runs without isolation"));
        CPPUNIT_ASSERT_EQUAL(
            "timed_out null SIGKILL wall"s,
            story(ProgramsFixture::run("b.sh", "sleep 1000", R"({"timeout":0.3})")));
    }
};

LARDER_TEST_SUITE(ProgramsRefusalTest);

}  // namespace
}  // namespace larder::test
