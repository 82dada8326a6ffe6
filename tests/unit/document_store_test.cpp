// What FORMAT.md and document_store.hpp promise, sentence by sentence, on a disk that works. What a
// failing one may do is document_store_fault_test.cpp's.
//
//   commits          judging, revisions, refusals, order
//   files            what is written, and what is made of files of another hand
//   restarts         clean ends, kills, edits, damage, crashes between two renames
//   threads          many writers and readers, several stores, checkpoints meanwhile
#include "storage-kit/document_store.hpp"

#include <fmt/format.h>

#include <atomic>
#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <random>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "storage-kit/digest.hpp"
#include "support/store_fixture.hpp"

namespace {

using larder::Errc;
using larder::Error;
using larder::storage::Change;
using larder::storage::DocumentPtr;
using larder::storage::DocumentStore;
using larder::storage::Finding;
using larder::storage::Outcome;
using larder::storage::StoreOptions;
using larder::storage::StoreState;
using larder::storage::Transaction;

class DocumentStoreTest : public larder::test::StoreFixture {
    static constexpr std::int64_t kFar = 2 * kStart;

    CPPUNIT_TEST_SUITE(DocumentStoreTest);
    CPPUNIT_TEST(has_no_files_before_its_first_commit);
    CPPUNIT_TEST(reads_what_was_set);
    CPPUNIT_TEST(lists_in_byte_order);
    CPPUNIT_TEST(one_revision_for_all_of_a_change);
    CPPUNIT_TEST(a_change_without_effect_has_no_revision);
    CPPUNIT_TEST(a_refused_change_has_no_effect);
    CPPUNIT_TEST(a_failing_change_is_an_internal_error);
    CPPUNIT_TEST(changes_of_a_batch_see_each_other);
    CPPUNIT_TEST(keeps_the_time_of_creation);
    CPPUNIT_TEST(refuses_what_would_break_the_journal);
    CPPUNIT_TEST(takes_batches_larger_than_one_line);
    CPPUNIT_TEST(writes_a_key_a_line);
    CPPUNIT_TEST(writes_the_formats_example);
    CPPUNIT_TEST(an_empty_store_keeps_its_revision);
    CPPUNIT_TEST(closing_without_changes_writes_nothing);
    CPPUNIT_TEST(takes_the_origins_file);
    CPPUNIT_TEST(refuses_what_is_no_object);
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
    CPPUNIT_TEST(nothing_is_shown_before_it_is_durable);
    CPPUNIT_TEST(after_closing_commits_are_refused);
    CPPUNIT_TEST(many_writers_and_readers);
    CPPUNIT_TEST(several_stores_share_a_committer);
    CPPUNIT_TEST(random_lives);
    CPPUNIT_TEST_SUITE_END();

public:
    void tearDown() override {
        StoreFixture::tearDown();
        findings_.clear();
        states_.clear();
    }

    // ---- commits

    void has_no_files_before_its_first_commit() {
        open();
        CPPUNIT_ASSERT(disk_->names().empty());
        CPPUNIT_ASSERT_EQUAL(std::uint64_t{0}, store_->version().revision);
        CPPUNIT_ASSERT_EQUAL(std::uint64_t{1}, store_->version().epoch);
        CPPUNIT_ASSERT_EQUAL(std::uint64_t{0}, store_->journal_bytes());
        store_->close();
        CPPUNIT_ASSERT(disk_->names().empty());
        open();
        set("a", "1");
        CPPUNIT_ASSERT_EQUAL(std::size_t{1}, disk_->names().size());
        CPPUNIT_ASSERT(disk_->exists(kPath + ".journal"));
    }

    void reads_what_was_set() {
        open();
        CPPUNIT_ASSERT(!store_->get("a"));
        set("a", R"({"b":[1,2]})", kFar, R"({"m":1})");
        const DocumentPtr document = store_->get("a");
        CPPUNIT_ASSERT(document);
        CPPUNIT_ASSERT_EQUAL(std::string(R"({"b":[1,2]})"), std::string(document->value));
        CPPUNIT_ASSERT_EQUAL(std::string(R"({"m":1})"), std::string(document->metadata));
        CPPUNIT_ASSERT_EQUAL(std::string("a"), std::string(document->key));
        CPPUNIT_ASSERT_EQUAL(kFar, document->expires_ms);
        CPPUNIT_ASSERT_EQUAL(std::uint64_t{1}, document->revision);
        CPPUNIT_ASSERT_EQUAL(std::size_t{1}, store_->count());
        CPPUNIT_ASSERT_EQUAL(std::uint64_t{12}, store_->value_bytes());
        set("a", "2");
        CPPUNIT_ASSERT_EQUAL(std::uint64_t{2}, store_->value_bytes());
        // What a reader holds is not changed under it.
        CPPUNIT_ASSERT_EQUAL(std::string(R"({"b":[1,2]})"), std::string(document->value));
        remove("a");
        CPPUNIT_ASSERT(!store_->get("a"));
        CPPUNIT_ASSERT_EQUAL(std::uint64_t{0}, store_->value_bytes());
    }

    void lists_in_byte_order() {
        open();
        for (const char* key : {"b", "a", "a/2", "a/1", "\xC3\xA9", "a0", ""}) set(key, "1");
        CPPUNIT_ASSERT_EQUAL(std::string("|a|a/1|a/2|a0|b|\xC3\xA9"), listed("", "", 100));
        CPPUNIT_ASSERT_EQUAL(std::string("a/1|a/2"), listed("a/", "", 100));
        CPPUNIT_ASSERT_EQUAL(std::string("a/2"), listed("a/", "a/1", 100));
        CPPUNIT_ASSERT_EQUAL(std::string("a/1"), listed("a/", "a", 1));
        CPPUNIT_ASSERT_EQUAL(std::string(""), listed("a/", "a/2", 100));
        CPPUNIT_ASSERT_EQUAL(std::string(""), listed("a/", "b", 100));
        CPPUNIT_ASSERT_EQUAL(std::string(""), listed("", "", 0));
        CPPUNIT_ASSERT_EQUAL(std::string("a0|b|\xC3\xA9"), listed("", "a/2", 100));
    }

    void one_revision_for_all_of_a_change() {
        open();
        set("x", "1");
        const Outcome outcome = commit([](Transaction& transaction) {
            CPPUNIT_ASSERT_EQUAL(std::uint64_t{2}, transaction.revision());
            transaction.set("a", "1", 0, {});
            transaction.set("b", "2", 0, {});
            transaction.set("a", "3", 0, {});
            CPPUNIT_ASSERT_EQUAL(std::string("3"), std::string(transaction.get("a")->value));
            CPPUNIT_ASSERT_EQUAL(std::uint64_t{2}, transaction.get("a")->revision);
            transaction.remove("x");
            CPPUNIT_ASSERT(!transaction.get("x"));
        });
        CPPUNIT_ASSERT_EQUAL(std::uint64_t{2}, outcome.version.revision);
        CPPUNIT_ASSERT_EQUAL(std::uint64_t{2}, store_->get("a")->revision);
        CPPUNIT_ASSERT_EQUAL(std::uint64_t{2}, store_->get("b")->revision);
        CPPUNIT_ASSERT_EQUAL(std::string("3"), value("a"));
        CPPUNIT_ASSERT(!store_->get("x"));
    }

    void a_change_without_effect_has_no_revision() {
        open();
        set("a", "1");
        CPPUNIT_ASSERT_EQUAL(std::uint64_t{1}, remove("none").version.revision);
        CPPUNIT_ASSERT_EQUAL(std::uint64_t{1}, commit([](Transaction&) {}).version.revision);
        const Outcome in_vain = commit([](Transaction& transaction) {
            transaction.set("new", "1", 0, {});
            transaction.remove("new");
        });
        CPPUNIT_ASSERT_EQUAL(std::uint64_t{1}, in_vain.version.revision);
        CPPUNIT_ASSERT_EQUAL(std::size_t{1}, store_->count());
        CPPUNIT_ASSERT_EQUAL(std::uint64_t{2}, set("a", "1").version.revision);
    }

    void a_refused_change_has_no_effect() {
        open();
        set("a", "1");
        const Outcome outcome = commit([](Transaction& transaction) {
            transaction.set("a", "2", 0, {});
            transaction.set("b", "2", 0, {});
            throw Error(Errc::precondition_failed, "no", "not this time");
        });
        CPPUNIT_ASSERT(outcome.refused.has_value());
        CPPUNIT_ASSERT_EQUAL(std::string("no"), outcome.refused->slug());
        CPPUNIT_ASSERT_EQUAL(std::uint64_t{1}, outcome.version.revision);
        CPPUNIT_ASSERT_EQUAL(std::string("1"), value("a"));
        CPPUNIT_ASSERT(!store_->get("b"));
    }

    void a_failing_change_is_an_internal_error() {
        open();
        const Outcome outcome = commit([](Transaction& transaction) {
            transaction.set("a", "2", 0, {});
            throw std::system_error(EIO, std::generic_category(), "the change's own");
        });
        CPPUNIT_ASSERT(outcome.refused.has_value());
        CPPUNIT_ASSERT(outcome.refused->code() == Errc::internal);
        CPPUNIT_ASSERT(store_->state() == StoreState::open);
        CPPUNIT_ASSERT(!store_->get("a"));
    }

    // The committer is held up, so that all of these are one batch.
    void changes_of_a_batch_see_each_other() {
        open();
        std::vector<Outcome> outcomes(5);
        Hold hold(*store_);
        const auto add = [this, &outcomes](std::size_t at, Change change) {
            store_->commit(std::move(change),
                           [&outcomes, at](const Outcome& o) { outcomes[at] = o; });
        };
        const auto increment = [](Transaction& transaction) {
            const DocumentPtr now = transaction.get("n");
            const int number = now ? std::stoi(std::string(now->value)) : 0;
            transaction.set("n", std::to_string(number + 1), 0, {});
        };
        add(0, increment);
        add(1, [&](Transaction& transaction) {
            increment(transaction);
            transaction.remove("n");
            throw Error(Errc::conflict, "judged", "refused");
        });
        add(2, increment);
        add(3, [](Transaction& transaction) { transaction.remove("n"); });
        add(4, increment);
        hold.let_go();
        commit([](Transaction&) {});
        CPPUNIT_ASSERT_EQUAL(std::string("1"), value("n"));
        CPPUNIT_ASSERT_EQUAL(std::uint64_t{1}, outcomes[0].version.revision);
        CPPUNIT_ASSERT(outcomes[1].refused.has_value());
        CPPUNIT_ASSERT_EQUAL(std::uint64_t{2}, outcomes[2].version.revision);
        CPPUNIT_ASSERT_EQUAL(std::uint64_t{3}, outcomes[3].version.revision);
        CPPUNIT_ASSERT_EQUAL(std::uint64_t{4}, outcomes[4].version.revision);
        const std::string journal = disk_->content(kPath + ".journal");
        CPPUNIT_ASSERT_EQUAL_MESSAGE("one line for the batch", std::ptrdiff_t{2},
                                     std::count(journal.begin(), journal.end(), '\n'));
        open();
        CPPUNIT_ASSERT_EQUAL(std::string("1"), value("n"));
        CPPUNIT_ASSERT_EQUAL(std::uint64_t{4}, store_->version().revision);
    }

    void keeps_the_time_of_creation() {
        open();
        set("a", "1");
        const std::int64_t created = store_->get("a")->created_ms;
        CPPUNIT_ASSERT_EQUAL(created, store_->get("a")->updated_ms);
        set("a", "2");
        CPPUNIT_ASSERT_EQUAL(created, store_->get("a")->created_ms);
        CPPUNIT_ASSERT(store_->get("a")->updated_ms > created);
        remove("a");
        set("a", "3");
        CPPUNIT_ASSERT(store_->get("a")->created_ms > created);
    }

    void refuses_what_would_break_the_journal() {
        open();
        CPPUNIT_ASSERT(refused("a", "[1,\n2]"));
        CPPUNIT_ASSERT(refused("a", ""));
        CPPUNIT_ASSERT(refused("\xFF", "1"));
        CPPUNIT_ASSERT_EQUAL(std::size_t{0}, store_->count());
    }

    void takes_batches_larger_than_one_line() {
        open();
        const std::string large = "\"" + std::string(3U << 20U, 'x') + "\"";
        {
            Hold hold(*store_);
            for (int i = 0; i < 7; ++i) {
                store_->commit(
                    [&, i](Transaction& t) { t.set(fmt::format("k{}", i), large, 0, {}); }, {});
            }
            hold.let_go();
        }
        commit([](Transaction&) {});
        const std::string journal = disk_->content(kPath + ".journal");
        CPPUNIT_ASSERT(std::count(journal.begin(), journal.end(), '\n') > 3);
        open();
        CPPUNIT_ASSERT_EQUAL(std::size_t{7}, store_->count());
        CPPUNIT_ASSERT_EQUAL(large, value("k6"));
    }

    // ---- files

    void writes_a_key_a_line() {
        open();
        set("b", "[1,2]");
        set("a\n\"", "1e400");
        store_->close();
        CPPUNIT_ASSERT_EQUAL(std::string("{\n\"a\\n\\\"\": 1e400,\n\"b\": [1,2]\n}\n"),
                             disk_->content(kPath));
        CPPUNIT_ASSERT(!disk_->exists(kPath + ".journal"));
        CPPUNIT_ASSERT(!disk_->exists(kPath + ".tmp"));
        CPPUNIT_ASSERT(!disk_->exists(kPath + ".meta.tmp"));
        CPPUNIT_ASSERT_EQUAL(std::size_t{2}, disk_->names().size());
    }

    // FORMAT.md shows these bytes; whoever changes one changes the other.
    void writes_the_formats_example() {
        std::int64_t now = 1795361188000;
        StoreOptions options;
        options.clock_ms = [&now] { return now += 123; };
        store_ = std::make_unique<DocumentStore>(*disk_, "storage.json", *committer_, options);
        set("app:theme", "\"dark\"");
        commit([](Transaction& transaction) {
            transaction.set("session:42", R"({"user":"ada","n":1e400})", 1795364788000,
                            R"({"source":"web"})");
            transaction.remove("app:theme");
            transaction.set("app:theme", "\"light\"", 0, {});
        });
        store_->checkpoint();
        commit([](Transaction& transaction) {
            transaction.remove("session:42");
            transaction.set("count", "1", 0, {});
        });
        CPPUNIT_ASSERT_EQUAL(std::string("{\n\"app:theme\": \"light\",\n"
                                         "\"session:42\": {\"user\":\"ada\",\"n\":1e400}\n}\n"),
                             disk_->content("storage.json"));
        const std::string head =
            R"({"larder":"meta","version":1,"epoch":1,"revision":2,"folded":2,"keys":2,"json_sha256":)"
            R"("9818c90211a4c0c43afee59422ae6fffeea2fd4ac79b8139107ce4e95f542e73","previous_sha256":"",)"
            R"("sha256":"eca3fea3f558c1980d81f8e0c23bb73786f2f5c448908a5f4e088544977dc246"})";
        CPPUNIT_ASSERT_EQUAL(
            head + std::string(511 - head.size(), ' ') + "\n" +
                R"({"k":"app:theme","r":2,"c":1795361188369,"u":1795361188369,"h":"f5d816091d37cb3b"})"
                "\n"
                R"({"k":"session:42","r":2,"c":1795361188369,"u":1795361188369,"x":1795364788000,)"
                R"("m":{"source":"web"},"h":"34540e110c814f51"})"
                "\n",
            disk_->content("storage.json.meta"));
        const std::string journal =
            R"(39b14870 {"larder":"journal","version":1,"epoch":1,"after":2})"
            "\n"
            R"(fda6cbc8 [{"revision":3,"at":1795361188492,"changes":[{"remove":"session:42"},)"
            R"({"set":"count","value":1,"created":1795361188492}]}])"
            "\n";
        CPPUNIT_ASSERT_EQUAL(journal + std::string(262144 - journal.size(), '\0'),
                             disk_->content("storage.json.journal"));
    }

    void an_empty_store_keeps_its_revision() {
        open();
        set("a", "1");
        remove("a");
        store_->close();
        CPPUNIT_ASSERT_EQUAL(std::string("{}\n"), disk_->content(kPath));
        open();
        CPPUNIT_ASSERT_EQUAL(std::uint64_t{2}, store_->version().revision);
        CPPUNIT_ASSERT_EQUAL(std::size_t{0}, store_->count());
        CPPUNIT_ASSERT_EQUAL(std::uint64_t{3}, set("a", "1").version.revision);
        open();
        CPPUNIT_ASSERT_EQUAL(std::uint64_t{3}, store_->version().revision);
    }

    void closing_without_changes_writes_nothing() {
        open();
        set("a", "1");
        store_->close();
        const std::string json = disk_->content(kPath);
        const std::string meta = disk_->content(kPath + ".meta");
        open();
        disk_->arm({.at = 1,
                    .error = EIO,
                    .lasting = true,
                    .any = false,
                    .kind = larder::test::Call::write});
        store_->close();
        CPPUNIT_ASSERT_EQUAL(json, disk_->content(kPath));
        CPPUNIT_ASSERT_EQUAL(meta, disk_->content(kPath + ".meta"));
        CPPUNIT_ASSERT_EQUAL(std::size_t{2}, disk_->names().size());
        store_->close();  // once more is nothing
    }

    void takes_the_origins_file() {
        const std::string origin =
            "{ \"z\" : [ 1 , 2.0 ],\r\n\t\"a\\u0062\":1E400, "
            "\"big\":123456789012345678901234567890 }";
        disk_->place(kPath, origin);
        open();
        CPPUNIT_ASSERT_EQUAL(std::string("[1,2.0]"), value("z"));
        CPPUNIT_ASSERT_EQUAL(std::string("1E400"), value("ab"));
        CPPUNIT_ASSERT_EQUAL(std::string("123456789012345678901234567890"), value("big"));
        CPPUNIT_ASSERT_EQUAL(std::uint64_t{1}, store_->get("z")->revision);
        CPPUNIT_ASSERT_EQUAL(std::uint64_t{1}, store_->version().revision);
        CPPUNIT_ASSERT_EQUAL(std::int64_t{2'000'000}, store_->get("z")->created_ms);
        CPPUNIT_ASSERT_EQUAL(std::int64_t{2'000'000}, store_->get("z")->updated_ms);
        CPPUNIT_ASSERT(findings_.empty());
        store_->close();
        CPPUNIT_ASSERT_EQUAL_MESSAGE("nothing was changed", origin, disk_->content(kPath));
        open();
        CPPUNIT_ASSERT_EQUAL(std::uint64_t{2}, set("new", "1").version.revision);
        open();  // killed: the origin's file, and a journal
        CPPUNIT_ASSERT_EQUAL(std::size_t{4}, store_->count());
        CPPUNIT_ASSERT_EQUAL(std::uint64_t{2}, store_->version().revision);
        store_->close();
        open();
        CPPUNIT_ASSERT_EQUAL(std::string("1E400"), value("ab"));
        CPPUNIT_ASSERT_EQUAL(std::uint64_t{1}, store_->get("ab")->revision);
    }

    void refuses_what_is_no_object() {
        const std::pair<std::string, std::size_t> bad[] = {
            {"", 0},           {"[1]", 0}, {"{\"a\":1,\"a\":2}", 7}, {"{\"a\":1", 6},
            {"{\"a\":01}", 6}, {" 12", 1}, {"{\"a\":\"\xFF\"}", 6},  {"{}x", 2},
        };
        for (const auto& [text, offset] : bad) {
            disk_->place(kPath, text);
            try {
                open();
                CPPUNIT_FAIL("opened: " + text);
            } catch (const Error& error) {
                CPPUNIT_ASSERT(error.code() == Errc::corrupt);
                CPPUNIT_ASSERT_EQUAL(std::string("unreadable"), error.slug());
                CPPUNIT_ASSERT(error.detail().find(kPath) == std::string::npos);
                CPPUNIT_ASSERT(error.internal().find(kPath) != std::string::npos);
                CPPUNIT_ASSERT_MESSAGE(
                    error.internal(),
                    error.internal().find(fmt::format("at byte {}", offset)) != std::string::npos);
            }
            CPPUNIT_ASSERT_EQUAL(text, disk_->content(kPath));
            CPPUNIT_ASSERT_EQUAL(std::size_t{1}, disk_->names().size());
            found(Finding::Kind::unreadable, fmt::format("at byte {}", offset));
            findings_.clear();
        }
    }

    // ---- restarts

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

    void nothing_is_shown_before_it_is_durable() {
        open();
        set("a", "1");
        int seen = 0;
        disk_->meanwhile = [&](const std::string& path) {
            if (path != kPath + ".journal" && path != kPath + ".journal.new") return;
            ++seen;
            CPPUNIT_ASSERT_EQUAL(std::string("1"), value("a"));
            CPPUNIT_ASSERT_EQUAL(std::uint64_t{1}, store_->version().revision);
        };
        set("a", "2");
        disk_->meanwhile = nullptr;
        CPPUNIT_ASSERT(seen > 0);
        CPPUNIT_ASSERT_EQUAL(std::string("2"), value("a"));
    }

    void after_closing_commits_are_refused() {
        open();
        set("a", "1");
        store_->close();
        const Outcome outcome = set("a", "2");
        CPPUNIT_ASSERT(outcome.refused.has_value());
        CPPUNIT_ASSERT(outcome.refused->code() == Errc::unavailable);
        CPPUNIT_ASSERT_EQUAL(std::string("1"), value("a"));
    }

    // ---- threads

    void many_writers_and_readers() {
        open();
        constexpr int kWriters = 4;
        constexpr int kEach = 2000;
        std::atomic<int> answered = 0;
        std::atomic<bool> ending = false;
        std::atomic<std::uint64_t> last = 0;  // outcomes come in order
        std::vector<std::thread> threads;
        threads.reserve(kWriters);
        for (int writer = 0; writer < kWriters; ++writer) {
            threads.emplace_back([&, writer] {
                for (int i = 0; i < kEach; ++i) {
                    store_->commit(
                        [](Transaction& transaction) {
                            const DocumentPtr now = transaction.get("sum");
                            const int sum = now ? std::stoi(std::string(now->value)) : 0;
                            transaction.set("sum", std::to_string(sum + 1), 0, {});
                        },
                        [&](const Outcome& outcome) {
                            if (!outcome.refused && outcome.version.revision > last) {
                                last = outcome.version.revision;
                                ++answered;
                            }
                        });
                    if (i % 64 == writer) commit([](Transaction&) {});
                }
            });
        }
        std::thread reader([&] {
            int before = 0;
            while (!ending) {
                const DocumentPtr now = store_->get("sum");
                const int sum = now ? std::stoi(std::string(now->value)) : 0;
                CPPUNIT_ASSERT(sum >= before);
                before = sum;
                CPPUNIT_ASSERT(store_->list("", "", 10).size() <= 1);
            }
        });
        for (auto& thread : threads) thread.join();
        commit([](Transaction&) {});
        ending = true;
        reader.join();
        CPPUNIT_ASSERT_EQUAL(kWriters * kEach, answered.load());
        CPPUNIT_ASSERT_EQUAL(std::to_string(kWriters * kEach), value("sum"));
    }

    void several_stores_share_a_committer() {
        std::vector<std::unique_ptr<DocumentStore>> stores;
        stores.reserve(5);
        for (int i = 0; i < 5; ++i) {
            stores.push_back(std::make_unique<DocumentStore>(*disk_, fmt::format("data/{}.json", i),
                                                             *committer_, StoreOptions{}));
        }
        std::vector<std::thread> threads;
        threads.reserve(stores.size());
        for (auto& store : stores) {
            threads.emplace_back([&store] {
                for (int i = 0; i < 300; ++i) {
                    store->commit([i](Transaction& t) { t.set("a", std::to_string(i), 0, {}); },
                                  {});
                    if (i % 20 == 0) {
                        store->commit_and_wait([](Transaction& t) { t.set("b", "1", 0, {}); });
                    }
                }
                store->close();
            });
        }
        for (auto& thread : threads) thread.join();
        for (auto& store : stores) {
            CPPUNIT_ASSERT_EQUAL(std::string("299"), std::string(store->get("a")->value));
            CPPUNIT_ASSERT_EQUAL(std::uint64_t{315}, store->version().revision);
        }
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
    // Holds the committer in a change, so that what is queued meanwhile is one batch.
    class Hold {
    public:
        explicit Hold(DocumentStore& store) {
            store.commit(
                [this](Transaction&) {
                    std::unique_lock lock(mutex_);
                    held_ = true;
                    changed_.notify_all();
                    changed_.wait(lock, [this] { return free_; });
                },
                {});
            std::unique_lock lock(mutex_);
            changed_.wait(lock, [this] { return held_; });
        }
        void let_go() {
            const std::lock_guard lock(mutex_);
            free_ = true;
            changed_.notify_all();
        }

    private:
        std::mutex mutex_;
        std::condition_variable changed_;
        bool held_ = false, free_ = false;
    };

    struct Files {
        std::string old_json, old_meta, new_json, new_meta, journal;
    };

    void open() {
        store_.reset();
        StoreOptions options = options_;
        options.clock_ms = [this] { return ++clock_; };
        options.report = [this](const Finding& finding) { findings_.push_back(finding); };
        options.state_changed = [this](StoreState state, const std::string& why) {
            CPPUNIT_ASSERT_EQUAL(state == StoreState::open, why.empty());
            states_.push_back(state);
        };
        store_ = std::make_unique<DocumentStore>(*disk_, kPath, *committer_, options);
    }
    void restore(const std::string& path, const std::string& content) {
        store_.reset();
        disk_->place(path, content);
        open();
    }
    bool refused(const std::string& key, const std::string& text) {
        return set(key, text).refused.has_value();
    }
    std::string listed(const std::string& prefix, const std::string& after, std::size_t limit) {
        std::string text;
        for (const auto& document : store_->list(prefix, after, limit)) {
            if (document != store_->list(prefix, after, limit).front()) text += '|';
            text += document->key;
        }
        return text;
    }
    std::map<std::string, std::string> everything() const {
        std::map<std::string, std::string> all;
        for (const auto& document : store_->list("", "", 1'000'000)) {
            all[std::string(document->key)] = std::string(document->value);
        }
        return all;
    }
    void found(Finding::Kind kind, const std::string& part) const {
        for (const auto& finding : findings_) {
            if (finding.kind == kind && finding.text.find(part) != std::string::npos) return;
        }
        std::string all;
        for (const auto& finding : findings_) all += finding.text + "; ";
        CPPUNIT_FAIL("not found: " + part + " in: " + all);
    }
    // a=1 at revision 1, b=2 at 2, c=3 at 3
    void filled_and_closed() {
        open();
        set("a", "1");
        set("b", "2");
        set("c", "3");
        store_->close();
        findings_.clear();
    }
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

    StoreOptions options_;
    std::vector<Finding> findings_;
    std::vector<StoreState> states_;
};

LARDER_TEST_SUITE(DocumentStoreTest);

}  // namespace
