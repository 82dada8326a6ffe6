// What a start of a document store finds, on a disk that works: clean ends, kills, edits, damage,
// crashes between two renames; and the checkpoints that make a start short.
#include <fmt/format.h>

#include <atomic>
#include <map>
#include <random>
#include <string>
#include <thread>

#include "storage-kit/digest.hpp"
#include "support/document_store_fixture.hpp"

namespace {

using larder::Errc;
using larder::Error;
using larder::storage::DocumentPtr;
using larder::storage::Finding;
using larder::storage::StoreState;
using larder::storage::Transaction;

class DocumentStoreRestartTest : public larder::test::DocumentStoreFixture {
    CPPUNIT_TEST_SUITE(DocumentStoreRestartTest);
    CPPUNIT_TEST(keeps_stamps_over_a_clean_end);
    CPPUNIT_TEST(keeps_stamps_over_a_kill);
    CPPUNIT_TEST(keeps_values_to_the_deepest);
    CPPUNIT_TEST(takes_an_edit);
    CPPUNIT_TEST(a_new_layout_is_no_change);
    CPPUNIT_TEST(a_removed_file_removes_all);
    CPPUNIT_TEST(the_journal_wins_over_an_edit);
    CPPUNIT_TEST(an_edit_that_is_no_json_is_left_alone);
    CPPUNIT_TEST(cuts_a_torn_tail);
    CPPUNIT_TEST(damage_in_the_middle_makes_read_only);
    CPPUNIT_TEST(a_missing_segment_makes_read_only);
    CPPUNIT_TEST(a_damaged_header_makes_read_only);
    CPPUNIT_TEST(refuses_newer_formats);
    CPPUNIT_TEST(a_journal_of_an_older_epoch_is_passed_over);
    CPPUNIT_TEST(a_journal_of_a_later_epoch_makes_read_only);
    CPPUNIT_TEST(finishes_renames);
    CPPUNIT_TEST(goes_back_to_the_checkpoint_before);
    CPPUNIT_TEST(keeps_an_edit_made_between_two_renames);
    CPPUNIT_TEST(serves_values_without_a_sound_meta);
    CPPUNIT_TEST(reports_a_journal_that_is_gone);
    CPPUNIT_TEST(a_checkpoint_removes_the_journal_before_it);
    CPPUNIT_TEST(a_checkpoint_names_what_it_holds);
    CPPUNIT_TEST(a_checkpoint_survives_commits_meanwhile);
    CPPUNIT_TEST(asks_for_a_checkpoint);
    CPPUNIT_TEST(random_lives);
    CPPUNIT_TEST_SUITE_END();

public:
    void keeps_stamps_over_a_clean_end() { keeps_stamps(true); }
    void keeps_stamps_over_a_kill() { keeps_stamps(false); }

    void keeps_values_to_the_deepest() {
        const std::string deep = std::string(1024, '[') + std::string(1024, ']');
        open();
        set("deep", deep);
        open();
        CPPUNIT_ASSERT_EQUAL(deep, value("deep"));
        store_->close();
        disk_->drop(kPath + ".meta");
        open();
        CPPUNIT_ASSERT_EQUAL(deep, value("deep"));
    }

    void takes_an_edit() {
        filled_and_closed();
        disk_->place(kPath, R"({"a": 1, "new": {"x": [1, 2]}, "b": "changed"})");
        open();
        CPPUNIT_ASSERT_EQUAL(std::string("1"), value("a"));
        CPPUNIT_ASSERT_EQUAL(std::uint64_t{1}, store_->get("a")->revision);
        CPPUNIT_ASSERT_EQUAL(std::string(R"({"x":[1,2]})"), value("new"));
        CPPUNIT_ASSERT_EQUAL(std::string("\"changed\""), value("b"));
        CPPUNIT_ASSERT(!store_->get("c"));
        CPPUNIT_ASSERT_EQUAL(std::uint64_t{4}, store_->get("new")->revision);
        CPPUNIT_ASSERT_EQUAL(std::uint64_t{4}, store_->get("b")->revision);
        CPPUNIT_ASSERT_EQUAL(std::int64_t{2'000'000}, store_->get("b")->updated_ms);
        CPPUNIT_ASSERT(store_->get("b")->created_ms > kStart);
        CPPUNIT_ASSERT_EQUAL(std::uint64_t{4}, store_->version().revision);
        CPPUNIT_ASSERT_EQUAL(std::uint64_t{2}, store_->version().epoch);
        found(Finding::Kind::edited, "2 keys new or changed, 1 removed");
        CPPUNIT_ASSERT_EQUAL_MESSAGE("folded before it is served",
                                     std::string("{\n\"a\": 1,\n\"b\": \"changed\",\n\"new\": "
                                                 "{\"x\":[1,2]}\n}\n"),
                                     disk_->content(kPath));
        set("a", "2");
        open();  // killed
        CPPUNIT_ASSERT_EQUAL(std::uint64_t{2}, store_->version().epoch);
        CPPUNIT_ASSERT_EQUAL(std::uint64_t{5}, store_->get("a")->revision);
        CPPUNIT_ASSERT(!store_->get("c"));
    }

    void a_new_layout_is_no_change() {
        filled_and_closed();
        disk_->place(kPath, R"({"c":3,"b":2,"a":1})");
        open();
        CPPUNIT_ASSERT_EQUAL(std::uint64_t{1}, store_->version().epoch);
        CPPUNIT_ASSERT_EQUAL(std::uint64_t{3}, store_->version().revision);
        CPPUNIT_ASSERT_EQUAL(std::uint64_t{2}, store_->get("b")->revision);
        found(Finding::Kind::edited, "0 keys new or changed, 0 removed");
    }

    void a_removed_file_removes_all() {
        filled_and_closed();
        disk_->drop(kPath);
        open();
        CPPUNIT_ASSERT_EQUAL(std::size_t{0}, store_->count());
        CPPUNIT_ASSERT_EQUAL(std::uint64_t{4}, store_->version().revision);
        CPPUNIT_ASSERT_EQUAL(std::uint64_t{2}, store_->version().epoch);
        found(Finding::Kind::edited, "3 removed");
    }

    void the_journal_wins_over_an_edit() {
        filled_and_closed();
        open();
        set("a", "\"journal\"");
        remove("b");
        store_.reset();
        const std::string edited = R"({"a":"hand","b":"hand","c":"hand","d":"hand"})";
        disk_->place(kPath, edited);
        open();
        CPPUNIT_ASSERT_EQUAL(std::string("\"journal\""), value("a"));
        CPPUNIT_ASSERT(!store_->get("b"));
        CPPUNIT_ASSERT_EQUAL(std::string("\"hand\""), value("c"));
        CPPUNIT_ASSERT_EQUAL(std::string("\"hand\""), value("d"));
        CPPUNIT_ASSERT_EQUAL(std::uint64_t{4}, store_->get("a")->revision);
        CPPUNIT_ASSERT_EQUAL(std::uint64_t{6}, store_->get("c")->revision);
        CPPUNIT_ASSERT_EQUAL(std::uint64_t{6}, store_->version().revision);
        CPPUNIT_ASSERT_EQUAL(std::uint64_t{2}, store_->version().epoch);
        found(Finding::Kind::edited_aside, kPath + ".edited-20231114T2213");
        std::string aside;
        for (const auto& name : disk_->names()) {
            if (name.find(".edited-") != std::string::npos) aside = name;
        }
        CPPUNIT_ASSERT_EQUAL(edited, disk_->content(aside));
        open();  // killed
        CPPUNIT_ASSERT_EQUAL(std::string("\"journal\""), value("a"));
        CPPUNIT_ASSERT_EQUAL(std::uint64_t{2}, store_->version().epoch);
    }

    void an_edit_that_is_no_json_is_left_alone() {
        filled_and_closed();
        const std::string meta = disk_->content(kPath + ".meta");
        disk_->place(kPath, "{\"a\": 1,}");
        CPPUNIT_ASSERT_THROW(open(), Error);
        CPPUNIT_ASSERT_EQUAL(std::string("{\"a\": 1,}"), disk_->content(kPath));
        CPPUNIT_ASSERT_EQUAL(meta, disk_->content(kPath + ".meta"));
        disk_->place(kPath, "{\"a\": 1}");
        open();
        CPPUNIT_ASSERT_EQUAL(std::size_t{1}, store_->count());
    }

    void cuts_a_torn_tail() {
        filled_and_closed();
        open();
        set("a", "\"whole\"");
        set("b", "\"torn\"");
        store_.reset();
        const std::string path = kPath + ".journal";
        const std::string journal = disk_->content(path);
        const std::size_t last = journal.rfind('\n', journal.rfind('\n') - 1) + 1;
        const std::size_t end = journal.rfind('\n') + 1;
        for (std::size_t cut = last + 1; cut < end; ++cut) {
            std::string torn = journal.substr(0, cut);
            if (cut % 2 == 0) torn.resize(journal.size());  // zeros behind it
            if (cut % 3 == 0) torn += "rubbish";
            findings_.clear();
            restore(path, torn);
            CPPUNIT_ASSERT_EQUAL(std::string("\"whole\""), value("a"));
            CPPUNIT_ASSERT_EQUAL(std::string("2"), value("b"));
            CPPUNIT_ASSERT_EQUAL(std::uint64_t{4}, store_->version().revision);
            CPPUNIT_ASSERT(store_->state() == StoreState::open);
            found(Finding::Kind::torn_tail, fmt::format("at byte {}", last));
            set("b", "\"again\"");
            open();
            CPPUNIT_ASSERT_EQUAL(std::string("\"again\""), value("b"));
        }
    }

    void damage_in_the_middle_makes_read_only() {
        filled_and_closed();
        open();
        for (int i = 0; i < 5; ++i) set("n", std::to_string(i));
        store_.reset();
        const std::string path = kPath + ".journal";
        const std::string journal = disk_->content(path);
        std::size_t third = 0;
        for (int line = 0; line < 3; ++line) third = journal.find('\n', third) + 1;
        const std::size_t fourth = journal.find('\n', third) + 1;
        for (std::size_t at = third; at < fourth; ++at) {
            std::string damaged = journal;
            damaged[at] = static_cast<char>(damaged[at] ^ 0x10);
            findings_.clear();
            states_.clear();
            restore(path, damaged);
            CPPUNIT_ASSERT(store_->state() == StoreState::read_only);
            CPPUNIT_ASSERT_EQUAL(std::size_t{1}, states_.size());
            CPPUNIT_ASSERT_EQUAL(std::string("1"), value("n"));
            found(Finding::Kind::damaged, fmt::format("at byte {}", third));
            CPPUNIT_ASSERT(store_->state_reason().find(path) != std::string::npos);
            CPPUNIT_ASSERT_EQUAL(std::string("read-only"), set("x", "1").refused->slug());
            CPPUNIT_ASSERT_THROW(store_->checkpoint(), Error);
            store_->close();
            CPPUNIT_ASSERT_EQUAL_MESSAGE("the file is kept", damaged, disk_->content(path));
        }
    }

    void a_missing_segment_makes_read_only() {
        filled_and_closed();
        open();
        set("a", "2");
        fail_checkpoint();  // leaves .journal.old
        set("a", "3");
        store_.reset();
        CPPUNIT_ASSERT(disk_->exists(kPath + ".journal.old"));
        disk_->drop(kPath + ".journal.old");
        open();
        CPPUNIT_ASSERT(store_->state() == StoreState::read_only);
        CPPUNIT_ASSERT_EQUAL(std::string("1"), value("a"));
        found(Finding::Kind::damaged, "begins after revision 4");
    }

    void a_damaged_header_makes_read_only() {
        filled_and_closed();
        open();
        set("a", "2");
        store_.reset();
        std::string journal = disk_->content(kPath + ".journal");
        journal[3] = 'x';
        restore(kPath + ".journal", journal);
        CPPUNIT_ASSERT(store_->state() == StoreState::read_only);
        restore(kPath + ".journal", "");
        CPPUNIT_ASSERT(store_->state() == StoreState::read_only);
        CPPUNIT_ASSERT_EQUAL(std::string("1"), value("a"));
    }

    void refuses_newer_formats() {
        filled_and_closed();
        std::string meta = disk_->content(kPath + ".meta");
        const std::string old_meta = meta;
        meta.replace(meta.find("\"version\":1"), 11, "\"version\":2");
        store_.reset();
        disk_->place(kPath + ".meta", meta);
        refused_as_newer();
        disk_->place(kPath + ".meta", old_meta);
        const std::string header = R"({"larder":"journal","version":2,"epoch":1,"after":3})";
        disk_->place(kPath + ".journal",
                     fmt::format("{:08x} {}\n", larder::storage::crc32c(header), header));
        refused_as_newer();
    }

    void a_journal_of_an_older_epoch_is_passed_over() {
        filled_and_closed();
        disk_->place(kPath, R"({"a":1})");
        open();
        CPPUNIT_ASSERT_EQUAL(std::uint64_t{2}, store_->version().epoch);
        store_->close();
        store_.reset();
        place_journal(1, 4, 5);
        open();
        CPPUNIT_ASSERT(store_->state() == StoreState::open);
        CPPUNIT_ASSERT_EQUAL(std::string("1"), value("a"));
        CPPUNIT_ASSERT_EQUAL(std::uint64_t{4}, store_->version().revision);
    }

    void a_journal_of_a_later_epoch_makes_read_only() {
        filled_and_closed();
        store_.reset();
        place_journal(2, 3, 4);
        open();
        CPPUNIT_ASSERT(store_->state() == StoreState::read_only);
        CPPUNIT_ASSERT_EQUAL(std::string("1"), value("a"));
        found(Finding::Kind::damaged, "belongs to epoch 2");
    }

    void finishes_renames() {
        for (const bool meta_first : {true, false}) {
            tearDown();
            setUp();
            const Files files = between_two_renames();
            disk_->place(kPath, meta_first ? files.old_json : files.new_json);
            disk_->place(kPath + ".meta", meta_first ? files.new_meta : files.old_meta);
            const std::string left = meta_first ? ".tmp" : ".meta.tmp";
            disk_->place(kPath + left, meta_first ? files.new_json : files.new_meta);
            open();
            CPPUNIT_ASSERT_EQUAL(std::string("\"second\""), value("a"));
            CPPUNIT_ASSERT_EQUAL(std::uint64_t{1}, store_->version().epoch);
            CPPUNIT_ASSERT_EQUAL(files.new_json, disk_->content(kPath));
            CPPUNIT_ASSERT_EQUAL(files.new_meta, disk_->content(kPath + ".meta"));
            CPPUNIT_ASSERT(!disk_->exists(kPath + left));
            CPPUNIT_ASSERT_EQUAL(std::uint64_t{4}, store_->get("a")->revision);
        }
    }

    // The .meta is new, the readable file is old, the new one is nowhere: the segment that led
    // there is still to be had.
    void goes_back_to_the_checkpoint_before() {
        const Files files = between_two_renames();
        disk_->place(kPath, files.old_json);
        disk_->place(kPath + ".meta", files.new_meta);
        disk_->place(kPath + ".journal.old", files.journal);
        open();
        CPPUNIT_ASSERT_EQUAL(std::string("\"second\""), value("a"));
        CPPUNIT_ASSERT_EQUAL(std::string("2"), value("b"));
        CPPUNIT_ASSERT_EQUAL(std::uint64_t{4}, store_->get("a")->revision);
        CPPUNIT_ASSERT_EQUAL(std::uint64_t{2}, store_->get("b")->revision);
        CPPUNIT_ASSERT_EQUAL(std::uint64_t{4}, store_->version().revision);
        CPPUNIT_ASSERT_EQUAL(std::uint64_t{1}, store_->version().epoch);
        CPPUNIT_ASSERT(store_->state() == StoreState::open);
        CPPUNIT_ASSERT(!disk_->exists(kPath + ".journal.old"));
        CPPUNIT_ASSERT_EQUAL(files.new_json, disk_->content(kPath));
    }

    void keeps_an_edit_made_between_two_renames() {
        const Files files = between_two_renames();
        disk_->place(kPath, R"({"mine":1})");
        disk_->place(kPath + ".meta", files.new_meta);
        disk_->place(kPath + ".tmp", files.new_json);
        open();
        CPPUNIT_ASSERT_EQUAL(std::string("\"second\""), value("a"));
        CPPUNIT_ASSERT(!store_->get("mine"));
        found(Finding::Kind::edited_aside, ".edited-");
    }

    void serves_values_without_a_sound_meta() {
        filled_and_closed();
        const std::string meta = disk_->content(kPath + ".meta");
        const std::size_t lines = meta.find('\n') + 1;
        for (const std::size_t at : {std::size_t{2}, lines - 20, lines + 3, lines + 12,
                                     meta.size() - 10, meta.find("\"revision\":") + 11}) {
            std::string damaged = meta;
            damaged[at] = damaged[at] == '7' ? '8' : '7';
            findings_.clear();
            restore(kPath + ".meta", damaged);
            CPPUNIT_ASSERT_EQUAL(std::size_t{3}, store_->count());
            CPPUNIT_ASSERT_EQUAL(std::string("2"), value("b"));
            CPPUNIT_ASSERT(store_->version().epoch > 1);
            CPPUNIT_ASSERT(store_->state() == StoreState::open);
            found(Finding::Kind::damaged, kPath + ".meta");
            set("b", "22");
            const auto version = store_->version();
            store_->close();
            findings_.clear();
            open();
            CPPUNIT_ASSERT(findings_.empty());
            CPPUNIT_ASSERT_EQUAL(version.epoch, store_->version().epoch);
            CPPUNIT_ASSERT_EQUAL(version.revision, store_->version().revision);
            store_.reset();
            disk_->drop(kPath + ".journal");
            disk_->place(kPath, "{\n\"a\": 1,\n\"b\": 2,\n\"c\": 3\n}\n");
        }
    }

    // Only a checkpoint that commits overtook needs the journal after it.
    void reports_a_journal_that_is_gone() {
        checkpoint_overtaken_by_commits();
        store_.reset();
        disk_->drop(kPath + ".journal");
        open();
        found(Finding::Kind::damaged, "is gone");
        CPPUNIT_ASSERT_EQUAL(std::uint64_t{2}, store_->version().epoch);
        CPPUNIT_ASSERT(store_->state() == StoreState::open);
        const auto revision = store_->version().revision;
        set("k", "1");
        findings_.clear();
        open();
        CPPUNIT_ASSERT_EQUAL(revision + 1, store_->version().revision);
        CPPUNIT_ASSERT_EQUAL(std::size_t{1}, findings_.size());  // what the journal gave back
    }

    // ---- checkpoints

    void a_checkpoint_removes_the_journal_before_it() {
        open();
        set("a", "1");
        const std::uint64_t before = store_->journal_bytes();
        store_->checkpoint();
        CPPUNIT_ASSERT(store_->journal_bytes() < before);
        CPPUNIT_ASSERT_EQUAL(std::size_t{3}, disk_->names().size());
        CPPUNIT_ASSERT(!disk_->exists(kPath + ".journal.old"));
        const std::string json = disk_->content(kPath);
        store_->checkpoint();  // nothing to fold
        CPPUNIT_ASSERT_EQUAL(json, disk_->content(kPath));
        set("a", "2");
        fail_checkpoint();
        CPPUNIT_ASSERT(disk_->exists(kPath + ".journal.old"));
        set("a", "3");
        store_->checkpoint();  // without another segment
        CPPUNIT_ASSERT(!disk_->exists(kPath + ".journal.old"));
        CPPUNIT_ASSERT_EQUAL(std::string("{\n\"a\": 3\n}\n"), disk_->content(kPath));
        set("a", "4");
        open();
        CPPUNIT_ASSERT_EQUAL(std::string("4"), value("a"));
    }

    void a_checkpoint_names_what_it_holds() {
        checkpoint_overtaken_by_commits();
        const std::string overtaken = value("k0000");
        open();  // killed
        CPPUNIT_ASSERT(store_->state() == StoreState::open);
        CPPUNIT_ASSERT_EQUAL(overtaken, value("k0000"));
        CPPUNIT_ASSERT_EQUAL(std::string("\"late\""), value("k0000"));
        CPPUNIT_ASSERT(!store_->get("k0001"));
        CPPUNIT_ASSERT_EQUAL(std::string("\"late\""), value("k3999"));
    }

    void a_checkpoint_survives_commits_meanwhile() {
        open();
        for (int i = 0; i < 3000; ++i) set(fmt::format("k{:04}", i), "0");
        std::atomic<bool> ending = false;
        std::map<std::string, std::string> written;
        std::thread writer([&] {
            for (int i = 0; !ending; ++i) {
                const std::string key = fmt::format("k{:04}", i * 7919 % 4000);
                if (i % 5 == 0) {
                    remove(key);
                    written.erase(key);
                } else {
                    set(key, std::to_string(i));
                    written[key] = std::to_string(i);
                }
            }
        });
        for (int i = 0; i < 5; ++i) store_->checkpoint();
        ending = true;
        writer.join();
        const auto before = everything();
        for (const auto& [key, text] : written) CPPUNIT_ASSERT_EQUAL(text, before.at(key));
        open();
        CPPUNIT_ASSERT(before == everything());
        store_->close();
        open();
        CPPUNIT_ASSERT(before == everything());
    }

    void asks_for_a_checkpoint() {
        options_.checkpoint_bytes = 2000;
        open();
        CPPUNIT_ASSERT(!store_->wants_checkpoint());
        while (store_->journal_bytes() < 2000) set("a", "1");
        CPPUNIT_ASSERT(store_->wants_checkpoint());
        store_->checkpoint();
        CPPUNIT_ASSERT(!store_->wants_checkpoint());
        options_ = {};
    }

    // Any order of changes, kills, clean ends and checkpoints leaves what a plain map would hold.
    void random_lives() {
        for (unsigned seed = 1; seed <= 40; ++seed) {
            tearDown();
            setUp();
            std::mt19937 random(seed);
            const auto below = [&random](unsigned n) {
                return static_cast<unsigned>(random() % n);
            };
            std::map<std::string, std::string> expected;
            open();
            for (int step = 0; step < 200; ++step) {
                const std::string key = fmt::format("k{}", below(12));
                const unsigned what = below(20);
                if (what == 0) open();
                if (what == 1) {
                    store_->close();
                    open();
                }
                if (what == 2) store_->checkpoint();
                if (what == 3) fail_checkpoint();
                if (what > 3 && what < 8) {
                    remove(key);
                    expected.erase(key);
                }
                if (what >= 8) {
                    set(key, std::to_string(step), what == 9 ? kFar : 0, what == 10 ? "{}" : "");
                    expected[key] = std::to_string(step);
                }
                if (what < 3) {
                    CPPUNIT_ASSERT_MESSAGE(fmt::format("seed {} step {}", seed, step),
                                           expected == everything());
                }
            }
        }
    }

private:
    struct Files {
        std::string old_json, old_meta, new_json, new_meta, journal;
    };
    void keeps_stamps(bool clean) {
        open();
        set("a", "1", kFar, R"({"tag":"x"})");
        set("b\\\"\n\x01", "\"\xC3\xA9\\n\"");
        set("a", "2", kFar + 777, R"({"tag":"y"})");
        const DocumentPtr before = store_->get("a");
        if (clean) store_->close();
        open();
        const DocumentPtr after = store_->get("a");
        CPPUNIT_ASSERT_EQUAL(before->revision, after->revision);
        CPPUNIT_ASSERT_EQUAL(before->created_ms, after->created_ms);
        CPPUNIT_ASSERT_EQUAL(before->updated_ms, after->updated_ms);
        CPPUNIT_ASSERT_EQUAL(before->expires_ms, after->expires_ms);
        CPPUNIT_ASSERT_EQUAL(std::string(before->metadata), std::string(after->metadata));
        CPPUNIT_ASSERT_EQUAL(std::string("\"\xC3\xA9\\n\""), value("b\\\"\n\x01"));
        CPPUNIT_ASSERT_EQUAL(std::uint64_t{3}, store_->version().revision);
        CPPUNIT_ASSERT_EQUAL(std::uint64_t{1}, store_->version().epoch);
        CPPUNIT_ASSERT_EQUAL(clean, findings_.empty());
        if (!clean) found(Finding::Kind::recovered, "3 changes");
    }
    void refused_as_newer() {
        try {
            open();
            CPPUNIT_FAIL("opened a newer format");
        } catch (const Error& error) {
            CPPUNIT_ASSERT_EQUAL(std::string("newer-format"), error.slug());
            CPPUNIT_ASSERT(error.internal().find("version 2") != std::string::npos);
        }
    }
    // A segment that sets a to "journal" in one commit.
    void place_journal(int epoch, int after, int revision) {
        const auto framed = [](const std::string& json) {
            return fmt::format("{:08x} {}\n", larder::storage::crc32c(json), json);
        };
        disk_->place(
            kPath + ".journal",
            framed(fmt::format(R"({{"larder":"journal","version":1,"epoch":{},"after":{}}})", epoch,
                               after)) +
                framed(fmt::format(R"([{{"revision":{},"at":1,"changes":[{{"set":"a","value":)"
                                   R"("journal","created":1}}]}}])",
                                   revision)));
    }
    // The write of the readable file fails; the journal goes on.
    void fail_checkpoint() {
        if (store_->journal_bytes() == 0) return;
        disk_->arm({.at = 1, .error = EIO, .any = false, .kind = larder::test::Call::create});
        int creates = 0;
        disk_->meanwhile = [&](const std::string& path) {
            if (path == kPath + ".tmp" && creates++ == 0) {
                disk_->arm(
                    {.at = 1, .error = EIO, .any = false, .kind = larder::test::Call::create});
            } else if (creates == 0) {
                disk_->arm({});
            }
        };
        try {
            store_->checkpoint();
        } catch (const Error& error) {
            CPPUNIT_ASSERT(error.code() == Errc::io_failed);
        }
        disk_->meanwhile = nullptr;
        disk_->arm({});
        CPPUNIT_ASSERT(store_->state() == StoreState::open);
    }
    // What a checkpoint of {a:1,b:2,c:3} and one after a="second", without c, leave.
    Files between_two_renames() {
        filled_and_closed();
        Files files;
        files.old_json = disk_->content(kPath);
        files.old_meta = disk_->content(kPath + ".meta");
        open();
        commit([](Transaction& transaction) {
            transaction.set("a", "\"second\"", 0, {});
            transaction.remove("c");
        });
        files.journal = disk_->content(kPath + ".journal");
        store_->close();
        files.new_json = disk_->content(kPath);
        files.new_meta = disk_->content(kPath + ".meta");
        store_.reset();
        findings_.clear();
        for (const auto& name : disk_->names()) disk_->drop(name);
        return files;
    }
    // Large values, so that the walk writes in its midst; keys that it has passed and keys ahead of
    // it are changed there.
    void checkpoint_overtaken_by_commits() {
        open();
        const std::string large = "\"" + std::string(1000, 'x') + "\"";
        commit([&](Transaction& transaction) {
            for (int i = 0; i < 4000; ++i) transaction.set(fmt::format("k{:04}", i), large, 0, {});
        });
        int writes = 0;
        disk_->meanwhile = [&](const std::string& path) {
            if (path != kPath + ".tmp" || ++writes != 2) return;  // the first is its creation
            set("k0000", "\"late\"");
            remove("k0001");
            set("k3999", "\"late\"");
        };
        store_->checkpoint();
        disk_->meanwhile = nullptr;
        CPPUNIT_ASSERT(writes > 2);
    }
};

LARDER_TEST_SUITE(DocumentStoreRestartTest);

}  // namespace
