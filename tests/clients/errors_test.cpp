// The routes of errors as a client sees them: reported, grouped, scrubbed, resolved, back again;
// and errors of the daemon's own. How they are grouped: unit/metrics_errors_test.cpp.
#include <fmt/format.h>

#include <string>
#include <vector>

#include "support/command.hpp"
#include "support/daemon_fixture.hpp"
#include "support/json_view.hpp"

namespace larder::test {
namespace {

class ErrorsTest : public DaemonFixture {
    CPPUNIT_TEST_SUITE(ErrorsTest);
    CPPUNIT_TEST(groups_what_is_the_same);
    CPPUNIT_TEST(tells_all_of_a_report);
    CPPUNIT_TEST(keeps_no_secret);
    CPPUNIT_TEST(resolves_and_reopens);
    CPPUNIT_TEST(filters_and_pages);
    CPPUNIT_TEST(refuses_bad_reports);
    CPPUNIT_TEST(keeps_errors_over_a_kill);
    CPPUNIT_TEST(hears_of_the_daemons_errors);
    CPPUNIT_TEST(larderctl_lists_them);
    CPPUNIT_TEST_SUITE_END();

public:
    void groups_what_is_the_same() {
        const auto first = report(R"({"message":"user 1 is gone","category":"db"})");
        const auto second = report(R"({"message":"user 2 is gone","category":"db"})");
        const auto other = report(R"({"message":"user 2 is back","category":"db"})");
        CPPUNIT_ASSERT_EQUAL(id_of(first), id_of(second));
        CPPUNIT_ASSERT(id_of(first) != id_of(other));
        CPPUNIT_ASSERT_EQUAL(2, second->getValue<int>("occurrences"));
        CPPUNIT_ASSERT_EQUAL(std::string("user 2 is gone"),
                             second->getValue<std::string>("message"));
        const auto grouping = second->getObject("grouping");
        CPPUNIT_ASSERT_EQUAL(1, grouping->getValue<int>("version"));
        CPPUNIT_ASSERT_EQUAL(std::string("message"), grouping->getValue<std::string>("method"));
        CPPUNIT_ASSERT_EQUAL(std::string("user <n> is gone"),
                             grouping->getObject("components")->getValue<std::string>("message"));
        CPPUNIT_ASSERT_EQUAL(std::string("2"),
                             column(fmt::format("SELECT count(*) FROM error_occurrences WHERE "
                                                "error_id = '{}'",
                                                id_of(first))));
    }

    void tells_all_of_a_report() {
        const Answer answer = send(
            "POST", "/api/errors", "X-Request-Id: r-1\r\n",
            R"({"message":"m","category":"c","severity":"critical","stack_trace":"E: x\n at f",)"
            R"("endpoint":"/x","method":"GET","request_data":{"a":[1,1.50]},"user_id":"u",)"
            R"("context":{"k":"v"}})");
        CPPUNIT_ASSERT_EQUAL(201, answer.status);
        const auto error = object_of(answer.body);
        CPPUNIT_ASSERT_EQUAL("/api/errors/" + id_of(error), answer.header("location"));
        const std::string body = send("GET", "/api/errors/" + id_of(error)).body;
        for (const char* part :
             {R"("category":"c")", R"("severity":"critical")", R"("stack_trace":"E: x\n at f")",
              R"("endpoint":"/x")", R"("method":"GET")", R"("request_data":{"a":[1,1.50]})",
              R"("user_id":"u")", R"("ip_address":"127.0.0.1")", R"("resolved":false)",
              R"("resolved_at":null)", R"("occurrences":1)", R"("method":"stack")",
              R"("request_id":"r-1")", R"("context":{"k":"v"})"}) {
            CPPUNIT_ASSERT_MESSAGE(part + body, body.find(part) != std::string::npos);
        }
        CPPUNIT_ASSERT_EQUAL(std::string("404 error-not-found"),
                             outcome("GET", "/api/errors/nope"));
    }

    void keeps_no_secret() {
        report(
            R"({"message":"login failed: password=hunter2-a","stack_trace":"Authorization: Bearer )"
            R"(hunter2-bbbbbbbb\nX-Api-Key: hunter2-c","request_data":{"user":"ann",)"
            R"("password":"hunter2-d","deep":[{"api_key":"hunter2-e"}],"url":"//a:hunter2-f@h"},)"
            R"("context":{"headers":{"Authorization":"hunter2-g","Cookie":"s=hunter2-h"}}})");
        CPPUNIT_ASSERT(send("GET", "/api/errors").body.find("hunter2") == std::string::npos);
        CPPUNIT_ASSERT(send("GET", "/api/errors").body.find("ann") != std::string::npos);
        CPPUNIT_ASSERT_EQUAL(0, daemon_->stop());
        CPPUNIT_ASSERT(read_file(database()).find("hunter2") == std::string::npos);
        start();
    }

    void resolves_and_reopens() {
        const std::string id = id_of(report(R"({"message":"again"})"));
        const auto resolved = object_of(send("POST", "/api/errors/" + id + "/resolve").body);
        CPPUNIT_ASSERT(resolved->getValue<bool>("resolved"));
        const auto when = resolved->getValue<std::string>("resolved_at");
        // Once more is no other.
        const auto twice = object_of(send("POST", "/api/errors/" + id + "/resolve").body);
        CPPUNIT_ASSERT_EQUAL(when, twice->getValue<std::string>("resolved_at"));
        const auto back = report(R"({"message":"again"})");
        CPPUNIT_ASSERT(!back->getValue<bool>("resolved"));
        CPPUNIT_ASSERT(back->isNull("resolved_at") && !back->isNull("reopened_at"));
        CPPUNIT_ASSERT_EQUAL(2, back->getValue<int>("occurrences"));
        CPPUNIT_ASSERT_EQUAL(std::string("404 error-not-found"),
                             outcome("POST", "/api/errors/nope/resolve"));
        const auto audited =
            find_item(object_of(send("GET", "/api/audit").body), {{"action", "error.resolve"}});
        CPPUNIT_ASSERT(!audited.isNull());
        CPPUNIT_ASSERT_EQUAL(id, audited->getValue<std::string>("target"));
    }

    void filters_and_pages() {
        std::string resolved;
        for (int i = 0; i < 5; ++i) {
            const auto error =
                report(fmt::format(R"({{"message":"kind {}","category":"{}","severity":"{}"}})",
                                   std::string(1, static_cast<char>('a' + i)),
                                   i % 2 == 0 ? "even" : "odd", i < 2 ? "warning" : "error"));
            if (i == 3) resolved = id_of(error);
        }
        send("POST", "/api/errors/" + resolved + "/resolve");
        CPPUNIT_ASSERT_EQUAL(std::size_t{3}, count("category=even"));
        CPPUNIT_ASSERT_EQUAL(std::size_t{1}, count("category=even&severity=warning"));
        CPPUNIT_ASSERT_EQUAL(std::size_t{1}, count("resolved=true"));
        CPPUNIT_ASSERT_EQUAL(std::size_t{4}, count("resolved=false"));
        CPPUNIT_ASSERT_EQUAL(std::size_t{0}, count("category=none"));
        std::string seen, cursor;
        for (int pages = 0; pages < 5; ++pages) {
            const auto page = object_of(send("GET", "/api/errors?limit=2" + cursor).body);
            for (unsigned i = 0; i < page->getArray("items")->size(); ++i) {
                seen +=
                    page->getArray("items")->getObject(i)->getValue<std::string>("message").back();
            }
            if (page->isNull("next")) break;
            cursor = "&cursor=" + page->getValue<std::string>("next");
        }
        CPPUNIT_ASSERT_EQUAL(std::string("edcba"), seen);
    }

    void refuses_bad_reports() {
        for (const auto& [body, pointer] : std::vector<std::pair<std::string, std::string>>{
                 {"{}", "/message"},
                 {R"({"message":""})", "/message"},
                 {R"({"message":7})", "/message"},
                 {R"({"message":"m","category":1})", "/category"},
                 {R"({"message":"m","severity":"a\nb"})", "/severity"},
                 {R"({"message":"m","other":1})", "/other"},
                 {"[]", ""}}) {
            const Answer answer = send("POST", "/api/errors", {}, body);
            CPPUNIT_ASSERT_EQUAL_MESSAGE(body, 422, answer.status);
            CPPUNIT_ASSERT_EQUAL_MESSAGE(body, pointer, answer.member("pointer"));
        }
        CPPUNIT_ASSERT_EQUAL(
            std::string("400 invalid-json"),
            outcome("POST", "/api/errors", {}, R"({"message":"a","message":"b"})"));
        CPPUNIT_ASSERT_EQUAL(std::size_t{0}, count("limit=10"));
    }

    void keeps_errors_over_a_kill() {
        const std::string id = id_of(report(R"({"message":"kept"})"));
        kill_and_start();
        CPPUNIT_ASSERT_EQUAL(200, send("GET", "/api/errors/" + id).status);
    }

    // A kv file that cannot be read: a 503 of a route, reported with its request.
    void hears_of_the_daemons_errors() {
        CPPUNIT_ASSERT_EQUAL(0, daemon_->stop());
        write_file(*folder_ / "kv/broken.json", "{no json");
        start();
        const Answer answer = send("GET", "/api/kv/broken/a", "X-Request-Id: broken-1\r\n");
        CPPUNIT_ASSERT_EQUAL(503, answer.status);
        CPPUNIT_ASSERT(eventually([&] {
            const auto page = object_of(send("GET", "/api/errors").body);
            const auto error = find_item(page, {{"endpoint", "/api/kv/{bucket}/{key}"}});
            if (error.isNull()) return false;
            const std::string whole = send("GET", "/api/errors/" + id_of(error)).body;
            return whole.find("broken-1") != std::string::npos;
        }));
    }

    void larderctl_lists_them() {
        report(R"({"message":"shown here","category":"cat"})");
        const std::string binary = DaemonProcess::binary();
        const std::string tool = binary.substr(0, binary.rfind('/')) + "/larderctl";
        if (run({tool, "--help"}).exit != 0) return;  // not built in this configuration
        const auto ctl = [&](std::vector<std::string> words) {
            words.insert(words.begin(), {tool, "--socket", *folder_ / "larder.sock"});
            return run(std::move(words));
        };
        const Ran errors = ctl({"errors", "--category", "cat"});
        CPPUNIT_ASSERT_EQUAL_MESSAGE(errors.err, 0, errors.exit);
        CPPUNIT_ASSERT_MESSAGE(errors.out, errors.out.find("shown here") != std::string::npos);
        const Ran http = ctl({"metrics", "http", "--hours", "1"});
        CPPUNIT_ASSERT_MESSAGE(http.out, http.out.find("/api/errors") != std::string::npos);
        CPPUNIT_ASSERT_EQUAL(0, ctl({"metrics", "system"}).exit);
        CPPUNIT_ASSERT_EQUAL(0, ctl({"audit", "list"}).exit);
        const Ran sound = ctl({"audit", "verify"});
        CPPUNIT_ASSERT_EQUAL_MESSAGE(sound.out, 0, sound.exit);
    }

private:
    static std::string id_of(const Poco::JSON::Object::Ptr& error) {
        return error->getValue<std::string>("error_id");
    }
    Poco::JSON::Object::Ptr report(const std::string& body) const {
        const Answer answer = send("POST", "/api/errors", {}, body);
        CPPUNIT_ASSERT_EQUAL_MESSAGE(answer.body, 201, answer.status);
        return object_of(answer.body);
    }
    std::size_t count(const std::string& query) const {
        return object_of(send("GET", "/api/errors?" + query).body)->getArray("items")->size();
    }
    std::string database() const { return *folder_ / "programs/db/errors.db"; }
    std::string column(const std::string& sql) const {
        const Ran ran = run({"sqlite3", "-readonly", database(), sql});
        CPPUNIT_ASSERT_EQUAL_MESSAGE(ran.err, 0, ran.exit);
        return ran.out.substr(0, ran.out.find('\n'));
    }
};

LARDER_TEST_SUITE(ErrorsTest);

}  // namespace
}  // namespace larder::test
