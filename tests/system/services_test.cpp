// Jobs, events, alerts, audit and usage through a real larderd, with a plugin that uses them all.
#include <fmt/format.h>

#include <filesystem>
#include <memory>
#include <string>

#include "support/command.hpp"
#include "support/daemon_process.hpp"
#include "support/eventually.hpp"
#include "support/json_view.hpp"
#include "support/raw_client.hpp"
#include "support/sinks.hpp"
#include "support/suite.hpp"
#include "support/test_plugin.hpp"

namespace larder::test {
namespace {

namespace fs = std::filesystem;

class ServicesTest : public CppUnit::TestFixture {
    CPPUNIT_TEST_SUITE(ServicesTest);
    CPPUNIT_TEST(lists_jobs);
    CPPUNIT_TEST(runs_a_job_when_asked);
    CPPUNIT_TEST(tells_of_a_job_that_fails);
    CPPUNIT_TEST(a_disable_cancels_a_job_and_withdraws_all);
    CPPUNIT_TEST(a_start_that_fails_leaves_nothing_behind);
    CPPUNIT_TEST(remembers_jobs_over_a_restart);
    CPPUNIT_TEST(tells_a_plugin_of_requests);
    CPPUNIT_TEST(shows_alerts);
    CPPUNIT_TEST(raises_an_alert_for_a_plugin_that_fails);
    CPPUNIT_TEST(stores_the_audit_and_heeds_its_refusal);
    CPPUNIT_TEST(audits_what_an_admin_does);
    CPPUNIT_TEST(hands_errors_to_who_stores_them);
    CPPUNIT_TEST(watches_the_disk);
    CPPUNIT_TEST(adds_up_what_is_stored);
    CPPUNIT_TEST(sends_alerts_out);
    CPPUNIT_TEST(looks_at_quotas);
    CPPUNIT_TEST(refuses_ways_out_that_lead_nowhere);
    CPPUNIT_TEST(cleans_up_what_it_is_told_to);
    CPPUNIT_TEST(refuses_to_clean_up_by_guess);
    CPPUNIT_TEST_SUITE_END();

public:
    void setUp() override {
        fs::create_directory(folder_ / "plugins");
        fs::copy_file(built_test_plugin("shelf"), folder_ / "plugins/shelf.so");
        start();
    }
    void tearDown() override { daemon_.reset(); }

    void lists_jobs() {
        const auto list = object_of(get("/api/scheduler/jobs").body);
        const auto tidy = find_item(list, {{"name", "shelf.tidy"}});
        CPPUNIT_ASSERT(!tidy.isNull());
        CPPUNIT_ASSERT_EQUAL(std::string("daily 02:00"), tidy->getValue<std::string>("schedule"));
        CPPUNIT_ASSERT(tidy->isNull("last_run") && tidy->isNull("outcome"));
        CPPUNIT_ASSERT_EQUAL(std::string("T02:00:00.000Z"),
                             tidy->getValue<std::string>("next_run").substr(10));
        CPPUNIT_ASSERT(!find_item(list, {{"name", "larderd.disk"}}).isNull());
        const auto first = object_of(get("/api/scheduler/jobs?limit=1").body);
        CPPUNIT_ASSERT_EQUAL(std::size_t{1}, first->getArray("items")->size());
        const auto second = object_of(
            get("/api/scheduler/jobs?cursor=" + first->getValue<std::string>("next")).body);
        CPPUNIT_ASSERT_EQUAL(list->getArray("items")->size() - 1,
                             second->getArray("items")->size());
        CPPUNIT_ASSERT_EQUAL(std::string("job-not-found"),
                             get("/api/scheduler/jobs/nobody.s").member("code"));
    }

    void runs_a_job_when_asked() {
        const Answer answer = post("/api/scheduler/jobs/shelf.tidy/run");
        CPPUNIT_ASSERT_EQUAL(202, answer.status);
        CPPUNIT_ASSERT(eventually([&] { return get("/api/shelf/tidied").body == "1"; }));
        CPPUNIT_ASSERT(ended("shelf.tidy", "succeeded"));
        const auto job = object_of(get("/api/scheduler/jobs/shelf.tidy").body);
        const auto run = job->getArray("history")->getObject(0);
        CPPUNIT_ASSERT_EQUAL(std::string("hand"), run->getValue<std::string>("trigger"));
        CPPUNIT_ASSERT(run->getValue<double>("duration") >= 0);
        CPPUNIT_ASSERT_EQUAL(404, post("/api/scheduler/jobs/shelf.none/run").status);
        post("/api/scheduler/jobs/shelf.patient/run");
        CPPUNIT_ASSERT(eventually([&] {
            return object_of(get("/api/scheduler/jobs/shelf.patient").body)
                ->getValue<bool>("running");
        }));
        const Answer busy = post("/api/scheduler/jobs/shelf.patient/run");
        CPPUNIT_ASSERT_EQUAL(409, busy.status);
        CPPUNIT_ASSERT_EQUAL(std::string("job-running"), busy.member("code"));
    }

    void tells_of_a_job_that_fails() {
        for (int i = 1; i <= 3; ++i) {
            CPPUNIT_ASSERT_EQUAL(202, post("/api/scheduler/jobs/shelf.broken/run").status);
            CPPUNIT_ASSERT(eventually([&] {
                const auto job = object_of(get("/api/scheduler/jobs/shelf.broken").body);
                return job->getValue<int>("failures") == i && !job->isNull("next_run");
            }));
        }
        CPPUNIT_ASSERT(ended("shelf.broken", "failed"));
        CPPUNIT_ASSERT(eventually([&] {
            const auto list = object_of(get("/api/alerts?state=raised").body);
            return !find_item(list, {{"key", "job-failed:shelf.broken"}, {"severity", "error"}})
                        .isNull();
        }));
        CPPUNIT_ASSERT(daemon_->wait_for_log("job shelf.broken failed: no shelf"));
        const std::string page = get("/metrics").body;
        CPPUNIT_ASSERT(page.find("larder_job_runs_total{job=\"shelf.broken\",outcome=\"failed\"} "
                                 "3") != std::string::npos);
    }

    void a_disable_cancels_a_job_and_withdraws_all() {
        post("/api/scheduler/jobs/shelf.patient/run");
        CPPUNIT_ASSERT_EQUAL(200, post("/api/shelf/alert?text=thick").status);
        const Answer off = post("/api/plugins/shelf/disable");
        CPPUNIT_ASSERT_EQUAL(200, off.status);
        CPPUNIT_ASSERT(!has_jobs_of_the_shelf());
        const auto list = object_of(get("/api/alerts?state=raised").body);
        CPPUNIT_ASSERT_EQUAL(std::size_t{0}, list->getArray("items")->size());
        CPPUNIT_ASSERT_EQUAL(200, post("/api/plugins/shelf/enable").status);
        CPPUNIT_ASSERT(has_jobs_of_the_shelf());
        CPPUNIT_ASSERT(ended("shelf.patient", "cancelled"));
    }

    void a_start_that_fails_leaves_nothing_behind() {
        start({{"LARDER_SHELF_FAIL", "true"}});
        CPPUNIT_ASSERT(!has_jobs_of_the_shelf());
        CPPUNIT_ASSERT_EQUAL(503, get("/api/shelf/tidied").status);
        CPPUNIT_ASSERT_EQUAL(0, daemon_->stop());
    }

    void remembers_jobs_over_a_restart() {
        post("/api/scheduler/jobs/shelf.tidy/run");
        CPPUNIT_ASSERT(ended("shelf.tidy", "succeeded"));
        const auto before = object_of(get("/api/scheduler/jobs/shelf.tidy").body);
        CPPUNIT_ASSERT_EQUAL(0, daemon_->stop());
        CPPUNIT_ASSERT(fs::exists(folder_ / "data/jobs.json"));
        start();
        const auto after = object_of(get("/api/scheduler/jobs/shelf.tidy").body);
        for (const char* member : {"last_run", "outcome", "next_run"}) {
            CPPUNIT_ASSERT_EQUAL(before->getValue<std::string>(member),
                                 after->getValue<std::string>(member));
        }
    }

    void tells_a_plugin_of_requests() {
        client().request("PUT", "/api/kv/storage/a", "X-Request-Id: known-1\r\n", "1");
        client().request("GET", "/nowhere/at/all", "X-Request-Id: known-2\r\n");
        CPPUNIT_ASSERT(eventually([&] {
            const std::string seen = get("/api/shelf/seen?what=requests").body;
            return seen.find("kv PUT /api/kv/{bucket}/{key} 201 known-1\n") != std::string::npos &&
                   seen.find("larderd GET  404 known-2\n") != std::string::npos;
        }));
        CPPUNIT_ASSERT_EQUAL(200, post("/api/plugins/kv/disable").status);
        CPPUNIT_ASSERT(eventually([&] {
            const std::string seen = get("/api/shelf/seen?what=plugins").body;
            return seen.find("kv draining\nkv stopped\nkv disabled\n") != std::string::npos;
        }));
        const std::string page = get("/metrics").body;
        CPPUNIT_ASSERT(page.find("larder_events_dropped_total{subscriber=\"shelf\"} 0") !=
                       std::string::npos);
    }

    void shows_alerts() {
        post("/api/shelf/alert?text=thin");
        post("/api/shelf/alert?text=thick");
        const auto raised = object_of(get("/api/alerts").body);
        const auto alert = find_item(raised, {{"key", "dust"}, {"source", "shelf"}});
        CPPUNIT_ASSERT_EQUAL(std::string("thick"), alert->getValue<std::string>("text"));
        CPPUNIT_ASSERT_EQUAL(std::string("raised"), alert->getValue<std::string>("state"));
        CPPUNIT_ASSERT_EQUAL(2, alert->getValue<int>("count"));
        CPPUNIT_ASSERT(alert->isNull("resolved_at"));
        client().request("DELETE", "/api/shelf/alert");
        const auto over = object_of(get("/api/alerts?state=resolved").body);
        CPPUNIT_ASSERT(!find_item(over, {{"key", "dust"}, {"state", "resolved"}}).isNull());
        CPPUNIT_ASSERT_EQUAL(400, get("/api/alerts?state=other").status);
        CPPUNIT_ASSERT(eventually([&] {
            return get("/api/shelf/seen?what=alerts")
                       .body.find("shelf dust raised\nshelf dust resolved\n") != std::string::npos;
        }));
    }

    void raises_an_alert_for_a_plugin_that_fails() {
        start({{"LARDER_SHELF_FAIL", "true"}});
        const auto list = object_of(get("/api/alerts?state=raised").body);
        CPPUNIT_ASSERT(!find_item(list, {{"key", "plugin:shelf"}, {"source", "larderd"}}).isNull());
        start();
        const auto none = object_of(get("/api/alerts?state=raised").body);
        CPPUNIT_ASSERT_EQUAL(std::size_t{0}, none->getArray("items")->size());
    }

    void stores_the_audit_and_heeds_its_refusal() {
        post("/api/scheduler/jobs/shelf.tidy/run");
        CPPUNIT_ASSERT_EQUAL(std::string("job.run shelf.tidy\n"),
                             get("/api/shelf/seen?what=audit").body);
        CPPUNIT_ASSERT(ended("shelf.tidy", "succeeded"));
        post("/api/shelf/refuse");
        const Answer refused = post("/api/scheduler/jobs/shelf.tidy/run");
        CPPUNIT_ASSERT_EQUAL(503, refused.status);
        CPPUNIT_ASSERT_EQUAL(std::string("audit-refused"), refused.member("code"));
        CPPUNIT_ASSERT_EQUAL(std::string("1"), get("/api/shelf/tidied").body);
    }

    void audits_what_an_admin_does() {
        for (const char* action : {"disable", "enable", "reload", "reset"}) {
            post(fmt::format("/api/plugins/kv/{}", action));
        }
        post("/api/plugins/nobody/enable");
        post("/api/reload");
        CPPUNIT_ASSERT_EQUAL(std::string("plugin.disable kv\nplugin.enable kv\nplugin.reload kv\n"
                                         "plugin.reset kv\nconfig.reload \n"),
                             get("/api/shelf/seen?what=audit").body);
        post("/api/shelf/refuse");
        const Answer refused = post("/api/plugins/kv/disable");
        CPPUNIT_ASSERT_EQUAL(503, refused.status);
        CPPUNIT_ASSERT_EQUAL(std::string("audit-refused"), refused.member("code"));
        CPPUNIT_ASSERT_EQUAL(std::string("audit-refused"), post("/api/reload").member("code"));
        CPPUNIT_ASSERT_EQUAL(404, get("/api/kv/storage/none").status);  // it runs on
    }

    void hands_errors_to_who_stores_them() {
        CPPUNIT_ASSERT_EQUAL(500, post("/api/shelf/break").status);
        post("/api/scheduler/jobs/shelf.broken/run");
        CPPUNIT_ASSERT(ended("shelf.broken", "failed"));
        CPPUNIT_ASSERT_EQUAL(std::string("shelf http /api/shelf/break dropped\n"
                                         "shelf job  job shelf.broken failed: no shelf\n"),
                             get("/api/shelf/seen?what=errors").body);
    }

    void watches_the_disk() {
        start({{"LARDER_ALERTS_DISK_PERCENT", "1"}});
        post("/api/scheduler/jobs/larderd.disk/run");
        CPPUNIT_ASSERT(eventually([&] {
            return !find_item(object_of(get("/api/alerts").body), {{"key", "disk"}}).isNull();
        }));
    }

    void adds_up_what_is_stored() {
        client().request("PUT", "/api/kv/storage/a", "", "\"" + std::string(5000, 'x') + "\"");
        const auto usage = object_of(get("/api/storage/usage").body);
        const auto kv = usage->getObject("data_store");
        CPPUNIT_ASSERT_EQUAL(1, kv->getValue<int>("count"));
        CPPUNIT_ASSERT(kv->getValue<int>("size") > 5000);
        const auto shelf = usage->getObject("shelf_store");
        CPPUNIT_ASSERT_EQUAL(42, shelf->getValue<int>("size"));
        CPPUNIT_ASSERT_EQUAL(12.5, shelf->getValue<double>("quota_used"));
        CPPUNIT_ASSERT(usage->getValue<int>("total") > kv->getValue<int>("size"));
        CPPUNIT_ASSERT(usage->getObject("file_system")->getValue<double>("available") > 0);
        post("/api/plugins/shelf/disable");
        CPPUNIT_ASSERT(!object_of(get("/api/storage/usage").body)->has("shelf_store"));
    }

    void sends_alerts_out() {
        const WebSink web({503, 204});
        const MailSink mail;
        start({{"LARDER_ALERTS_WEBHOOK_URL", web.url()},
               {"LARDER_ALERTS_WEBHOOK_SECRET", "a secret"},
               {"LARDER_ALERTS_SMTP_URL", mail.url()},
               {"LARDER_ALERTS_MAIL_TO", "ann@example.org, bob@example.org"}});
        post("/api/shelf/alert?text=thick");
        post("/api/shelf/alert?text=thicker");  // it stands already
        client().request("DELETE", "/api/shelf/alert");
        // Refused once, then both in order.
        CPPUNIT_ASSERT(eventually([&] { return web.got().size() == 3; }));
        CPPUNIT_ASSERT(eventually([&] { return mail.got().size() == 2; }));
        const auto got = web.got();
        CPPUNIT_ASSERT(got[0].find(R"("event":"raised","key":"dust","source":"shelf")") !=
                       std::string::npos);
        CPPUNIT_ASSERT(got[0].find("Larder-Signature: t=") != std::string::npos);
        CPPUNIT_ASSERT_EQUAL(got[0].substr(got[0].find("\r\n\r\n")),
                             got[1].substr(got[1].find("\r\n\r\n")));
        CPPUNIT_ASSERT(got[2].find(R"("event":"resolved","key":"dust")") != std::string::npos);
        CPPUNIT_ASSERT(mail.got()[0].find("RCPT TO: <bob@example.org>") != std::string::npos);
        const std::string shown = get("/api/config").body;
        CPPUNIT_ASSERT(shown.find("a secret") == std::string::npos);
        CPPUNIT_ASSERT_EQUAL(0, daemon_->stop());
        CPPUNIT_ASSERT(daemon_->log().find("a secret") == std::string::npos);
    }

    // The test's plugin says that 12.5 % are used.
    void looks_at_quotas() {
        start({{"LARDER_ALERTS_QUOTA_PERCENT", "12"}});
        CPPUNIT_ASSERT_EQUAL(202, post("/api/scheduler/jobs/larderd.storage/run").status);
        CPPUNIT_ASSERT(eventually([&] {
            return find_item(object_of(get("/api/alerts?state=raised").body),
                             {{"key", "quota:shelf_store"}, {"severity", "warning"}}) != nullptr;
        }));
    }

    void refuses_ways_out_that_lead_nowhere() {
        for (const auto& [variable, value] : std::vector<std::pair<std::string, std::string>>{
                 {"LARDER_ALERTS_WEBHOOK_URL", "gopher://a"},
                 {"LARDER_ALERTS_SMTP_URL", "smtp://ann:password@a"},
                 {"LARDER_ALERTS_SMTP_URL", "smtp://a"}}) {
            const Ran ran =
                run({DaemonProcess::binary(), "--check-config", "--data-dir", folder_ / "data"},
                    {{variable, value}});
            CPPUNIT_ASSERT_EQUAL_MESSAGE(value, 78, ran.exit);
            CPPUNIT_ASSERT_MESSAGE(ran.err, ran.err.find("alerts.") != std::string::npos);
            CPPUNIT_ASSERT_MESSAGE(ran.err, ran.err.find("password@") == std::string::npos);
        }
    }

    void cleans_up_what_it_is_told_to() {
        const auto clean = [&](const std::string& wish) {
            return object_of(client().request("POST", "/api/storage/cleanup", "", wish).body);
        };
        const auto would = clean(R"({"older_than_days":30,"dry_run":true})");
        CPPUNIT_ASSERT(would->getValue<bool>("dry_run"));
        CPPUNIT_ASSERT_EQUAL(2, would->getValue<int>("count"));
        CPPUNIT_ASSERT_EQUAL(37, would->getValue<int>("bytes_freed"));
        CPPUNIT_ASSERT_EQUAL(
            std::string("dust.txt"),
            would->getArray("removed")->getObject(0)->getValue<std::string>("name"));
        CPPUNIT_ASSERT_EQUAL(0, clean(R"({"keep_backups":3})")->getValue<int>("count"));
        const auto did = clean(R"({"older_than_days":0})");
        CPPUNIT_ASSERT_EQUAL(2, did->getValue<int>("count"));
        const auto failed = did->getArray("failed")->getObject(0);
        CPPUNIT_ASSERT_EQUAL(std::string("shelf"), failed->getValue<std::string>("plugin"));
        CPPUNIT_ASSERT_EQUAL(std::string("no-broom"), failed->getValue<std::string>("code"));
        CPPUNIT_ASSERT_EQUAL(0, clean(R"({"older_than_days":30})")->getValue<int>("count"));
        const auto audit = get("/api/shelf/seen?what=audit").body;
        CPPUNIT_ASSERT_MESSAGE(audit, audit.find("storage.cleanup") != std::string::npos);
    }

    void refuses_to_clean_up_by_guess() {
        const auto code = [&](const std::string& wish) {
            const Answer answer = client().request("POST", "/api/storage/cleanup", "", wish);
            return std::to_string(answer.status) + " " + answer.member("code") + " " +
                   answer.member("pointer");
        };
        CPPUNIT_ASSERT_EQUAL(std::string("400 invalid-json "), code(""));
        CPPUNIT_ASSERT_EQUAL(std::string("422 invalid-field "), code("[]"));
        CPPUNIT_ASSERT_EQUAL(std::string("422 invalid-field /older_than_days"),
                             code(R"({"older_than_days":-1})"));
        CPPUNIT_ASSERT_EQUAL(std::string("422 invalid-field /keep_backups"),
                             code(R"({"keep_backups":0})"));
        CPPUNIT_ASSERT_EQUAL(std::string("422 invalid-field /older"), code(R"({"older":1})"));
        CPPUNIT_ASSERT_EQUAL(std::string("400 invalid-json "), code(R"({"dry_run":tru})"));
        post("/api/shelf/refuse");
        CPPUNIT_ASSERT_EQUAL(std::string("503 audit-refused "), code(R"({"older_than_days":9})"));
    }

private:
    void start(std::vector<std::pair<std::string, std::string>> environment = {}) {
        daemon_.reset();
        DaemonOptions options;
        options.data_directory = folder_ / "data";
        options.environment = std::move(environment);
        options.environment.emplace_back("LARDER_DAEMON_PLUGIN_DIRS", folder_ / "plugins");
        options.environment.emplace_back("LARDER_DAEMON_TIME_ZONE", "utc");
        options.environment.emplace_back("LARDER_SHELF_ENABLED", "true");
        // It stores what the shelf is to store here.
        options.environment.emplace_back("LARDER_METRICS_ENABLED", "false");
        // It raises an alert where the machine grants programs no sandbox.
        options.environment.emplace_back("LARDER_PROGRAMS_ENABLED", "false");
        daemon_ = std::make_unique<DaemonProcess>(options);
    }
    RawClient client() const { return RawClient(daemon_->port()); }
    Answer get(const std::string& target) const { return client().request("GET", target); }
    Answer post(const std::string& target) const { return client().request("POST", target); }
    bool ended(const std::string& job, const std::string& outcome) const {
        return eventually([&] {
            const auto shown = object_of(get("/api/scheduler/jobs/" + job).body);
            return !shown->isNull("outcome") && !shown->isNull("next_run") &&
                   shown->getValue<std::string>("outcome") == outcome;
        });
    }
    bool has_jobs_of_the_shelf() const {
        return !find_item(object_of(get("/api/scheduler/jobs").body), {{"plugin", "shelf"}})
                    .isNull();
    }

    TemporaryFolder folder_;
    std::unique_ptr<DaemonProcess> daemon_;
};

LARDER_TEST_SUITE(ServicesTest);

}  // namespace
}  // namespace larder::test
