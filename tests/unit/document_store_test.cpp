// What document_store.hpp promises of commits, sentence by sentence, on a disk that works: judging,
// revisions, refusals, order, and many threads. What its files look like is
// document_store_files_test.cpp's, what a start makes of them document_store_restart_test.cpp's,
// and what a failing disk may do document_store_fault_test.cpp's.
#include "storage-kit/document_store.hpp"

#include <fmt/format.h>

#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "support/document_store_fixture.hpp"

namespace {

using larder::Errc;
using larder::Error;
using larder::storage::Change;
using larder::storage::DocumentPtr;
using larder::storage::DocumentStore;
using larder::storage::Outcome;
using larder::storage::StoreOptions;
using larder::storage::StoreState;
using larder::storage::Transaction;

class DocumentStoreTest : public larder::test::DocumentStoreFixture {
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
    CPPUNIT_TEST(nothing_is_shown_before_it_is_durable);
    CPPUNIT_TEST(after_closing_commits_are_refused);
    CPPUNIT_TEST(many_writers_and_readers);
    CPPUNIT_TEST(several_stores_share_a_committer);
    CPPUNIT_TEST_SUITE_END();

public:
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
        Hold hold(*store_);
        for (int i = 0; i < 7; ++i) {
            store_->commit([&, i](Transaction& t) { t.set(fmt::format("k{}", i), large, 0, {}); },
                           {});
        }
        hold.let_go();
        commit([](Transaction&) {});
        const std::string journal = disk_->content(kPath + ".journal");
        CPPUNIT_ASSERT(std::count(journal.begin(), journal.end(), '\n') > 3);
        open();
        CPPUNIT_ASSERT_EQUAL(std::size_t{7}, store_->count());
        CPPUNIT_ASSERT_EQUAL(large, value("k6"));
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

private:
    // Holds the committer in a change, so that what is queued meanwhile is one batch. To live until
    // a later commit was waited for.
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
};

LARDER_TEST_SUITE(DocumentStoreTest);

}  // namespace
