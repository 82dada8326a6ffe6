// The real file system behind the seam: that it does what the model of it in the other tests does.
#include "storage-kit/file_system.hpp"

#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include "support/suite.hpp"
#include "support/temporary_folder.hpp"

namespace {

using larder::storage::FileSystem;
using larder::storage::is_no_space;
using larder::storage::parent_of;

class FileSystemTest : public CppUnit::TestFixture {
    CPPUNIT_TEST_SUITE(FileSystemTest);
    CPPUNIT_TEST(writes_parts_and_reads_back);
    CPPUNIT_TEST(many_parts);
    CPPUNIT_TEST(allocates_zeros);
    CPPUNIT_TEST(names);
    CPPUNIT_TEST(folders);
    CPPUNIT_TEST(a_full_device_is_no_space);
    CPPUNIT_TEST(modes);
    CPPUNIT_TEST(parents);
    CPPUNIT_TEST_SUITE_END();

public:
    void writes_parts_and_reads_back() {
        const auto file = files_.create(folder_ / "f");
        const std::array<std::string_view, 3> parts{"ab", "", "cde"};
        file->write(2, parts);
        file->sync_data();
        CPPUNIT_ASSERT_EQUAL(std::uint64_t{7}, file->size());
        std::string text(10, 'x');
        CPPUNIT_ASSERT_EQUAL(std::size_t{7}, file->read(0, text));
        CPPUNIT_ASSERT_EQUAL(std::string("\0\0abcde", 7), text.substr(0, 7));
        CPPUNIT_ASSERT_EQUAL(std::size_t{0}, file->read(7, text));
        CPPUNIT_ASSERT_EQUAL(std::size_t{2}, file->read(5, text));
        file->truncate(3);
        CPPUNIT_ASSERT_EQUAL(std::uint64_t{3}, file->size());
        CPPUNIT_ASSERT(file->modified_ms() > 1'600'000'000'000);
        CPPUNIT_ASSERT_EQUAL(std::uint64_t{3}, files_.open_write(folder_ / "f")->size());
        CPPUNIT_ASSERT_EQUAL(std::uint64_t{0}, files_.create(folder_ / "f")->size());
    }

    void many_parts() {
        const auto file = files_.create(folder_ / "f");
        const std::string large(300'000, 'y');
        std::vector<std::string_view> parts(50, "x");
        parts.emplace_back(large);
        file->write(0, parts);
        std::string text(400'000, '\0');
        text.resize(file->read(0, text));
        CPPUNIT_ASSERT(text == std::string(50, 'x') + large);
    }

    void allocates_zeros() {
        const auto file = files_.create(folder_ / "f");
        file->allocate(0, 1'000'000);
        CPPUNIT_ASSERT_EQUAL(std::uint64_t{1'000'000}, file->size());
        std::string text(1'000'000, 'x');
        file->read(0, text);
        CPPUNIT_ASSERT(text == std::string(1'000'000, '\0'));
    }

    void names() {
        const std::string a = folder_ / "a";
        const std::string b = folder_ / "b";
        CPPUNIT_ASSERT(!files_.exists(a));
        CPPUNIT_ASSERT_THROW(files_.open_read(a), std::system_error);
        CPPUNIT_ASSERT_THROW(files_.open_write(a), std::system_error);
        files_.create(a);
        CPPUNIT_ASSERT(files_.exists(a));
        files_.rename(a, b);
        CPPUNIT_ASSERT(!files_.exists(a));
        CPPUNIT_ASSERT_THROW(files_.rename(a, b), std::system_error);
        files_.create(a);
        CPPUNIT_ASSERT(files_.list(folder_.path()) == (std::vector<std::string>{"a", "b"}));
        files_.remove(a);
        files_.remove(a);  // absent is no error
        files_.sync_directory(folder_.path());
        CPPUNIT_ASSERT(files_.list(folder_.path()) == (std::vector<std::string>{"b"}));
        CPPUNIT_ASSERT(!files_.exists(b + "/under-a-file"));
    }

    void folders() {
        files_.make_directory(folder_ / "x/y/z");
        files_.make_directory(folder_ / "x/y/z");
        files_.make_directory(folder_ / "x/y/");
        files_.create(folder_ / "x/y/z/f");
        CPPUNIT_ASSERT_THROW(files_.make_directory(folder_ / "x/y/z/f"), std::system_error);
        CPPUNIT_ASSERT_THROW(files_.make_directory(folder_ / "x/y/z/f/g"), std::system_error);
        CPPUNIT_ASSERT_THROW(files_.list(folder_ / "none"), std::system_error);
        CPPUNIT_ASSERT_THROW(files_.sync_directory(folder_ / "none"), std::system_error);
    }

    void a_full_device_is_no_space() {
        const auto file = files_.open_write("/dev/full");
        const std::string_view text("x");
        try {
            file->write(0, {&text, 1});
            CPPUNIT_FAIL("wrote to a full device");
        } catch (const std::system_error& error) {
            CPPUNIT_ASSERT(is_no_space(error));
            CPPUNIT_ASSERT(std::string(error.what()).find("/dev/full") != std::string::npos);
        }
        CPPUNIT_ASSERT(is_no_space(std::system_error(EDQUOT, std::generic_category())));
        CPPUNIT_ASSERT(!is_no_space(std::system_error(EIO, std::generic_category())));
    }

    void modes() {
        const mode_t before = ::umask(022);
        files_.create(folder_ / "f");
        files_.make_directory(folder_ / "d");
        ::umask(before);
        CPPUNIT_ASSERT_EQUAL(0640U, mode_of(folder_ / "f"));
        CPPUNIT_ASSERT_EQUAL(0750U, mode_of(folder_ / "d"));
    }

    void parents() {
        const std::pair<const char*, const char*> cases[] = {
            {"a", "."},    {"a/b", "a"},   {"a/b/", "a"}, {"/a", "/"},  {"/", "/"},
            {"a//b", "a"}, {"/a/b", "/a"}, {"", "."},     {"//a", "/"}, {"a/b/c", "a/b"},
        };
        for (const auto& [path, parent] : cases) {
            CPPUNIT_ASSERT_EQUAL_MESSAGE(path, std::string(parent), parent_of(path));
        }
    }

private:
    static unsigned mode_of(const std::string& path) {
        struct stat status {};
        CPPUNIT_ASSERT_EQUAL(0, ::stat(path.c_str(), &status));
        return status.st_mode & 07777U;
    }

    larder::test::TemporaryFolder folder_;
    FileSystem& files_ = FileSystem::real();
};

LARDER_TEST_SUITE(FileSystemTest);

}  // namespace
