// What a store tells of its changes, how documents end when their time comes, and how a store is
// emptied: on a disk that works, and with a power cut or an error at every call of an emptying.
//
// Contents: events · expiry · clearing
#include <fmt/format.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "storage-kit/document_store.hpp"
#include "support/store_fixture.hpp"

namespace {

using larder::Errc;
using larder::Error;
using larder::storage::DocumentStore;
using larder::storage::Event;
using larder::storage::Finding;
using larder::storage::Outcome;
using larder::storage::StoreOptions;
using larder::storage::StoreState;
using larder::storage::Transaction;
using larder::storage::Version;
using larder::test::Call;
using larder::test::FaultDisk;

class DocumentHistoryTest : public larder::test::StoreFixture {
    CPPUNIT_TEST_SUITE(DocumentHistoryTest);
    CPPUNIT_TEST(tells_each_change_once);
    CPPUNIT_TEST(tells_what_a_commit_left_of_a_key);
    CPPUNIT_TEST(tells_nothing_of_what_was_refused);
    CPPUNIT_TEST(tells_before_it_answers);
    CPPUNIT_TEST(tells_again_what_the_journal_holds);
    CPPUNIT_TEST(tells_nothing_of_an_epoch_that_is_over);
    CPPUNIT_TEST(what_is_due_ends_by_itself);
    CPPUNIT_TEST(what_is_due_ends_before_it_is_set_again);
    CPPUNIT_TEST(what_is_due_ends_in_the_order_of_time);
    CPPUNIT_TEST(a_new_deadline_takes_the_old_ones_place);
    CPPUNIT_TEST(deadlines_survive);
    CPPUNIT_TEST(expiry_is_no_change_of_a_store_without_room);
    CPPUNIT_TEST(very_many_end_at_once);
    CPPUNIT_TEST(clearing_leaves_the_meta_alone);
    CPPUNIT_TEST(clearing_leaves_no_half_made_checkpoint);
    CPPUNIT_TEST(a_cleared_store_goes_on);
    CPPUNIT_TEST(a_cleared_store_that_never_had_a_checkpoint);
    CPPUNIT_TEST(a_file_put_into_a_cleared_store_is_an_edit);
    CPPUNIT_TEST(clearing_needs_no_room);
    CPPUNIT_TEST(clearing_is_whole_at_every_power_cut);
    CPPUNIT_TEST(clearing_survives_every_error);
    CPPUNIT_TEST_SUITE_END();

public:
    void setUp() override {
        StoreFixture::setUp();
        told_.clear();
    }

    // ---- events

    void tells_each_change_once() {
        open();
        set("a", "1");
        set("a", "2");
        remove("a");
        remove("a");
        CPPUNIT_ASSERT_EQUAL(std::string("1 set a 1.|2 set a 2.|3 remove a .|"), told_);
    }

    void tells_what_a_commit_left_of_a_key() {
        open();
        set("gone", "0");
        told_.clear();
        commit([](Transaction& transaction) {
            transaction.set("a", "1", 0, {});
            transaction.set("b", "1", 0, {});
            transaction.set("a", "2", 0, {});
            transaction.set("new", "1", 0, {});
            transaction.remove("new");
            transaction.remove("gone");
        });
        CPPUNIT_ASSERT_EQUAL(std::string("2 set a 2|2 set b 1|2 remove gone .|"), told_);
    }

    void tells_nothing_of_what_was_refused() {
        open();
        commit([](Transaction& transaction) {
            transaction.set("a", "1", 0, {});
            throw Error(Errc::conflict, "no", "no");
        });
        CPPUNIT_ASSERT_EQUAL(std::string(), told_);
    }

    void tells_before_it_answers() {
        open();
        std::string told_by_then;
        std::string shown_by_then;
        on_event_ = [&] { shown_by_then = value("a"); };
        store_->commit([](Transaction& transaction) { transaction.set("a", "1", 0, {}); },
                       [&](const Outcome&) { told_by_then = told_; });
        commit([](Transaction&) {});
        CPPUNIT_ASSERT_EQUAL(std::string("1 set a 1.|"), told_by_then);
        CPPUNIT_ASSERT_EQUAL(std::string("1"), shown_by_then);
    }

    void tells_again_what_the_journal_holds() {
        open();
        set("folded", "1");
        store_->checkpoint();
        for (int i = 0; i < 2500; ++i)
            store_->commit([](Transaction& t) { t.set("k", "1", 0, {}); }, {});
        set("a", "1", clock_ + 1000);
        remove("folded");
        clock_ += 2000;
        commit([](Transaction&) {});
        const std::string before = std::exchange(told_, {});
        open();  // killed
        CPPUNIT_ASSERT_EQUAL(before.substr(before.find('|') + 1), told_);
        CPPUNIT_ASSERT(told_.ends_with("|2502 set a 1.|2503 remove folded .|2504 expire a .|"));
        store_->close();
        told_.clear();
        open();
        CPPUNIT_ASSERT_EQUAL(std::string(), told_);
    }

    void tells_nothing_of_an_epoch_that_is_over() {
        open();
        set("a", "1");
        store_->checkpoint();
        set("b", "1");
        store_.reset();
        disk_->place(kPath, R"({"a": 2})");
        told_.clear();
        open();
        CPPUNIT_ASSERT_EQUAL(std::uint64_t{2}, store_->version().epoch);
        CPPUNIT_ASSERT_EQUAL(std::string(), told_);
    }

    // ---- expiry

    void what_is_due_ends_by_itself() {
        open();
        CPPUNIT_ASSERT_EQUAL(std::int64_t{0}, store_->next_expiry_ms());
        const std::int64_t due = clock_ + 1000;
        set("a", "1", due);
        CPPUNIT_ASSERT_EQUAL(due, store_->next_expiry_ms());
        expire();
        CPPUNIT_ASSERT_EQUAL(std::string("1"), value("a"));
        clock_ = due;
        expire();
        CPPUNIT_ASSERT_EQUAL(std::string("absent"), value("a"));
        CPPUNIT_ASSERT_EQUAL(std::uint64_t{2}, store_->version().revision);
        CPPUNIT_ASSERT_EQUAL(std::int64_t{0}, store_->next_expiry_ms());
        CPPUNIT_ASSERT_EQUAL(std::string("1 set a 1.|2 expire a .|"), told_);
        expire();
        CPPUNIT_ASSERT_EQUAL(std::uint64_t{2}, store_->version().revision);
    }

    void what_is_due_ends_before_it_is_set_again() {
        open();
        set("a", "1", clock_ + 1000);
        clock_ += 1000;
        const Outcome outcome = commit([](Transaction& transaction) {
            CPPUNIT_ASSERT(!transaction.get("a"));
            CPPUNIT_ASSERT_EQUAL(std::uint64_t{3}, transaction.revision());
            transaction.set("a", "2", 0, {});
        });
        CPPUNIT_ASSERT_EQUAL(std::uint64_t{3}, outcome.version.revision);
        CPPUNIT_ASSERT_EQUAL(std::string("1 set a 1.|2 expire a .|3 set a 2.|"), told_);
        CPPUNIT_ASSERT(store_->get("a")->created_ms >= kStart + 1000);
    }

    void what_is_due_ends_in_the_order_of_time() {
        open();
        const std::int64_t now = clock_;
        set("a", "1", now + 3000);
        set("b", "1", now + 1000);
        set("c", "1", now + 2000);
        set("d", "1", now + 1000);
        set("e", "1", now + 9000);
        told_.clear();
        clock_ = now + 4000;
        expire();
        CPPUNIT_ASSERT_EQUAL(std::string("6 expire b .|7 expire d .|8 expire c .|9 expire a .|"),
                             told_);
        CPPUNIT_ASSERT_EQUAL(now + 9000, store_->next_expiry_ms());
    }

    void a_new_deadline_takes_the_old_ones_place() {
        open();
        const std::int64_t due = clock_ + 5000;
        set("a", "1", due);
        set("a", "2", due);
        CPPUNIT_ASSERT_EQUAL(due, store_->next_expiry_ms());
        set("a", "3", due + 1);
        CPPUNIT_ASSERT_EQUAL(due + 1, store_->next_expiry_ms());
        set("a", "4");
        CPPUNIT_ASSERT_EQUAL(std::int64_t{0}, store_->next_expiry_ms());
        set("a", "5", due);
        remove("a");
        CPPUNIT_ASSERT_EQUAL(std::int64_t{0}, store_->next_expiry_ms());
    }

    void deadlines_survive() {
        for (const bool clean : {true, false}) {
            disk_ = std::make_unique<FaultDisk>();
            open();
            const std::int64_t due = clock_ + 1000;
            set("a", "1", due);
            set("b", "1", due + 5000);
            if (clean) store_->close();
            clock_ += 2000;
            open();
            CPPUNIT_ASSERT_EQUAL(due, store_->next_expiry_ms());
            expire();
            CPPUNIT_ASSERT_EQUAL(std::string("absent"), value("a"));
            CPPUNIT_ASSERT_EQUAL(std::string("1"), value("b"));
            CPPUNIT_ASSERT_EQUAL(std::uint64_t{3}, store_->version().revision);
            open();
            CPPUNIT_ASSERT_EQUAL(std::string("absent"), value("a"));
            CPPUNIT_ASSERT_EQUAL(std::uint64_t{3}, store_->version().revision);
            store_.reset();
        }
    }

    // The sync fails: the key is still on disk, and nobody is told that it ended.
    void expiry_is_no_change_of_a_store_without_room() {
        open();
        set("a", "1", clock_ + 1000);
        told_.clear();
        clock_ += 2000;
        disk_->arm({.at = 1, .error = EIO, .any = false, .kind = Call::sync});
        expire();
        CPPUNIT_ASSERT(store_->state() == StoreState::read_only);
        CPPUNIT_ASSERT_EQUAL(std::string(), told_);
        CPPUNIT_ASSERT(store_->get("a"));
        disk_->arm({});
    }

    void very_many_end_at_once() {
        open();
        constexpr int kKeys = 150'000;
        const std::string key_end(60, 'x');
        const std::int64_t due = clock_ + 1'000'000;
        for (int i = 0; i < 15; ++i) {
            commit([&](Transaction& transaction) {
                for (int j = 0; j < kKeys / 15; ++j) {
                    transaction.set(fmt::format("{:02}/{:05}{}", i, j, key_end), "1", due, {});
                }
            });
        }
        CPPUNIT_ASSERT_EQUAL(std::size_t{kKeys}, store_->count());
        told_.clear();
        clock_ = due;
        set("late", "1");
        CPPUNIT_ASSERT_EQUAL(std::size_t{1}, store_->count());
        CPPUNIT_ASSERT_EQUAL(std::uint64_t{15 + kKeys + 1}, store_->version().revision);
        CPPUNIT_ASSERT(told_.ends_with(" set late 1.|"));
        open();
        CPPUNIT_ASSERT_EQUAL(std::size_t{1}, store_->count());
    }

    // ---- clearing

    void clearing_leaves_the_meta_alone() {
        open();
        set("a", "1");
        store_->checkpoint();
        set("b", "2");
        CPPUNIT_ASSERT(!store_->is_cleared());
        store_->clear();
        CPPUNIT_ASSERT(store_->is_cleared());
        CPPUNIT_ASSERT_EQUAL(std::size_t{0}, store_->count());
        CPPUNIT_ASSERT_EQUAL(std::uint64_t{0}, store_->value_bytes());
        CPPUNIT_ASSERT_EQUAL(std::uint64_t{2}, store_->version().epoch);
        CPPUNIT_ASSERT_EQUAL(std::uint64_t{2}, store_->version().revision);
        CPPUNIT_ASSERT_EQUAL(std::size_t{1}, disk_->names().size());
        CPPUNIT_ASSERT(disk_->exists(kPath + ".meta"));
        CPPUNIT_ASSERT_EQUAL(std::string("cleared 2-2|"), told_.substr(told_.find("cleared")));
        store_->close();
        CPPUNIT_ASSERT_EQUAL(std::size_t{1}, disk_->names().size());
        open();
        CPPUNIT_ASSERT(store_->is_cleared());
        CPPUNIT_ASSERT_EQUAL(std::uint64_t{2}, store_->version().epoch);
        CPPUNIT_ASSERT_EQUAL(std::uint64_t{2}, store_->version().revision);
        CPPUNIT_ASSERT(findings_.empty());
    }

    // A crash may leave one, with values in it that are then to be gone.
    void clearing_leaves_no_half_made_checkpoint() {
        open();
        set("a", "1");
        disk_->place(kPath + ".tmp", "{\n\"a\": 1\n");
        store_->clear();
        CPPUNIT_ASSERT(!disk_->exists(kPath + ".tmp"));
        disk_->place(kPath + ".tmp", "{\n\"a\": 1\n");
        open();
        CPPUNIT_ASSERT(store_->is_cleared());
        CPPUNIT_ASSERT(!disk_->exists(kPath + ".tmp"));
    }

    void a_cleared_store_goes_on() {
        for (const bool clean : {true, false}) {
            disk_ = std::make_unique<FaultDisk>();
            open();
            set("a", "1");
            store_->close();
            open();
            store_->clear();
            CPPUNIT_ASSERT_EQUAL(std::uint64_t{2}, set("a", "2").version.revision);
            CPPUNIT_ASSERT(!store_->is_cleared());
            if (clean) store_->close();
            open();
            CPPUNIT_ASSERT_EQUAL(std::string("2"), value("a"));
            CPPUNIT_ASSERT(!store_->is_cleared());
            CPPUNIT_ASSERT_EQUAL(std::uint64_t{2}, store_->version().epoch);
            store_->clear();
            store_->clear();
            CPPUNIT_ASSERT_EQUAL(std::uint64_t{4}, store_->version().epoch);
            CPPUNIT_ASSERT_EQUAL(std::uint64_t{2}, store_->version().revision);
            store_.reset();
        }
    }

    void a_cleared_store_that_never_had_a_checkpoint() {
        open();
        set("a", "1");
        store_->clear();
        open();
        CPPUNIT_ASSERT_EQUAL(std::size_t{0}, store_->count());
        CPPUNIT_ASSERT_EQUAL(std::uint64_t{2}, store_->version().epoch);
        CPPUNIT_ASSERT_EQUAL(std::uint64_t{1}, store_->version().revision);
    }

    void a_file_put_into_a_cleared_store_is_an_edit() {
        open();
        set("a", "1");
        store_->close();
        open();
        store_->clear();
        store_.reset();
        disk_->place(kPath, R"({"by": "hand"})");
        open();
        CPPUNIT_ASSERT_EQUAL(std::string("\"hand\""), value("by"));
        CPPUNIT_ASSERT_EQUAL(std::uint64_t{3}, store_->version().epoch);
        CPPUNIT_ASSERT_EQUAL(std::uint64_t{2}, store_->version().revision);
        CPPUNIT_ASSERT(!store_->is_cleared());
    }

    void clearing_needs_no_room() {
        open();
        set("a", "1");
        disk_->arm({.at = 1, .error = ENOSPC, .any = false, .kind = Call::write});
        store_->clear();
        disk_->arm({});
        CPPUNIT_ASSERT_EQUAL(std::size_t{0}, store_->count());
        open();
        CPPUNIT_ASSERT(store_->is_cleared());
        CPPUNIT_ASSERT_EQUAL(std::uint64_t{2}, set("a", "1").version.revision);
    }

    void clearing_is_whole_at_every_power_cut() {
        int all_old = 0;
        int all_new = 0;
        for (const Life life : kLives) {
            for (std::size_t at = 1;; ++at) {
                prepare(life, static_cast<unsigned>(at));
                disk_->arm({.at = at, .error = 0});
                const bool acknowledged = try_clear();
                const bool cut = disk_->is_cut();
                store_.reset();
                for (unsigned seed = 1; seed <= 6; ++seed) {
                    auto left = disk_->after_power_cut(seed);
                    std::swap(disk_, left);
                    judge_survivor(acknowledged, all_old, all_new);
                    store_.reset();
                    std::swap(disk_, left);
                }
                if (!cut) break;
            }
        }
        CPPUNIT_ASSERT(all_old > 0);
        CPPUNIT_ASSERT(all_new > 0);
    }

    void clearing_survives_every_error() {
        int all_old = 0;
        int all_new = 0;
        for (const Life life : kLives) {
            for (const int error : {EIO, ENOSPC}) {
                for (std::size_t at = 1;; ++at) {
                    prepare(life, 1);
                    disk_->arm({.at = at, .error = error});
                    const bool acknowledged = try_clear();
                    const bool struck = disk_->calls() >= at;
                    disk_->arm({});
                    if (!acknowledged && store_->state() == StoreState::open) {
                        // It goes on as if nothing had been asked.
                        CPPUNIT_ASSERT_EQUAL(std::uint64_t{1}, store_->version().epoch);
                        CPPUNIT_ASSERT_EQUAL(std::uint64_t{4}, set("late", "1").version.revision);
                        open();
                        CPPUNIT_ASSERT_EQUAL(std::string("1"), value("late"));
                        remove("late");
                    }
                    judge_survivor(acknowledged, all_old, all_new);
                    store_.reset();
                    if (!struck) break;
                }
            }
        }
        CPPUNIT_ASSERT(all_old > 0);
        CPPUNIT_ASSERT(all_new > 0);
    }

private:
    // What stood on disk when the store was cleared.
    enum class Life : std::uint8_t { journal_alone = 1, folded, folded_and_journal, failed_fold };
    static constexpr std::array kLives{Life::journal_alone, Life::folded, Life::folded_and_journal,
                                       Life::failed_fold};

    void prepare(Life life, unsigned seed) {
        store_.reset();
        disk_ = std::make_unique<FaultDisk>(seed);
        open();
        set("a", "1");
        set("b", "2");
        if (life == Life::folded_and_journal || life == Life::failed_fold) store_->checkpoint();
        set("c", "3");
        if (life == Life::folded) store_->checkpoint();
        if (life == Life::failed_fold) {
            disk_->meanwhile = [this](const std::string& path) {
                if (path == kPath + ".tmp") {
                    disk_->arm({.at = 1, .error = EIO, .any = false, .kind = Call::create});
                }
            };
            CPPUNIT_ASSERT_THROW(store_->checkpoint(), Error);
            disk_->meanwhile = nullptr;
            disk_->arm({});
            CPPUNIT_ASSERT(disk_->exists(kPath + ".journal.old"));
        }
    }

    bool try_clear() {
        try {
            store_->clear();
            return true;
        } catch (const Error&) {
            CPPUNIT_ASSERT(disk_->struck());
            return false;
        }
    }

    // All that was there is there, or nothing is and the epoch is the next; and it can be written.
    void judge_survivor(bool acknowledged, int& all_old, int& all_new) {
        open();
        CPPUNIT_ASSERT(store_->state() == StoreState::open);
        const Version version = store_->version();
        if (store_->count() == 0) {
            ++all_new;
            CPPUNIT_ASSERT_EQUAL(std::uint64_t{2}, version.epoch);
            CPPUNIT_ASSERT(!disk_->exists(kPath));
        } else {
            ++all_old;
            CPPUNIT_ASSERT(!acknowledged);
            CPPUNIT_ASSERT_EQUAL(std::size_t{3}, store_->count());
            CPPUNIT_ASSERT_EQUAL(std::uint64_t{1}, version.epoch);
        }
        CPPUNIT_ASSERT(version.revision >= 3);
        CPPUNIT_ASSERT_EQUAL(version.revision + 1, set("next", "1").version.revision);
        open();
        CPPUNIT_ASSERT_EQUAL(std::string("1"), value("next"));
        CPPUNIT_ASSERT_EQUAL(version.epoch, store_->version().epoch);
    }

    void open() {
        store_.reset();
        findings_.clear();
        StoreOptions options;
        options.clock_ms = [this] { return clock_; };
        options.report = [this](const Finding& finding) { findings_.push_back(finding.text); };
        options.changed = [this](std::vector<Event>&& events) {
            if (on_event_) on_event_();
            for (const Event& event : events) {
                const char* const kind = event.kind == Event::Kind::set      ? "set"
                                         : event.kind == Event::Kind::remove ? "remove"
                                                                             : "expire";
                told_ +=
                    fmt::format("{} {} {} {}{}|", event.document->revision, kind,
                                event.document->key, event.document->value, event.last ? "." : "");
            }
        };
        options.cleared = [this](const Version& version) {
            told_ += fmt::format("cleared {}-{}|", version.epoch, version.revision);
        };
        store_ = std::make_unique<DocumentStore>(*disk_, kPath, *committer_, options);
    }
    void expire() {
        store_->expire();
        commit([](Transaction&) {});
    }

    std::string told_;
    std::vector<std::string> findings_;
    std::function<void()> on_event_;
};

LARDER_TEST_SUITE(DocumentHistoryTest);

}  // namespace
