// A file system that never takes a write whole: everything must be written all the same, and read
// back after a kill and after a clean stop.
#include <fmt/format.h>

#include <filesystem>
#include <string>

#include "support/daemon_process.hpp"
#include "support/scribe.hpp"
#include "support/suite.hpp"

namespace larder::test {
namespace {

class ShortWriteTest : public CppUnit::TestFixture {
    CPPUNIT_TEST_SUITE(ShortWriteTest);
    CPPUNIT_TEST(writes_all_of_it_in_many_parts);
    CPPUNIT_TEST_SUITE_END();

public:
    void writes_all_of_it_in_many_parts() {
        const TemporaryFolder folder;
        Scribe scribe("storage");
        DaemonOptions options;
        options.data_directory = folder.path() + "/data";
        options.environment = {{"LARDER_KV_CHECKPOINT_SIZE", "64KiB"},
                               {"LD_PRELOAD", LARDER_SHORT_WRITES},
                               // A sanitizer's run-time wants to be the first library, and is not.
                               {"ASAN_OPTIONS", "verify_asan_link_order=0"}};
        for (int life = 0; life < 3; ++life) {
            DaemonProcess daemon(options);
            const std::string maps = read_file(fmt::format("/proc/{}/maps", daemon.pid()));
            CPPUNIT_ASSERT(maps.find("short_writes") != std::string::npos);
            scribe.use(daemon.port());
            scribe.verify();
            for (const std::size_t size : {0U, 10U, 5000U, 70000U, 400000U}) {
                CPPUNIT_ASSERT_EQUAL(201, scribe.write(size).status);
            }
            CPPUNIT_ASSERT(eventually([&] {  // a checkpoint has come about
                const std::string readable = options.data_directory + "/storage.json";
                return std::filesystem::exists(readable) && read_file(readable).size() > 100000;
            }));
            CPPUNIT_ASSERT_EQUAL(204, scribe.remove_one().status);
            if (life == 1) CPPUNIT_ASSERT_EQUAL(0, daemon.stop());
        }
        options.environment.clear();
        DaemonProcess daemon(options);
        scribe.use(daemon.port());
        scribe.verify();
    }
};

LARDER_TEST_SUITE(ShortWriteTest);

}  // namespace
}  // namespace larder::test
