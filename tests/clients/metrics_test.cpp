// The metrics routes as a client sees them: requests counted exactly, records in and out, the
// machine, the dashboard, and what is left after a stop and after a kill. Errors and audit:
// errors_test.cpp, audit_test.cpp.
//
// Contents: requests · records · the machine and the first page · upkeep · what is kept
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <thread>
#include <vector>

#include "support/command.hpp"
#include "support/daemon_fixture.hpp"
#include "support/json_view.hpp"

namespace larder::test {
namespace {

constexpr const char* kHealth = "/api/metrics/http?endpoint=/healthz";

class MetricsTest : public DaemonFixture {
    CPPUNIT_TEST_SUITE(MetricsTest);
    CPPUNIT_TEST(counts_are_exact);
    CPPUNIT_TEST(endpoints_are_templates);
    CPPUNIT_TEST(errors_of_requests_are_counted);
    CPPUNIT_TEST(many_failures_raise_an_alert);
    CPPUNIT_TEST(lists_endpoints_in_pages);
    CPPUNIT_TEST(tells_requests_over_time);
    CPPUNIT_TEST(refuses_bad_parameters);
    CPPUNIT_TEST(takes_records);
    CPPUNIT_TEST(picks_records_by_tag);
    CPPUNIT_TEST(records_have_times_of_their_own);
    CPPUNIT_TEST(lists_names);
    CPPUNIT_TEST(refuses_bad_records);
    CPPUNIT_TEST(too_many_series_overflow);
    CPPUNIT_TEST(tells_what_the_machine_does);
    CPPUNIT_TEST(fills_the_first_page);
    CPPUNIT_TEST(keeps_its_size);
    CPPUNIT_TEST(removes_what_is_old);
    CPPUNIT_TEST(makes_room_when_an_admin_asks);
    CPPUNIT_TEST(keeps_counts_over_a_stop);
    CPPUNIT_TEST(loses_little_to_a_kill);
    CPPUNIT_TEST(goes_on_after_being_off);
    CPPUNIT_TEST(old_clients_read_the_tables);
    CPPUNIT_TEST(takes_an_old_database_over);
    CPPUNIT_TEST_SUITE_END();

public:
    // ---- requests

    void counts_are_exact() {
        constexpr int kConnections = 8, kRounds = 250, kAtOnce = 100;
        std::vector<std::thread> clients;
        for (int c = 0; c < kConnections; ++c) {
            clients.emplace_back([this] {
                std::string block;
                for (int i = 0; i < kAtOnce; ++i) {
                    block += "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n";
                }
                RawClient client(daemon_->port());
                for (int round = 0; round < kRounds; ++round) {
                    client.send(block);
                    std::size_t answers = 0;
                    std::string rest;
                    while (answers < kAtOnce) {
                        rest += client.read_some();
                        for (std::size_t at = 0; (at = rest.find("\"ok\"}", 0)) != rest.npos;) {
                            ++answers;
                            rest.erase(0, at + 5);
                        }
                    }
                }
            });
        }
        for (auto& client : clients) client.join();
        const auto told = get(kHealth);
        CPPUNIT_ASSERT_EQUAL(std::int64_t{kConnections * kRounds * kAtOnce},
                             told->getValue<std::int64_t>("request_count"));
        CPPUNIT_ASSERT_EQUAL(std::int64_t{0}, told->getValue<std::int64_t>("error_count"));
        CPPUNIT_ASSERT_EQUAL(15 * told->getValue<std::int64_t>("request_count"),
                             told->getValue<std::int64_t>("bytes_out"));
        const auto value = [&](const char* name) { return told->getValue<double>(name); };
        CPPUNIT_ASSERT(0 < value("min_duration") && value("min_duration") <= value("p50"));
        CPPUNIT_ASSERT(value("p50") <= value("p95") && value("p95") <= value("p99"));
        CPPUNIT_ASSERT(value("p99") <= value("max_duration"));
        CPPUNIT_ASSERT(value("avg_duration") <= value("max_duration"));
        // Whole ones are sampled; together they stand for all but the last few.
        const std::string sum = column(
            "SELECT sum(weight) FROM http_requests "
            "WHERE endpoint = '/healthz'");
        CPPUNIT_ASSERT(std::stoll(sum) <= 200'000);
        CPPUNIT_ASSERT(std::stoll(column("SELECT count(*) FROM http_requests")) <= 60'000);
    }

    void endpoints_are_templates() {
        send("PUT", "/api/kv/storage/a%2Fb", {}, "1");
        send("GET", "/api/kv/storage/a/b");
        send("GET", "/nowhere");
        const auto kv = get("/api/metrics/http?endpoint=/api/kv/%7Bbucket%7D/%7Bkey%7D");
        CPPUNIT_ASSERT_EQUAL(2, kv->getValue<int>("request_count"));
        CPPUNIT_ASSERT_EQUAL(1, kv->getValue<int>("bytes_in"));
        const auto put =
            get("/api/metrics/http?endpoint=/api/kv/%7Bbucket%7D/%7Bkey%7D&method=PUT");
        CPPUNIT_ASSERT_EQUAL(1, put->getValue<int>("request_count"));
        const auto none = get("/api/metrics/http?endpoint=/api/kv/storage/a");
        CPPUNIT_ASSERT_EQUAL(0, none->getValue<int>("request_count"));
        CPPUNIT_ASSERT(none->isNull("avg_duration") && none->isNull("p95"));
        CPPUNIT_ASSERT_EQUAL(
            1, get("/api/metrics/http?endpoint=(no%20route)")->getValue<int>("request_count"));
    }

    void errors_of_requests_are_counted() {
        send("POST", "/api/plugins/kv/disable");
        for (int i = 0; i < 3; ++i) {
            CPPUNIT_ASSERT_EQUAL(503, send("GET", "/api/kv/storage/a").status);
        }
        const auto told = get("/api/metrics/http?endpoint=(no%20route)");
        CPPUNIT_ASSERT_EQUAL(3, told->getValue<int>("error_count"));
        CPPUNIT_ASSERT(eventually([&] {
            const auto error = find_item(get("/api/errors?category=http"),
                                         {{"message", "answered 503 where no route was reached"}});
            return !error.isNull() && error->getValue<int>("occurrences") == 3;
        }));
    }

    void many_failures_raise_an_alert() {
        const auto raised = [&] {
            return !find_item(get("/api/alerts?state=raised"), {{"key", "error-rate"}}).isNull();
        };
        send("POST", "/api/plugins/kv/disable");
        for (int i = 0; i < 19; ++i) send("GET", "/api/kv/storage/a");
        get(kHealth);
        CPPUNIT_ASSERT(!raised());
        send("GET", "/api/kv/storage/a");
        get(kHealth);
        CPPUNIT_ASSERT(raised());
        for (int i = 0; i < 500; ++i) send("GET", "/healthz");
        get(kHealth);
        CPPUNIT_ASSERT(!raised());
    }

    void lists_endpoints_in_pages() {
        send("GET", "/healthz");
        send("GET", "/readyz");
        send("GET", "/api/status");
        send("GET", "/api/metrics/http");
        std::vector<std::string> names;
        std::string target = "/api/metrics/http?limit=2";
        for (std::string cursor; names.size() < 20;) {
            const auto page = get(target + cursor);
            const auto items = page->getArray("items");
            CPPUNIT_ASSERT(items->size() <= 2);
            for (unsigned i = 0; i < items->size(); ++i) {
                names.push_back(items->getObject(i)->getValue<std::string>("endpoint"));
                CPPUNIT_ASSERT(items->getObject(i)->getValue<int>("request_count") > 0);
            }
            if (page->isNull("next")) break;
            cursor = "&cursor=" + page->getValue<std::string>("next");
        }
        CPPUNIT_ASSERT(std::is_sorted(names.begin(), names.end()));
        for (const char* name : {"/healthz", "/readyz", "/api/status", "/api/metrics/http"}) {
            CPPUNIT_ASSERT_MESSAGE(name, std::count(names.begin(), names.end(), name) == 1);
        }
        CPPUNIT_ASSERT_EQUAL(std::string("400 invalid-cursor"),
                             outcome("GET", "/api/metrics/http?cursor=x"));
    }

    void tells_requests_over_time() {
        for (int i = 0; i < 5; ++i) send("GET", "/healthz");
        const auto told = get("/api/metrics/http/series?endpoint=/healthz&hours=1&step=60");
        std::int64_t sum = 0;
        const auto points = told->getArray("points");
        for (unsigned i = 0; i < points->size(); ++i) {
            const auto point = points->getObject(i);
            sum += point->getValue<std::int64_t>("request_count");
            CPPUNIT_ASSERT(point->getValue<std::string>("time").ends_with(":00.000Z"));
            CPPUNIT_ASSERT(point->has("p95") && point->has("bytes_out"));
        }
        CPPUNIT_ASSERT_EQUAL(std::int64_t{5}, sum);
    }

    void refuses_bad_parameters() {
        for (const char* target :
             {"/api/metrics/http?hours=0", "/api/metrics/http?hours=x",
              "/api/metrics/http?hours=-1", "/api/metrics/http?hours=nan",
              "/api/metrics/http?limit=0", "/api/metrics/http?nothing=1",
              "/api/metrics/http/series?step=0", "/api/metrics/http/series?hours=87000&step=1",
              "/api/metrics/system?step=x", "/api/metrics/performance?name=x&agg=median",
              "/api/metrics/performance?tag=1", "/api/errors?resolved=maybe",
              "/api/audit?since=yesterday"}) {
            CPPUNIT_ASSERT_EQUAL_MESSAGE(target, std::string("400 invalid-parameter"),
                                         outcome("GET", target));
        }
    }

    // ---- records

    void takes_records() {
        const Answer one = post(R"({"metric_name":"m","metric_value":2.5,"metric_unit":"ms"})");
        CPPUNIT_ASSERT_EQUAL(202, one.status);
        CPPUNIT_ASSERT_EQUAL(std::string(R"({"accepted":1})"), one.body);
        std::string many = "[";
        for (int i = 1; i <= 1000; ++i) {
            many +=
                fmt::format(R"({}{{"metric_name":"n","metric_value":{}}})", i > 1 ? "," : "", i);
        }
        CPPUNIT_ASSERT_EQUAL(std::string(R"({"accepted":1000})"), post(many + "]").body);
        CPPUNIT_ASSERT_EQUAL(std::string(R"({"accepted":0})"), post("[]").body);
        CPPUNIT_ASSERT_EQUAL(2.5, value_of("name=m"));
        for (const auto& [aggregate, wanted] :
             std::vector<std::pair<std::string, double>>{{"avg", 500.5},
                                                         {"sum", 500500},
                                                         {"min", 1},
                                                         {"max", 1000},
                                                         {"count", 1000},
                                                         {"p95", 950}}) {
            CPPUNIT_ASSERT_EQUAL_MESSAGE(aggregate, wanted, value_of("name=n&agg=" + aggregate));
        }
    }

    void picks_records_by_tag() {
        post(R"([{"metric_name":"t","metric_value":1,"tags":{"host":"a","n":1}},
                 {"metric_name":"t","metric_value":2,"tags":{"n":2,"host":"b"}},
                 {"metric_name":"t","metric_value":4,"tags":{"host":"a b","ok":true}},
                 {"metric_name":"t","metric_value":8}])");
        for (const auto& [query, wanted] :
             std::vector<std::pair<std::string, double>>{{"", 15},
                                                         {"&tag.host=a", 1},
                                                         {"&tag.host=a+b", 4},
                                                         {"&tag.host=b&tag.n=2", 2},
                                                         {"&tag.ok=true", 4},
                                                         {"&tag.ho%73t=a", 1}}) {
            CPPUNIT_ASSERT_EQUAL_MESSAGE(query, wanted, value_of("name=t&agg=sum" + query));
        }
        CPPUNIT_ASSERT_EQUAL(std::size_t{0}, points_of("name=t&tag.host=c")->size());
        CPPUNIT_ASSERT_EQUAL(std::size_t{0}, points_of("name=t&tag.host=a&tag.n=2")->size());
    }

    void records_have_times_of_their_own() {
        post(R"([{"metric_name":"old","metric_value":1,"timestamp":"2020-01-01T00:00:00Z"},
                 {"metric_name":"old","metric_value":2}])");
        CPPUNIT_ASSERT_EQUAL(2.0, value_of("name=old&agg=sum"));
        const auto all = points_of("name=old&agg=sum&hours=87000&step=2000000");
        CPPUNIT_ASSERT_EQUAL(std::size_t{2}, all->size());
    }

    void lists_names() {
        post(R"([{"metric_name":"b","metric_value":1},{"metric_name":"a","metric_value":1},
                 {"metric_name":"ä/c","metric_value":1},{"metric_name":"a","metric_value":2}])");
        CPPUNIT_ASSERT_EQUAL(std::string(R"({"items":[{"name":"a"},{"name":"b"},{"name":"ä/c"}],)"
                                         R"("next":null})"),
                             send("GET", "/api/metrics/performance").body);
        const auto page = get("/api/metrics/performance?limit=2");
        const auto rest =
            get("/api/metrics/performance?limit=2&cursor=" + page->getValue<std::string>("next"));
        CPPUNIT_ASSERT_EQUAL(std::string("ä/c"),
                             rest->getArray("items")->getObject(0)->getValue<std::string>("name"));
    }

    void refuses_bad_records() {
        for (const auto& [body, pointer] : std::vector<std::pair<std::string, std::string>>{
                 {R"({"metric_value":1})", "/metric_name"},
                 {R"({"metric_name":"","metric_value":1})", "/metric_name"},
                 {R"({"metric_name":7,"metric_value":1})", "/metric_name"},
                 {R"({"metric_name":"a"})", "/metric_value"},
                 {R"({"metric_name":"a","metric_value":"1"})", "/metric_value"},
                 {R"({"metric_name":"a","metric_value":1e400})", "/metric_value"},
                 {R"({"metric_name":"a","metric_value":1,"x":1})", "/x"},
                 {R"([{"metric_name":"a","metric_value":1},{"metric_name":"a"}])",
                  "/1/metric_value"},
                 {R"({"metric_name":"a","metric_value":1,"tags":[]})", "/tags"},
                 {R"({"metric_name":"a","metric_value":1,"tags":{"a":{}}})", "/tags"},
                 {R"({"metric_name":"a","metric_value":1,"timestamp":"now"})", "/timestamp"},
                 {"7", ""}}) {
            const Answer answer = post(body);
            CPPUNIT_ASSERT_EQUAL_MESSAGE(body, 422, answer.status);
            CPPUNIT_ASSERT_EQUAL_MESSAGE(body, pointer, answer.member("pointer"));
        }
        CPPUNIT_ASSERT_EQUAL(400, post("{").status);
        // All or nothing.
        CPPUNIT_ASSERT_EQUAL(std::string(R"({"items":[],"next":null})"),
                             send("GET", "/api/metrics/performance").body);
    }

    void too_many_series_overflow() {
        environment_ = {{"LARDER_METRICS_MAX_SERIES", "3"}};
        restart();
        for (int i = 0; i < 10; ++i) {
            post(fmt::format(R"({{"metric_name":"s{}","metric_value":1,"tags":{{"a":1}}}})", i));
        }
        post(R"({"metric_name":"s1","metric_value":1,"tags":{"a":1}})");
        CPPUNIT_ASSERT_EQUAL(7.0, value_of("name=larder.overflow&agg=sum"));
        CPPUNIT_ASSERT_EQUAL(2.0, value_of("name=s1&agg=sum"));
        restart();  // and remembers which it knew
        post(R"([{"metric_name":"s2","metric_value":1,"tags":{"a":1}},
                 {"metric_name":"new","metric_value":1}])");
        CPPUNIT_ASSERT_EQUAL(8.0, value_of("name=larder.overflow&agg=sum"));
        CPPUNIT_ASSERT_EQUAL(2.0, value_of("name=s2&agg=sum"));
    }

    // ---- the machine and the first page

    void tells_what_the_machine_does() {
        Poco::JSON::Array::Ptr points;
        CPPUNIT_ASSERT(eventually([&] {
            points = get("/api/metrics/system?hours=1&step=10")->getArray("points");
            return points->size() > 0;
        }));
        const auto point = points->getObject(0);
        for (const char* name :
             {"cpu_percent", "memory_percent", "memory_mb", "disk_percent", "disk_mb",
              "disk_read_bytes", "disk_write_bytes", "active_connections"}) {
            CPPUNIT_ASSERT_MESSAGE(name, point->getValue<double>(name) >= 0);
        }
        CPPUNIT_ASSERT(point->getValue<double>("memory_mb") > 10);
        CPPUNIT_ASSERT(point->getValue<double>("memory_percent") < 100);
    }

    void fills_the_first_page() {
        send("PUT", "/api/kv/storage/a", {}, "1");
        send("POST", "/api/errors", {}, R"({"message":"oh"})");
        const auto page = get("/api/metrics/dashboard");
        for (const char* name : {"total_programs", "total_files", "uptime", "active_connections"}) {
            CPPUNIT_ASSERT_MESSAGE(name, page->getValue<double>(name) >= 0);
        }
        CPPUNIT_ASSERT(page->getObject("requests")->getValue<int>("request_count") >= 2);
        CPPUNIT_ASSERT_EQUAL(1, page->getObject("errors")->getValue<int>("unresolved"));
        CPPUNIT_ASSERT_EQUAL(1, page->getObject("errors")->getValue<int>("occurrences"));
        const auto storage = page->getObject("storage_used");
        CPPUNIT_ASSERT_EQUAL(1, storage->getObject("data_store")->getValue<int>("count"));
        CPPUNIT_ASSERT(storage->getObject("total")->getValue<double>("size") > 0);
        CPPUNIT_ASSERT(page->getArray("endpoints")->size() > 0);
    }

    // ---- upkeep

    void keeps_its_size() {
        environment_ = {{"LARDER_METRICS_MAX_SIZE", "1MiB"}};
        restart();
        std::string many = "[";
        for (int i = 0; i < 5000; ++i) {
            many += fmt::format(R"({}{{"metric_name":"{:0>60}","metric_value":{}}})",
                                i > 0 ? "," : "", i % 50, i);
        }
        many += "]";
        for (int i = 0; i < 8; ++i) CPPUNIT_ASSERT_EQUAL(202, post(many).status);
        CPPUNIT_ASSERT(eventually([&] {
            send("GET", "/api/metrics/performance");
            const std::string used = column(
                "SELECT (page_count - freelist_count) * page_size FROM "
                "pragma_page_count, pragma_freelist_count, pragma_page_size");
            const std::string rows = column("SELECT count(*) FROM performance_metrics");
            return std::stoll(used) <= (1 << 20) && std::stoll(rows) > 0;
        }));
        // What is left is the latest.
        CPPUNIT_ASSERT(std::stoll(column("SELECT min(id) FROM performance_metrics")) > 5000);
        CPPUNIT_ASSERT_EQUAL(200, send("POST", "/api/metrics/optimize").status);
        CPPUNIT_ASSERT(std::filesystem::file_size(database()) < (3U << 20U));
    }

    void removes_what_is_old() {
        post(R"([{"metric_name":"x","metric_value":1,"timestamp":"2020-01-01T00:00:00Z"},
                 {"metric_name":"x","metric_value":2}])");
        send("GET", "/healthz");
        get(kHealth);
        CPPUNIT_ASSERT_EQUAL(0, run({"sqlite3", database(),
                                     "UPDATE http_rollups SET start = start - 86400 * 365; "
                                     "INSERT INTO http_requests(timestamp, method, endpoint) "
                                     "VALUES('2020-01-01 00:00:00', 'GET', '/old')"})
                                    .exit);
        const auto told =
            object_of(send("POST", "/api/metrics/cleanup").body)->getObject("removed");
        CPPUNIT_ASSERT_EQUAL(1, told->getValue<int>("performance_metrics"));
        CPPUNIT_ASSERT_EQUAL(1, told->getValue<int>("http_requests"));
        CPPUNIT_ASSERT(told->getValue<int>("http_rollups") > 0);
        CPPUNIT_ASSERT_EQUAL(std::string("1"), column("SELECT count(*) FROM performance_metrics"));
        const auto would =
            object_of(send("POST", "/api/metrics/optimize", {}, R"({"dry_run":true})").body);
        CPPUNIT_ASSERT(would->getValue<bool>("dry_run"));
        CPPUNIT_ASSERT(find_item(get("/api/audit"), {{"action", "metrics.optimize"}}).isNull());
        CPPUNIT_ASSERT_EQUAL(422, send("POST", "/api/metrics/optimize", {}, R"({"dry":1})").status);
        // Both are in the audit.
        send("POST", "/api/metrics/optimize");
        CPPUNIT_ASSERT(!find_item(get("/api/audit"), {{"action", "metrics.optimize"}}).isNull());
        CPPUNIT_ASSERT(!find_item(get("/api/audit"), {{"action", "metrics.cleanup"}}).isNull());
    }

    void makes_room_when_an_admin_asks() {
        post(R"([{"metric_name":"x","metric_value":1,"timestamp":"2020-01-01T00:00:00Z"},
                 {"metric_name":"x","metric_value":2}])");
        get(kHealth);
        const auto clean = [&](const std::string& body) {
            const Answer answer = send("POST", "/api/storage/cleanup", {}, body);
            CPPUNIT_ASSERT_EQUAL_MESSAGE(answer.body, 200, answer.status);
            return object_of(answer.body);
        };
        const auto would = clean(R"({"metrics_older_than_days":90,"dry_run":true})");
        const auto item = would->getArray("removed")->getObject(0);
        CPPUNIT_ASSERT_EQUAL(std::string("metrics"), item->getValue<std::string>("kind"));
        CPPUNIT_ASSERT_EQUAL(std::string("1 rows of performance_metrics"),
                             item->getValue<std::string>("name"));
        CPPUNIT_ASSERT_EQUAL(std::string("2"), column("SELECT count(*) FROM performance_metrics"));
        CPPUNIT_ASSERT_EQUAL(1, clean(R"({"metrics_older_than_days":90})")->getValue<int>("count"));
        CPPUNIT_ASSERT_EQUAL(std::string("1"), column("SELECT count(*) FROM performance_metrics"));
        CPPUNIT_ASSERT_EQUAL(0, clean(R"({"metrics_older_than_days":90})")->getValue<int>("count"));
    }

    // ---- what is kept

    void keeps_counts_over_a_stop() {
        for (int i = 0; i < 7; ++i) send("GET", "/healthz");
        post(R"({"metric_name":"kept","metric_value":3})");
        restart();
        for (int i = 0; i < 4; ++i) send("GET", "/healthz");
        CPPUNIT_ASSERT_EQUAL(11, get(kHealth)->getValue<int>("request_count"));
        CPPUNIT_ASSERT_EQUAL(3.0, value_of("name=kept"));
    }

    void loses_little_to_a_kill() {
        environment_ = {{"LARDER_METRICS_FLUSH", "1s"}};
        restart();
        for (int i = 0; i < 50; ++i) send("GET", "/healthz");
        const char* const sum =
            "SELECT coalesce(sum(request_count), 0) FROM http_rollups JOIN http_series ON id = "
            "series "
            "WHERE endpoint = '/healthz'";
        CPPUNIT_ASSERT(eventually([&] { return column(sum) == "50"; }));  // nobody asked for it
        for (int i = 0; i < 5; ++i) send("GET", "/healthz");
        kill_and_start();
        const int told = get(kHealth)->getValue<int>("request_count");
        CPPUNIT_ASSERT(told >= 50 && told <= 55);
        CPPUNIT_ASSERT_EQUAL(std::string("ok"), column("PRAGMA integrity_check"));
    }

    void goes_on_after_being_off() {
        send("GET", "/healthz");
        CPPUNIT_ASSERT_EQUAL(200, send("POST", "/api/plugins/metrics/disable").status);
        CPPUNIT_ASSERT_EQUAL(std::string("503 plugin-disabled"), outcome("GET", kHealth));
        send("GET", "/healthz");  // of a time of which no history is kept
        CPPUNIT_ASSERT_EQUAL(200, send("POST", "/api/plugins/metrics/enable").status);
        send("GET", "/healthz");
        CPPUNIT_ASSERT_EQUAL(2, get(kHealth)->getValue<int>("request_count"));
        // Who turned it off was kept while it was.
        CPPUNIT_ASSERT(eventually([&] {
            return !find_item(get("/api/audit"), {{"action", "plugin.disable"}}).isNull();
        }));
    }

    void old_clients_read_the_tables() {
        for (int i = 0; i < 20; ++i) send("GET", "/healthz");
        get(kHealth);
        CPPUNIT_ASSERT_EQUAL(
            std::string("20|0"),
            column(
                "SELECT COUNT(*) as request_count, SUM(CASE WHEN status_code >= 500 THEN 1 ELSE 0 "
                "END) as error_count FROM http_requests WHERE endpoint = '/healthz' "
                "AND timestamp > datetime('now', '-' || 24 || ' hours')"));
        for (const char* index : {"idx_http_requests_timestamp", "idx_http_requests_endpoint",
                                  "idx_system_metrics_timestamp", "idx_performance_metrics_name"}) {
            CPPUNIT_ASSERT_EQUAL_MESSAGE(
                index, std::string("1"),
                column(fmt::format("SELECT count(*) FROM sqlite_schema WHERE type = 'index' "
                                   "AND name = '{}'",
                                   index)));
        }
    }

    void takes_an_old_database_over() {
        CPPUNIT_ASSERT_EQUAL(0, daemon_->stop());
        std::filesystem::remove(database());
        CPPUNIT_ASSERT_EQUAL(
            0, run({"sqlite3", database(),
                    "CREATE TABLE performance_metrics (id INTEGER PRIMARY KEY AUTOINCREMENT, "
                    "timestamp TIMESTAMP DEFAULT CURRENT_TIMESTAMP, metric_name TEXT NOT NULL, "
                    "metric_value REAL, metric_unit TEXT, tags TEXT);"
                    "INSERT INTO performance_metrics(metric_name, metric_value, tags) "
                    "VALUES('theirs', 5, '{\"a\": \"b\"}'), ('theirs', 6, 'no json')"})
                   .exit);
        start();
        CPPUNIT_ASSERT_EQUAL(11.0, value_of("name=theirs&agg=sum"));
        CPPUNIT_ASSERT_EQUAL(5.0, value_of("name=theirs&agg=sum&tag.a=b"));
    }

private:
    Poco::JSON::Object::Ptr get(const std::string& target) const {
        const Answer answer = send("GET", target);
        CPPUNIT_ASSERT_EQUAL_MESSAGE(target + answer.body, 200, answer.status);
        return object_of(answer.body);
    }
    Answer post(const std::string& records) const {
        return send("POST", "/api/metrics/performance", {}, records);
    }
    Poco::JSON::Array::Ptr points_of(const std::string& query) const {
        return get("/api/metrics/performance?" + query)->getArray("points");
    }
    // Of the one point; a step that all of it falls into.
    double value_of(const std::string& query) const {
        const auto points = points_of(query + "&step=31000000");
        CPPUNIT_ASSERT_EQUAL_MESSAGE(query, std::size_t{1}, points->size());
        return points->getObject(0)->getValue<double>("value");
    }
    std::string database() const { return folder_->path() + "/programs/db/metrics.db"; }
    // By the sqlite3 shell, while the daemon runs.
    std::string column(const std::string& sql) const {
        const Ran ran = run({"sqlite3", "-readonly", "-cmd", ".timeout 5000", database(), sql});
        CPPUNIT_ASSERT_EQUAL_MESSAGE(ran.err, 0, ran.exit);
        return ran.out.substr(0, ran.out.find('\n'));
    }
};

LARDER_TEST_SUITE(MetricsTest);

}  // namespace
}  // namespace larder::test
