// The second directory without a daemon: what is to be copied, what a copy is, what stays.
#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

#include "backup_paths.hpp"
#include "backup_second.hpp"
#include "larder/error.hpp"
#include "storage-kit/digest.hpp"
#include "support/suite.hpp"
#include "support/temporary_folder.hpp"

namespace larder::backup {
namespace {

namespace fs = std::filesystem;
using test::read_file;
using test::TemporaryFolder;
using test::write_file;

Record record_at(int day, const std::string& parent = {}) {
    Record record;
    record.created_ms = std::int64_t{day} * 86'400'000;
    record.backup_id = backup_id_at(record.created_ms);
    record.verified_ms = record.created_ms;
    record.parent = parent;
    record.archive_sha256 = record.backup_id;
    return record;
}

// The days, in their order.
std::string days_of(const std::vector<Record>& records) {
    std::string text;
    for (const Record& record : records) {
        text += (text.empty() ? "" : " ") + std::to_string(record.created_ms / 86'400'000);
    }
    return text;
}

class BackupSecondTest : public CppUnit::TestFixture {
    CPPUNIT_TEST_SUITE(BackupSecondTest);
    CPPUNIT_TEST(plans_what_the_rules_keep);
    CPPUNIT_TEST(plans_parents_first);
    CPPUNIT_TEST(leaves_out_what_is_damaged);
    CPPUNIT_TEST(copies_are_whole_or_not_there);
    CPPUNIT_TEST(a_child_does_not_come_before_its_parent);
    CPPUNIT_TEST(what_a_kill_left_is_taken_up);
    CPPUNIT_TEST(thins_out_whole_chains);
    CPPUNIT_TEST_SUITE_END();

public:
    void plans_what_the_rules_keep() {
        const std::vector<Record> made = {record_at(1), record_at(2), record_at(3)};
        CPPUNIT_ASSERT_EQUAL(std::string("1 2 3"), days_of(to_copy(made, {}, {})));
        CPPUNIT_ASSERT_EQUAL(std::string("2 3"), days_of(to_copy(made, {}, {2, 0, 0, 0})));
        CPPUNIT_ASSERT_EQUAL(std::string("3"),
                             days_of(to_copy(made, {record_at(2)}, {2, 0, 0, 0})));
        // What is there alone counts too.
        CPPUNIT_ASSERT_EQUAL(std::string("3"),
                             days_of(to_copy({record_at(3)}, {record_at(1)}, {2, 0, 0, 0})));
        CPPUNIT_ASSERT_EQUAL(std::string(),
                             days_of(to_copy({record_at(3)}, {record_at(4)}, {1, 0, 0, 0})));
        Record other = record_at(3);
        other.archive_sha256 = "another archive of this name";
        CPPUNIT_ASSERT_EQUAL(std::string("3"), days_of(to_copy({record_at(3)}, {other}, {})));
    }

    void plans_parents_first() {
        const std::string first = record_at(1).backup_id, third = record_at(3).backup_id;
        const std::vector<Record> made = {record_at(1), record_at(2, first), record_at(3),
                                          record_at(4, first)};
        CPPUNIT_ASSERT_EQUAL(std::string("1 4"), days_of(to_copy(made, {}, {1, 0, 0, 0})));
        CPPUNIT_ASSERT_EQUAL(std::string("1 2 3 4"), days_of(to_copy(made, {}, {})));
        // By a clock that was set back the parent is the newer one.
        CPPUNIT_ASSERT_EQUAL(std::string("3 2"),
                             days_of(to_copy({record_at(2, third), record_at(3)}, {}, {})));
    }

    void leaves_out_what_is_damaged() {
        Record bad = record_at(2);
        bad.is_damaged = true;
        CPPUNIT_ASSERT_EQUAL(std::string("1"), days_of(to_copy({record_at(1), bad}, {}, {})));
        // Its copy was made before, and counts.
        CPPUNIT_ASSERT_EQUAL(std::string(),
                             days_of(to_copy({record_at(1), bad}, {record_at(2)}, {1, 0, 0, 0})));
    }

    void copies_are_whole_or_not_there() {
        const Record record = made(1, "an archive");
        CPPUNIT_ASSERT_EQUAL(std::string("copied"), copy(record));
        CPPUNIT_ASSERT_EQUAL(std::string("an archive"), read_file(there(record)));
        CPPUNIT_ASSERT_EQUAL(std::string("1"), days_of(Second(second_).all()));
        Record damaged = made(2, "as it was");
        write_file(archive_of(damaged), "as it is.");
        CPPUNIT_ASSERT_EQUAL(std::string("damaged"), copy(damaged));
        damaged = made(3, "gone");
        fs::remove(archive_of(damaged));
        CPPUNIT_ASSERT_EQUAL(std::string("archive-missing"), copy(damaged));
        CPPUNIT_ASSERT_EQUAL(2L, count());  // the one, and the index
        // A copy that was cut short or lost there is missing again.
        write_file(there(record), "an");
        CPPUNIT_ASSERT_EQUAL(std::string(), days_of(Second(second_).all()));
        CPPUNIT_ASSERT_EQUAL(std::string("copied"), copy(record));
        CPPUNIT_ASSERT_EQUAL(std::string("an archive"), read_file(there(record)));
        CPPUNIT_ASSERT_THROW(Second(second_ + "/not-there"), std::system_error);
        CPPUNIT_ASSERT(!fs::exists(second_ + "/not-there"));
    }

    void a_child_does_not_come_before_its_parent() {
        const Record parent = made(1, "parent");
        const Record child = made(2, "child", parent.backup_id);
        CPPUNIT_ASSERT_EQUAL(std::string("missing-parent"), copy(child));
        CPPUNIT_ASSERT_EQUAL(std::string("copied"), copy(parent));
        CPPUNIT_ASSERT_EQUAL(std::string("copied"), copy(child));
    }

    void what_a_kill_left_is_taken_up() {
        const Record record = made(1, "whole");
        write_file(there(record) + ".tmp", "who");
        write_file(there(record), "whole");
        write_file(second_ + "/backup_index.json", "{\"backups\": {");
        write_file(second_ + "/not-ours.tmp", "an admin's");
        Second(second_).clear_leftovers();
        CPPUNIT_ASSERT(!fs::exists(there(record) + ".tmp"));
        CPPUNIT_ASSERT(fs::exists(second_ + "/not-ours.tmp"));
        const auto written = fs::last_write_time(there(record));
        CPPUNIT_ASSERT_EQUAL(std::string("copied"), copy(record));
        CPPUNIT_ASSERT(written == fs::last_write_time(there(record)));
        CPPUNIT_ASSERT_EQUAL(std::string("1"), days_of(Second(second_).all()));
    }

    void thins_out_whole_chains() {
        const Record one = made(1, "one"), two = made(2, "two");
        const Record three = made(3, "three", two.backup_id), four = made(4, "four");
        for (const Record& record : {one, two, three, four}) copy(record);
        Second(second_).thin_out({});
        CPPUNIT_ASSERT_EQUAL(std::string("1 2 3 4"), days_of(Second(second_).all()));
        Second(second_).thin_out({2, 0, 0, 0});
        CPPUNIT_ASSERT_EQUAL(std::string("2 3 4"), days_of(Second(second_).all()));
        CPPUNIT_ASSERT(!fs::exists(there(one)));
        Second(second_).thin_out({1, 0, 0, 0});
        CPPUNIT_ASSERT_EQUAL(std::string("4"), days_of(Second(second_).all()));
        // None of these is verified, until it is told of one.
        copy(one);
        Second second(second_);
        Record verified = one;
        verified.verified_ms = 1;
        second.note(verified);
        second.thin_out({1, 0, 0, 0});
        CPPUNIT_ASSERT_EQUAL(std::string("1 4"), days_of(Second(second_).all()));
    }

    void setUp() override {
        fs::create_directories(second_);
        fs::create_directories(first_);
    }
    void tearDown() override {
        fs::remove_all(second_);
        fs::remove_all(first_);
    }

private:
    std::string archive_of(const Record& record) const {
        return first_ + "/" + record.backup_id + ".tar.gz";
    }
    std::string there(const Record& record) const {
        return second_ + "/" + record.backup_id + ".tar.gz";
    }
    long count() const {
        return std::distance(fs::directory_iterator(second_), fs::directory_iterator());
    }
    Record made(int day, const std::string& bytes, const std::string& parent = {}) const {
        Record record = record_at(day, parent);
        storage::Sha256 sum;
        sum.update(bytes);
        record.archive_sha256 = sum.finish_hex();
        record.size = bytes.size();
        record.verified_ms = 0;
        write_file(archive_of(record), bytes);
        return record;
    }
    std::string copy(const Record& record) const {
        try {
            Operation operation("copy", record.backup_id);
            Second(second_).copy(record, archive_of(record), operation);
            return "copied";
        } catch (const Error& error) {
            return error.slug();
        }
    }

    const TemporaryFolder folder_;
    const std::string first_ = folder_ / "first", second_ = folder_ / "second";
};

LARDER_TEST_SUITE(BackupSecondTest);

}  // namespace
}  // namespace larder::backup
