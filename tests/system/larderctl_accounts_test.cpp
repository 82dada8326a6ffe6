// larderctl where credentials are asked for, and where room is made: the first admin over the Unix
// socket, tokens that open the door, what is told when they do not.
#include <fmt/format.h>

#include <memory>

#include "support/command.hpp"
#include "support/daemon_process.hpp"
#include "support/json_view.hpp"
#include "support/raw_client.hpp"
#include "support/suite.hpp"

namespace larder::test {
namespace {

class LarderctlAccountsTest : public CppUnit::TestFixture {
    CPPUNIT_TEST_SUITE(LarderctlAccountsTest);
    CPPUNIT_TEST(makes_the_first_admin);
    CPPUNIT_TEST(makes_and_revokes_tokens);
    CPPUNIT_TEST(changes_users);
    CPPUNIT_TEST(says_what_is_wrong);
    CPPUNIT_TEST(tells_of_room_and_makes_it);
    CPPUNIT_TEST_SUITE_END();

public:
    void setUp() override {
        daemon_ = std::make_unique<DaemonProcess>(DaemonOptions{
            folder_ / "data", {}, {{"LARDER_AUTH_ENABLED", "true"}}, {}, true, true, {}});
    }
    void tearDown() override { daemon_.reset(); }

    void makes_the_first_admin() {
        const Ran me = ctl({"whoami"});
        CPPUNIT_ASSERT_MESSAGE(me.err, me.exit == 0 && has(me.out, "local"));
        const Ran added = piped("correct horse", "user add ann --roles admin");
        CPPUNIT_ASSERT_EQUAL_MESSAGE(added.err, 0, added.exit);
        CPPUNIT_ASSERT(has(added.out, "user ann was added"));
        CPPUNIT_ASSERT(has(ctl({"user", "list"}).out, "ann"));
        const Ran curl = run({"curl", "-s", "-u", "ann:correct horse",
                              fmt::format("http://127.0.0.1:{}/api/whoami", daemon_->port())});
        CPPUNIT_ASSERT(object_of(curl.out)->getValue<bool>("admin"));
    }

    void makes_and_revokes_tokens() {
        const Ran made = ctl({"token", "create", "ci", "kv:read,kv:write", "--prefixes", "kv/ci/",
                              "--expires", "30d"});
        CPPUNIT_ASSERT_EQUAL_MESSAGE(made.err, 0, made.exit);
        CPPUNIT_ASSERT(made.out.starts_with("larder_") && made.out.ends_with('\n'));
        const std::string secret = made.out.substr(0, made.out.size() - 1);
        CPPUNIT_ASSERT(!has(made.err, secret));
        CPPUNIT_ASSERT_EQUAL(0, by(secret, {"kv", "set", "ci", "a", "1"}).exit);
        const Ran beyond = by(secret, {"kv", "set", "other", "a", "1"});
        CPPUNIT_ASSERT_EQUAL(1, beyond.exit);
        CPPUNIT_ASSERT(has(beyond.err, "forbidden"));
        CPPUNIT_ASSERT(has(by(secret, {"whoami"}).out, "kv/ci/"));
        const auto list = object_of(ctl({"--json", "token", "list"}).out);
        const auto token = list->getArray("items")->getObject(0);
        CPPUNIT_ASSERT(!token->isNull("expires_at") && !token->isNull("last_used"));
        CPPUNIT_ASSERT(has(ctl({"token", "list"}).out, "kv:read,kv:write"));
        const std::string id = token->getValue<std::string>("id");
        CPPUNIT_ASSERT_EQUAL(0, ctl({"token", "revoke", id}).exit);
        const Ran revoked = by(secret, {"kv", "get", "ci", "a"});
        CPPUNIT_ASSERT_EQUAL(1, revoked.exit);
        CPPUNIT_ASSERT(has(revoked.err, "revoked"));
        CPPUNIT_ASSERT_EQUAL(1, ctl({"token", "revoke", id}).exit);
    }

    void changes_users() {
        piped("correct horse", "user add ann");
        CPPUNIT_ASSERT(has(ctl({"user", "list"}).out, "viewer"));
        CPPUNIT_ASSERT_EQUAL(0, ctl({"user", "roles", "ann", "editor,backup:*"}).exit);
        CPPUNIT_ASSERT(has(ctl({"user", "list"}).out, "editor,backup:*"));
        CPPUNIT_ASSERT_EQUAL(0, ctl({"user", "disable", "ann"}).exit);
        CPPUNIT_ASSERT(has(ctl({"user", "list"}).out, "yes"));
        CPPUNIT_ASSERT_EQUAL(0, ctl({"user", "enable", "ann"}).exit);
        CPPUNIT_ASSERT_EQUAL(0, piped("battery staple", "user password ann").exit);
        CPPUNIT_ASSERT_EQUAL(0, ctl({"user", "remove", "ann"}).exit);
        CPPUNIT_ASSERT_EQUAL(1, ctl({"user", "remove", "ann"}).exit);
    }

    void says_what_is_wrong() {
        const Ran weak = piped("short", "user add ann");
        CPPUNIT_ASSERT_EQUAL(1, weak.exit);
        CPPUNIT_ASSERT(has(weak.err, "8 to 1024"));
        CPPUNIT_ASSERT_EQUAL(2, piped("", "user add ann").exit);
        const Ran role = piped("correct horse", "user add ann --roles boss");
        CPPUNIT_ASSERT(role.exit == 1 && has(role.err, "admin, editor, viewer"));
        const Ran scope = ctl({"token", "create", "ci", "kv"});
        CPPUNIT_ASSERT(scope.exit == 1 && has(scope.err, "kv:read"));
        const Ran time = ctl({"token", "create", "ci", "kv:read", "--expires", "soon"});
        CPPUNIT_ASSERT(time.exit == 1 && has(time.err, "expires_at"));
        const std::string url = fmt::format("http://127.0.0.1:{}", daemon_->port());
        const Ran stranger = run({DaemonProcess::larderctl(), "--url", url, "status"});
        CPPUNIT_ASSERT(stranger.exit == 1 && has(stranger.err, "credentials"));
        CPPUNIT_ASSERT_EQUAL(2, ctl({"user", "add"}).exit);
        CPPUNIT_ASSERT_EQUAL(2, ctl({"storage", "cleanup"}).exit);
        CPPUNIT_ASSERT_EQUAL(2, ctl({"storage", "cleanup", "--older-than", "x"}).exit);
    }

    void tells_of_room_and_makes_it() {
        const Ran usage = ctl({"storage", "usage"});
        CPPUNIT_ASSERT_EQUAL_MESSAGE(usage.err, 0, usage.exit);
        CPPUNIT_ASSERT(has(usage.out, "data_store") && has(usage.out, "free"));
        CPPUNIT_ASSERT(object_of(ctl({"--json", "storage", "usage"}).out)->has("file_system"));
        RawClient(folder_ / "data/larder.sock").request("PUT", "/api/files/old.txt", "", "12345");
        const Ran would = ctl({"storage", "cleanup", "--older-than", "0", "--dry-run"});
        CPPUNIT_ASSERT_EQUAL_MESSAGE(would.err, 0, would.exit);
        CPPUNIT_ASSERT(has(would.out, "WOULD GO") && has(would.out, "5 B"));
        const Ran did = ctl({"storage", "cleanup", "--older-than", "0"});
        CPPUNIT_ASSERT(has(did.out, "GONE") && has(did.out, "old"));
        CPPUNIT_ASSERT(!has(ctl({"storage", "cleanup", "--older-than", "0"}).out, "old_"));
        CPPUNIT_ASSERT(has(ctl({"storage", "optimize", "--dry-run"}).out, "AT MOST AFTER"));
        const Ran optimized = ctl({"storage", "optimize"});
        CPPUNIT_ASSERT(optimized.exit == 0 && has(optimized.out, "metrics.db"));
    }

private:
    static bool has(const std::string& text, std::string_view part) {
        return text.find(part) != std::string::npos;
    }
    std::string socket() const { return folder_ / "data/larder.sock"; }
    Ran ctl(const std::vector<std::string>& words) const {
        std::vector<std::string> line{DaemonProcess::larderctl(), "--socket", socket()};
        line.insert(line.end(), words.begin(), words.end());
        return run(line);
    }
    Ran by(const std::string& secret, const std::vector<std::string>& words) const {
        std::vector<std::string> line{DaemonProcess::larderctl(), "--url",
                                      fmt::format("http://127.0.0.1:{}", daemon_->port())};
        line.insert(line.end(), words.begin(), words.end());
        return run(line, {{"LARDER_TOKEN", secret}});
    }
    Ran piped(const std::string& password, const std::string& words) const {
        return run({"sh", "-c",
                    fmt::format("printf '%s\\n' '{}' | '{}' --socket '{}' {}", password,
                                DaemonProcess::larderctl(), socket(), words)});
    }

    TemporaryFolder folder_;
    std::unique_ptr<DaemonProcess> daemon_;
};

LARDER_TEST_SUITE(LarderctlAccountsTest);

}  // namespace
}  // namespace larder::test
