// Backups and restores on a disk without room: refused as a full disk, nothing left behind, the old
// state as it was, and all of it works again when there is room. Wants to mount; says SKIPPED where
// it may not.
#include <fmt/format.h>

#include <filesystem>
#include <iostream>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "support/daemon_process.hpp"
#include "support/eventually.hpp"
#include "support/json_view.hpp"
#include "support/raw_client.hpp"
#include "support/small_disk.hpp"
#include "support/suite.hpp"

namespace larder::test {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMiB = 1U << 20U;

class BackupFullDiskTest : public CppUnit::TestFixture {
    CPPUNIT_TEST_SUITE(BackupFullDiskTest);
    CPPUNIT_TEST(a_backup_without_room_is_refused_and_leaves_nothing);
    CPPUNIT_TEST(a_restore_without_room_changes_nothing);
    CPPUNIT_TEST(a_second_directory_without_room_is_caught_up_with);
    CPPUNIT_TEST_SUITE_END();

public:
    void a_backup_without_room_is_refused_and_leaves_nothing() {
        if (!begin()) return;
        for (const std::size_t room : {std::size_t{0}, kMiB / 8, kMiB, 2 * kMiB}) {
            disk_->fill(room);
            expect_full(make());
            CPPUNIT_ASSERT_EQUAL(std::string(R"({"items":[],"next":null})"),
                                 ask("GET", "/api/backups").body);
            expect_clean();
            disk_->clear();
        }
        CPPUNIT_ASSERT(ask("GET", "/api/alerts?state=raised").body.find("backup") !=
                       std::string::npos);
        const Answer made = make();
        CPPUNIT_ASSERT_EQUAL_MESSAGE(made.body, 201, made.status);
    }

    void a_restore_without_room_changes_nothing() {
        if (!begin()) return;
        const Answer made = make();
        CPPUNIT_ASSERT_EQUAL_MESSAGE(made.body, 201, made.status);
        const std::string url = "/api/backups/" + made.member("backup_id") + "/restore";
        CPPUNIT_ASSERT(ask("PUT", "/api/kv/storage/a", "", "2").status < 300);
        for (const std::size_t room : {std::size_t{0}, kMiB / 8, kMiB, 2 * kMiB}) {
            disk_->fill(room);
            expect_full(ask("POST", url, "Prefer: wait=60\r\n"));
            CPPUNIT_ASSERT_EQUAL(std::string("2"), ask("GET", "/api/kv/storage/a").body);
            CPPUNIT_ASSERT(!fs::exists(disk_->path() + "/data/.swap.json"));
            expect_clean();
            disk_->clear();
        }
        const Answer restored = ask("POST", url, "Prefer: wait=60\r\n");
        CPPUNIT_ASSERT_EQUAL_MESSAGE(restored.body, 200, restored.status);
        CPPUNIT_ASSERT_EQUAL(std::string("1"), ask("GET", "/api/kv/storage/a").body);
    }

    void a_second_directory_without_room_is_caught_up_with() {
        const TemporaryFolder data;
        if (!mount_it()) return;
        const std::string second = disk_->path() + "/second";
        fs::create_directories(second);
        start(data.path(), {{"LARDER_BACKUP_SECOND_DIRECTORY", second}});
        disk_->fill(kMiB);
        const Answer full = make();
        CPPUNIT_ASSERT_EQUAL_MESSAGE(full.body, 201, full.status);
        const Answer next =
            ask("POST", "/api/backups", "Prefer: wait=60\r\n", R"({"type":"incremental"})");
        CPPUNIT_ASSERT_EQUAL_MESSAGE(next.body, 201, next.status);
        CPPUNIT_ASSERT(fs::is_empty(second));
        const auto has_alert = [&] {
            return ask("GET", "/api/alerts?state=raised").body.find("second-directory") !=
                   std::string::npos;
        };
        CPPUNIT_ASSERT(has_alert());
        disk_->clear();
        CPPUNIT_ASSERT_EQUAL(202, ask("POST", "/api/scheduler/jobs/backup.copy/run").status);
        CPPUNIT_ASSERT(eventually([&] { return !has_alert(); }));
        for (const Answer& made : {full, next}) {
            CPPUNIT_ASSERT(
                fs::exists(fmt::format("{}/{}.tar.gz", second, made.member("backup_id"))));
        }
    }

    void tearDown() override {
        daemon_.reset();
        disk_.reset();
    }

private:
    bool mount_it() {
        disk_ = std::make_unique<SmallDisk>(32768);
        if (!disk_->why_not().empty()) {
            std::cout << " SKIPPED: cannot mount a tmpfs: " << disk_->why_not() << ' '
                      << std::flush;
        }
        return disk_->why_not().empty();
    }
    bool begin() {
        if (!mount_it()) return false;
        start(disk_->path() + "/data", {});
        return true;
    }
    void start(const std::string& data_directory,
               const std::vector<std::pair<std::string, std::string>>& settings) {
        DaemonOptions options;
        options.data_directory = data_directory;
        options.environment = {{"LARDER_BACKUP_SCHEDULE", "off"},
                               {"LARDER_DAEMON_ACCESS_LOG", "false"}};
        options.environment.insert(options.environment.end(), settings.begin(), settings.end());
        daemon_ = std::make_unique<DaemonProcess>(std::move(options));
        CPPUNIT_ASSERT(ask("PUT", "/api/kv/storage/a", "", "1").status < 300);
        std::mt19937 random(1);
        std::string noise(4 * kMiB, '\0');
        for (char& byte : noise) byte = static_cast<char>(random());
        CPPUNIT_ASSERT_EQUAL(201, ask("PUT", "/api/files/noise.bin", "", noise).status);
    }

    Answer ask(std::string_view method, const std::string& target, const std::string& headers = {},
               const std::string& body = {}) const {
        return request(daemon_->port(), method, target, headers, body);
    }
    Answer make() const { return ask("POST", "/api/backups", "Prefer: wait=60\r\n"); }
    static void expect_full(const Answer& answer) {
        CPPUNIT_ASSERT_EQUAL_MESSAGE(answer.body, 507, answer.status);
        CPPUNIT_ASSERT_EQUAL(std::string("disk-full"), answer.member("code"));
    }
    void expect_clean() const {
        const std::string folder = disk_->path() + "/data/backups/";
        CPPUNIT_ASSERT(!fs::exists(folder + ".restore"));
        CPPUNIT_ASSERT(fs::is_empty(folder + ".staging"));
    }

    std::unique_ptr<SmallDisk> disk_;
    std::unique_ptr<DaemonProcess> daemon_;
};

LARDER_TEST_SUITE(BackupFullDiskTest);

}  // namespace
}  // namespace larder::test
