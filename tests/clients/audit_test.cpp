// The audit as a client sees it: what is recorded, the list, and a database that somebody was at
// with the sqlite3 shell, while the daemon ran and while it was down. All ways to tamper with a
// chain: unit/metrics_audit_chain_test.cpp.
#include <fmt/format.h>
#include <sys/stat.h>

#include <filesystem>
#include <string>

#include "support/command.hpp"
#include "support/daemon_fixture.hpp"
#include "support/json_view.hpp"

namespace larder::test {
namespace {

namespace fs = std::filesystem;

class AuditTest : public DaemonFixture {
    CPPUNIT_TEST_SUITE(AuditTest);
    CPPUNIT_TEST(records_what_admins_do);
    CPPUNIT_TEST(lists_by_actor_action_and_time);
    CPPUNIT_TEST(a_sound_chain_is_sound_over_stops_and_kills);
    CPPUNIT_TEST(names_an_edit);
    CPPUNIT_TEST(names_an_insertion);
    CPPUNIT_TEST(names_a_change_of_order);
    CPPUNIT_TEST(names_a_cut_end);
    CPPUNIT_TEST(names_a_cut_end_that_it_wrote_behind);
    CPPUNIT_TEST(names_a_removal);
    CPPUNIT_TEST(names_a_cut_end_where_the_head_is_gone);
    CPPUNIT_TEST(a_chain_without_its_key_is_laid_aside);
    CPPUNIT_TEST(the_key_is_for_nobody_else);
    CPPUNIT_TEST(removes_old_records_and_stays_sound);
    CPPUNIT_TEST(writes_a_readable_log);
    CPPUNIT_TEST_SUITE_END();

public:
    void records_what_admins_do() {
        act(1);
        send("POST", "/api/plugins/kv/disable", "X-Request-Id: off-1\r\n");
        send("POST", "/api/plugins/kv/enable");
        send("POST", "/api/reload");
        const auto list = get("/api/audit");
        const auto off = find_item(list, {{"action", "plugin.disable"}});
        CPPUNIT_ASSERT(!off.isNull());
        CPPUNIT_ASSERT_EQUAL(std::string("kv"), off->getValue<std::string>("target"));
        CPPUNIT_ASSERT_EQUAL(std::string("off-1"), off->getValue<std::string>("request_id"));
        CPPUNIT_ASSERT_EQUAL(std::string("127.0.0.1"), off->getValue<std::string>("ip_address"));
        CPPUNIT_ASSERT_EQUAL(std::string("ok"), off->getValue<std::string>("outcome"));
        CPPUNIT_ASSERT(!find_item(list, {{"action", "plugin.enable"}}).isNull());
        CPPUNIT_ASSERT(!find_item(list, {{"action", "metrics.cleanup"}}).isNull());
        CPPUNIT_ASSERT_EQUAL(std::string(), faults());
    }

    void lists_by_actor_action_and_time() {
        act(3);
        send("POST", "/api/metrics/optimize");
        CPPUNIT_ASSERT_EQUAL(std::size_t{3}, count("action=metrics.cleanup"));
        CPPUNIT_ASSERT_EQUAL(std::size_t{4}, count("actor=anonymous"));
        CPPUNIT_ASSERT_EQUAL(std::size_t{0}, count("actor=ann"));
        CPPUNIT_ASSERT_EQUAL(std::size_t{2}, count("since=2"));
        CPPUNIT_ASSERT_EQUAL(std::size_t{4}, count("since=2020-01-01T00:00:00Z"));
        CPPUNIT_ASSERT_EQUAL(std::size_t{0}, count("since=2999-01-01T00:00:00Z"));
        std::string seen, cursor;
        for (int pages = 0; pages < 5; ++pages) {
            const auto page = get("/api/audit?limit=3" + cursor);
            for (unsigned i = 0; i < page->getArray("items")->size(); ++i) {
                seen += page->getArray("items")->getObject(i)->getValue<std::string>("seq");
            }
            if (page->isNull("next")) break;
            cursor = "&cursor=" + page->getValue<std::string>("next");
        }
        CPPUNIT_ASSERT_EQUAL(std::string("4321"), seen);
    }

    void a_sound_chain_is_sound_over_stops_and_kills() {
        act(3);
        restart();
        act(3);
        kill_and_start();
        act(3);
        CPPUNIT_ASSERT_EQUAL(std::string(), faults());
        CPPUNIT_ASSERT_EQUAL(std::size_t{9}, count("action=metrics.cleanup"));
    }

    void names_an_edit() { tamper("UPDATE audit_log SET actor = 'eve' WHERE seq = 3", "edited 3"); }
    void names_an_insertion() {
        const std::string copy =
            "INSERT INTO audit_log(seq, timestamp, actor, action, target, outcome, ip_address, "
            "request_id, source, details, before_seal, seal) SELECT {}, timestamp, 'eve', action, "
            "target, outcome, ip_address, request_id, source, details, before_seal, seal "
            "FROM audit_log WHERE seq = 4";
        tamper(fmt::format(fmt::runtime(copy), 6), "inserted 6");
        tamper(fmt::format(fmt::runtime(copy), 2), "inserted 2");
    }
    void names_a_change_of_order() {
        tamper("UPDATE audit_log SET seq = 7 - seq WHERE seq IN (3, 4)",
               "reordered 3, reordered 4");
        tamper(
            "UPDATE audit_log SET id = -id WHERE id IN (2, 5); "
            "UPDATE audit_log SET id = 7 + id WHERE id < 0",
            "reordered 2, reordered 5");
    }
    void names_a_cut_end() {
        tamper("DELETE FROM audit_log WHERE seq > 3", "truncated 4, truncated 5");
    }
    void names_a_cut_end_that_it_wrote_behind() {
        for (const bool stopped : {false, true}) {
            begin_anew();
            act(5);
            change("DELETE FROM audit_log WHERE seq > 3", stopped);
            act(2);
            CPPUNIT_ASSERT_EQUAL(std::string("truncated 4, truncated 5"), faults());
        }
    }
    void names_a_removal() {
        tamper("DELETE FROM audit_log WHERE seq = 3", "removed 3");
        tamper("DELETE FROM audit_log WHERE seq < 3", "removed 1, removed 2");
    }

    void names_a_cut_end_where_the_head_is_gone() {
        act(5);
        CPPUNIT_ASSERT_EQUAL(0, daemon_->stop());
        CPPUNIT_ASSERT(fs::remove(*folder_ / "programs/db/audit.head"));
        start();
        CPPUNIT_ASSERT_EQUAL(std::string("truncated 6"), faults());
        act(1);
        CPPUNIT_ASSERT_EQUAL(std::string("truncated 6"), faults());
    }

    void a_chain_without_its_key_is_laid_aside() {
        act(2);
        CPPUNIT_ASSERT_EQUAL(0, daemon_->stop());
        fs::remove(*folder_ / "programs/db/audit.key");
        start();
        CPPUNIT_ASSERT(daemon_->log().find("the audit begins anew") != std::string::npos);
        CPPUNIT_ASSERT_EQUAL(std::string(), faults());
        CPPUNIT_ASSERT_EQUAL(std::size_t{0}, count("limit=10"));
        int aside = 0;
        for (const auto& entry : fs::directory_iterator(*folder_ / "programs/db")) {
            aside += entry.path().filename().string().starts_with("audit.unsealed-") ? 1 : 0;
        }
        CPPUNIT_ASSERT(aside >= 1);
    }

    void the_key_is_for_nobody_else() {
        struct stat facts {};
        const std::string key = *folder_ / "programs/db/audit.key";
        CPPUNIT_ASSERT_EQUAL(0, ::stat(key.c_str(), &facts));
        CPPUNIT_ASSERT_EQUAL(0600U, facts.st_mode & 0777U);
        CPPUNIT_ASSERT_EQUAL(0, daemon_->stop());
        ::chmod(key.c_str(), 0644);
        start();
        CPPUNIT_ASSERT_EQUAL(0, ::stat(key.c_str(), &facts));
        CPPUNIT_ASSERT_EQUAL(0600U, facts.st_mode & 0777U);
    }

    // Records are old as soon as an hour has passed: they are sealed, so their times cannot be
    // changed; an hour is the least, so this looks at what must stay.
    void removes_old_records_and_stays_sound() {
        environment_ = {{"LARDER_METRICS_AUDIT_RETENTION", "1h"}};
        restart();
        act(4);
        send("POST", "/api/metrics/cleanup");
        CPPUNIT_ASSERT_EQUAL(std::string(), faults());
        CPPUNIT_ASSERT_EQUAL(std::size_t{5}, count("action=metrics.cleanup"));
    }

    void writes_a_readable_log() {
        act(2);
        const std::string log = read_file(*folder_ / "logs/audit.log");
        const auto first = object_of(log.substr(0, log.find('\n')));
        CPPUNIT_ASSERT_EQUAL(1, first->getValue<int>("seq"));
        CPPUNIT_ASSERT_EQUAL(std::string("metrics.cleanup"),
                             first->getValue<std::string>("action"));
    }

private:
    Poco::JSON::Object::Ptr get(const std::string& target) const {
        const Answer answer = send("GET", target);
        CPPUNIT_ASSERT_EQUAL_MESSAGE(target + answer.body, 200, answer.status);
        return object_of(answer.body);
    }
    std::size_t count(const std::string& query) const {
        return get("/api/audit?" + query)->getArray("items")->size();
    }
    void act(int times) const {
        for (int i = 0; i < times; ++i) {
            CPPUNIT_ASSERT_EQUAL(200, send("POST", "/api/metrics/cleanup").status);
        }
    }
    std::string faults() const {
        const auto verdict = get("/api/audit/verify");
        std::string text;
        const auto list = verdict->getArray("faults");
        for (unsigned i = 0; i < list->size(); ++i) {
            const auto fault = list->getObject(i);
            text += fmt::format("{}{} {}", i > 0 ? ", " : "", fault->getValue<std::string>("kind"),
                                fault->getValue<int>("seq"));
        }
        CPPUNIT_ASSERT_EQUAL(text.empty(), verdict->getValue<bool>("ok"));
        return text;
    }
    void begin_anew() {
        daemon_.reset();
        folder_ = std::make_unique<TemporaryFolder>();
        start();
    }
    void change(const std::string& sql, bool stopped) {
        if (stopped) CPPUNIT_ASSERT_EQUAL(0, daemon_->stop());
        const Ran ran =
            run({"sqlite3", "-cmd", ".timeout 5000", *folder_ / "programs/db/audit.db", sql});
        CPPUNIT_ASSERT_EQUAL_MESSAGE(ran.err, 0, ran.exit);
        if (stopped) start();
    }
    // Five records and a change to them, while the daemon runs and while it is down.
    void tamper(const std::string& sql, const std::string& wanted) {
        for (const bool stopped : {false, true}) {
            begin_anew();
            act(5);
            CPPUNIT_ASSERT_EQUAL(std::string(), faults());
            change(sql, stopped);
            CPPUNIT_ASSERT_EQUAL_MESSAGE(sql, wanted, faults());
            act(1);  // what comes after it is sound, and hides nothing
            CPPUNIT_ASSERT_EQUAL_MESSAGE(sql, wanted, faults());
        }
    }
};

LARDER_TEST_SUITE(AuditTest);

}  // namespace
}  // namespace larder::test
