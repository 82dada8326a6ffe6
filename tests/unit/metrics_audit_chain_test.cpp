// The audit's chain: each way of tampering with it, done to rows in memory, is told for what it is
// and where; and what is sound is not complained of.
#include "audit_chain.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <vector>

#include "support/suite.hpp"

namespace {

using namespace larder::metrics;  // NOLINT(google-build-using-namespace)

class MetricsAuditChainTest : public CppUnit::TestFixture {
    CPPUNIT_TEST_SUITE(MetricsAuditChainTest);
    CPPUNIT_TEST(a_sound_chain_has_no_fault);
    CPPUNIT_TEST(every_member_is_sealed);
    CPPUNIT_TEST(an_edited_row_is_named);
    CPPUNIT_TEST(an_inserted_row_is_named);
    CPPUNIT_TEST(an_inserted_row_is_named_after_renumbering);
    CPPUNIT_TEST(a_copied_row_is_inserted);
    CPPUNIT_TEST(reordered_rows_are_named);
    CPPUNIT_TEST(a_removed_row_is_named);
    CPPUNIT_TEST(a_removed_row_is_named_after_renumbering);
    CPPUNIT_TEST(a_cut_end_is_named);
    CPPUNIT_TEST(several_things_at_once);
    CPPUNIT_TEST(an_anchor_is_a_beginning);
    CPPUNIT_TEST(a_cut_that_was_noticed_stays_one);
    CPPUNIT_TEST(rows_behind_the_head_are_no_fault);
    CPPUNIT_TEST(another_key_fits_nothing);
    CPPUNIT_TEST_SUITE_END();

public:
    void setUp() override {
        rows_.clear();
        AuditMark mark{0, std::string(kGenesis)};
        for (int i = 1; i <= 20; ++i) mark = add(mark, fmt::format("target {}", i));
        head_ = mark;
    }

    void a_sound_chain_has_no_fault() {
        CPPUNIT_ASSERT_EQUAL(std::string(), judged());
        CPPUNIT_ASSERT_EQUAL(std::uint64_t{20}, checked_);
        rows_.clear();
        head_ = {};
        CPPUNIT_ASSERT_EQUAL(std::string(), judged());
    }

    void every_member_is_sealed() {
        const AuditRow row = rows_[4];
        for (std::string AuditRow::*member :
             {&AuditRow::time, &AuditRow::actor, &AuditRow::action, &AuditRow::target,
              &AuditRow::outcome, &AuditRow::ip_address, &AuditRow::request_id, &AuditRow::source,
              &AuditRow::details, &AuditRow::before, &AuditRow::seal}) {
            rows_[4].*member += "x";
            CPPUNIT_ASSERT_EQUAL(std::string("edited 5"), judged());
            rows_[4] = row;
        }
        // What moves from one member to the next is a change, too.
        rows_[4].actor = "an";
        rows_[4].action = "nact";
        CPPUNIT_ASSERT_EQUAL(std::string("edited 5"), judged());
    }

    void an_edited_row_is_named() {
        rows_.front().target = "other";
        rows_.back().details = R"({"a":2})";
        CPPUNIT_ASSERT_EQUAL(std::string("edited 1, edited 20"), judged());
    }

    void an_inserted_row_is_named() {
        AuditRow forged = rows_[9];
        forged.target = "forged";
        forged.seq = 21;
        rows_.push_back(forged);
        CPPUNIT_ASSERT_EQUAL(std::string("inserted 21"), judged());
        rows_.pop_back();
        forged.seq = 7;  // a number that is taken
        rows_.insert(rows_.begin() + 7, forged);
        CPPUNIT_ASSERT_EQUAL(std::string("inserted 7"), judged());
        rows_[7].seq = -3;
        CPPUNIT_ASSERT_EQUAL(std::string("inserted -3"), judged());
    }

    void an_inserted_row_is_named_after_renumbering() {
        AuditRow forged = rows_[9];
        forged.target = "forged";
        for (std::size_t i = 10; i < rows_.size(); ++i) ++rows_[i].seq;
        forged.seq = 11;
        rows_.insert(rows_.begin() + 10, forged);
        CPPUNIT_ASSERT_EQUAL(std::string("inserted 11"), judged());
    }

    void a_copied_row_is_inserted() {
        rows_.push_back(rows_[3]);
        CPPUNIT_ASSERT_EQUAL(std::string("inserted 4"), judged());
    }

    void reordered_rows_are_named() {
        const std::vector<AuditRow> sound = rows_;
        std::swap(rows_[4], rows_[5]);  // rows and numbers
        CPPUNIT_ASSERT_EQUAL(std::string("reordered 5, reordered 6"), judged());
        rows_ = sound;
        std::swap(rows_[4], rows_[15]);
        std::swap(rows_[4].seq, rows_[15].seq);  // all but the numbers
        CPPUNIT_ASSERT_EQUAL(std::string("reordered 5, reordered 16"), judged());
        rows_ = sound;
        std::swap(rows_[4].seq, rows_[15].seq);  // the numbers alone
        CPPUNIT_ASSERT_EQUAL(std::string("reordered 5, reordered 16"), judged());
    }

    void a_removed_row_is_named() {
        rows_.erase(rows_.begin() + 6, rows_.begin() + 8);
        CPPUNIT_ASSERT_EQUAL(std::string("removed 7, removed 8"), judged());
        rows_.erase(rows_.begin());
        CPPUNIT_ASSERT_EQUAL(std::string("removed 1, removed 7, removed 8"), judged());
    }

    void a_removed_row_is_named_after_renumbering() {
        rows_.erase(rows_.begin() + 6);
        for (std::size_t i = 6; i < rows_.size(); ++i) --rows_[i].seq;
        CPPUNIT_ASSERT_EQUAL(std::string("removed 7"), judged());
    }

    void a_cut_end_is_named() {
        rows_.resize(18);
        CPPUNIT_ASSERT_EQUAL(std::string("truncated 19, truncated 20"), judged());
        rows_.clear();
        CPPUNIT_ASSERT(judged().starts_with("truncated 1, truncated 2,"));
    }

    void several_things_at_once() {
        rows_[2].actor = "eve";
        std::swap(rows_[7], rows_[8]);
        rows_.erase(rows_.begin() + 12);
        rows_.resize(rows_.size() - 1);
        AuditRow forged = rows_[0];
        forged.actor = "mallory";
        rows_.insert(rows_.begin() + 1, forged);
        CPPUNIT_ASSERT_EQUAL(std::string("inserted 1, edited 3, reordered 8, reordered 9, "
                                         "removed 13, truncated 20"),
                             judged());
    }

    void an_anchor_is_a_beginning() {
        anchor_ = {5, rows_[4].seal};
        CPPUNIT_ASSERT_EQUAL(
            std::string("inserted 1, inserted 2, inserted 3, inserted 4, inserted 5"), judged());
        rows_.erase(rows_.begin(), rows_.begin() + 5);
        CPPUNIT_ASSERT_EQUAL(std::string(), judged());
        rows_.erase(rows_.begin());
        CPPUNIT_ASSERT_EQUAL(std::string("removed 6"), judged());
    }

    // The daemon goes on behind what is gone, and the rows that follow do not make it a hole.
    void a_cut_that_was_noticed_stays_one() {
        rows_.resize(18);
        AuditRow row;
        row.action = kTruncated;
        row.target = "19-20";
        head_ = seal(head_, row);
        head_ = add(head_, "afterwards");
        CPPUNIT_ASSERT_EQUAL(std::string("truncated 19, truncated 20"), judged());
        rows_.erase(rows_.begin() + 3);
        CPPUNIT_ASSERT_EQUAL(std::string("removed 4, truncated 19, truncated 20"), judged());
    }

    // A crash between the record and the head.
    void rows_behind_the_head_are_no_fault() {
        add(head_, "more");
        CPPUNIT_ASSERT_EQUAL(std::string(), judged());
    }

    void another_key_fits_nothing() {
        const AuditKey other(std::string(AuditKey::kBytes, 'o'));
        AuditJudge judge(other, anchor_, head_);
        for (const AuditRow& row : rows_) judge.take(row);
        CPPUNIT_ASSERT_EQUAL(std::size_t{20}, judge.finish().size());
        const AuditMark mark{3, rows_[2].seal};
        CPPUNIT_ASSERT(key_.sign("head", mark) != key_.sign("anchor", mark));
        CPPUNIT_ASSERT(key_.sign("head", mark) != other.sign("head", mark));
    }

private:
    AuditMark seal(const AuditMark& before, AuditRow row) {
        row.seq = before.seq + 1;
        row.before = before.seal;
        row.seal = key_.seal(row);
        rows_.push_back(row);
        return {row.seq, row.seal};
    }
    AuditMark add(const AuditMark& before, const std::string& target) {
        AuditRow row;
        row.time = "2026-11-22 15:26:28.123";
        row.actor = "ann";
        row.action = "act";
        row.target = target;
        row.outcome = "ok";
        row.details = R"({"a":1})";
        return seal(before, std::move(row));
    }
    std::string judged() {
        AuditJudge judge(key_, anchor_, head_);
        for (const AuditRow& row : rows_) judge.take(row);
        checked_ = judge.checked();
        std::string text;
        for (const AuditFault& fault : judge.finish()) {
            text +=
                fmt::format("{}{} {}", text.empty() ? "" : ", ", kind_word(fault.kind), fault.seq);
        }
        return text;
    }

    const AuditKey key_{std::string(AuditKey::kBytes, 'k')};
    std::vector<AuditRow> rows_;
    AuditMark head_, anchor_{0, std::string(kGenesis)};
    std::uint64_t checked_ = 0;
};

LARDER_TEST_SUITE(MetricsAuditChainTest);

}  // namespace
