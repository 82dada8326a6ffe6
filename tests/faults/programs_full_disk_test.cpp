// Programs on a disk without space: what cannot be recorded does not run, though its sandbox was
// made already. Wants to mount and to run programs; says SKIPPED where it may not.
#include <filesystem>
#include <iostream>
#include <memory>
#include <string>

#include "support/programs_fixture.hpp"
#include "support/small_disk.hpp"
#include "support/suite.hpp"
#include "support/zip_maker.hpp"

namespace larder::test {
namespace {

class ProgramsFullDiskTest : public ProgramsFixture {
    CPPUNIT_TEST_SUITE(ProgramsFullDiskTest);
    CPPUNIT_TEST(what_is_not_recorded_does_not_run);
    CPPUNIT_TEST_SUITE_END();

public:
    void setUp() override { disk_ = std::make_unique<SmallDisk>(8192); }
    void tearDown() override {
        daemon_.reset();
        disk_.reset();
    }

    void what_is_not_recorded_does_not_run() {
        if (!disk_->why_not().empty()) {
            std::cout << " SKIPPED: cannot mount a tmpfs: " << disk_->why_not() << ' '
                      << std::flush;
            return;
        }
        DaemonOptions options;
        options.data_directory = disk_->path() + "/data";
        options.environment = {{"LARDER_DAEMON_ACCESS_LOG", "false"}};
        daemon_ = std::make_unique<DaemonProcess>(std::move(options));
        if (skips()) return;
        // Each run takes one file away, which a full disk does not hinder.
        ZipMaker project;
        project.add("main.sh", "cd data && rm -- \"$(ls | head -n 1)\"\n");
        for (int i = 0; i < kFiles; ++i) project.add("data/" + std::to_string(1000 + i), "x");
        const std::string id = upload("take.zip", project.archive());
        CPPUNIT_ASSERT_EQUAL(std::string("succeeded 0 null null"), story(execute(id)));
        // The database's log may have room of its own for a while, at last for a run's beginning
        // and not for its end: so the second refusal counts.
        int refusals = 0;
        CPPUNIT_ASSERT(eventually([&] {
            disk_->fill();
            const Answer answer = try_execute(id);
            CPPUNIT_ASSERT_MESSAGE(answer.body, answer.status == 200 || answer.status == 507);
            refusals = answer.status == 507 ? refusals + 1 : 0;
            return refusals == 2;
        }));
        const int before = left(id);
        CPPUNIT_ASSERT_EQUAL(507, try_execute(id).status);
        CPPUNIT_ASSERT_EQUAL(before, left(id));
        disk_->clear();
        CPPUNIT_ASSERT_EQUAL(std::string("succeeded 0 null null"), story(execute(id)));
        CPPUNIT_ASSERT_EQUAL(before - 1, left(id));
    }

private:
    static constexpr int kFiles = 500;

    int left(const std::string& id) const {
        int files = 0;
        for (const auto& entry : std::filesystem::directory_iterator(
                 disk_->path() + "/data/programs/" + id + "/data")) {
            files += entry.is_regular_file() ? 1 : 0;
        }
        return files;
    }

    std::unique_ptr<SmallDisk> disk_;
};

LARDER_TEST_SUITE(ProgramsFullDiskTest);

}  // namespace
}  // namespace larder::test
