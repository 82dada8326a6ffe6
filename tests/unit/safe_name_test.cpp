// No name leads out of its folder: as text, through the kernel, and on a kernel without openat2(2).
#include "storage-kit/safe_name.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <filesystem>
#include <string>
#include <system_error>

#include "support/suite.hpp"
#include "support/temporary_folder.hpp"

namespace {

using larder::storage::is_plain_name;
using larder::storage::open_beneath;
using larder::storage::open_beneath_by_steps;
using larder::storage::open_folder;
using larder::storage::OwnedFd;
using namespace std::string_literals;

class SafeNameTest : public CppUnit::TestFixture {
    CPPUNIT_TEST_SUITE(SafeNameTest);
    CPPUNIT_TEST(plain_names);
    CPPUNIT_TEST(opens_what_is_beneath);
    CPPUNIT_TEST(no_way_leads_out);
    CPPUNIT_TEST(links_inside);
    CPPUNIT_TEST(descriptors_are_closed_on_exec);
    CPPUNIT_TEST_SUITE_END();

public:
    void setUp() override {
        std::filesystem::create_directories(folder_ / "in/sub");
        for (const char* name : {"secret", "in/file", "in/sub/file"}) {
            const OwnedFd made(::open((folder_ / name).c_str(), O_CREAT | O_WRONLY, 0640));
            CPPUNIT_ASSERT(made.get() >= 0);
        }
        std::filesystem::create_symlink("../secret", folder_ / "in/out");
        std::filesystem::create_symlink(folder_ / "secret", folder_ / "in/absolute");
        std::filesystem::create_symlink("..", folder_ / "in/up");
        std::filesystem::create_symlink("sub/file", folder_ / "in/inside");
        std::filesystem::create_symlink("/proc/self/root", folder_ / "in/magic");
        std::filesystem::create_symlink("loop", folder_ / "in/loop");
        in_ = open_folder(folder_ / "in");
    }
    void tearDown() override {
        for (const auto& entry : std::filesystem::directory_iterator(folder_.path())) {
            std::filesystem::remove_all(entry.path());
        }
    }

    void plain_names() {
        for (const std::string& good : {"a"s, "a.tar.gz"s, "with blank"s, "\xC3\xA9"s, "a..b"s,
                                        "a-b"s, "con"s, "a\\b"s, std::string(255, 'x')}) {
            CPPUNIT_ASSERT_MESSAGE(good, is_plain_name(good));
        }
        for (const std::string& bad :
             {""s, "."s, ".."s, "a/b"s, "/a"s, "a/"s, "a\0b"s, ".hidden"s, "-rf"s, "a\nb"s, "\x7F"s,
              "\x1F"s, "\xFF"s, "\xC0\xAF"s, std::string(256, 'x'), "\xE2\x82"s}) {
            CPPUNIT_ASSERT_MESSAGE(bad, !is_plain_name(bad));
        }
    }

    void opens_what_is_beneath() {
        for (const auto open : {open_beneath, open_beneath_by_steps}) {
            CPPUNIT_ASSERT(open(in_.get(), "file", O_RDONLY, 0).get() >= 0);
            CPPUNIT_ASSERT(open(in_.get(), "sub/file", O_RDONLY, 0).get() >= 0);
            CPPUNIT_ASSERT(open(in_.get(), "./sub//file", O_RDONLY, 0).get() >= 0);
            open(in_.get(), "sub/new", O_WRONLY | O_CREAT | O_EXCL, 0600);
            CPPUNIT_ASSERT(std::filesystem::remove(folder_ / "in/sub/new"));
            CPPUNIT_ASSERT_EQUAL(ENOENT, error_of(open, "none"));
            CPPUNIT_ASSERT_EQUAL(ENOENT, error_of(open, ""));
            CPPUNIT_ASSERT_EQUAL(EEXIST, error_of(open, "file", O_CREAT | O_EXCL | O_WRONLY));
        }
    }

    void no_way_leads_out() {
        for (const auto open : {open_beneath, open_beneath_by_steps}) {
            for (const std::string& path :
                 {"../secret"s, "sub/../../secret"s, "/etc/passwd"s, folder_ / "secret", "out"s,
                  "absolute"s, "up/secret"s, "magic/etc/passwd"s, "loop"s, ".."s, "sub/../.."s}) {
                const int error = error_of(open, path);
                CPPUNIT_ASSERT_MESSAGE(path + ": " + std::to_string(error),
                                       error == EXDEV || error == ELOOP);
            }
            CPPUNIT_ASSERT_EQUAL(EINVAL, error_of(open, "file\0/../.."s));
        }
    }

    void links_inside() {
        CPPUNIT_ASSERT(open_beneath(in_.get(), "inside", O_RDONLY).get() >= 0);
        CPPUNIT_ASSERT_EQUAL(ELOOP, error_of(open_beneath_by_steps, "inside"));
        CPPUNIT_ASSERT_EQUAL(ELOOP, error_of(open_beneath, "inside", O_RDONLY | O_NOFOLLOW));
    }

    void descriptors_are_closed_on_exec() {
        for (const auto open : {open_beneath, open_beneath_by_steps}) {
            const OwnedFd fd = open(in_.get(), "file", O_RDONLY, 0);
            CPPUNIT_ASSERT((::fcntl(fd.get(), F_GETFD) & FD_CLOEXEC) != 0);
        }
        OwnedFd moved = open_beneath(in_.get(), "file", O_RDONLY);
        const int fd = moved.get();
        {
            const OwnedFd taken = std::move(moved);
            CPPUNIT_ASSERT_EQUAL(fd, taken.get());
        }
        CPPUNIT_ASSERT_EQUAL(-1, ::fcntl(fd, F_GETFD));
    }

private:
    using Open = OwnedFd (*)(int, const std::string&, int, unsigned);
    int error_of(Open open, const std::string& path, int flags = O_RDONLY) const {
        try {
            open(in_.get(), path, flags, 0640);
            return 0;
        } catch (const std::system_error& error) {
            return error.code().value();
        }
    }

    larder::test::TemporaryFolder folder_;
    OwnedFd in_;
};

LARDER_TEST_SUITE(SafeNameTest);

}  // namespace
