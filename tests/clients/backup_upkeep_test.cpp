// What is done about backups by themselves: how scheduled ones are thinned out, and what the second
// directory has of them. Times are crafted: records are written into the index while no daemon
// runs.
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "support/daemon_fixture.hpp"
#include "support/eventually.hpp"
#include "support/json_view.hpp"

namespace larder::test {
namespace {

namespace fs = std::filesystem;
using Ids = std::vector<std::string>;
using Environment = std::vector<std::pair<std::string, std::string>>;

class BackupUpkeepTest : public DaemonFixture {
    CPPUNIT_TEST_SUITE(BackupUpkeepTest);
    CPPUNIT_TEST(a_scheduled_one_thins_out_by_all_rules);
    CPPUNIT_TEST(without_a_rule_all_stay);
    CPPUNIT_TEST(copies_what_was_made);
    CPPUNIT_TEST(catches_up_with_what_was_missed);
    CPPUNIT_TEST(tells_of_an_archive_that_cannot_be_copied);
    CPPUNIT_TEST(the_second_directory_alone_is_enough);
    CPPUNIT_TEST(what_it_has_is_taken_in_elsewhere);
    CPPUNIT_TEST_SUITE_END();

public:
    void a_scheduled_one_thins_out_by_all_rules() {
        begin_with({{"LARDER_BACKUP_KEEP", "1"},
                    {"LARDER_BACKUP_KEEP_DAILY", "2"},
                    {"LARDER_BACKUP_KEEP_WEEKLY", "2"},
                    {"LARDER_BACKUP_KEEP_MONTHLY", "3"}});
        run_job("backup.make");
        // No rule keeps the 10th of January, but it is the newest that is verified; none the 4th of
        // February, but the 5th is based on it.
        CPPUNIT_ASSERT_EQUAL(std::string("2020-01-10 2020-01-31 2020-02-04 2020-02-05 new"),
                             listed());
    }

    void without_a_rule_all_stay() {
        begin_with({{"LARDER_BACKUP_KEEP", "0"}});
        run_job("backup.make");
        const std::string all =
            "2020-01-09 2020-01-10 2020-01-31 2020-02-03 2020-02-04 2020-02-05 new";
        CPPUNIT_ASSERT_EQUAL(all, listed());
        // Nor does a cleanup that names none take what the settings leave.
        CPPUNIT_ASSERT_EQUAL(200, send("POST", "/api/backups/cleanup").status);
        CPPUNIT_ASSERT_EQUAL(all, listed());
    }

    void copies_what_was_made() {
        begin_with_second({{"LARDER_BACKUP_SECOND_KEEP", "2"}});
        const std::string gone = make(), full = make();
        const std::string one = make(R"({"type":"incremental"})");
        CPPUNIT_ASSERT((Ids{full, one} == copies()));
        CPPUNIT_ASSERT(!fs::exists(copy_of(gone)));
        // By number the full one would go, but the chain needs it.
        const std::string two = make(R"({"type":"incremental"})");
        CPPUNIT_ASSERT((Ids{full, one, two} == copies()));
        for (const std::string& id : {full, one, two}) {
            CPPUNIT_ASSERT(read_file(archive_of(id)) == read_file(copy_of(id)));
        }
        // What is removed here stays there, by its own rules.
        CPPUNIT_ASSERT_EQUAL(204, send("DELETE", "/api/backups/" + two).status);
        const std::string last = make(), newest = make();
        CPPUNIT_ASSERT((Ids{last, newest} == copies()));
    }

    void catches_up_with_what_was_missed() {
        begin_with_second({});
        fs::remove_all(second());
        const std::string full = make(), one = make(R"({"type":"incremental"})");
        CPPUNIT_ASSERT(has_alert());
        CPPUNIT_ASSERT(!fs::exists(second()));
        run_job("backup.copy");
        CPPUNIT_ASSERT(has_alert());
        fs::create_directories(second());
        run_job("backup.copy");
        CPPUNIT_ASSERT((Ids{full, one} == copies()));
        CPPUNIT_ASSERT(!has_alert());
        // A parent that is lost there is copied before what is based on it.
        fs::remove(copy_of(full));
        const std::string two = make(R"({"type":"incremental"})");
        CPPUNIT_ASSERT((Ids{full, one, two} == copies()));
    }

    void tells_of_an_archive_that_cannot_be_copied() {
        begin_with_second({});
        fs::remove_all(second());
        const std::string bad = make(), good = make();
        std::string bytes = read_file(archive_of(bad));
        bytes[bytes.size() / 2] = static_cast<char>(bytes[bytes.size() / 2] ^ 1);
        write_file(archive_of(bad), bytes);
        fs::create_directories(second());
        run_job("backup.copy");
        CPPUNIT_ASSERT((Ids{good} == copies()));
        CPPUNIT_ASSERT(has_alert());
        CPPUNIT_ASSERT(has_alert("damaged-" + bad));
        // It is told as long as that backup is there, and no longer.
        restart();
        CPPUNIT_ASSERT(has_alert("damaged-" + bad));
        CPPUNIT_ASSERT_EQUAL(204, send("DELETE", "/api/backups/" + bad).status);
        CPPUNIT_ASSERT(!has_alert("damaged-" + bad));
    }

    void the_second_directory_alone_is_enough() {
        const std::string last = make_chain_and_lose_it();
        fs::copy(second(), folder_->path() + "/backups");
        start();
        expect_restored(last);
    }

    void what_it_has_is_taken_in_elsewhere() {
        const std::string last = make_chain_and_lose_it();
        start();
        for (const std::string& id : copies()) {
            const Answer taken = send("POST", "/api/backups/import",
                                      "Content-Type: application/gzip\r\n", read_file(copy_of(id)));
            CPPUNIT_ASSERT_EQUAL_MESSAGE(taken.body, 201, taken.status);
            CPPUNIT_ASSERT_EQUAL(id, taken.member("backup_id"));
        }
        expect_restored(last);
    }

private:
    std::string second() const { return elsewhere_ / "second"; }
    std::string archive_of(const std::string& id) const {
        return fmt::format("{}/backups/{}.tar.gz", folder_->path(), id);
    }
    std::string copy_of(const std::string& id) const {
        return fmt::format("{}/{}.tar.gz", second(), id);
    }
    void begin_with_second(Environment settings) {
        fs::create_directories(second());
        environment_ = std::move(settings);
        environment_.emplace_back("LARDER_BACKUP_SECOND_DIRECTORY", second());
        restart();
    }
    std::string make(const std::string& body = "") const {
        const Answer made = send("POST", "/api/backups", "Prefer: wait=60\r\n", body);
        CPPUNIT_ASSERT_EQUAL_MESSAGE(made.body, 201, made.status);
        return made.member("backup_id");
    }
    // The ids of the archives there, which are all that is there beside their index.
    Ids copies() const {
        Ids ids;
        for (const auto& entry : fs::directory_iterator(second())) {
            const std::string name = entry.path().filename().string();
            if (name != "backup_index.json") ids.push_back(name.substr(0, name.find(".tar.gz")));
        }
        std::sort(ids.begin(), ids.end());
        return ids;
    }
    bool has_alert(const std::string& key = "second-directory") const {
        return send("GET", "/api/alerts?state=raised").body.find(key) != std::string::npos;
    }
    void put(const std::string& value) const {
        CPPUNIT_ASSERT(send("PUT", "/api/kv/storage/a", "", value).status < 300);
    }
    // The last of a full backup and two incremental ones, of a daemon whose data are gone.
    std::string make_chain_and_lose_it() {
        begin_with_second({});
        put("1");
        CPPUNIT_ASSERT_EQUAL(201, send("PUT", "/api/files/stays.txt", "", "stays").status);
        make();
        put("2");
        make(R"({"type":"incremental"})");
        put("3");
        const std::string last = make(R"({"type":"incremental"})");
        put("4");
        CPPUNIT_ASSERT_EQUAL(0, daemon_->stop());
        folder_ = std::make_unique<TemporaryFolder>();
        return last;
    }
    void expect_restored(const std::string& id) const {
        const std::string url = "/api/backups/" + id;
        CPPUNIT_ASSERT_EQUAL(std::string(R"({"ok":true,"faults":[]})"),
                             send("POST", url + "/verify").body);
        const Answer restored = send("POST", url + "/restore", "Prefer: wait=60\r\n");
        CPPUNIT_ASSERT_EQUAL_MESSAGE(restored.body, 200, restored.status);
        CPPUNIT_ASSERT_EQUAL(std::string("3"), send("GET", "/api/kv/storage/a").body);
        const auto files = object_of(send("GET", "/api/files").body)->getArray("items");
        CPPUNIT_ASSERT_EQUAL(std::size_t{1}, files->size());
        const auto name = files->getObject(0)->getValue<std::string>("filename");
        CPPUNIT_ASSERT_EQUAL(std::string("stays"), send("GET", "/api/files/" + name).body);
    }

    // A daemon with backups of January and February 2020, of which 10 January alone is verified.
    void begin_with(Environment settings) {
        CPPUNIT_ASSERT_EQUAL(0, daemon_->stop());
        environment_ = std::move(settings);
        environment_.insert(environment_.end(), {{"LARDER_BACKUP_SCHEDULE", "@yearly"},
                                                 {"LARDER_BACKUP_VERIFY", "off"}});
        std::string records;
        for (const char* day :
             {"2020-01-09", "2020-01-10", "2020-01-31", "2020-02-03", "2020-02-04", "2020-02-05"}) {
            const bool is_verified = std::string_view(day) == "2020-01-10";
            const bool has_parent = std::string_view(day) == "2020-02-05";
            records += fmt::format(
                R"({0}"backup_{1}_020000":{{"backup_id":"backup_{1}_020000",)"
                R"("created_at":"{1}T02:00:00Z","file_path":"backups/backup_{1}_020000.tar.gz",)"
                R"("size":1,"parent":{2},"verified_at":{3}}})",
                records.empty() ? "" : ",", day,
                has_parent ? "\"backup_2020-02-04_020000\"" : "null",
                is_verified ? "\"2020-01-10T02:00:00Z\"" : "null");
        }
        write_file(folder_->path() + "/backups/backup_index.json",
                   fmt::format(R"({{"backups":{{{}}}}})", records));
        start();
    }
    // To the end of the run, which is a success.
    void run_job(const std::string& name) const {
        const std::string job = "/api/scheduler/jobs/" + name;
        const auto runs = [&] { return object_of(send("GET", job).body)->getArray("history"); };
        const std::size_t before = runs()->size();
        CPPUNIT_ASSERT_EQUAL(202, send("POST", job + "/run").status);
        CPPUNIT_ASSERT(eventually([&] { return runs()->size() > before; }));
        CPPUNIT_ASSERT_EQUAL(std::string("succeeded"),
                             runs()->getObject(0)->getValue<std::string>("outcome"));
    }
    // The days of the backups that there are; of those of now "new".
    std::string listed() const {
        const auto items = object_of(send("GET", "/api/backups").body)->getArray("items");
        std::string days;
        for (unsigned i = static_cast<unsigned>(items->size()); i-- > 0;) {
            const auto id = items->getObject(i)->getValue<std::string>("backup_id");
            const std::string day = id.substr(7, 10);
            days += (days.empty() ? "" : " ") + (day.starts_with("2020") ? day : "new");
        }
        return days;
    }

    const TemporaryFolder elsewhere_;
};

LARDER_TEST_SUITE(BackupUpkeepTest);

}  // namespace
}  // namespace larder::test
