// The judgement of a plugin's file before any of its code could run: stamps that differ, and files
// that are cut, bent or something else altogether.
#include "plugin_host/stamp.hpp"

#include <elf.h>
#include <fmt/format.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <random>
#include <vector>

#include "plugin_host/library.hpp"
#include "support/daemon_process.hpp"
#include "support/suite.hpp"

namespace larder::plugin_host {
namespace {

using test::read_file;
using test::write_file;

class StampTest : public CppUnit::TestFixture {
    CPPUNIT_TEST_SUITE(StampTest);
    CPPUNIT_TEST(takes_its_own_stamp);
    CPPUNIT_TEST(refuses_another_major);
    CPPUNIT_TEST(refuses_a_newer_minor);
    CPPUNIT_TEST(refuses_another_layout);
    CPPUNIT_TEST(the_compiler_is_for_the_message_alone);
    CPPUNIT_TEST(takes_a_good_file);
    CPPUNIT_TEST(refuses_what_is_no_library);
    CPPUNIT_TEST(refuses_a_file_cut_anywhere);
    CPPUNIT_TEST(refuses_a_damaged_stamp);
    CPPUNIT_TEST(refuses_a_bent_header);
    CPPUNIT_TEST(bears_files_bent_by_chance);
    CPPUNIT_TEST(loads_nothing_that_it_refuses);
    CPPUNIT_TEST_SUITE_END();

public:
    void setUp() override {
        good_ = read_file(
            (std::filesystem::path(test::DaemonProcess::binary()).parent_path().parent_path() /
             "lib/larder/plugins/kv.so")
                .string());
        stamp_at_ = good_.find("LARDERP1");
        CPPUNIT_ASSERT(stamp_at_ != std::string::npos);
    }

    void takes_its_own_stamp() {
        const Verdict verdict = judge_stamp(make_abi_stamp());
        CPPUNIT_ASSERT_MESSAGE(verdict.why, verdict.taken);
        CPPUNIT_ASSERT_EQUAL(std::string(), verdict.why);
    }

    void refuses_another_major() {
        for (const int change : {-1, 1, 100}) {
            AbiStamp stamp = make_abi_stamp();
            stamp.api_major = static_cast<std::uint16_t>(kApiMajor + change);
            expect_refused(stamp, {fmt::format("{}.{}", stamp.api_major, stamp.api_minor),
                                   fmt::format("{}.{}", kApiMajor, kApiMinor), "rebuild"});
        }
    }

    void refuses_a_newer_minor() {
        AbiStamp stamp = make_abi_stamp();
        stamp.api_minor = kApiMinor + 1;
        expect_refused(stamp, {fmt::format("{}.{}", kApiMajor, kApiMinor + 1), "newer larder"});
        stamp.api_major = 0;  // the major counts first
        expect_refused(stamp, {"rebuild"});
    }

    void refuses_another_layout() {
        for (const auto& [flag, word] : std::vector<std::pair<std::uint32_t, const char*>>{
                 {kAbiCxx11Strings, "string layout"},
                 {kAbiDebugContainers, "_GLIBCXX_DEBUG"},
                 {kAbiAddressSanitizer, "-fsanitize=address"},
                 {kAbiThreadSanitizer, "-fsanitize=thread"},
                 {1U << 20U, "libstdc++"}}) {
            AbiStamp stamp = make_abi_stamp();
            stamp.flags ^= flag;
            expect_refused(stamp, {word});
        }
        AbiStamp stamp = make_abi_stamp();
        stamp.sizeof_string = 8;
        expect_refused(stamp, {"string 8 bytes", "libstdc++"});
        stamp = make_abi_stamp();
        stamp.sizeof_function = 48;
        expect_refused(stamp, {"function 48 bytes"});
    }

    void the_compiler_is_for_the_message_alone() {
        AbiStamp stamp = make_abi_stamp();
        std::strcpy(stamp.compiler, "clang 99");
        CPPUNIT_ASSERT(judge_stamp(stamp).taken);
    }

    void takes_a_good_file() {
        const Verdict verdict = judged(good_);
        CPPUNIT_ASSERT_MESSAGE(verdict.why, verdict.taken);
        CPPUNIT_ASSERT_EQUAL(kApiMajor, verdict.stamp.api_major);
    }

    void refuses_what_is_no_library() {
        expect_refused(std::string(), "no ELF");
        expect_refused(std::string("\x7f"
                                   "ELF"),
                       "no ELF");
        expect_refused(std::string(100000, '\x7f'), "no ELF");
        expect_refused(std::string("LARDERP1") + std::string(1000, '\0'), "no ELF");
        expect_refused(read_file("/proc/self/exe"), "stamp");  // a whole file without one
        const Verdict missing = judge_file(folder_ / "missing.so");
        CPPUNIT_ASSERT(!missing.taken);
        CPPUNIT_ASSERT(missing.why.find("cannot be read") != std::string::npos);
        CPPUNIT_ASSERT(!judge_file(folder_.path()).taken);
        CPPUNIT_ASSERT(!judge_file("/dev/null").taken);
    }

    // The section table stands at the end: whatever is cut off, something that is needed is gone.
    void refuses_a_file_cut_anywhere() {
        const std::string path = folder_ / "cut.so";
        write_file(path, good_);
        // Closely where the headers and tables are, in larger steps over what is code.
        constexpr std::size_t kClose = 16U << 10U;
        for (std::size_t size = good_.size() / 4096 * 4096; size > 0;
             size -= size <= kClose || size + kClose > good_.size() ? 64 : 4096) {
            std::filesystem::resize_file(path, size);
            const Verdict verdict = judge_file(path);
            CPPUNIT_ASSERT_MESSAGE(fmt::format("cut to {}", size),
                                   !verdict.taken || size == good_.size());
            CPPUNIT_ASSERT(verdict.taken || !verdict.why.empty());
        }
    }

    void refuses_a_damaged_stamp() {
        std::string bent = good_;
        bent[stamp_at_] = 'l';
        expect_refused(bent, "stamp is damaged");
        bent = good_;
        bent[stamp_at_ + 8] = 4;  // size
        expect_refused(bent, "stamp is damaged");
        bent = good_;
        bent[stamp_at_ + 12] = '\x7f';  // api_major
        expect_refused(bent, "127.");
    }

    void refuses_a_bent_header() {
        const auto with = [this](auto Elf64_Ehdr::*field, auto value) {
            std::string bent = good_;
            Elf64_Ehdr header;
            std::memcpy(&header, bent.data(), sizeof(header));
            header.*field = static_cast<std::remove_reference_t<decltype(header.*field)>>(value);
            std::memcpy(bent.data(), &header, sizeof(header));
            return bent;
        };
        expect_refused(with(&Elf64_Ehdr::e_type, ET_EXEC), "-shared");
        expect_refused(with(&Elf64_Ehdr::e_shentsize, 63), "damaged");
        expect_refused(with(&Elf64_Ehdr::e_shnum, 0), "damaged");
        expect_refused(with(&Elf64_Ehdr::e_shnum, 0xFFFF), "damaged");
        expect_refused(with(&Elf64_Ehdr::e_shstrndx, 0xFFFF), "damaged");
        expect_refused(with(&Elf64_Ehdr::e_shoff, good_.size()), "cut short");
        expect_refused(with(&Elf64_Ehdr::e_shoff, ~0ULL), "cut short");
        expect_refused(with(&Elf64_Ehdr::e_shoff, ~0ULL / 2), "cut short");
        expect_refused(with(&Elf64_Ehdr::e_phoff, ~0ULL - 8), "cut short");
        expect_refused(with(&Elf64_Ehdr::e_phentsize, 1), "cut short");
        std::string other = good_;
        other[EI_CLASS] = ELFCLASS32;
        expect_refused(other, "64-bit");
        other = good_;
        other[EI_DATA] = ELFDATA2MSB;
        expect_refused(other, "little-endian");
    }

    // Nothing is asserted of most of them but that judging returns, with a reason where it refuses;
    // the sanitizers see the rest.
    void bears_files_bent_by_chance() {
        std::mt19937 random(20260101);  // NOLINT(cert-msc32-c,cert-msc51-cpp): the same every time
        const auto below = [&](std::size_t limit) {
            return std::uniform_int_distribution<std::size_t>(0, limit - 1)(random);
        };
        Elf64_Ehdr header;
        std::memcpy(&header, good_.data(), sizeof(header));
        const std::size_t table = header.e_shoff;
        const std::string path = folder_ / "plugin.so";
        write_file(path, good_);  // once, and bent in its place: it may have many megabytes
        std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
        const auto put = [&](std::size_t at, char byte) {
            file.seekp(static_cast<std::streamoff>(at)).put(byte);
        };
        for (int i = 0; i < 2000; ++i) {
            std::vector<std::size_t> bent(below(8) + 1);
            for (std::size_t& at : bent) {
                at = below(2) == 0 ? below(sizeof(header)) : table + below(good_.size() - table);
                put(at, static_cast<char>(below(256)));
            }
            file.flush();
            const Verdict verdict = judge_file(path);
            CPPUNIT_ASSERT(verdict.taken == verdict.why.empty());
            for (const std::size_t at : bent) put(at, good_[at]);
        }
        CPPUNIT_ASSERT(file.flush() && judge_file(path).taken);
    }

    void loads_nothing_that_it_refuses() {
        write_file(folder_ / "cut.so", good_.substr(0, good_.size() / 2));
        const Library library = load_library(folder_ / "cut.so");
        CPPUNIT_ASSERT(!library.is_taken());
        CPPUNIT_ASSERT(library.entry == nullptr);
        CPPUNIT_ASSERT_EQUAL(std::string("cut"), library.name);
        CPPUNIT_ASSERT(read_file("/proc/self/maps").find("cut.so") == std::string::npos);
    }

private:
    Verdict judged(const std::string& bytes) const {
        write_file(folder_ / "plugin.so", bytes);
        return judge_file(folder_ / "plugin.so");
    }
    void expect_refused(const std::string& bytes, const std::string& word) const {
        const Verdict verdict = judged(bytes);
        CPPUNIT_ASSERT(!verdict.taken);
        CPPUNIT_ASSERT_MESSAGE(fmt::format("expected '{}' in: {}", word, verdict.why),
                               verdict.why.find(word) != std::string::npos);
    }
    static void expect_refused(const AbiStamp& stamp, const std::vector<std::string>& words) {
        const Verdict verdict = judge_stamp(stamp);
        CPPUNIT_ASSERT(!verdict.taken);
        for (const std::string& word : words) {
            CPPUNIT_ASSERT_MESSAGE(fmt::format("expected '{}' in: {}", word, verdict.why),
                                   verdict.why.find(word) != std::string::npos);
        }
    }

    test::TemporaryFolder folder_;
    std::string good_;
    std::size_t stamp_at_ = 0;
};

LARDER_TEST_SUITE(StampTest);

}  // namespace
}  // namespace larder::plugin_host
