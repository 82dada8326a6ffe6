// What an admin chose, on a disk that may fail: a choice is on disk or was not made.
#include "plugin_host/choices.hpp"

#include <cerrno>

#include "larder/error.hpp"
#include "support/fault_disk.hpp"
#include "support/suite.hpp"

namespace larder::plugin_host {
namespace {

class ChoicesTest : public CppUnit::TestFixture {
    CPPUNIT_TEST_SUITE(ChoicesTest);
    CPPUNIT_TEST(keeps_them_over_restarts);
    CPPUNIT_TEST(a_choice_that_cannot_be_written_was_not_made);
    CPPUNIT_TEST_SUITE_END();

public:
    void keeps_them_over_restarts() {
        test::FaultDisk disk;
        {
            Choices choices(disk, kPath);
            CPPUNIT_ASSERT(!choices.of("kv"));
            choices.choose("kv", false);
            choices.choose("files", true);
            choices.choose("cache", true);
            choices.forget("cache");
            choices.forget("never");
        }
        const Choices again(disk, kPath);
        CPPUNIT_ASSERT(again.of("kv") && !again.of("kv")->enabled);
        CPPUNIT_ASSERT_EQUAL(std::size_t{24}, again.of("kv")->chosen_at.size());
        CPPUNIT_ASSERT(again.of("files") && again.of("files")->enabled);
        CPPUNIT_ASSERT(!again.of("cache"));
    }

    void a_choice_that_cannot_be_written_was_not_made() {
        for (const auto& [error, slug] : std::vector<std::pair<int, std::string>>{
                 {ENOSPC, "disk-full"}, {EDQUOT, "disk-full"}, {EIO, "storage-failed"}}) {
            test::FaultDisk disk;
            Choices choices(disk, kPath);
            choices.choose("kv", false);
            disk.arm({1, error});
            try {
                choices.choose("kv", true);
                CPPUNIT_FAIL("it was taken");
            } catch (const Error& refusal) {
                CPPUNIT_ASSERT_EQUAL(slug, refusal.slug());
                CPPUNIT_ASSERT(refusal.detail().find('/') == std::string::npos);
            }
            CPPUNIT_ASSERT(!choices.of("kv")->enabled);
            CPPUNIT_ASSERT(!Choices(disk, kPath).of("kv")->enabled);
        }
    }

private:
    static inline const std::string kPath = "/data/plugins.json";
};

LARDER_TEST_SUITE(ChoicesTest);

}  // namespace
}  // namespace larder::plugin_host
