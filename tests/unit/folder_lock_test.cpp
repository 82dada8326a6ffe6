// One holder a folder, named to the one who comes second, and free again however the first one
// ends.
#include "storage-kit/folder_lock.hpp"

#include <fmt/format.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <memory>
#include <string>
#include <system_error>

#include "larder/error.hpp"
#include "support/suite.hpp"
#include "support/temporary_folder.hpp"

namespace {

using larder::Error;
using larder::storage::FolderLock;

class FolderLockTest : public CppUnit::TestFixture {
    CPPUNIT_TEST_SUITE(FolderLockTest);
    CPPUNIT_TEST(a_second_holder_is_refused);
    CPPUNIT_TEST(is_free_after_its_holder);
    CPPUNIT_TEST(is_free_after_a_kill);
    CPPUNIT_TEST(needs_the_folder);
    CPPUNIT_TEST_SUITE_END();

public:
    void a_second_holder_is_refused() {
        const FolderLock first(folder_.path());
        try {
            const FolderLock second(folder_.path());
            CPPUNIT_FAIL("two holders");
        } catch (const Error& error) {
            CPPUNIT_ASSERT_EQUAL(std::string("locked"), error.slug());
            CPPUNIT_ASSERT(error.internal().find(fmt::format("process {}", ::getpid())) !=
                           std::string::npos);
            CPPUNIT_ASSERT(error.detail().find(folder_.path()) == std::string::npos);
        }
        const larder::test::TemporaryFolder other;
        const FolderLock elsewhere(other.path());
    }

    void is_free_after_its_holder() {
        for (int i = 0; i < 3; ++i) const FolderLock lock(folder_.path());
    }

    void is_free_after_a_kill() {
        int ready[2];
        CPPUNIT_ASSERT_EQUAL(0, ::pipe(ready));
        const pid_t child = ::fork();
        if (child == 0) {
            const FolderLock lock(folder_.path());
            if (::write(ready[1], "x", 1) != 1) ::_exit(1);
            for (;;) ::pause();
        }
        char byte = 0;
        CPPUNIT_ASSERT_EQUAL(ssize_t{1}, ::read(ready[0], &byte, 1));
        CPPUNIT_ASSERT_THROW(FolderLock(folder_.path()), Error);
        ::kill(child, SIGKILL);
        CPPUNIT_ASSERT_EQUAL(child, ::waitpid(child, nullptr, 0));
        ::close(ready[0]);
        ::close(ready[1]);
        const FolderLock mine(folder_.path());
    }

    void needs_the_folder() {
        CPPUNIT_ASSERT_THROW(FolderLock(folder_ / "none"), std::system_error);
    }

private:
    larder::test::TemporaryFolder folder_;
};

LARDER_TEST_SUITE(FolderLockTest);

}  // namespace
