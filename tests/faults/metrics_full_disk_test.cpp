// Metrics, errors and audit on a disk without space: what cannot be written waits or is refused as
// the settings say, health tells of it, and all of it mends by itself when there is room. Wants to
// mount; says SKIPPED where it may not.
#include <iostream>
#include <memory>
#include <string>

#include "support/daemon_process.hpp"
#include "support/json_view.hpp"
#include "support/raw_client.hpp"
#include "support/small_disk.hpp"
#include "support/suite.hpp"

namespace larder::test {
namespace {

class MetricsFullDiskTest : public CppUnit::TestFixture {
    CPPUNIT_TEST_SUITE(MetricsFullDiskTest);
    CPPUNIT_TEST(degrade_goes_on_and_records_later);
    CPPUNIT_TEST(block_refuses_what_cannot_be_recorded);
    CPPUNIT_TEST(counts_wait_for_room);
    CPPUNIT_TEST(starts_again_when_there_is_room);
    CPPUNIT_TEST_SUITE_END();

public:
    void degrade_goes_on_and_records_later() {
        if (!begin("degrade")) return;
        CPPUNIT_ASSERT_EQUAL(200, act());
        fill_up();
        CPPUNIT_ASSERT_EQUAL(200, act());
        CPPUNIT_ASSERT_EQUAL(200, act());
        const Answer ready = ask("GET", "/readyz");
        CPPUNIT_ASSERT_EQUAL(200, ready.status);
        CPPUNIT_ASSERT_MESSAGE(ready.body, says(ready, R"("state":"degraded")"));
        CPPUNIT_ASSERT_MESSAGE(ready.body, says(ready, "the audit cannot be written"));
        CPPUNIT_ASSERT_EQUAL(200, ask("GET", "/api/audit").status);
        disk_->clear();
        CPPUNIT_ASSERT(eventually([&] { return recorded() == 3; }));
        expect_sound();
        CPPUNIT_ASSERT_EQUAL(200, act());
        CPPUNIT_ASSERT_EQUAL(4, recorded());
    }

    void block_refuses_what_cannot_be_recorded() {
        if (!begin("block")) return;
        CPPUNIT_ASSERT_EQUAL(200, act());
        fill_up();
        const Answer refused = ask("POST", "/api/plugins/kv/disable");
        CPPUNIT_ASSERT_EQUAL_MESSAGE(refused.body, 503, refused.status);
        CPPUNIT_ASSERT_EQUAL(std::string("audit-refused"), refused.member("code"));
        CPPUNIT_ASSERT_EQUAL(200, ask("GET", "/api/kv").status);  // it was not done
        const Answer ready = ask("GET", "/readyz");
        CPPUNIT_ASSERT_EQUAL(503, ready.status);
        CPPUNIT_ASSERT_MESSAGE(ready.body, says(ready, R"("state":"read-only")"));
        disk_->clear();
        CPPUNIT_ASSERT(eventually([&] { return ask("GET", "/readyz").status == 200; }));
        CPPUNIT_ASSERT_EQUAL(200, act());
        CPPUNIT_ASSERT_EQUAL(2, recorded());
        expect_sound();
        const std::string list = ask("GET", "/api/audit").body;
        CPPUNIT_ASSERT(list.find("audit.resumed") != std::string::npos);
        CPPUNIT_ASSERT(list.find("plugin.disable") == std::string::npos);
    }

    void counts_wait_for_room() {
        if (!begin("degrade")) return;
        ask("GET", "/healthz");
        CPPUNIT_ASSERT_EQUAL(1, health_count());
        fill_up();
        for (int i = 0; i < 20; ++i) ask("GET", "/healthz");
        CPPUNIT_ASSERT_EQUAL(200, ask("GET", "/api/metrics/http").status);
        disk_->clear();
        CPPUNIT_ASSERT(eventually([&] { return health_count() == 21; }));
    }

    void starts_again_when_there_is_room() {
        if (!begin("degrade")) return;
        CPPUNIT_ASSERT_EQUAL(0, daemon_->stop());
        // Nothing of its own is there yet: it cannot make it.
        std::filesystem::remove_all(disk_->path() + "/data/programs");
        disk_->fill();
        start("degrade");
        const auto state = [&] {
            return object_of(ask("GET", "/api/plugins/metrics").body)
                ->getValue<std::string>("state");
        };
        CPPUNIT_ASSERT_EQUAL(std::string("failed"), state());
        CPPUNIT_ASSERT_EQUAL(202, ask("POST", "/api/scheduler/jobs/larderd.plugins/run").status);
        CPPUNIT_ASSERT(daemon_->wait_for_log("not started again: plugin metrics"));
        disk_->clear();
        CPPUNIT_ASSERT(eventually([&] {
            ask("POST", "/api/scheduler/jobs/larderd.plugins/run");
            return state() == "running";
        }));
        CPPUNIT_ASSERT_EQUAL(200, act());
    }

    void tearDown() override {
        daemon_.reset();
        disk_.reset();
    }

private:
    bool begin(const std::string& on_failure) {
        disk_ = std::make_unique<SmallDisk>(4096);
        if (!disk_->why_not().empty()) {
            std::cout << " SKIPPED: cannot mount a tmpfs: " << disk_->why_not() << ' '
                      << std::flush;
            return false;
        }
        start(on_failure);
        return true;
    }
    void start(const std::string& on_failure) {
        DaemonOptions options;
        options.data_directory = disk_->path() + "/data";
        options.environment = {{"LARDER_METRICS_AUDIT_ON_FAILURE", on_failure},
                               {"LARDER_DAEMON_ACCESS_LOG", "false"}};
        daemon_ = std::make_unique<DaemonProcess>(std::move(options));
    }

    Answer ask(std::string_view method, const std::string& target) const {
        return request(daemon_->port(), method, target);
    }
    // Something that is recorded, and writes nothing but its record: a job's run.
    int act() const {
        const int status = ask("POST", "/api/scheduler/jobs/larderd.disk/run").status;
        return status == 202 || status == 409 ? 200 : status;  // it may run already
    }
    int recorded() const {
        const auto list = object_of(ask("GET", "/api/audit?action=job.run").body);
        return static_cast<int>(list->getArray("items")->size());
    }
    int health_count() const {
        return object_of(ask("GET", "/api/metrics/http?endpoint=/healthz").body)
            ->getValue<int>("request_count");
    }
    static bool says(const Answer& answer, const std::string& part) {
        return answer.body.find(part) != std::string::npos;
    }
    void expect_sound() const {
        const std::string verdict = ask("GET", "/api/audit/verify").body;
        CPPUNIT_ASSERT_MESSAGE(verdict, object_of(verdict)->getValue<bool>("ok"));
    }

    // Until metrics are told to wait: a log has room of its own for a while.
    void fill_up() const {
        CPPUNIT_ASSERT(eventually([&] {
            disk_->fill();
            ask("GET", "/api/metrics/http");
            const Answer ready = ask("GET", "/readyz");
            return says(ready, "metrics cannot be written") && audit_is_full();
        }));
    }
    // The audit's log may have room as well, in pages that it wrote before.
    bool audit_is_full() const {
        disk_->fill();
        return std::filesystem::space(disk_->path()).available == 0;
    }

    std::unique_ptr<SmallDisk> disk_;
    std::unique_ptr<DaemonProcess> daemon_;
};

LARDER_TEST_SUITE(MetricsFullDiskTest);

}  // namespace
}  // namespace larder::test
