// What is said of a store's files without opening it, that they stay as they are, and that what is
// saved of them can be opened.
#include "storage-kit/inspect.hpp"

#include <fmt/format.h>

#include <memory>
#include <string>
#include <vector>

#include "larder/error.hpp"
#include "support/store_fixture.hpp"

namespace {

using larder::Error;
using larder::storage::DocumentStore;
using larder::storage::Finding;
using larder::storage::inspect;
using larder::storage::Inspection;
using larder::storage::save;
using larder::storage::StoreOptions;
using larder::storage::StoreState;
using larder::storage::Transaction;
using larder::test::FaultDisk;
using Verdict = larder::storage::Inspection::Verdict;

class InspectTest : public larder::test::StoreFixture {
    CPPUNIT_TEST_SUITE(InspectTest);
    CPPUNIT_TEST(a_store_that_never_was_is_whole);
    CPPUNIT_TEST(a_closed_store_is_whole);
    CPPUNIT_TEST(a_killed_store_is_whole);
    CPPUNIT_TEST(a_torn_tail_is_told);
    CPPUNIT_TEST(damage_in_the_middle_is_told);
    CPPUNIT_TEST(an_edit_is_told_and_not_done);
    CPPUNIT_TEST(a_rename_is_not_finished);
    CPPUNIT_TEST(whole_lines_are_saved_of_what_is_no_json);
    CPPUNIT_TEST(agrees_with_opening_at_every_cut);
    CPPUNIT_TEST(saves_to_a_store_that_opens);
    CPPUNIT_TEST(saves_over_nothing);
    CPPUNIT_TEST_SUITE_END();

public:
    void a_store_that_never_was_is_whole() {
        CPPUNIT_ASSERT(judged().verdict == Verdict::whole);
        CPPUNIT_ASSERT_EQUAL(std::size_t{0}, judged().savable.size());
    }

    void a_closed_store_is_whole() {
        fill(3);
        store_->close();
        store_.reset();
        const Inspection inspection = judged();
        CPPUNIT_ASSERT(inspection.verdict == Verdict::whole);
        CPPUNIT_ASSERT(inspection.findings.empty());
        CPPUNIT_ASSERT_EQUAL(std::size_t{3}, inspection.savable.size());
        CPPUNIT_ASSERT_EQUAL(std::uint64_t{3}, inspection.version.revision);
    }

    void a_killed_store_is_whole() {
        fill(3);
        store_.reset();
        const Inspection inspection = judged();
        CPPUNIT_ASSERT(inspection.verdict == Verdict::whole);
        CPPUNIT_ASSERT_EQUAL(std::size_t{1}, inspection.findings.size());
        CPPUNIT_ASSERT(inspection.findings[0].kind == Finding::Kind::recovered);
        CPPUNIT_ASSERT_EQUAL(std::size_t{3}, inspection.savable.size());
    }

    void a_torn_tail_is_told() {
        fill(3);
        store_.reset();
        std::string journal = text_of_journal();
        journal.resize(journal.size() - 5);
        disk_->place(kPath + ".journal", journal);
        const Inspection inspection = judged();
        CPPUNIT_ASSERT(inspection.verdict == Verdict::torn);
        CPPUNIT_ASSERT_EQUAL(std::size_t{2}, inspection.savable.size());
    }

    void damage_in_the_middle_is_told() {
        fill(5);
        store_.reset();
        std::string journal = text_of_journal();
        journal[journal.find("\"k2\"") + 1] = 'x';
        disk_->place(kPath + ".journal", journal);
        const Inspection inspection = judged();
        CPPUNIT_ASSERT(inspection.verdict == Verdict::damaged);
        CPPUNIT_ASSERT_EQUAL(std::size_t{2}, inspection.savable.size());
        CPPUNIT_ASSERT_EQUAL(std::uint64_t{2}, inspection.version.revision);
        CPPUNIT_ASSERT_EQUAL(std::size_t{2}, inspection.unreachable_batches);
    }

    void an_edit_is_told_and_not_done() {
        fill(2);
        store_->checkpoint();
        fill(1);
        store_.reset();
        disk_->place(kPath, R"({"by": "hand"})");
        const Inspection inspection = judged();
        CPPUNIT_ASSERT(inspection.verdict == Verdict::whole);
        CPPUNIT_ASSERT(inspection.savable.find("by") != nullptr);
        for (const std::string& name : disk_->names()) {
            CPPUNIT_ASSERT_MESSAGE(name, name.find("edited") == std::string::npos);
        }
    }

    void a_rename_is_not_finished() {
        fill(2);
        store_->close();
        open();
        fill(4);
        store_->close();
        store_.reset();
        const std::string json = disk_->content(kPath);
        disk_->drop(kPath);
        disk_->place(kPath + ".tmp", json);
        CPPUNIT_ASSERT_EQUAL(std::size_t{4}, judged().savable.size());
        CPPUNIT_ASSERT(!disk_->exists(kPath));
        CPPUNIT_ASSERT(disk_->exists(kPath + ".tmp"));
    }

    void whole_lines_are_saved_of_what_is_no_json() {
        fill(4);
        store_->close();
        store_.reset();
        std::string json = disk_->content(kPath);
        json[json.find("\"k1\"")] = '?';
        disk_->place(kPath, json);
        const Inspection inspection = judged();
        CPPUNIT_ASSERT(inspection.verdict == Verdict::damaged);
        CPPUNIT_ASSERT(inspection.findings.back().kind == Finding::Kind::unreadable);
        CPPUNIT_ASSERT_EQUAL(std::size_t{3}, inspection.savable.size());
        CPPUNIT_ASSERT_EQUAL(std::size_t{1}, inspection.lost_lines);
        CPPUNIT_ASSERT_EQUAL(std::uint64_t{4}, inspection.version.revision);
        save(*disk_, inspection, "data/saved.json");
        open("data/saved.json");
        CPPUNIT_ASSERT_EQUAL(std::size_t{3}, store_->count());
        CPPUNIT_ASSERT_EQUAL(std::uint64_t{4}, store_->version().revision);
    }

    // Wherever the power went, what is said beforehand is what opening finds.
    void agrees_with_opening_at_every_cut() {
        for (std::size_t at = 1;; ++at) {
            store_.reset();
            disk_ = std::make_unique<FaultDisk>(static_cast<unsigned>(at));
            open();
            disk_->arm({.at = at, .error = 0});
            bool cut = false;
            try {
                fill(3);
                store_->checkpoint();
                fill(5);
                store_->clear();
                fill(2);
                store_->close();
            } catch (const Error&) {
                cut = true;
            }
            cut = cut || disk_->is_cut();
            store_.reset();
            disk_ = disk_->after_power_cut(1);
            const Inspection inspection = judged();
            open();
            const bool read_only = store_->state() == StoreState::read_only;
            CPPUNIT_ASSERT_EQUAL(read_only, inspection.verdict == Verdict::damaged);
            CPPUNIT_ASSERT_EQUAL(store_->count(), inspection.savable.size());
            CPPUNIT_ASSERT_EQUAL(store_->version().revision, inspection.version.revision);
            CPPUNIT_ASSERT_EQUAL(store_->version().epoch, inspection.version.epoch);
            if (!cut) break;
        }
    }

    void saves_to_a_store_that_opens() {
        fill(5);
        store_.reset();
        const Inspection inspection = judged();
        save(*disk_, inspection, "data/saved.json");
        open("data/saved.json");
        CPPUNIT_ASSERT_EQUAL(std::size_t{5}, store_->count());
        CPPUNIT_ASSERT_EQUAL(std::uint64_t{2}, store_->version().epoch);
        CPPUNIT_ASSERT_EQUAL(std::uint64_t{5}, store_->version().revision);
        CPPUNIT_ASSERT_EQUAL(std::uint64_t{3}, store_->get("k2")->revision);
    }

    void saves_over_nothing() {
        fill(1);
        store_.reset();
        CPPUNIT_ASSERT_THROW(save(*disk_, judged(), kPath), Error);
    }

private:
    // And makes sure that it changes nothing.
    Inspection judged() {
        std::vector<std::string> before;
        for (const std::string& name : disk_->names()) {
            before.push_back(name + disk_->content(name));
        }
        Inspection inspection = inspect(*disk_, kPath, kStart);
        std::vector<std::string> after;
        for (const std::string& name : disk_->names()) after.push_back(name + disk_->content(name));
        CPPUNIT_ASSERT(before == after);
        return inspection;
    }
    void open(const std::string& path = kPath) {
        store_.reset();
        store_ = std::make_unique<DocumentStore>(*disk_, path, *committer_, StoreOptions{});
    }
    void fill(int count) {
        if (!store_) open();
        for (int i = 0; i < count; ++i) {
            const auto outcome = store_->commit_and_wait([i](Transaction& transaction) {
                transaction.set(fmt::format("k{}", i), std::to_string(i), 0, {});
            });
            if (outcome.refused) throw *outcome.refused;
        }
    }
    std::string text_of_journal() const {
        const std::string journal = disk_->content(kPath + ".journal");
        return journal.substr(0, journal.find('\0'));
    }
};

LARDER_TEST_SUITE(InspectTest);

}  // namespace
