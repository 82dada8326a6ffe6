// A disk without space, made of a small tmpfs: writes are refused, reads and deletes go on, and
// writes resume when there is room again, without a restart and without loss. Wants to mount; says
// SKIPPED where it may not.
#include <fmt/format.h>

#include <filesystem>
#include <iostream>
#include <memory>

#include "support/daemon_process.hpp"
#include "support/raw_client.hpp"
#include "support/scribe.hpp"
#include "support/small_disk.hpp"
#include "support/suite.hpp"

namespace larder::test {
namespace {

class FullDiskTest : public CppUnit::TestFixture {
    CPPUNIT_TEST_SUITE(FullDiskTest);
    CPPUNIT_TEST(refuses_writes_and_goes_on_reading_and_deleting);
    CPPUNIT_TEST(resumes_when_room_is_made);
    CPPUNIT_TEST(resumes_after_deletes_alone);
    CPPUNIT_TEST(loses_nothing_to_a_kill_while_full);
    CPPUNIT_TEST(starts_on_a_full_disk_after_a_kill);
    CPPUNIT_TEST(starts_on_a_full_disk_after_a_clean_stop);
    CPPUNIT_TEST(stops_cleanly_while_full);
    CPPUNIT_TEST_SUITE_END();

public:
    void refuses_writes_and_goes_on_reading_and_deleting() {
        if (!begin()) return;
        fill_up();
        const Answer full = scribe_->write(2000);
        CPPUNIT_ASSERT_EQUAL(507, full.status);
        CPPUNIT_ASSERT_EQUAL(std::string("disk-full"), full.member("code"));
        CPPUNIT_ASSERT(full.body.find(disk_->path()) == std::string::npos);
        scribe_->verify();
        for (int i = 0; i < 20; ++i) CPPUNIT_ASSERT_EQUAL(204, scribe_->remove_one().status);
        scribe_->verify();
        const Answer ready = request(daemon_->port(), "GET", "/readyz");
        CPPUNIT_ASSERT_EQUAL(200, ready.status);
        CPPUNIT_ASSERT_MESSAGE(ready.body,
                               ready.body.find(R"("state":"degraded")") != std::string::npos);
        CPPUNIT_ASSERT(ready.body.find("no space") != std::string::npos);
    }

    void resumes_when_room_is_made() {
        if (!begin()) return;
        fill_up();
        disk_->clear();
        CPPUNIT_ASSERT_EQUAL(201, scribe_->write(2000).status);
        const Answer ready = request(daemon_->port(), "GET", "/readyz");
        CPPUNIT_ASSERT_MESSAGE(ready.body,
                               ready.body.find(R"("state":"degraded")") == std::string::npos);
        fill_up();  // and all of it once more
        disk_->clear();
        CPPUNIT_ASSERT_EQUAL(201, scribe_->write(2000).status);
        expect_kept_after_kill();
    }

    // Nobody else's files are in the way: what was deleted must become room by itself.
    void resumes_after_deletes_alone() {
        if (!begin()) return;
        fill_up();
        while (scribe_->acknowledged() > 3) {
            CPPUNIT_ASSERT_EQUAL(204, scribe_->remove_one().status);
        }
        CPPUNIT_ASSERT(eventually([&] { return scribe_->write(2000).status == 201; },
                                  std::chrono::seconds(60)));
        expect_kept_after_kill();
    }

    void loses_nothing_to_a_kill_while_full() {
        if (!begin()) return;
        fill_up();
        for (int i = 0; i < 5; ++i) CPPUNIT_ASSERT_EQUAL(204, scribe_->remove_one().status);
        disk_->clear();
        expect_kept_after_kill();
    }

    void starts_on_a_full_disk_after_a_kill() {
        if (!begin()) return;
        fill_up();
        daemon_->kill();
        disk_->fill();
        start();
        scribe_->verify();
        for (int i = 0; i < 5; ++i) CPPUNIT_ASSERT_EQUAL(204, scribe_->remove_one().status);
        CPPUNIT_ASSERT_EQUAL(507, scribe_->write(200000).status);
        disk_->clear();
        CPPUNIT_ASSERT_EQUAL(201, scribe_->write(2000).status);
        expect_kept_after_kill();
    }

    void starts_on_a_full_disk_after_a_clean_stop() {
        if (!begin()) return;
        for (int i = 0; i < 10; ++i) CPPUNIT_ASSERT_EQUAL(201, scribe_->write(2000).status);
        CPPUNIT_ASSERT_EQUAL(0, daemon_->stop());
        disk_->fill();
        start();
        scribe_->verify();
        CPPUNIT_ASSERT_EQUAL(507, scribe_->write(2000).status);
        disk_->clear();
        CPPUNIT_ASSERT_EQUAL(201, scribe_->write(2000).status);
        expect_kept_after_kill();
    }

    void stops_cleanly_while_full() {
        if (!begin()) return;
        fill_up();
        CPPUNIT_ASSERT_EQUAL(0, daemon_->stop());
        CPPUNIT_ASSERT_MESSAGE(daemon_->log(),
                               daemon_->log().find("its journal keeps") != std::string::npos);
        start();
        scribe_->verify();
        disk_->clear();
        CPPUNIT_ASSERT_EQUAL(201, scribe_->write(2000).status);
        expect_kept_after_kill();
    }

    void tearDown() override {
        daemon_.reset();
        disk_.reset();
    }

private:
    bool begin() {
        disk_ = std::make_unique<SmallDisk>(3072);
        if (!disk_->why_not().empty()) {
            std::cout << " SKIPPED: cannot mount a tmpfs: " << disk_->why_not() << ' '
                      << std::flush;
            return false;
        }
        scribe_ = std::make_unique<Scribe>("storage");
        start();
        return true;
    }

    void start() {
        DaemonOptions options;
        options.data_directory = disk_->path() + "/data";
        options.environment = {{"LARDER_KV_CHECKPOINT_SIZE", "64KiB"},
                               {"LARDER_KV_CHECKPOINT_INTERVAL", "1s"},
                               {"LARDER_METRICS_ENABLED", "false"},
                               {"LARDER_DAEMON_ACCESS_LOG", "false"}};
        daemon_ = std::make_unique<DaemonProcess>(std::move(options));
        scribe_->use(daemon_->port());
    }

    // Some values, then the rest of the disk by ballast and values until one is refused.
    void fill_up() {
        for (int i = 0; i < 30; ++i) CPPUNIT_ASSERT_EQUAL(201, scribe_->write(2000).status);
        int status = 201;
        CPPUNIT_ASSERT(eventually([&] {
            disk_->fill();
            status = scribe_->write(2000).status;
            return status != 201;
        }));
        CPPUNIT_ASSERT_EQUAL(507, status);
    }

    void expect_kept_after_kill() {
        scribe_->verify();
        daemon_->kill();
        start();
        scribe_->verify();
        CPPUNIT_ASSERT_EQUAL(201, scribe_->write(2000).status);
        CPPUNIT_ASSERT_EQUAL(0, daemon_->stop());
        start();
        scribe_->verify();
    }

    std::unique_ptr<SmallDisk> disk_;
    std::unique_ptr<DaemonProcess> daemon_;
    std::unique_ptr<Scribe> scribe_;
};

LARDER_TEST_SUITE(FullDiskTest);

}  // namespace
}  // namespace larder::test
