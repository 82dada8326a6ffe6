// What is done about backups by themselves: how scheduled ones are thinned out. Times are crafted:
// records are written into the index while no daemon runs.
#include <fmt/format.h>

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "support/daemon_fixture.hpp"
#include "support/eventually.hpp"
#include "support/json_view.hpp"

namespace larder::test {
namespace {

using Environment = std::vector<std::pair<std::string, std::string>>;

class BackupUpkeepTest : public DaemonFixture {
    CPPUNIT_TEST_SUITE(BackupUpkeepTest);
    CPPUNIT_TEST(a_scheduled_one_thins_out_by_all_rules);
    CPPUNIT_TEST(without_a_rule_all_stay);
    CPPUNIT_TEST_SUITE_END();

public:
    void a_scheduled_one_thins_out_by_all_rules() {
        begin_with({{"LARDER_BACKUP_KEEP_COUNT", "1"},
                    {"LARDER_BACKUP_KEEP_DAILY", "2"},
                    {"LARDER_BACKUP_KEEP_WEEKLY", "2"},
                    {"LARDER_BACKUP_KEEP_MONTHLY", "3"}});
        make_scheduled();
        // No rule keeps the 10th of January, but it is the newest that is verified; none the 4th of
        // February, but the 5th is based on it.
        CPPUNIT_ASSERT_EQUAL(std::string("2020-01-10 2020-01-31 2020-02-04 2020-02-05 new"),
                             listed());
    }

    void without_a_rule_all_stay() {
        begin_with({{"LARDER_BACKUP_KEEP_COUNT", "0"}});
        make_scheduled();
        const std::string all =
            "2020-01-09 2020-01-10 2020-01-31 2020-02-03 2020-02-04 2020-02-05 new";
        CPPUNIT_ASSERT_EQUAL(all, listed());
        // Nor does a cleanup that names none take what the settings leave.
        CPPUNIT_ASSERT_EQUAL(200, send("POST", "/api/backups/cleanup").status);
        CPPUNIT_ASSERT_EQUAL(all, listed());
    }

private:
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
    // By its job, to the end of the run.
    void make_scheduled() {
        const std::string job = "/api/scheduler/jobs/backup.make";
        CPPUNIT_ASSERT_EQUAL(202, send("POST", job + "/run").status);
        CPPUNIT_ASSERT(eventually([&] {
            const Answer told = send("GET", job);
            return told.body.find(R"("running":false)") != std::string::npos &&
                   told.body.find(R"("last_run":null)") == std::string::npos;
        }));
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
};

LARDER_TEST_SUITE(BackupUpkeepTest);

}  // namespace
}  // namespace larder::test
