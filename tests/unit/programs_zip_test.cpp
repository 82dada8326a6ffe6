// ZIP archives as strangers send them: each kind of lie and trick is refused with its reason, and
// what is odd but right is taken.
#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <functional>

#include "larder/error.hpp"
#include "support/suite.hpp"
#include "support/zip_maker.hpp"
#include "zip_reader.hpp"

namespace larder::programs {
namespace {

using test::ZipMaker;
using test::ZipMember;

class ProgramsZipTest : public CppUnit::TestFixture {
    CPPUNIT_TEST_SUITE(ProgramsZipTest);
    CPPUNIT_TEST(reads_good_ones);
    CPPUNIT_TEST(takes_odd_names_that_are_right);
    CPPUNIT_TEST(refuses_names_that_lead_out);
    CPPUNIT_TEST(refuses_names_that_clash);
    CPPUNIT_TEST(refuses_links_and_devices);
    CPPUNIT_TEST(refuses_what_it_cannot_read);
    CPPUNIT_TEST(refuses_bombs);
    CPPUNIT_TEST(refuses_lies_about_sizes);
    CPPUNIT_TEST(refuses_lies_about_places);
    CPPUNIT_TEST(refuses_too_many);
    CPPUNIT_TEST(refuses_every_cut);
    CPPUNIT_TEST(no_changed_byte_leads_astray);
    CPPUNIT_TEST_SUITE_END();

    static ZipReader reader_of(const std::string& archive, const ZipLimits& limits = {}) {
        return ZipReader(
            archive.size(),
            [&archive](std::uint64_t at, std::size_t size, char* into) {
                CPPUNIT_ASSERT(at + size <= archive.size());
                std::memcpy(into, archive.data() + at, size);
            },
            limits);
    }
    // "path=bytes" of all, or why it was refused.
    static std::string story(const std::string& archive, const ZipLimits& limits = {}) {
        std::string text;
        try {
            ZipReader zip = reader_of(archive, limits);
            for (const ZipEntry& entry : zip.entries()) {
                text += entry.path + (entry.is_folder ? "/" : "=");
                if (entry.is_folder) continue;
                zip.unpack(entry, [&](std::string_view bytes) {
                    text += bytes.size() > 100 ? fmt::format("<{}>", bytes.size()) : bytes;
                });
                text += ' ';
            }
        } catch (const Error& error) {
            CPPUNIT_ASSERT_EQUAL(std::string("invalid-archive"), error.slug());
            CPPUNIT_ASSERT_EQUAL(std::string("reason"), error.members().at(0).first);
            return "refused: " + error.detail();
        }
        return text;
    }
    static void expect_refused(const std::string& archive, const std::string& why) {
        const std::string told = story(archive);
        CPPUNIT_ASSERT_MESSAGE(
            fmt::format("expected '{}' in: {}", why, told),
            told.starts_with("refused: ") && told.find(why) != std::string::npos);
    }
    static ZipMember named(const std::string& name, const std::string& bytes = "x") {
        ZipMember member;
        member.name = name;
        member.bytes = bytes;
        return member;
    }

public:
    void reads_good_ones() {
        ZipMember stored = named("b.txt", "stored");
        stored.deflated = false;
        ZipMember folder = named("data/", "");
        folder.deflated = false;
        folder.attributes = 0040755U << 16U;
        CPPUNIT_ASSERT_EQUAL(std::string("main.py=print(1) b.txt=stored data/deep/er/c= "),
                             story(ZipMaker()
                                       .add("main.py", "print(1)")
                                       .add(stored)
                                       .add(folder)
                                       .add(named("deep/er/c", ""))
                                       .archive()));
        CPPUNIT_ASSERT_EQUAL(std::string(), story(ZipMaker().archive()));
    }

    void takes_odd_names_that_are_right() {
        for (const char* name : {"a..b.txt", "..a", "a..", "...", "-c", "--help", " ", "ü/é.py",
                                 "a b'\"$(x).sh", "inner.zip"}) {
            CPPUNIT_ASSERT_EQUAL(std::string(name) + "=x ",
                                 story(ZipMaker().add(named(name)).archive()));
        }
    }

    void refuses_names_that_lead_out() {
        for (const char* name : {"../x", "a/../../x", "a/..", "..", ".", "./x", "a//b", "a/./b"}) {
            expect_refused(ZipMaker().add(named(name)).archive(), "leads out");
        }
        for (const char* name : {"/etc/passwd", "C:/x", "c:x"}) {
            expect_refused(ZipMaker().add(named(name)).archive(), "absolute");
        }
        expect_refused(ZipMaker().add(named("..\\x")).archive(), "backslash");
        expect_refused(ZipMaker().add(named("a\nb")).archive(), "control character");
        expect_refused(ZipMaker().add(named(std::string("a\0b", 3))).archive(),
                       "control character");
        expect_refused(ZipMaker().add(named("a\xFF")).archive(), "UTF-8");
        expect_refused(ZipMaker().add(named("")).archive(), "no name");
        expect_refused(ZipMaker().add(named(std::string(201, 'a'))).archive(), "too long");
        std::string deep;
        for (int i = 0; i < 17; ++i) deep += "d/";
        expect_refused(ZipMaker().add(named(deep + "f")).archive(), "too deep");
        expect_refused(ZipMaker().add(named(".metadata.json")).archive(), "store's own");
    }

    void refuses_names_that_clash() {
        const auto both = [](const char* one, const char* two) {
            return ZipMaker().add(named(one)).add(named(two)).archive();
        };
        expect_refused(both("a", "a"), "twice");
        expect_refused(both("a", "A"), "twice");
        expect_refused(both("a", "a/b"), "a file and a folder");
        expect_refused(both("A/b", "a"), "a file and a folder");
        expect_refused(both("a/b", "A/c"), "differ by case");
    }

    void refuses_links_and_devices() {
        for (const std::uint32_t kind : {0120777U, 0010644U, 0020644U, 0060644U, 0140755U}) {
            ZipMember member = named("x", "/etc/passwd");
            member.attributes = kind << 16U;
            expect_refused(ZipMaker().add(member).archive(), "a link or a device");
        }
        ZipMember setuid = named("x");
        setuid.attributes = 0104755U << 16U;  // the bits are not kept
        CPPUNIT_ASSERT_EQUAL(std::string("x=x "), story(ZipMaker().add(setuid).archive()));
    }

    void refuses_what_it_cannot_read() {
        for (const std::uint16_t flag : {1, 64, 8192}) {
            ZipMember member = named("x");
            member.flags = flag;
            expect_refused(ZipMaker().add(member).archive(), "encrypted");
        }
        ZipMember packed = named("x");
        packed.method = 14;
        expect_refused(ZipMaker().add(packed).archive(), "method");
        expect_refused("", "no ZIP archive");
        expect_refused("hello", "no ZIP archive");
        expect_refused(std::string(100'000, 'P'), "no ZIP archive");
        std::string prefixed = "#!/bin/sh\n" + ZipMaker().add(named("x")).archive();
        expect_refused(prefixed, "not where it should be");
    }

    void refuses_bombs() {
        expect_refused(ZipMaker().add(named("x", std::string(30U << 20U, '\0'))).archive(),
                       "too well");
        // Under the ratio's threshold it is taken.
        CPPUNIT_ASSERT(!story(ZipMaker().add(named("x", std::string(1U << 20U, '\0'))).archive())
                            .starts_with("refused"));
        ZipMember large = named("x", std::string((32U << 20U) + 1, 'x'));
        large.deflated = false;
        expect_refused(ZipMaker().add(large).archive(), "larger than");
        ZipMaker many;
        for (int i = 0; i < 3; ++i) {
            ZipMember part = named(fmt::format("x{}", i), std::string(25U << 20U, 'x'));
            part.deflated = false;
            many.add(part);
        }
        expect_refused(many.archive(), "unpacks to more");
    }

    void refuses_lies_about_sizes() {
        ZipMember less = named("x", std::string(500'000, 'x'));
        less.said_size = 1;
        expect_refused(ZipMaker().add(less).archive(), "longer than it says");
        ZipMember more = named("x");
        more.said_size = 100;
        expect_refused(ZipMaker().add(more).archive(), "shorter than it says");
        ZipMember stored = named("x", "12345");
        stored.deflated = false;
        stored.said_size = 3;
        expect_refused(ZipMaker().add(stored).archive(), "two sizes");
        ZipMember sum = named("x");
        sum.said_crc = 1;
        expect_refused(ZipMaker().add(sum).archive(), "checksum");
        // A whole bomb that says it is small stops at what it said.
        ZipMember bomb = named("x", std::string(20U << 20U, '\0'));
        bomb.said_size = 1000;
        expect_refused(ZipMaker().add(bomb).archive(), "longer than it says");
    }

    void refuses_lies_about_places() {
        ZipMember twin = named("y", "x");
        twin.at = 0;
        twin.local_name = "x";
        expect_refused(ZipMaker().add(named("x")).add(twin).archive(), "not what the directory");
        ZipMember same = named("x", "x");
        expect_refused(ZipMaker()
                           .add(same)
                           .add([&] {
                               ZipMember again = same;
                               again.at = 0;
                               return again;
                           }())
                           .archive(),
                       "twice");
        ZipMember far = named("x");
        far.at = 1'000'000;
        expect_refused(ZipMaker().add(named("a")).add(far).archive(), "cut short");
        ZipMember other = named("x");
        other.local_name = "y";
        expect_refused(ZipMaker().add(other).archive(), "not what the directory");
        // Entries inside each other: the second begins within the first one's bytes.
        const std::string inner = ZipMaker().add(named("in", "inner")).archive();
        ZipMember outer = named("out", inner);
        outer.deflated = false;
        ZipMember within = named("in", "inner");
        within.at = 30 + 3;
        expect_refused(ZipMaker().add(outer).add(within).archive(), "overlap");
    }

    void refuses_too_many() {
        ZipMaker many;
        for (int i = 0; i < 2001; ++i) many.add(named(fmt::format("f{}", i), ""));
        expect_refused(many.archive(), "more than 2000 entries");
        ZipMaker huge;  // more than sixteen bits hold: the count wraps, the directory does not
        for (int i = 0; i < 70'000; ++i) huge.add(named(fmt::format("f{}", i), ""));
        CPPUNIT_ASSERT(story(huge.archive()).starts_with("refused"));
    }

    void refuses_every_cut() {
        const std::string whole =
            ZipMaker().add("a.py", "print(1)").add("data/b", std::string(1000, 'b')).archive();
        for (std::size_t size = 0; size < whole.size(); ++size) {
            CPPUNIT_ASSERT(story(whole.substr(0, size)).starts_with("refused"));
        }
    }

    // Refused, or what was packed: nothing else may come of a changed byte.
    void no_changed_byte_leads_astray() {
        const std::string whole = ZipMaker().add("a.py", "print(1)").add("b", "bbbb").archive();
        const std::string good = story(whole);
        std::size_t refused = 0;
        for (std::size_t at = 0; at < whole.size(); ++at) {
            for (const unsigned flip : {1U, 0x80U, 0xFFU}) {
                std::string changed = whole;
                changed[at] = static_cast<char>(static_cast<unsigned char>(changed[at]) ^ flip);
                const std::string told = story(changed);
                refused += told.starts_with("refused") ? 1 : 0;
                CPPUNIT_ASSERT_MESSAGE(told, told.starts_with("refused") || told == good);
            }
        }
        CPPUNIT_ASSERT(refused > whole.size());
    }
};

LARDER_TEST_SUITE(ProgramsZipTest);

}  // namespace
}  // namespace larder::programs
