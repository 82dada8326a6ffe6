// The old file or the new one, at every call that may fail and at every moment the power may go.
#include "storage-kit/atomic_file.hpp"

#include <string>

#include "support/fault_disk.hpp"
#include "support/suite.hpp"

namespace {

using larder::storage::copy_file;
using larder::storage::read_file;
using larder::storage::write_atomically;
using larder::test::FaultDisk;

const std::string kPath = "d/file";
const std::string kOld(9000, 'o');
const std::string kNew(12000, 'n');

class AtomicFileTest : public CppUnit::TestFixture {
    CPPUNIT_TEST_SUITE(AtomicFileTest);
    CPPUNIT_TEST(writes_and_replaces);
    CPPUNIT_TEST(copies);
    CPPUNIT_TEST(power_cut_at_every_call);
    CPPUNIT_TEST(error_at_every_call);
    CPPUNIT_TEST(what_returned_is_durable);
    CPPUNIT_TEST_SUITE_END();

public:
    void writes_and_replaces() {
        FaultDisk disk;
        write_atomically(disk, kPath, kOld);
        CPPUNIT_ASSERT_EQUAL(kOld, read_file(disk, kPath));
        write_atomically(disk, kPath, "");
        CPPUNIT_ASSERT_EQUAL(std::string(), read_file(disk, kPath));
        CPPUNIT_ASSERT_EQUAL(std::size_t{1}, disk.names().size());
        CPPUNIT_ASSERT_THROW(read_file(disk, "d/none"), std::system_error);
    }

    void copies() {
        FaultDisk disk;
        disk.place(kPath, kOld);
        copy_file(disk, kPath, "d/copy");
        CPPUNIT_ASSERT_EQUAL(kOld, disk.content("d/copy"));
        CPPUNIT_ASSERT_EQUAL(kOld, disk.content(kPath));
    }

    void power_cut_at_every_call() {
        for (std::size_t at = 1; at <= calls(); ++at) {
            for (unsigned seed = 1; seed < 30; ++seed) {
                FaultDisk disk(seed);
                disk.place(kPath, kOld);
                disk.arm({.at = at});
                CPPUNIT_ASSERT_THROW(write_atomically(disk, kPath, kNew), std::system_error);
                const auto after = disk.after_power_cut(seed);
                const std::string content = after->content(kPath);
                CPPUNIT_ASSERT(content == kOld || content == kNew);
            }
        }
    }

    void error_at_every_call() {
        for (const int error : {EIO, ENOSPC}) {
            for (std::size_t at = 1; at <= calls(); ++at) {
                FaultDisk disk;
                disk.place(kPath, kOld);
                disk.arm({.at = at, .error = error});
                CPPUNIT_ASSERT_THROW(write_atomically(disk, kPath, kNew), std::system_error);
                const std::string content = disk.content(kPath);
                CPPUNIT_ASSERT(content == kOld || (at == calls() && content == kNew));
                disk.arm({});
                write_atomically(disk, kPath, kNew);
                CPPUNIT_ASSERT_EQUAL(kNew, disk.content(kPath));
                CPPUNIT_ASSERT_EQUAL(std::size_t{1}, disk.names().size());
            }
        }
    }

    void what_returned_is_durable() {
        for (unsigned seed = 1; seed < 30; ++seed) {
            FaultDisk disk(seed);
            write_atomically(disk, kPath, kOld);
            write_atomically(disk, kPath, kNew);
            CPPUNIT_ASSERT_EQUAL(kNew, disk.after_power_cut(seed)->content(kPath));
        }
    }

private:
    static std::size_t calls() {
        FaultDisk disk;
        disk.place(kPath, kOld);
        disk.arm({});
        write_atomically(disk, kPath, kNew);
        return disk.calls();
    }
};

LARDER_TEST_SUITE(AtomicFileTest);

}  // namespace
