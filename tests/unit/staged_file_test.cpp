// A file that is being received, and what is said of a disk that does not take it.
#include "storage-kit/staged_file.hpp"

#include <cerrno>
#include <string>
#include <system_error>
#include <vector>

#include "storage-kit/disk_error.hpp"
#include "support/suite.hpp"
#include "support/temporary_folder.hpp"

namespace larder::test {
namespace {

using storage::StagedFile;

class StagedFileTest : public CppUnit::TestFixture {
    CPPUNIT_TEST_SUITE(StagedFileTest);
    CPPUNIT_TEST(grows_at_its_end);
    CPPUNIT_TEST(goes_on_where_it_stood);
    CPPUNIT_TEST(is_read_in_parts);
    CPPUNIT_TEST(takes_no_name_that_is_there);
    CPPUNIT_TEST(errors_say_what_happened);
    CPPUNIT_TEST_SUITE_END();

public:
    void grows_at_its_end() {
        StagedFile file(path_, true);
        file.append("some ");
        file.append("bytes");
        file.append("");
        CPPUNIT_ASSERT_EQUAL(std::uint64_t{10}, file.size());
        CPPUNIT_ASSERT_EQUAL(std::string("some"), file.beginning(4));
        CPPUNIT_ASSERT_EQUAL(std::string("some bytes"), file.beginning(100));
        file.sync();
    }

    void goes_on_where_it_stood() {
        StagedFile(path_, true).append("first, torn");
        StagedFile file(path_, false);
        CPPUNIT_ASSERT_EQUAL(std::uint64_t{11}, file.size());
        file.cut_to(5);
        file.append("!");
        CPPUNIT_ASSERT_EQUAL(std::string("first!"), read_file(path_));
    }

    void is_read_in_parts() {
        StagedFile file(path_, true);
        std::string whole;
        for (int i = 0; i < 200'000; ++i) whole += std::to_string(i);
        file.append(whole);
        std::string got;
        std::size_t parts = 0;
        file.read_from(3, [&](std::string_view part) {
            got += part;
            ++parts;
        });
        CPPUNIT_ASSERT(parts > 1);
        CPPUNIT_ASSERT(got == whole.substr(3));
        std::string some(7, '\0');
        file.read(1000, some.size(), some.data());
        CPPUNIT_ASSERT_EQUAL(whole.substr(1000, 7), some);
        try {
            file.read(whole.size() - 1, 2, some.data());
            CPPUNIT_FAIL("it read beyond the end");
        } catch (const std::system_error& error) {
            CPPUNIT_ASSERT_EQUAL(EIO, error.code().value());
        }
    }

    void takes_no_name_that_is_there() {
        StagedFile(path_, true).append("x");
        CPPUNIT_ASSERT_THROW(StagedFile(path_, true), std::system_error);
        CPPUNIT_ASSERT_EQUAL(std::string("x"), read_file(path_));
        CPPUNIT_ASSERT_THROW(StagedFile(folder_ / "none", false), std::system_error);
    }

    void errors_say_what_happened() {
        const auto of = [](int number) {
            return storage::disk_error({number, std::generic_category(), "write x"});
        };
        for (const int number : {ENOSPC, EDQUOT}) {
            CPPUNIT_ASSERT(of(number).code() == Errc::no_space);
        }
        for (const int number : {EMFILE, ENFILE}) {
            CPPUNIT_ASSERT(of(number).code() == Errc::unavailable);
        }
        CPPUNIT_ASSERT(of(EIO).code() == Errc::io_failed);
        CPPUNIT_ASSERT(of(EIO).internal().find("write x") != std::string::npos);
        CPPUNIT_ASSERT(of(EIO).detail().find("write x") == std::string::npos);
    }

private:
    TemporaryFolder folder_;
    const std::string path_ = folder_ / "staged";
};

LARDER_TEST_SUITE(StagedFileTest);

}  // namespace
}  // namespace larder::test
