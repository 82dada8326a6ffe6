// A segment's bytes and how they are judged. What a store makes of them is
// document_store_test.cpp's.
#include "storage-kit/journal.hpp"

#include <fmt/format.h>

#include <string>
#include <vector>

#include "larder/error.hpp"
#include "storage-kit/digest.hpp"
#include "support/fault_disk.hpp"
#include "support/suite.hpp"

namespace {

namespace journal = larder::storage::journal;
using journal::End;
using journal::Segment;
using larder::Error;
using larder::test::Call;
using larder::test::FaultDisk;

const std::string kPath = "d/j";

std::string framed(const std::string& json) {
    return fmt::format("{:08x} {}\n", larder::storage::crc32c(json), json);
}
const std::string& header() {
    static const std::string kLine =
        framed(R"({"larder":"journal","version":1,"epoch":3,"after":6})");
    return kLine;
}
std::string line(int revision, const std::string& value = "1") {
    std::string text = journal::open_line();
    journal::begin_commit(text, static_cast<std::uint64_t>(revision), 1000, true);
    journal::append_set(text, fmt::format("k{}", revision), value, 900, 0, {});
    journal::end_commit(text);
    journal::close_line(text);
    return text;
}

class JournalTest : public CppUnit::TestFixture {
    CPPUNIT_TEST_SUITE(JournalTest);
    CPPUNIT_TEST(crc_is_castagnolis);
    CPPUNIT_TEST(writes_the_format);
    CPPUNIT_TEST(reads_what_it_writes);
    CPPUNIT_TEST(an_empty_segment_is_clean);
    CPPUNIT_TEST(a_cut_last_line_is_torn);
    CPPUNIT_TEST(rubbish_behind_a_torn_line_is_torn_too);
    CPPUNIT_TEST(a_whole_line_behind_a_bad_one_is_damage);
    CPPUNIT_TEST(a_lost_page_before_a_whole_line_is_damage);
    CPPUNIT_TEST(a_right_sum_over_nonsense_is_damage);
    CPPUNIT_TEST(the_taker_may_call_it_damage);
    CPPUNIT_TEST(headers);
    CPPUNIT_TEST(grows_in_steps);
    CPPUNIT_TEST(keeps_a_reserve_for_removals);
    CPPUNIT_TEST(gives_back_what_an_allocation_got_in_vain);
    CPPUNIT_TEST(a_short_write_leaves_zeros);
    CPPUNIT_TEST(other_failures_are_passed_on);
    CPPUNIT_TEST(rewriting_keeps_what_is_good);
    CPPUNIT_TEST_SUITE_END();

public:
    void setUp() override { disk_ = std::make_unique<FaultDisk>(); }

    void crc_is_castagnolis() {
        using larder::storage::crc32c;
        CPPUNIT_ASSERT_EQUAL(0xE3069283U, crc32c("123456789"));
        CPPUNIT_ASSERT_EQUAL(0U, crc32c(""));
        CPPUNIT_ASSERT_EQUAL(0x8A9136AAU, crc32c(std::string(32, '\0')));  // RFC 3720, B.4
        CPPUNIT_ASSERT_EQUAL(0x62A8AB43U, crc32c(std::string(32, '\xFF')));
        CPPUNIT_ASSERT_EQUAL(crc32c("123456789"), crc32c("6789", crc32c("12345")));
    }

    void writes_the_format() {
        std::string text = journal::open_line();
        journal::begin_commit(text, 7, 1000, true);
        journal::append_set(text, "a\"", "[1]", 900, 2000, R"({"m":1})");
        journal::append_remove(text, "b", false);
        journal::end_commit(text);
        journal::begin_commit(text, 8, 1001, false);
        journal::append_set(text, "c", "2", 1001, 0, {});
        journal::end_commit(text);
        journal::close_line(text);
        CPPUNIT_ASSERT_EQUAL(
            framed(R"([{"revision":7,"at":1000,"changes":[{"set":"a\"","value":[1],"created":900,)"
                   R"("expires":2000,"metadata":{"m":1}},{"remove":"b"}]},)"
                   R"({"revision":8,"at":1001,"changes":[{"set":"c","value":2,"created":1001}]}])"),
            text);
        const auto segment = Segment::create(*disk_, kPath, journal::kFirstBytes);
        segment->write_header({3, 6});
        segment->append(text);
        const std::string content = disk_->content(kPath);
        CPPUNIT_ASSERT_EQUAL(header() + text, content.substr(0, segment->used()));
        CPPUNIT_ASSERT_EQUAL(std::size_t{journal::kFirstBytes}, content.size());
        CPPUNIT_ASSERT(content.find_first_not_of('\0', segment->used()) == std::string::npos);
    }

    void reads_what_it_writes() {
        std::string text = journal::open_line();
        journal::begin_commit(text, 7, 1000, true);
        journal::append_set(text, "a\"\xC3\xA9", "[1]", 900, 2000, R"({"m":1})");
        journal::append_remove(text, "b\n", false);
        journal::end_commit(text);
        journal::close_line(text);
        place(header() + text);
        const auto contents = read([](const journal::Commit& commit) {
            CPPUNIT_ASSERT_EQUAL(std::uint64_t{7}, commit.revision);
            CPPUNIT_ASSERT_EQUAL(std::int64_t{1000}, commit.at_ms);
            CPPUNIT_ASSERT_EQUAL(std::size_t{2}, commit.changes.size());
            const auto& set = commit.changes[0];
            CPPUNIT_ASSERT(!set.remove);
            CPPUNIT_ASSERT_EQUAL(std::string("a\"\xC3\xA9"), set.key);
            CPPUNIT_ASSERT_EQUAL(std::string("[1]"), std::string(set.value));
            CPPUNIT_ASSERT_EQUAL(std::string(R"({"m":1})"), std::string(set.metadata));
            CPPUNIT_ASSERT_EQUAL(std::int64_t{900}, set.created_ms);
            CPPUNIT_ASSERT_EQUAL(std::int64_t{2000}, set.expires_ms);
            CPPUNIT_ASSERT(commit.changes[1].remove);
            CPPUNIT_ASSERT_EQUAL(std::string("b\n"), commit.changes[1].key);
            return std::string();
        });
        CPPUNIT_ASSERT(contents.end == End::clean);
        CPPUNIT_ASSERT_EQUAL(std::uint64_t{header().size() + text.size()}, contents.end_offset);
    }

    void an_empty_segment_is_clean() {
        place(header());
        expect(End::clean, {}, header().size());
        place(header() + std::string(5000, '\0'));
        expect(End::clean, {}, header().size());
    }

    void a_cut_last_line_is_torn() {
        const std::string before = header() + line(7);
        const std::string last = line(8);
        for (std::size_t n = 1; n < last.size(); ++n) {
            place(before + last.substr(0, n));
            expect(End::torn, {7}, before.size());
            place(before + last.substr(0, n) + std::string(100, '\0'));
            expect(End::torn, {7}, before.size());
        }
        place(before + last);
        expect(End::clean, {7, 8}, before.size() + last.size());
    }

    void rubbish_behind_a_torn_line_is_torn_too() {
        const std::string before = header() + line(7);
        for (const std::string& tail :
             {"\n\n\n" + std::string("x\n"), std::string(10, '\0') + "1234",
              line(8).substr(0, 30) + "\n", line(8).substr(3),
              "00000000 []\n" + std::string("\n")}) {
            place(before + tail);
            expect(End::torn, {7}, before.size());
        }
    }

    void a_whole_line_behind_a_bad_one_is_damage() {
        const std::string before = header() + line(7);
        std::string bad = line(8);
        for (std::size_t at = 0; at < bad.size(); ++at) {
            std::string changed = bad;
            changed[at] = static_cast<char>(changed[at] ^ 4);
            // Without its LF it runs into the next line: the one after that shows the damage.
            place(before + changed + line(9) + line(10));
            expect(End::damaged, {7}, before.size());
        }
    }

    void a_lost_page_before_a_whole_line_is_damage() {
        const std::string before = header() + line(7);
        place(before + std::string(200, '\0') + line(9));
        expect(End::damaged, {7}, before.size());
    }

    void a_right_sum_over_nonsense_is_damage() {
        const std::string before = header() + line(7);
        for (const char* json :
             {"[", "1 2", R"([{"revision":0,"at":1,"changes":[]}])",
              R"([{"revision":-1,"at":1,"changes":[]}])",
              R"([{"revision":8,"at":"x","changes":[]}])",
              R"([{"revision":8,"at":1,"changes":[{"value":1}]}])",
              R"([{"revision":8,"at":1,"changes":[{"set":"a"}]}])",
              R"([{"revision":8,"at":1,"changes":[{"set":1,"value":1}]}])",
              R"([{"revision":8,"at":1,"changes":[{"set":"a","value":1,"remove":"b"}]}])",
              R"([{"revision":8,"at":1,"changes":[],"more":1}])"}) {
            place(before + framed(json));
            expect(End::damaged, {7}, before.size());
        }
    }

    void the_taker_may_call_it_damage() {
        place(header() + line(7) + line(9));
        const auto contents = read([](const journal::Commit& commit) {
            return commit.revision == 9 ? std::string("revision 9 follows 7") : std::string();
        });
        CPPUNIT_ASSERT(contents.end == End::damaged);
        CPPUNIT_ASSERT(contents.why.find("revision 9 follows 7") != std::string::npos);
        CPPUNIT_ASSERT_EQUAL(std::uint64_t{header().size() + line(7).size()}, contents.end_offset);
    }

    void headers() {
        place(header());
        const auto good = journal::read_header(*disk_->open_read(kPath), kPath);
        CPPUNIT_ASSERT(good.has_value());
        CPPUNIT_ASSERT_EQUAL(std::uint64_t{3}, good->epoch);
        CPPUNIT_ASSERT_EQUAL(std::uint64_t{6}, good->after);
        for (const std::string& bad :
             {std::string(), std::string(100, '\0'), header().substr(0, 20), header().substr(1),
              line(7), framed(R"({"larder":"meta","version":1,"epoch":3,"after":6})"),
              framed(R"({"larder":"journal","version":0,"epoch":3,"after":6})"),
              framed(R"({"larder":"journal","version":1,"epoch":"x","after":6})")}) {
            place(bad);
            CPPUNIT_ASSERT(!journal::read_header(*disk_->open_read(kPath), kPath));
            expect(End::damaged, {}, 0);
        }
        place(framed(R"({"larder":"journal","version":2,"anything":[]})"));
        CPPUNIT_ASSERT_THROW(journal::read_header(*disk_->open_read(kPath), kPath), Error);
    }

    void grows_in_steps() {
        const auto segment = Segment::create(*disk_, kPath, journal::kFirstBytes);
        segment->write_header({1, 0});
        std::vector<std::size_t> sizes;
        const std::string text = line(7, "\"" + std::string(60000, 'x') + "\"");
        for (int i = 0; i < 200; ++i) {
            CPPUNIT_ASSERT(segment->has_room(text.size(), false, true));
            segment->append(text);
            const std::size_t size = disk_->content(kPath).size();
            if (sizes.empty() || sizes.back() != size) sizes.push_back(size);
        }
        const std::vector<std::size_t> expected{256U << 10U,  512U << 10U,  1024U << 10U,
                                                2048U << 10U, 4096U << 10U, 8192U << 10U,
                                                12288U << 10U};
        CPPUNIT_ASSERT(sizes == expected);
        const std::string huge = line(8, "\"" + std::string(20U << 20U, 'x') + "\"");
        CPPUNIT_ASSERT(segment->has_room(huge.size(), false, true));
        segment->append(huge);
    }

    void keeps_a_reserve_for_removals() {
        const auto segment = Segment::create(*disk_, kPath, journal::kFirstBytes);
        segment->write_header({1, 0});
        const std::uint64_t left = journal::kFirstBytes - segment->used();
        disk_->arm(
            {.at = 1, .error = ENOSPC, .lasting = true, .any = false, .kind = Call::allocate});
        CPPUNIT_ASSERT(segment->has_room(left - journal::kReserveBytes, false, true));
        CPPUNIT_ASSERT(!segment->has_room(left - journal::kReserveBytes + 1, false, true));
        CPPUNIT_ASSERT(segment->has_room(left, true, true));
        CPPUNIT_ASSERT(!segment->has_room(left + 1, true, true));
        disk_->arm({});
        CPPUNIT_ASSERT(!segment->has_room(left + 1, false, false));
        CPPUNIT_ASSERT(segment->has_room(left + 1, false, true));
    }

    void gives_back_what_an_allocation_got_in_vain() {
        const auto segment = Segment::create(*disk_, kPath, journal::kFirstBytes);
        disk_->arm(
            {.at = 1, .error = ENOSPC, .lasting = true, .any = false, .kind = Call::allocate});
        CPPUNIT_ASSERT(!segment->has_room(journal::kFirstBytes, false, true));
        CPPUNIT_ASSERT_EQUAL(std::size_t{journal::kFirstBytes}, disk_->content(kPath).size());
    }

    void a_short_write_leaves_zeros() {
        for (unsigned seed = 1; seed < 10; ++seed) {
            disk_ = std::make_unique<FaultDisk>(seed);
            const auto segment = Segment::create(*disk_, kPath, journal::kFirstBytes);
            segment->write_header({3, 6});
            disk_->arm({.at = 1, .error = ENOSPC, .any = false, .kind = Call::write});
            CPPUNIT_ASSERT_THROW(segment->append(line(7, std::string(300, '7'))),
                                 std::system_error);
            CPPUNIT_ASSERT_EQUAL(std::uint64_t{header().size()}, segment->used());
            segment->append(line(7));
            expect(End::clean, {7}, header().size() + line(7).size());
        }
    }

    void other_failures_are_passed_on() {
        const auto segment = Segment::create(*disk_, kPath, journal::kFirstBytes);
        segment->write_header({3, 6});
        disk_->arm({.at = 1, .error = EIO, .any = false, .kind = Call::write});
        CPPUNIT_ASSERT_THROW(segment->append(line(7)), std::system_error);
        disk_->arm({.at = 1, .error = EIO, .any = false, .kind = Call::allocate});
        CPPUNIT_ASSERT_THROW(segment->has_room(1U << 20U, false, true), std::system_error);
        disk_->arm({.at = 1, .error = EIO, .any = false, .kind = Call::sync});
        CPPUNIT_ASSERT_THROW(segment->sync(), std::system_error);
    }

    void rewriting_keeps_what_is_good() {
        const std::string good = header() + line(7);
        place(good + line(8).substr(0, 20) + std::string(3000, '\0'));
        const auto segment = Segment::rewrite(*disk_, kPath, good.size());
        segment->append(line(8));
        expect(End::clean, {7, 8}, good.size() + line(8).size());
    }

private:
    void place(const std::string& content) { disk_->place(kPath, content); }
    journal::Contents read(const std::function<std::string(const journal::Commit&)>& take) {
        return journal::read_segment(*disk_->open_read(kPath), kPath, take);
    }
    void expect(End end, const std::vector<std::uint64_t>& revisions, std::size_t end_offset) {
        std::vector<std::uint64_t> found;
        const auto contents = read([&](const journal::Commit& commit) {
            found.push_back(commit.revision);
            return std::string();
        });
        CPPUNIT_ASSERT_EQUAL_MESSAGE(contents.why, static_cast<int>(end),
                                     static_cast<int>(contents.end));
        CPPUNIT_ASSERT(found == revisions);
        CPPUNIT_ASSERT_EQUAL(std::uint64_t{end_offset}, contents.end_offset);
        const bool has_offset =
            contents.why.find(fmt::format("at byte {}", end_offset)) != std::string::npos;
        CPPUNIT_ASSERT_EQUAL(end != End::clean, has_offset);
    }

    std::unique_ptr<FaultDisk> disk_;
};

LARDER_TEST_SUITE(JournalTest);

}  // namespace
