// The store on a disk that fails: a scripted life is repeated with a power cut or an error at every
// call that it makes. What was acknowledged must be there, nothing half of a change, no revision
// twice. What a healthy disk shows is document_store_test.cpp's.
#include <fmt/format.h>

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "storage-kit/document_store.hpp"
#include "support/fault_disk.hpp"
#include "support/suite.hpp"

namespace {

using larder::Errc;
using larder::Error;
using larder::storage::Committer;
using larder::storage::DocumentStore;
using larder::storage::Outcome;
using larder::storage::StoreOptions;
using larder::storage::StoreState;
using larder::storage::Transaction;
using larder::test::Call;
using larder::test::Fault;
using larder::test::FaultDisk;

constexpr const char* kPath = "data/s.json";

using State = std::map<std::string, std::string>;
using Changes = std::map<std::string, std::optional<std::string>>;

// What the store was told, and what it answered.
class Model {
public:
    void acknowledged(const Changes& changes, std::uint64_t revision) {
        CPPUNIT_ASSERT_MESSAGE("an acknowledged change came after one whose fate is not known",
                               unknown_.empty());
        CPPUNIT_ASSERT_MESSAGE(fmt::format("revision {} again, after {}", revision, newest_),
                               revision > newest_);
        newest_ = revision;
        apply(changes);
        for (const auto& [key, value] : changes) revisions_[key] = revision;
    }
    void unknown(Changes changes) { unknown_.push_back(std::move(changes)); }
    void edited(const Changes& changes) {
        apply(changes);
        for (const auto& [key, value] : changes) revisions_.erase(key);
    }

    // The store must show all that was acknowledged, and of what is not known a beginning.
    void compare(const DocumentStore& store, const std::string& where) {
        State found;
        std::uint64_t greatest = 0;
        for (const auto& document : store.list({}, {}, 100000)) {
            found[std::string(document->key)] = std::string(document->value);
            greatest = std::max(greatest, document->revision);
        }
        std::vector<Changes> unknown;
        unknown.swap(unknown_);
        for (std::size_t kept = 0; state_ != found; ++kept) {
            if (kept == unknown.size()) CPPUNIT_FAIL(where + ": " + difference(found));
            apply(unknown[kept]);
            for (const auto& [key, value] : unknown[kept]) revisions_.erase(key);
        }
        const std::uint64_t revision = store.version().revision;
        CPPUNIT_ASSERT_MESSAGE(where + ": the revision went back", revision >= newest_);
        CPPUNIT_ASSERT_MESSAGE(where + ": a document from the future", revision >= greatest);
        newest_ = revision;
        for (const auto& [key, expected] : revisions_) {
            const auto document = store.get(key);
            if (document) CPPUNIT_ASSERT_EQUAL_MESSAGE(where + key, expected, document->revision);
        }
    }

private:
    void apply(const Changes& changes) {
        for (const auto& [key, value] : changes) {
            if (value) {
                state_[key] = *value;
            } else {
                state_.erase(key);
            }
        }
    }
    std::string difference(const State& found) const {
        std::string text;
        for (const auto& [key, value] : state_) {
            const auto at = found.find(key);
            if (at == found.end()) text += fmt::format("lost {}; ", key);
            if (at != found.end() && at->second != value) {
                text += fmt::format("{} is {:.20}, not {:.20}; ", key, at->second, value);
            }
        }
        for (const auto& [key, value] : found) {
            if (!state_.contains(key)) text += fmt::format("{} is back; ", key);
        }
        return text;
    }

    State state_;
    std::map<std::string, std::uint64_t> revisions_;
    std::vector<Changes> unknown_;
    std::uint64_t newest_ = 0;
};

// One life of a store: opened, written, folded, closed, killed, edited. Ends at the first call that
// the disk's failure does not let through.
class Life {
public:
    Life(FaultDisk& disk, Model& model) : disk_(disk), model_(model) {}

    void run() {
        try {
            script();
        } catch (const Error&) {
            // The store could not be opened or closed: the disk fails, which is what this is about.
            CPPUNIT_ASSERT(disk_.struck());
        }
        store_.reset();
    }

    void open() {
        store_.reset();
        StoreOptions options;
        options.clock_ms = [this] { return ++clock_; };
        store_ = std::make_unique<DocumentStore>(disk_, kPath, committer_, options);
    }
    DocumentStore& store() { return *store_; }
    void kill() { store_.reset(); }

    void commit(const Changes& changes) {
        const Outcome outcome = store_->commit_and_wait([&](Transaction& transaction) {
            for (const auto& [key, value] : changes) {
                if (value) {
                    transaction.set(key, *value, 0, {});
                } else {
                    transaction.remove(key);
                }
            }
        });
        if (!outcome.refused) return model_.acknowledged(changes, outcome.version.revision);
        if (outcome.refused->code() == Errc::io_failed) model_.unknown(changes);
    }

private:
    static std::string value(int i, std::size_t size = 40) {
        return fmt::format(R"("{}{}")", i, std::string(size, 'x'));
    }
    // Sets some, changes some, removes some. A set goes with each removal: what changes nothing has
    // no revision of its own.
    void write(int from) {
        for (int i = from; i < from + 4; ++i) commit({{fmt::format("k{}", i % 7), value(i)}});
        commit({{"left", value(from)}, {"right", value(from)}, {fmt::format("k{}", from % 7), {}}});
        commit({{"large", value(from, 9000)}});
    }
    // Others go on writing while the readable file is made.
    void checkpoint() {
        int commits = 0;
        const auto checkpointer = std::this_thread::get_id();
        disk_.meanwhile = [&](const std::string& path) {
            // On a full disk the committer itself makes it, and nobody writes meanwhile.
            if (std::this_thread::get_id() != checkpointer) return;
            if (!path.ends_with(".tmp") || ++commits > 2) return;
            commit({{"meanwhile", value(commits)}, {fmt::format("k{}", commits), value(commits)}});
        };
        try {
            store_->checkpoint();
            disk_.meanwhile = nullptr;
        } catch (const Error&) {
            disk_.meanwhile = nullptr;
            CPPUNIT_ASSERT(disk_.struck());  // the store goes on with its journal, or is read-only
        }
    }
    void script() {
        open();
        write(0);
        checkpoint();
        write(10);
        checkpoint();
        write(20);
        open();  // killed; what was written is in the journal
        model_.compare(*store_, "after a kill");
        write(30);
        store_->close();
        store_.reset();
        if (disk_.struck()) return;
        edit();
        open();
        model_.compare(*store_, "after an edit");
        write(40);
        store_.reset();
        if (disk_.struck()) return;
        edit();  // while a journal is there: keys that it holds win
        open();
        write(50);
        checkpoint();
        for (int i = 0; i < 7; ++i) commit({{fmt::format("k{}", i), {}}, {"left", value(i)}});
        store_->close();
    }
    // A person adds one key, in an editor that rewrites the file.
    void edit() {
        std::string text = disk_.content(kPath);
        const std::string key = fmt::format("hand{}", ++edits_);
        text.replace(0, 1, fmt::format(R"({{ "{}" : "typed",)", key));
        disk_.place(kPath, text);
        model_.edited({{key, "\"typed\""}});
    }

    FaultDisk& disk_;
    Model& model_;
    std::int64_t clock_ = 5'000'000;
    int edits_ = 0;
    Committer committer_{"commit"};
    std::unique_ptr<DocumentStore> store_;
};

// The store must be there, right, and of use.
void check_survivor(FaultDisk& disk, Model& model, const std::string& where) {
    disk.arm({});
    Life next(disk, model);
    try {
        next.open();
        CPPUNIT_ASSERT_MESSAGE(where + ": " + next.store().state_reason(),
                               next.store().state() == StoreState::open);
        model.compare(next.store(), where);
        next.commit({{"after", "1"}});
        next.store().checkpoint();
        next.commit({{"after", "2"}, {"left", {}}});
        next.store().close();
        next.open();
    } catch (const Error& error) {
        CPPUNIT_FAIL(where + ": " + error.internal());
    }
    model.compare(next.store(), where + ", once more");
}

// What a restart showed was shown to clients: a power cut right after it must not take it back. The
// bytes that a failed sync left in memory are the trap here.
void check_restart(FaultDisk& disk, Model& model, const std::string& where) {
    disk.arm({});
    Life next(disk, model);
    try {
        next.open();
    } catch (const Error& error) {
        CPPUNIT_FAIL(where + ", then a restart: " + error.internal());
    }
    model.compare(next.store(), where + ", then a restart");
    next.kill();
    const auto after = disk.after_power_cut(1);
    check_survivor(*after, model, where + ", a restart, then a power cut");
}

std::size_t calls_of_a_life(const Fault& counted) {
    FaultDisk disk;
    Model model;
    disk.arm(counted);
    Life(disk, model).run();
    return disk.calls();
}

class DocumentStoreFaultTest : public CppUnit::TestFixture {
    CPPUNIT_TEST_SUITE(DocumentStoreFaultTest);
    CPPUNIT_TEST(power_cut_at_every_call);
    CPPUNIT_TEST(error_at_every_call);
    CPPUNIT_TEST(no_space_at_every_call);
    CPPUNIT_TEST(failed_sync_makes_read_only);
    CPPUNIT_TEST(full_disk_refuses_sets_and_removes_on);
    CPPUNIT_TEST(full_disk_at_open);
    CPPUNIT_TEST(full_disk_at_open_after_failed_sync);
    CPPUNIT_TEST(full_disk_gets_room_of_removals);
    CPPUNIT_TEST(power_cut_while_room_is_made);
    CPPUNIT_TEST_SUITE_END();

public:
    void power_cut_at_every_call() {
        const std::size_t calls = calls_of_a_life({});
        CPPUNIT_ASSERT(calls > 100);
        for (std::size_t at = 1; at <= calls; ++at) {
            for (unsigned seed = 0; seed < 4; ++seed) {
                FaultDisk disk(static_cast<unsigned>(at) * 8 + seed);
                Model model;
                disk.arm({.at = at});
                Life(disk, model).run();
                CPPUNIT_ASSERT(disk.is_cut());
                const auto after = disk.after_power_cut(seed);
                check_survivor(*after, model, fmt::format("cut at call {}, seed {}", at, seed));
            }
        }
    }

    void error_at_every_call() { fail_every_call(EIO); }
    void no_space_at_every_call() { fail_every_call(ENOSPC); }

    void failed_sync_makes_read_only() {
        FaultDisk disk;
        Model model;
        Life life(disk, model);
        life.open();
        life.commit({{"a", "1"}});
        disk.arm({.at = 1, .error = EIO, .any = false, .kind = Call::sync});
        const auto set = [](Transaction& transaction) { transaction.set("b", "2", 0, {}); };
        const Outcome failed = life.store().commit_and_wait(set);
        CPPUNIT_ASSERT(failed.refused.has_value());
        CPPUNIT_ASSERT_EQUAL(std::string("storage-failed"), failed.refused->slug());
        CPPUNIT_ASSERT_EQUAL(std::uint64_t{1}, failed.version.revision);
        CPPUNIT_ASSERT(life.store().state() == StoreState::read_only);
        CPPUNIT_ASSERT(!life.store().state_reason().empty());
        const std::size_t calls = disk.calls();
        const Outcome later = life.store().commit_and_wait(set);
        CPPUNIT_ASSERT(later.refused.has_value());
        CPPUNIT_ASSERT_EQUAL(std::string("read-only"), later.refused->slug());
        CPPUNIT_ASSERT_EQUAL_MESSAGE("synced again after a failure", calls, disk.calls());
        CPPUNIT_ASSERT_THROW(life.store().checkpoint(), Error);
        CPPUNIT_ASSERT(life.store().get("a"));
        CPPUNIT_ASSERT(!life.store().get("b"));
    }

    void full_disk_refuses_sets_and_removes_on() {
        FaultDisk disk;
        Model model;
        Life life(disk, model);
        life.open();
        for (int i = 0; i < 100; ++i) life.commit({{fmt::format("k{}", i), "1"}});
        disk.arm({.at = 1, .error = ENOSPC, .lasting = true, .any = false, .kind = Call::allocate});
        const std::string big = "\"" + std::string(20000, 'x') + "\"";
        std::optional<Error> refused;
        for (int i = 0; i < 100 && !refused; ++i) {
            refused = life.store()
                          .commit_and_wait([&](Transaction& transaction) {
                              transaction.set("big", big, 0, {});
                              transaction.set(fmt::format("with{}", i), "1", 0, {});
                          })
                          .refused;
        }
        CPPUNIT_ASSERT(refused.has_value());
        CPPUNIT_ASSERT_EQUAL(std::string("disk-full"), refused->slug());
        CPPUNIT_ASSERT(refused->code() == Errc::no_space);
        CPPUNIT_ASSERT(life.store().state() == StoreState::full);
        for (int i = 0; i < 90; ++i) {
            const std::string key = fmt::format("k{}", i);
            const Outcome removed = life.store().commit_and_wait(
                [&](Transaction& transaction) { transaction.remove(key); });
            CPPUNIT_ASSERT(!removed.refused);
            CPPUNIT_ASSERT(!life.store().get(key));
        }
        CPPUNIT_ASSERT(life.store().state() == StoreState::full);
        disk.arm({});
        const Outcome again = life.store().commit_and_wait(
            [&](Transaction& transaction) { transaction.set("big2", big, 0, {}); });
        CPPUNIT_ASSERT(!again.refused);
        CPPUNIT_ASSERT(life.store().state() == StoreState::open);
        const std::size_t count = life.store().count();
        life.open();
        CPPUNIT_ASSERT_EQUAL(count, life.store().count());
        CPPUNIT_ASSERT(!life.store().get("k0"));
    }

    // The journal of an unclean end is taken over without a byte of new space, and deletes go on.
    void full_disk_at_open() {
        FaultDisk disk;
        Model model;
        Life life(disk, model);
        life.open();
        for (int i = 0; i < 20; ++i) life.commit({{fmt::format("k{}", i), "1"}});
        life.kill();
        disk.arm({.at = 1, .error = ENOSPC, .lasting = true, .any = false, .kind = Call::allocate});
        life.open();
        model.compare(life.store(), "full at open");
        life.commit({{"k3", {}}});
        CPPUNIT_ASSERT(!life.store().get("k3"));
        disk.arm({});
        const auto after = disk.after_power_cut(7);
        check_survivor(*after, model, "full at open, then cut");
    }

    void full_disk_at_open_after_failed_sync() {
        for (unsigned seed = 1; seed < 20; ++seed) {
            FaultDisk disk(seed);
            Model model;
            {
                Life life(disk, model);
                life.open();
                life.commit({{"a", "1"}});
                disk.arm({.at = 1, .error = EIO, .any = false, .kind = Call::sync});
                life.commit({{"b", "2"}});
            }
            disk.arm(
                {.at = 1, .error = ENOSPC, .lasting = true, .any = false, .kind = Call::allocate});
            Life life(disk, model);
            life.open();
            model.compare(life.store(), "restarted on a full disk");
            life.kill();
            disk.arm({});
            const auto after = disk.after_power_cut(seed);
            check_survivor(*after, model, "restarted on a full disk, then cut");
        }
    }

    // Where no second segment can be had, the checkpoint is made without one.
    void full_disk_gets_room_of_removals() {
        FaultDisk disk;
        Model model;
        Life life(disk, model);
        prepare_removals(life);
        disk.arm(kNoSecondSegment);
        life.store().checkpoint();
        CPPUNIT_ASSERT(disk.struck());
        CPPUNIT_ASSERT(life.store().journal_bytes() < 200);  // a header
        CPPUNIT_ASSERT_EQUAL(std::size_t{3}, disk.names().size());
        model.compare(life.store(), "folded in place");
        life.commit({{"k3", "3"}});
        life.open();
        model.compare(life.store(), "folded in place, then killed");
        check_survivor(disk, model, "folded in place");
    }

    void power_cut_while_room_is_made() {
        std::size_t at = 0;
        for (bool cut = true; cut;) {
            ++at;
            for (unsigned seed = 0; seed < 4; ++seed) {
                FaultDisk disk(static_cast<unsigned>(at) * 8 + seed);
                Model model;
                Life life(disk, model);
                prepare_removals(life);
                Fault fault = kNoSecondSegment;
                fault.cut_at = at;
                disk.arm(fault);
                try {
                    life.store().checkpoint();
                } catch (const Error&) {
                    CPPUNIT_ASSERT(disk.is_cut());
                }
                cut = disk.is_cut();
                const auto after = disk.after_power_cut(seed);
                check_survivor(*after, model, fmt::format("cut at call {}, seed {}", at, seed));
            }
        }
        CPPUNIT_ASSERT(at > 15);
    }

private:
    static constexpr Fault kNoSecondSegment{
        .at = 1, .error = ENOSPC, .any = false, .kind = Call::allocate};

    static void prepare_removals(Life& life) {
        life.open();
        for (int i = 0; i < 20; ++i) life.commit({{fmt::format("k{}", i), "1"}});
        life.store().checkpoint();
        for (int i = 0; i < 18; ++i) life.commit({{fmt::format("k{}", i), {}}});
    }

    static void fail_every_call(int error) {
        for (const Call kind : larder::test::kChangingCalls) {
            const std::size_t calls = calls_of_a_life({.any = false, .kind = kind});
            for (std::size_t at = 1; at <= calls; ++at) {
                const std::string where = fmt::format("errno {} at call {} of kind {}", error, at,
                                                      static_cast<int>(kind));
                FaultDisk disk(static_cast<unsigned>(at));
                Model model;
                disk.arm({.at = at, .error = error, .any = false, .kind = kind});
                Life(disk, model).run();
                CPPUNIT_ASSERT_MESSAGE(where, disk.struck());
                Model copy = model;
                const auto after = disk.after_power_cut(static_cast<unsigned>(at));
                check_survivor(*after, model, where + ", then a power cut");
                check_restart(disk, copy, where);
            }
        }
    }
};

LARDER_TEST_SUITE(DocumentStoreFaultTest);

}  // namespace
