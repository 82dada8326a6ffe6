// Alerts raised, counted and resolved; and what becomes of errors and audit records while nobody
// stores them, and when somebody comes.
#include "observe/alert_board.hpp"

#include <memory>
#include <string>
#include <vector>

#include "larder/error.hpp"
#include "observe/report_desk.hpp"
#include "support/kept_log.hpp"
#include "support/suite.hpp"

namespace larder::observe {
namespace {

class Shelf final : public ErrorSink, public AuditSink {
public:
    void take(const ErrorReport& report) noexcept override {
        errors.push_back(std::string(report.source) + ":" + std::string(report.message));
    }
    void take(const AuditRecord& record) override {
        if (refuses) throw Error(Errc::unavailable, "audit-refused", "the shelf is full");
        records.push_back(std::string(record.actor) + " " + std::string(record.action) + " " +
                          std::string(record.target));
    }
    std::vector<std::string> errors, records;
    bool refuses = false;
};

class AlertBoardTest : public CppUnit::TestFixture {
    CPPUNIT_TEST_SUITE(AlertBoardTest);
    CPPUNIT_TEST(counts_what_stands_already);
    CPPUNIT_TEST(tells_of_what_changed_alone);
    CPPUNIT_TEST(keys_are_a_sources_own);
    CPPUNIT_TEST(resolves_all_of_a_source);
    CPPUNIT_TEST(forgets_the_oldest);
    CPPUNIT_TEST(keeps_errors_for_a_sink);
    CPPUNIT_TEST(keeps_the_latest_thousand);
    CPPUNIT_TEST(an_audit_sink_may_refuse);
    CPPUNIT_TEST(an_older_plugins_report_is_completed);
    CPPUNIT_TEST_SUITE_END();

public:
    void counts_what_stands_already() {
        raise("quota", "91 %");
        now_ = 2000;
        raise("quota", "92 %");
        const Alert alert = board_.all().front();
        CPPUNIT_ASSERT_EQUAL(std::size_t{1}, board_.all().size());
        CPPUNIT_ASSERT_EQUAL(std::uint64_t{2}, alert.count);
        CPPUNIT_ASSERT_EQUAL(std::string("92 %"), alert.text);
        CPPUNIT_ASSERT_EQUAL(std::int64_t{1000}, alert.raised_ms);
        CPPUNIT_ASSERT_EQUAL(std::int64_t{2000}, alert.latest_ms);
        now_ = 3000;
        board_.resolve("files", "quota");
        CPPUNIT_ASSERT_EQUAL(std::int64_t{3000}, board_.all().front().resolved_ms);
        raise("quota", "93 %");
        CPPUNIT_ASSERT_EQUAL(std::size_t{2}, board_.all().size());
        CPPUNIT_ASSERT_EQUAL(std::uint64_t{2}, board_.all().front().id);
        CPPUNIT_ASSERT_EQUAL(std::uint64_t{1}, board_.all().front().count);
    }

    void tells_of_what_changed_alone() {
        raise("quota", "91 %");
        raise("quota", "92 %");
        board_.raise("files", "quota", Severity::critical, "100 %");
        board_.resolve("files", "quota");
        board_.resolve("files", "quota");
        board_.resolve("files", "never");
        const std::vector<std::string> wanted{"quota warning", "quota critical", "quota over"};
        CPPUNIT_ASSERT(wanted == told_);
        CPPUNIT_ASSERT(log_.has("alert quota of files: 91 %"));
        CPPUNIT_ASSERT(!log_.has("92 %"));
    }

    void keys_are_a_sources_own() {
        raise("quota", "full");
        board_.raise("programs", "quota", Severity::info, "full, too");
        CPPUNIT_ASSERT_EQUAL(std::size_t{2}, board_.all().size());
        board_.resolve("files", "quota");
        CPPUNIT_ASSERT_EQUAL(std::int64_t{0}, board_.all().front().resolved_ms);
        CPPUNIT_ASSERT(board_.all().back().resolved_ms != 0);
    }

    void resolves_all_of_a_source() {
        raise("a", "x");
        raise("b", "x");
        board_.raise("larderd", "c", Severity::error, "x");
        OwnedAlerts(board_, "files").resolve_all();
        int standing = 0;
        for (const Alert& alert : board_.all()) standing += alert.resolved_ms == 0 ? 1 : 0;
        CPPUNIT_ASSERT_EQUAL(1, standing);
    }

    void forgets_the_oldest() {
        for (std::size_t i = 0; i < AlertBoard::kMost + 10; ++i) {
            raise("k" + std::to_string(i), "x");
        }
        CPPUNIT_ASSERT_EQUAL(AlertBoard::kMost, board_.all().size());
        board_.resolve_all("files");
        raise("again", "x");
        board_.resolve("files", "again");
        CPPUNIT_ASSERT_EQUAL(AlertBoard::kMost, board_.all().size());
        CPPUNIT_ASSERT_EQUAL(std::string("again"), board_.all().front().key);
        CPPUNIT_ASSERT_EQUAL(std::string("k1"), board_.all().back().key);
    }

    void keeps_errors_for_a_sink() {
        ReportDesk desk(log_, lease(), clock());
        report(desk, "one");
        CPPUNIT_ASSERT_EQUAL(std::size_t{1}, desk.kept_errors());
        shelf_ = std::make_shared<Shelf>();
        report(desk, "two");
        desk.hand_over();
        const std::vector<std::string> wanted{"kv:two", "kv:one"};
        CPPUNIT_ASSERT(wanted == shelf_->errors);
        CPPUNIT_ASSERT_EQUAL(std::size_t{0}, desk.kept_errors());
    }

    void keeps_the_latest_thousand() {
        ReportDesk desk(log_, lease(), clock());
        for (int i = 0; i < 1005; ++i) {
            report(desk, std::to_string(i));
            record(desk, std::to_string(i));
        }
        CPPUNIT_ASSERT_EQUAL(ReportDesk::kMost, desk.kept_errors());
        CPPUNIT_ASSERT_EQUAL(ReportDesk::kMost, desk.kept_records());
        shelf_ = std::make_shared<Shelf>();
        desk.hand_over();
        CPPUNIT_ASSERT_EQUAL(std::string("kv:5"), shelf_->errors.front());
        CPPUNIT_ASSERT_EQUAL(std::string("ann job.run 5"), shelf_->records.front());
        CPPUNIT_ASSERT(log_.has("5 error reports were lost"));
        CPPUNIT_ASSERT(log_.has("5 audit records were lost"));
    }

    void an_audit_sink_may_refuse() {
        ReportDesk desk(log_, lease(), clock());
        record(desk, "first");
        shelf_ = std::make_shared<Shelf>();
        shelf_->refuses = true;
        CPPUNIT_ASSERT_THROW(record(desk, "second"), Error);
        CPPUNIT_ASSERT_EQUAL(std::size_t{1}, desk.kept_records());
        shelf_->refuses = false;
        record(desk, "third");
        const std::vector<std::string> wanted{"ann job.run first", "ann job.run third"};
        CPPUNIT_ASSERT(wanted == shelf_->records);
    }

    void an_older_plugins_report_is_completed() {
        ReportDesk desk(log_, lease(), clock());
        shelf_ = std::make_shared<Shelf>();
        ErrorReport old;
        old.message = "seen";
        old.source = "forged";
        old.size = offsetof(ErrorReport, category);
        desk.report("kv", old);
        CPPUNIT_ASSERT_EQUAL(std::string("kv:seen"), shelf_->errors.front());
    }

private:
    void raise(const std::string& key, const std::string& text) {
        board_.raise("files", key, Severity::warning, text);
    }
    static void report(ReportDesk& desk, const std::string& message) {
        ErrorReport given;
        given.message = message;
        desk.report("kv", given);
    }
    static void record(ReportDesk& desk, const std::string& target) {
        AuditRecord given;
        given.actor = "ann";
        given.action = "job.run";
        given.target = target;
        desk.record("kv", given);
    }
    std::function<std::shared_ptr<void>(std::string_view)> lease() {
        return [this](std::string_view id) -> std::shared_ptr<void> {
            if (!shelf_) return nullptr;
            if (id == kErrorSink) return {shelf_, static_cast<ErrorSink*>(shelf_.get())};
            return {shelf_, static_cast<AuditSink*>(shelf_.get())};
        };
    }
    std::function<std::int64_t()> clock() {
        return [this] { return now_; };
    }

    std::int64_t now_ = 1000;
    test::KeptLog log_;
    std::vector<std::string> told_;
    AlertBoard board_{log_, [this] { return now_; },
                      [this](const Alert& alert) {
                          const auto word = alert.resolved_ms != 0 ? std::string_view("over")
                                                                   : severity_word(alert.severity);
                          told_.push_back(alert.key + " " + std::string(word));
                      }};
    std::shared_ptr<Shelf> shelf_;
};

LARDER_TEST_SUITE(AlertBoardTest);

}  // namespace
}  // namespace larder::observe
