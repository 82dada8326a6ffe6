// The stores behind the metrics plugin, without a daemon: rollups that become longer and lose
// nothing, the audit's retention, restored databases, and logs that are numbered.
//
// Contents: requests · audit · restores · logs · the machine
#include <fmt/format.h>

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "audit_store.hpp"
#include "error_store.hpp"
#include "http_history.hpp"
#include "larder/time.hpp"
#include "metrics_schema.hpp"
#include "metrics_snapshot.hpp"
#include "observe/log.hpp"
#include "storage-kit/rotation.hpp"
#include "storage-kit/timestamps.hpp"
#include "support/kept_log.hpp"
#include "support/suite.hpp"
#include "support/temporary_folder.hpp"
#include "system_metrics.hpp"

namespace {

using namespace larder;           // NOLINT(google-build-using-namespace)
using namespace larder::metrics;  // NOLINT(google-build-using-namespace)
using larder::storage::sqlite::Database;
using larder::test::KeptLog;
using larder::test::read_file;
using larder::test::TemporaryFolder;
using larder::test::write_file;

// Counts that a test sets, as the daemon would have counted.
class FakeInsight final : public Insight {
public:
    void add(const std::string& route, int status, std::uint64_t ns, std::uint64_t times = 1) {
        Counted& counted = series_[route];
        counted.buckets.resize(DurationBuckets::kCount);
        counted.buckets[DurationBuckets::index(ns)] += times;
        counted.statuses[status] += times;
        counted.nanoseconds += ns * times;
        counted.shortest = std::min(counted.shortest, ns);
        counted.longest = std::max(counted.longest, ns);
        counted.bytes_out += 10 * times;
    }

    void visit_requests(const std::function<void(const RequestSeries&)>& take) override {
        for (const auto& [route, counted] : series_) {
            std::vector<StatusCount> statuses;
            for (const auto& [status, count] : counted.statuses)
                statuses.push_back({status, count});
            RequestSeries told;
            told.route = route;
            told.method = "GET";
            told.statuses = statuses;
            told.buckets = counted.buckets;
            told.nanoseconds = counted.nanoseconds;
            told.shortest_ns = counted.shortest;
            told.longest_ns = counted.longest;
            told.bytes_out = counted.bytes_out;
            take(told);
        }
    }
    void sample_requests(std::uint32_t /*a_second*/) noexcept override {}
    void take_samples(const std::function<void(const RequestSample&)>& /*take*/) override {}
    DaemonFacts facts() const override { return {}; }
    void storage(UsageSink& /*sink*/) override {}

private:
    struct Counted {
        std::vector<std::uint64_t> buckets;
        std::map<int, std::uint64_t> statuses;
        std::uint64_t nanoseconds = 0, shortest = UINT64_MAX, longest = 0, bytes_out = 0;
    };
    std::map<std::string, Counted> series_;
};

constexpr std::int64_t kNow = 1'795'392'000;  // a whole hour, Unix seconds

class MetricsStoresTest : public CppUnit::TestFixture {
    CPPUNIT_TEST_SUITE(MetricsStoresTest);
    CPPUNIT_TEST(rollups_grow_longer_and_lose_nothing);
    CPPUNIT_TEST(only_what_is_new_is_counted);
    CPPUNIT_TEST(old_rollups_go);
    CPPUNIT_TEST(failures_without_a_route_are_told);
    CPPUNIT_TEST(old_audit_records_leave_an_anchor);
    CPPUNIT_TEST(an_unsound_chain_is_kept_whole);
    CPPUNIT_TEST(a_restored_audit_is_laid_beside);
    CPPUNIT_TEST(many_errors_at_once_are_one);
    CPPUNIT_TEST(old_errors_go);
    CPPUNIT_TEST(files_are_numbered);
    CPPUNIT_TEST(the_daemons_log_is_numbered);
    CPPUNIT_TEST(the_machine_is_read);
    CPPUNIT_TEST_SUITE_END();

public:
    // ---- requests

    void rollups_grow_longer_and_lose_nothing() {
        const auto database = metrics_database();
        FakeInsight insight;
        HttpHistory history(*database, insight);
        history.begin();
        std::map<std::string, Rollup> exact;
        // Three days, a request each 50 s on two routes, the later the slower.
        std::uint64_t i = 0;
        for (std::int64_t at = kNow - 3 * 86400; at < kNow; at += 50, ++i) {
            for (const std::string route : {"/a", "/b"}) {
                const std::uint64_t ns = 100'000 + i * 1000;
                insight.add(route, i % 10 == 0 ? 500 : 200, ns);
                Rollup& rollup = exact[route];
                rollup.add_bucket(DurationBuckets::index(ns), 1);
                ++rollup.count;
            }
            history.collect(at * 1000, {});
            if (i % 40 == 0) history.flush();
        }
        history.flush();
        const HttpQuery all{{}, {}, kNow - 4 * 86400, kNow + 10};
        const HttpQuery day{{}, {}, kNow - 86400, kNow + 10};
        const auto before = history.totals(all);
        const auto last_day = history.totals(day);
        for (int passes = 0; passes < 3; ++passes) {
            while (history.compact(kNow * 1000)) continue;
        }
        const auto after = history.totals(all);
        for (const auto& [route, rollup] : exact) {
            CPPUNIT_ASSERT_EQUAL(rollup.count, before.at(route).count);
            CPPUNIT_ASSERT_EQUAL(rollup.count, after.at(route).count);
            CPPUNIT_ASSERT(rollup.buckets == after.at(route).buckets);
            CPPUNIT_ASSERT_EQUAL(before.at(route).errors, after.at(route).errors);
            CPPUNIT_ASSERT_EQUAL(before.at(route).nanoseconds, after.at(route).nanoseconds);
            CPPUNIT_ASSERT_EQUAL(before.at(route).longest_ns, after.at(route).longest_ns);
            CPPUNIT_ASSERT_EQUAL(before.at(route).shortest_ns, after.at(route).shortest_ns);
            CPPUNIT_ASSERT_EQUAL(last_day.at(route).count, history.totals(day).at(route).count);
        }
        std::map<std::int64_t, std::int64_t> rows;
        database->read([&](storage::sqlite::Connection& connection) {
            connection.query(
                "SELECT step, count(*) FROM http_rollups GROUP BY step", {},
                [&](const storage::sqlite::Row& row) { rows[row.integer(0)] = row.integer(1); });
        });
        CPPUNIT_ASSERT_EQUAL(std::int64_t{2 * 72}, rows[10]);  // an hour's worth
        CPPUNIT_ASSERT_EQUAL(std::int64_t{2 * 47}, rows[3600]);
        CPPUNIT_ASSERT(rows[60] >= 2 * 24 * 60 && rows[60] <= 2 * 25 * 60);
        std::uint64_t sum = 0;
        for (const auto& [start, point] : history.points(all, 3600)) {
            CPPUNIT_ASSERT_EQUAL(std::int64_t{0}, start % 3600);
            sum += point.count;
        }
        CPPUNIT_ASSERT_EQUAL(2 * i, sum);
    }

    void only_what_is_new_is_counted() {
        const auto database = metrics_database();
        FakeInsight insight;
        insight.add("/a", 200, 5'000'000, 7);  // before there was a history
        HttpHistory history(*database, insight);
        history.begin();
        insight.add("/a", 200, 1'000'000, 2);
        history.collect(kNow * 1000, {});
        history.flush();
        history.collect(kNow * 1000 + 1000, {});
        history.flush();
        insight.add("/a", 503, 9'000'000);
        history.collect(kNow * 1000 + 2000, {});  // into the row that is there
        history.flush();
        const auto told = history.totals({{}, {}, kNow - 60, kNow + 60}).at("/a");
        CPPUNIT_ASSERT_EQUAL(std::uint64_t{3}, told.count);
        CPPUNIT_ASSERT_EQUAL(std::uint64_t{1}, told.errors);
        CPPUNIT_ASSERT_EQUAL(std::uint64_t{30}, told.bytes_out);
        CPPUNIT_ASSERT_EQUAL(std::uint64_t{1'000'000}, told.shortest_ns);
        CPPUNIT_ASSERT_EQUAL(std::uint64_t{9'000'000}, told.longest_ns);
        HttpHistory another(*database, insight);  // a restart within the same ten seconds
        another.begin();
        insight.add("/a", 200, 1'000'000);
        another.collect(kNow * 1000 + 3000, {});
        another.flush();
        CPPUNIT_ASSERT_EQUAL(std::uint64_t{4},
                             another.totals({{}, {}, kNow - 60, kNow + 60}).at("/a").count);
    }

    void old_rollups_go() {
        const auto database = metrics_database();
        FakeInsight insight;
        HttpHistory history(*database, insight);
        for (const std::int64_t at : {kNow - 1000, kNow - 500, kNow}) {
            insight.add("/a", 200, 1000);
            history.collect(at * 1000, {});
        }
        history.flush();
        CPPUNIT_ASSERT_EQUAL(std::uint64_t{2}, history.remove_before(kNow - 400));
        CPPUNIT_ASSERT_EQUAL(std::uint64_t{1},
                             history.totals({{}, {}, 0, kNow + 10}).at("/a").count);
    }

    void failures_without_a_route_are_told() {
        const auto database = metrics_database();
        FakeInsight insight;
        HttpHistory history(*database, insight);
        insight.add("(no route)", 503, 1000, 3);
        insight.add("/a", 503, 1000, 5);
        std::map<int, std::uint64_t> told;
        const auto failed = [&](int status, std::uint64_t count) { told[status] += count; };
        history.collect(kNow * 1000, failed);
        history.collect(kNow * 1000, failed);
        CPPUNIT_ASSERT_EQUAL(std::size_t{1}, told.size());
        CPPUNIT_ASSERT_EQUAL(std::uint64_t{3}, told[503]);
    }

    // ---- audit

    void old_audit_records_leave_an_anchor() {
        auto store = audit_store();
        for (int i = 0; i < 30; ++i) record(*store, i < 20 ? 100 : 0);
        CPPUNIT_ASSERT_EQUAL(std::uint64_t{20}, store->remove_before(unix_now_ms() - 50 * kDay));
        CPPUNIT_ASSERT_EQUAL(std::string("10"), judged(*store));
        CPPUNIT_ASSERT_EQUAL(std::uint64_t{0}, store->remove_before(unix_now_ms() - 50 * kDay));
        record(*store, 0);
        store.reset();
        store = audit_store();  // the anchor holds over a restart
        CPPUNIT_ASSERT_EQUAL(std::string("11"), judged(*store));
        CPPUNIT_ASSERT_EQUAL(std::int64_t{31}, store->head().seq);
        // An anchor that the daemon did not sign is none.
        const auto change = [&](const char* sql) {
            store->database().write(
                [&](storage::sqlite::Connection& connection) { connection.run(sql); });
        };
        change("DELETE FROM audit_log WHERE seq = 21");
        CPPUNIT_ASSERT_EQUAL(std::string("10 removed 21"), judged(*store));
        change("UPDATE audit_anchor SET seq = 21");
        CPPUNIT_ASSERT(judged(*store).starts_with("10 removed 1 removed 2"));
        // However old, the latest stays: it is what the next is sealed to.
        CPPUNIT_ASSERT_EQUAL(std::uint64_t{0}, store->remove_before(unix_now_ms() + kDay));
    }

    void an_unsound_chain_is_kept_whole() {
        const auto store = audit_store();
        for (int i = 0; i < 5; ++i) record(*store, 100);
        store->database().write([](storage::sqlite::Connection& connection) {
            connection.run("UPDATE audit_log SET actor = 'eve' WHERE seq = 2");
        });
        CPPUNIT_ASSERT_EQUAL(std::uint64_t{0}, store->remove_before(unix_now_ms() - kDay));
        CPPUNIT_ASSERT_EQUAL(std::string("5 edited 2"), judged(*store));
        CPPUNIT_ASSERT(log_.has("not sound"));
    }

    // ---- restores

    void a_restored_audit_is_laid_beside() {
        const std::string place = folder_ / "programs/db";
        {
            const auto store = audit_store();
            record(*store, 0);
        }
        // As the host leaves it: what stood there is aside, with all that was in the folder.
        const std::string previous = folder_ / "aside";
        std::filesystem::create_directories(previous + "/programs");
        std::filesystem::rename(place, previous + "/programs/db");
        write_file(place + "/audit.db", "restored audit");
        write_file(place + "/metrics.db", "restored metrics");
        write_file(place + "/metrics.db-wal", "a log of the former");
        write_file(previous + "/programs/db/metrics.db", "former metrics");
        for (int again = 0; again < 2; ++again) {  // a crash has it called once more
            CPPUNIT_ASSERT_EQUAL(std::string("metrics.db, audit.db (laid beside)"),
                                 adopt(folder_.path(), previous));
        }
        CPPUNIT_ASSERT(!std::filesystem::exists(place + "/metrics.db-wal"));
        int beside = 0;
        for (const auto& entry : std::filesystem::directory_iterator(place)) {
            const std::string name = entry.path().filename();
            if (!name.starts_with("audit.restored-")) continue;
            ++beside;
            CPPUNIT_ASSERT_EQUAL(std::string("restored audit"), read_file(entry.path()));
        }
        CPPUNIT_ASSERT_EQUAL(1, beside);
        const auto store = audit_store();
        record(*store, 0);
        CPPUNIT_ASSERT_EQUAL(std::string("2"), judged(*store));
    }

    void many_errors_at_once_are_one() {
        const auto database = errors_database();
        ErrorStore store(*database, [] {});
        ErrorEntry entry;
        entry.message = "answered 503";
        entry.count = 100'000;
        entry.time_ms = kNow * 1000;
        const std::string id = store.record(entry);
        const std::string told = store.find(id, true).value();
        CPPUNIT_ASSERT_MESSAGE(told, told.find(R"("occurrences":100000)") != std::string::npos);
        CPPUNIT_ASSERT_EQUAL(std::uint64_t{100}, store.seen_since(0));
        for (int i = 0; i < 6000; ++i) store.queue(entry);
        CPPUNIT_ASSERT_EQUAL(std::uint64_t{1000}, store.lost());
    }

    void old_errors_go() {
        const auto database = errors_database();
        ErrorStore store(*database, [] {});
        ErrorEntry entry;
        entry.message = "old";
        entry.time_ms = (kNow - 1000) * 1000;
        const std::string old = store.record(entry);
        entry.message = "new";
        store.record(entry);
        entry.time_ms = kNow * 1000;
        const std::string fresh = store.record(entry);
        std::uint64_t removed = 0;
        for (std::uint64_t some = 1; some > 0; removed += some) {
            some = store.remove_before((kNow - 500) * 1000);
        }
        CPPUNIT_ASSERT_EQUAL(std::uint64_t{3}, removed);  // two times and one error
        CPPUNIT_ASSERT(!store.find(old, false));
        CPPUNIT_ASSERT(store.find(fresh, false));
    }

    // ---- logs

    void files_are_numbered() {
        const std::string path = folder_ / "x.log";
        for (const char* text : {"one", "two", "three", "four"}) {
            write_file(path, text);
            CPPUNIT_ASSERT_EQUAL(0, storage::rotate_file(path, 2));
            CPPUNIT_ASSERT(!std::filesystem::exists(path));
        }
        CPPUNIT_ASSERT_EQUAL(std::string("four"), read_file(path + ".1"));
        CPPUNIT_ASSERT_EQUAL(std::string("three"), read_file(path + ".2"));
        CPPUNIT_ASSERT(!std::filesystem::exists(path + ".3"));
        write_file(path, "gone");
        CPPUNIT_ASSERT_EQUAL(0, storage::rotate_file(path, 0));
        CPPUNIT_ASSERT(!std::filesystem::exists(path));
        CPPUNIT_ASSERT_EQUAL(ENOTDIR, storage::rotate_file(path + ".1/x", 2));
    }

    void the_daemons_log_is_numbered() {
        observe::LogOptions options;
        options.folder = folder_ / "logs";
        options.rotation = {4096, 3};
        observe::LogWriter log(options);
        constexpr int kLines = 300;
        for (int i = 0; i < kLines; ++i) {
            log.write(Level::info, "test", fmt::format("line {} {}", i, std::string(30, 'x')));
        }
        std::size_t lines = 0;
        std::string all;
        for (const char* name : {"app.log.3", "app.log.2", "app.log.1", "app.log"}) {
            const std::string text = read_file(options.folder + "/" + name);
            CPPUNIT_ASSERT(text.size() < 4096 + 100 && text.ends_with('\n'));
            all += text;
        }
        for (const char c : all) lines += c == '\n' ? 1 : 0;
        // The latest, without a gap.
        CPPUNIT_ASSERT(all.find(fmt::format("line {} ", kLines - 1)) != std::string::npos);
        CPPUNIT_ASSERT(all.find(fmt::format("line {} ", kLines - lines)) != std::string::npos);
        CPPUNIT_ASSERT(!std::filesystem::exists(options.folder + "/app.log.4"));
        CPPUNIT_ASSERT_EQUAL(std::uint64_t{0}, log.lost());
    }

    // ---- the machine

    void the_machine_is_read() {
        const std::string proc = folder_ / "proc", block = folder_ / "block";
        write_file(proc + "/meminfo", "MemTotal: 4096 kB\nMemFree: 1 kB\nMemAvailable: 1024 kB\n");
        write_file(proc + "/stat", "cpu  100 0 100 700 100 0 0 0 0 0\n");
        write_file(
            proc + "/diskstats",
            "   8 0 sda 1 2 1000 4 5 6 2000 8 9 10 11\n   8 1 sda1 1 2 1000 4 5 6 2000 8 9\n");
        write_file(block + "/sda/device/x", "");
        SystemSampler sampler(folder_.path(), proc, block);
        const SystemSample first = sampler.take();
        CPPUNIT_ASSERT_DOUBLES_EQUAL(20, first.cpu_percent, 0.01);
        CPPUNIT_ASSERT_DOUBLES_EQUAL(75, first.memory_percent, 0.01);
        CPPUNIT_ASSERT_DOUBLES_EQUAL(3, first.memory_mb, 0.01);
        CPPUNIT_ASSERT(first.disk_percent > 0 && first.disk_percent <= 100);
        CPPUNIT_ASSERT_EQUAL(0.0, first.disk_read_bytes);
        write_file(proc + "/stat", "cpu  150 0 150 700 100 0 0 0 0 0\n");
        write_file(
            proc + "/diskstats",
            "   8 0 sda 1 2 1010 4 5 6 2000 8 9 10 11\n   8 1 sda1 1 2 1010 4 5 6 2000 8 9\n");
        const SystemSample second = sampler.take();
        CPPUNIT_ASSERT_DOUBLES_EQUAL(100, second.cpu_percent, 0.01);
        CPPUNIT_ASSERT_EQUAL(5120.0, second.disk_read_bytes);
        CPPUNIT_ASSERT_EQUAL(0.0, second.disk_write_bytes);
    }

private:
    static constexpr std::int64_t kDay = 86'400'000;

    std::unique_ptr<Database> metrics_database() const {
        auto database = std::make_unique<Database>(
            folder_ / "metrics.db", storage::sqlite::Options{}, std::vector<std::string>{});
        storage::sqlite::migrate(*database, kOwner, metrics_migrations());
        return database;
    }
    std::unique_ptr<Database> errors_database() const {
        auto database = std::make_unique<Database>(
            folder_ / "errors.db", storage::sqlite::Options{}, std::vector<std::string>{});
        storage::sqlite::migrate(*database, kOwner, errors_migrations());
        return database;
    }
    std::unique_ptr<AuditStore> audit_store() {
        return std::make_unique<AuditStore>(
            AuditOptions{folder_ / "programs/db", folder_ / "logs/audit.log"}, log_);
    }
    static void record(AuditStore& store, std::int64_t days_ago) {
        AuditRow row;
        row.time = storage::sql_time(unix_now_ms() - days_ago * kDay);
        row.action = "act";
        store.record(row, false);
    }
    static std::string judged(const AuditStore& store) {
        const auto verdict = store.verify();
        std::string text = std::to_string(verdict.checked);
        for (const AuditFault& fault : verdict.faults) {
            text += fmt::format(" {} {}", kind_word(fault.kind), fault.seq);
        }
        return text;
    }

    TemporaryFolder folder_;
    KeptLog log_;
};

LARDER_TEST_SUITE(MetricsStoresTest);

}  // namespace
