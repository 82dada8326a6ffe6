// Files swapped as one step: a kill in front of every change of the disk, on the way there and on
// the way back, leaves the old state or the new one after the next start.
#include "plugin_host/swap.hpp"

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <thread>

#include "larder/error.hpp"
#include "plugin_host/snapshots.hpp"
#include "support/eventually.hpp"
#include "support/suite.hpp"
#include "support/temporary_folder.hpp"

namespace larder::plugin_host {
namespace {

namespace fs = std::filesystem;
using storage::File;
using storage::FileSystem;
using test::read_file;
using test::write_file;

struct Killed {};

// The real file system, until the process is killed in front of the Nth call that changes it.
class MortalFiles final : public FileSystem {
public:
    explicit MortalFiles(int calls = 1 << 20) : left_(calls) {}
    std::unique_ptr<File> open_read(const std::string& path) override {
        return real().open_read(path);
    }
    std::unique_ptr<File> open_write(const std::string& path) override {
        return live(), real().open_write(path);
    }
    std::unique_ptr<File> create(const std::string& path) override {
        return live(), real().create(path);
    }
    bool exists(const std::string& path) override { return real().exists(path); }
    void rename(const std::string& from, const std::string& to) override {
        live(), real().rename(from, to);
    }
    void remove(const std::string& path) override { live(), real().remove(path); }
    void make_directory(const std::string& path) override { live(), real().make_directory(path); }
    void sync_directory(const std::string& path) override { live(), real().sync_directory(path); }
    std::vector<std::string> list(const std::string& path) override { return real().list(path); }

private:
    void live() {
        if (left_-- == 0) throw Killed();
    }
    int left_;
};

using Tree = std::map<std::string, std::string>;

class SwapTest : public CppUnit::TestFixture {
    CPPUNIT_TEST_SUITE(SwapTest);
    CPPUNIT_TEST(swaps_files_folders_and_what_goes_along);
    CPPUNIT_TEST(puts_all_of_it_back);
    CPPUNIT_TEST(a_kill_at_any_call_leaves_old_or_new);
    CPPUNIT_TEST(a_kill_on_the_way_back_leaves_the_old);
    CPPUNIT_TEST(refuses_bad_plans);
    CPPUNIT_TEST(refuses_a_second_one_and_a_newer_journal);
    CPPUNIT_TEST(a_snapshot_pins_all_or_none);
    CPPUNIT_TEST_SUITE_END();

public:
    void swaps_files_folders_and_what_goes_along() {
        const std::string data = make();
        MortalFiles files;
        Swap swap(files, data, plan(), 1);
        swap.forward();
        CPPUNIT_ASSERT(Swap::State::adopting == swap.state());
        CPPUNIT_ASSERT(new_state() == tree(data));
        CPPUNIT_ASSERT_EQUAL(std::string("old"), read_file(swap.aside() + "/storage.json"));
        CPPUNIT_ASSERT_EQUAL(std::string("old journal"),
                             read_file(swap.aside() + "/storage.json.journal"));
        swap.finish();
        CPPUNIT_ASSERT(!fs::exists(swap.aside()) && !fs::exists(data + "/.swap.json"));
        CPPUNIT_ASSERT(!Swap::unfinished(files, data));
    }

    void puts_all_of_it_back() {
        const std::string data = make();
        MortalFiles files;
        Swap swap(files, data, plan(), 1);
        swap.forward();
        grow(data);
        swap.back();
        swap.finish();
        CPPUNIT_ASSERT(old_state() == tree(data));
        // With what was done to it meanwhile.
        CPPUNIT_ASSERT_EQUAL(std::string("newer"), read_file(data + "/staged/storage.json"));
    }

    void a_kill_at_any_call_leaves_old_or_new() {
        int old_states = 0, new_states = 0;
        for (int calls = 0;; ++calls) {
            const std::string data = make();
            bool killed = false;
            try {
                MortalFiles files(calls);
                Swap swap(files, data, plan(), 1);
                swap.forward();
                swap.finish();
            } catch (const Killed&) {
                killed = true;
            }
            // The next life may be killed as well, anywhere.
            for (int again = 0; again < 3; ++again) {
                try {
                    MortalFiles files(again);
                    auto swap = Swap::unfinished(files, data);
                    if (swap) swap->forward();
                } catch (const Killed&) {
                    continue;
                }
            }
            MortalFiles files;
            auto swap = Swap::unfinished(files, data);
            if (swap) {
                if (swap->state() == Swap::State::forward) swap->forward();
                swap->finish();
            }
            const Tree now = tree(data);
            CPPUNIT_ASSERT_MESSAGE("killed at call " + std::to_string(calls),
                                   now == old_state() || now == new_state());
            ++(now == old_state() ? old_states : new_states);
            if (!killed) break;
        }
        CPPUNIT_ASSERT(old_states >= 2);  // before the journal is in place
        CPPUNIT_ASSERT(new_states >= 20);
    }

    void a_kill_on_the_way_back_leaves_the_old() {
        int kills = 0;
        for (int calls = 0;; ++calls) {
            const std::string data = make();
            MortalFiles alive;
            Swap(alive, data, plan(), 1).forward();
            grow(data);
            bool killed = false;
            try {
                MortalFiles files(calls);
                auto swap = Swap::unfinished(files, data);
                swap->back();
                swap->finish();
            } catch (const Killed&) {
                killed = true;
                ++kills;
            }
            auto swap = Swap::unfinished(alive, data);
            if (swap && swap->state() == Swap::State::adopting) continue;  // not begun
            if (swap) {
                swap->back();
                swap->finish();
            }
            CPPUNIT_ASSERT_MESSAGE("killed at call " + std::to_string(calls),
                                   old_state() == tree(data));
            if (!killed) break;
        }
        CPPUNIT_ASSERT(kills >= 20);
    }

    void refuses_bad_plans() {
        const std::string data = make();
        MortalFiles files;
        for (const char* path : {"", "/etc/passwd", "../x", "a/../b", "a//b", "."}) {
            CPPUNIT_ASSERT_THROW(Swap(files, data, {{path, "staged/config"}}, 1), Error);
        }
        CPPUNIT_ASSERT_THROW(Swap(files, data, {{"config", "not/there"}}, 1), Error);
        CPPUNIT_ASSERT(!fs::exists(data + "/.swap.json"));
    }

    void refuses_a_second_one_and_a_newer_journal() {
        const std::string data = make();
        MortalFiles files;
        const Swap first(files, data, plan(), 1);
        CPPUNIT_ASSERT_THROW(Swap(files, data, plan(), 2), Error);
        write_file(data + "/.swap.json", R"({"larder":"swap","version":2})");
        CPPUNIT_ASSERT_THROW(Swap::unfinished(files, data), Error);
        write_file(data + "/.swap.json", "{");
        CPPUNIT_ASSERT_THROW(Swap::unfinished(files, data), Error);
    }

    // A plugin that notes what is asked of it, and may be slow about it.
    class Guest final : public Snapshotable {
    public:
        void hold(bool on) noexcept override {
            if (on && slow) std::this_thread::sleep_for(std::chrono::milliseconds(100));
            held += on ? 1 : -1;
            released += on ? 0 : 1;
        }
        std::unique_ptr<Moment> pin() override {
            if (refuses) throw Error(Errc::internal, "no", "not now");
            class Empty final : public Moment {
                void write(SnapshotSink&) override {}
            };
            pinned_while_held = held == 1;
            return std::make_unique<Empty>();
        }
        void adopt(std::string_view) override {}
        std::atomic<int> held{0}, released{0};
        std::atomic<bool> pinned_while_held{false};
        bool slow = false, refuses = false;
    };

    void a_snapshot_pins_all_or_none() {
        Guest one, two;
        const auto lease = [&] {
            std::vector<LeasedPower> powers;
            powers.push_back({"one", static_cast<Snapshotable*>(&one), {}});
            powers.push_back({"two", static_cast<Snapshotable*>(&two), {}});
            return powers;
        };
        const auto taken = take_snapshot(lease(), std::chrono::seconds(20));
        CPPUNIT_ASSERT_EQUAL(std::size_t{2}, taken->size());
        CPPUNIT_ASSERT_EQUAL(std::string_view("two"), taken->plugin(1));
        CPPUNIT_ASSERT(one.pinned_while_held && two.pinned_while_held);
        CPPUNIT_ASSERT(one.held == 0 && two.held == 0);
        two.refuses = true;
        CPPUNIT_ASSERT_THROW(take_snapshot(lease(), std::chrono::seconds(20)), Error);
        CPPUNIT_ASSERT(test::eventually([&] { return one.held == 0 && two.held == 0; }));
        two.refuses = false;
        two.slow = true;
        try {
            take_snapshot(lease(), std::chrono::milliseconds(1));
            CPPUNIT_FAIL("it was not waited for");
        } catch (const Error& error) {
            CPPUNIT_ASSERT_EQUAL(std::string("not-held"), error.slug());
            CPPUNIT_ASSERT(error.detail().find("two did not come to rest") != std::string::npos);
        }
        // Whoever was late is let go of as well.
        CPPUNIT_ASSERT(test::eventually([&] { return one.released == 3 && two.released == 3; }));
        CPPUNIT_ASSERT(one.held == 0 && two.held == 0);
    }

private:
    std::string make() {
        folder_ = std::make_unique<test::TemporaryFolder>();
        const std::string data = *folder_ / "data";
        for (const auto& [path, text] : old_state()) write_file(data + "/" + path, text);
        for (const auto& [path, text] : new_state()) {
            if (path != "kept.txt") write_file(data + "/staged/" + path, text);
        }
        return data;
    }
    // What plugins that were started on the new state make.
    static void grow(const std::string& data) {
        write_file(data + "/storage.json", "newer");
        write_file(data + "/storage.json.journal", "new journal");
        write_file(data + "/storage.json.journal.old", "new journal");
        write_file(data + "/config/flags.json", "newer");
        write_file(data + "/kv/more.json", "newer");
        write_file(data + "/gone", "come again");
    }
    static std::vector<SwapItem> plan() {
        return {{"storage.json", "staged/storage.json"},
                {"config/", "staged/config/"},
                {"kv", "staged/kv"},
                {"gone", ""}};
    }
    static Tree old_state() {
        return {{"storage.json", "old"},
                {"storage.json.meta", "old meta"},
                {"storage.json.journal", "old journal"},
                {"config/flags.json", "old"},
                {"config/old.json", "old"},
                {"gone", "old"},
                {"kept.txt", "kept"}};
    }
    static Tree new_state() {
        return {{"storage.json", "new"},
                {"storage.json.meta", "new meta"},
                {"config/flags.json", "new"},
                {"kv/b.json", "new"},
                {"kept.txt", "kept"}};
    }
    static Tree tree(const std::string& data) {
        Tree found;
        for (const auto& entry : fs::recursive_directory_iterator(data)) {
            const std::string path = fs::relative(entry.path(), data);
            if (!entry.is_regular_file() || path.starts_with("staged/")) continue;
            if (path.starts_with(".swap")) continue;
            found[path] = read_file(entry.path());
        }
        return found;
    }

    std::unique_ptr<test::TemporaryFolder> folder_;
};

LARDER_TEST_SUITE(SwapTest);

}  // namespace
}  // namespace larder::plugin_host
