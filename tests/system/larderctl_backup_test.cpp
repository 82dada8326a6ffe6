// larderctl's backup commands as an admin types them: made, listed, verified, restored, thinned
// out; and an archive unpacked without a daemon, that another daemon then runs on.
#include <fmt/format.h>

#include <filesystem>
#include <memory>

#include "support/command.hpp"
#include "support/daemon_process.hpp"
#include "support/json_view.hpp"
#include "support/raw_client.hpp"
#include "support/suite.hpp"

namespace larder::test {
namespace {

namespace fs = std::filesystem;

class LarderctlBackupTest : public CppUnit::TestFixture {
    CPPUNIT_TEST_SUITE(LarderctlBackupTest);
    CPPUNIT_TEST(makes_restores_and_thins_out);
    CPPUNIT_TEST(says_what_is_damaged);
    CPPUNIT_TEST(extracts_what_a_daemon_runs_on);
    CPPUNIT_TEST_SUITE_END();

public:
    void setUp() override { daemon_ = started(folder_ / "data"); }
    void tearDown() override { daemon_.reset(); }

    void makes_restores_and_thins_out() {
        set("1");
        const std::string id = make({"--note", "first"});
        CPPUNIT_ASSERT(has(ctl({"backup", "list"}).out, id));
        CPPUNIT_ASSERT(has(ctl({"backup", "list"}).out, "first"));
        CPPUNIT_ASSERT_EQUAL(0, ctl({"backup", "verify", id}).exit);
        set("2");
        const Ran dry = ctl({"backup", "restore", id, "--dry-run"});
        CPPUNIT_ASSERT_MESSAGE(dry.err, dry.exit == 0 && has(dry.out, "storage.json"));
        CPPUNIT_ASSERT_EQUAL(std::string("2"), value());
        const Ran restored = ctl({"backup", "restore", id, "storage.json"});
        CPPUNIT_ASSERT_EQUAL_MESSAGE(restored.err, 0, restored.exit);
        CPPUNIT_ASSERT_EQUAL(std::string("1"), value());
        const std::string later = make({"--incremental"});
        make({});
        const Ran thinned = ctl({"backup", "cleanup", "--keep-count", "1"});
        CPPUNIT_ASSERT_MESSAGE(thinned.out, has(thinned.out, "remove  " + later));
        CPPUNIT_ASSERT(!has(ctl({"backup", "list"}).out, "first"));
        CPPUNIT_ASSERT_EQUAL(1, ctl({"backup", "verify", id}).exit);
    }

    void says_what_is_damaged() {
        const std::string id = make({});
        const std::string archive = folder_ / ("data/backups/" + id + ".tar.gz");
        std::string bytes = read_file(archive);
        bytes[bytes.size() / 2] = static_cast<char>(bytes[bytes.size() / 2] ^ 1);
        write_file(archive, bytes);
        const Ran verified = ctl({"backup", "verify", id});
        CPPUNIT_ASSERT_EQUAL(1, verified.exit);
        CPPUNIT_ASSERT(has(verified.out + verified.err, "archive-hash"));
        CPPUNIT_ASSERT_EQUAL(1, ctl({"backup", "restore", id}).exit);
        CPPUNIT_ASSERT_EQUAL(1, extract(archive, "into").exit);
    }

    void extracts_what_a_daemon_runs_on() {
        set("7");
        const std::string archive = folder_ / ("data/backups/" + make({}) + ".tar.gz");
        CPPUNIT_ASSERT_EQUAL(0, daemon_->stop());
        const Ran extracted = extract(archive, "other");
        CPPUNIT_ASSERT_EQUAL_MESSAGE(extracted.err, 0, extracted.exit);
        CPPUNIT_ASSERT_EQUAL(2, extract(archive, "other").exit);
        daemon_ = started(folder_ / "other");
        CPPUNIT_ASSERT_EQUAL(std::string("7"), value());
        CPPUNIT_ASSERT_EQUAL(200, request(daemon_->port(), "GET", "/readyz").status);
    }

private:
    static std::unique_ptr<DaemonProcess> started(const std::string& data) {
        return std::make_unique<DaemonProcess>(
            DaemonOptions{data, {}, {{"LARDER_BACKUP_SCHEDULE", "off"}}, {}, true, true, {}});
    }
    static bool has(const std::string& text, std::string_view part) {
        return text.find(part) != std::string::npos;
    }
    Ran ctl(const std::vector<std::string>& words) const {
        std::vector<std::string> line{DaemonProcess::larderctl(), "--url",
                                      fmt::format("http://127.0.0.1:{}", daemon_->port())};
        line.insert(line.end(), words.begin(), words.end());
        return run(line);
    }
    Ran extract(const std::string& archive, const std::string& into) const {
        return run({DaemonProcess::larderctl(), "backup", "extract", archive, folder_ / into});
    }
    std::string make(const std::vector<std::string>& options) const {
        std::vector<std::string> words{"backup", "create"};
        words.insert(words.end(), options.begin(), options.end());
        const Ran made = ctl(words);
        CPPUNIT_ASSERT_EQUAL_MESSAGE(made.err, 0, made.exit);
        CPPUNIT_ASSERT_MESSAGE(made.out, has(made.out, "verified"));
        return made.out.substr(0, made.out.find(' '));
    }
    void set(const std::string& value) const {
        CPPUNIT_ASSERT(request(daemon_->port(), "PUT", "/api/kv/storage/a", {}, value).status <
                       300);
    }
    std::string value() const { return request(daemon_->port(), "GET", "/api/kv/storage/a").body; }

    TemporaryFolder folder_;
    std::unique_ptr<DaemonProcess> daemon_;
};

LARDER_TEST_SUITE(LarderctlBackupTest);

}  // namespace
}  // namespace larder::test
