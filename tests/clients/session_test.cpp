// Sessions as a client sees them: begun, read, changed, listed and ended; and that no log ever
// holds an id.
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <regex>
#include <string>

#include "support/daemon_fixture.hpp"
#include "support/eventually.hpp"

namespace larder::test {
namespace {

class SessionTest : public DaemonFixture {
    CPPUNIT_TEST_SUITE(SessionTest);
    CPPUNIT_TEST(begins_and_reads);
    CPPUNIT_TEST(slides_and_ends);
    CPPUNIT_TEST(changes_by_merge_patch);
    CPPUNIT_TEST(lists_without_ids);
    CPPUNIT_TEST(ends_all_of_a_user);
    CPPUNIT_TEST(refuses_bad_requests);
    CPPUNIT_TEST(no_log_holds_an_id);
    CPPUNIT_TEST_SUITE_END();

public:
    void begins_and_reads() {
        const Answer made = begin(R"({"user_id":"ann","data":{"theme": "dark"},"ttl":60})");
        CPPUNIT_ASSERT_EQUAL(201, made.status);
        CPPUNIT_ASSERT_EQUAL(std::string("no-store"), made.header("Cache-Control"));
        const std::string time = R"("\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")";
        const std::regex form(fmt::format(
            R"(\{{"session_id":"[\w-]{{43,}}","user_id":"ann","created_at":{0},"last_activity":{0},"expires_at":{0},"ip_address":"127\.0\.0\.1","data":\{{"theme":"dark"\}}\}})",
            time));
        CPPUNIT_ASSERT_MESSAGE(made.body, std::regex_match(made.body, form));
        const Answer read = send("GET", path(made));
        CPPUNIT_ASSERT_EQUAL(200, read.status);
        CPPUNIT_ASSERT_EQUAL(made.member("created_at"), read.member("created_at"));
        CPPUNIT_ASSERT_EQUAL(made.member("session_id"), read.member("session_id"));
        CPPUNIT_ASSERT(begin(R"({"user_id":"ann"})").member("session_id") !=
                       made.member("session_id"));
        CPPUNIT_ASSERT_EQUAL(204, send("DELETE", path(made)).status);
        CPPUNIT_ASSERT_EQUAL(std::string("404 session-not-found"), outcome("GET", path(made)));
        CPPUNIT_ASSERT_EQUAL(std::string("404 session-not-found"), outcome("DELETE", path(made)));
    }

    void slides_and_ends() {
        const Answer made = begin(R"({"user_id":"ann","ttl":600})");
        CPPUNIT_ASSERT(eventually([&] {
            const Answer read = send("GET", path(made));
            return read.member("expires_at") > made.member("expires_at") &&
                   read.member("last_activity") > made.member("last_activity");
        }));
        const Answer quick = begin(R"({"user_id":"ann","ttl":0.2})");
        // The list is no read: it puts nothing off.
        CPPUNIT_ASSERT(eventually([&] {
            return send("GET", "/api/sessions?user_id=ann").body.find(quick.member("expires_at")) ==
                   std::string::npos;
        }));
        CPPUNIT_ASSERT_EQUAL(404, send("GET", path(quick)).status);
    }

    void changes_by_merge_patch() {
        const Answer made = begin(R"({"user_id":"ann","data":{"a":1,"b":{"c":2,"d":3}}})");
        const auto patch = [&](const char* body) {
            return send("PATCH", path(made), "Content-Type: application/json\r\n", body);
        };
        const Answer patched = patch(R"({"data":{"a":null,"b":{"c":9},"e":[1]}})");
        CPPUNIT_ASSERT_EQUAL(200, patched.status);
        const std::string wanted = R"("data":{"b":{"c":9,"d":3},"e":[1]}})";
        CPPUNIT_ASSERT_MESSAGE(patched.body, patched.body.ends_with(wanted));
        CPPUNIT_ASSERT(send("GET", path(made)).body.ends_with(wanted));
        CPPUNIT_ASSERT(patch(R"({"ttl":5})").member("expires_at") < made.member("expires_at"));
        CPPUNIT_ASSERT_EQUAL(422, patch(R"({"user_id":"bob"})").status);
        CPPUNIT_ASSERT_EQUAL(422, patch(R"({"data":1})").status);
        const std::string large = "{\"data\":{\"x\":\"" + std::string(17'000, 'x') + "\"}}";
        CPPUNIT_ASSERT_EQUAL(std::string("413 session-too-large"),
                             outcome("PATCH", path(made), "", large));
        CPPUNIT_ASSERT(send("GET", path(made)).body.ends_with(wanted));
    }

    void lists_without_ids() {
        std::string ids;
        for (const char* user : {"ann", "bob", "ann"}) {
            ids += begin(fmt::format(R"({{"user_id":"{}"}})", user)).member("session_id") + " ";
        }
        const Answer all = send("GET", "/api/sessions");
        CPPUNIT_ASSERT_EQUAL(200, all.status);
        CPPUNIT_ASSERT(all.body.find("session_id") == std::string::npos);
        CPPUNIT_ASSERT(all.body.find(ids.substr(0, ids.find(' '))) == std::string::npos);
        const Answer page = send("GET", "/api/sessions?user_id=ann&limit=1");
        CPPUNIT_ASSERT(page.body.find("bob") == std::string::npos);
        const Answer rest = send("GET", "/api/sessions?user_id=ann&cursor=" + page.member("next"));
        CPPUNIT_ASSERT_MESSAGE(rest.body, rest.body.ends_with(R"("next":null})"));
        CPPUNIT_ASSERT(rest.body.find("ann") != std::string::npos);
        CPPUNIT_ASSERT_EQUAL(std::string("400 invalid-cursor"),
                             outcome("GET", "/api/sessions?cursor=x"));
    }

    void ends_all_of_a_user() {
        const Answer ann = begin(R"({"user_id":"ann"})"), bob = begin(R"({"user_id":"bob"})");
        begin(R"({"user_id":"ann"})");
        CPPUNIT_ASSERT_EQUAL(std::string(R"({"removed":2})"),
                             send("DELETE", "/api/sessions?user_id=ann").body);
        CPPUNIT_ASSERT_EQUAL(404, send("GET", path(ann)).status);
        CPPUNIT_ASSERT_EQUAL(200, send("GET", path(bob)).status);
        CPPUNIT_ASSERT_EQUAL(std::string("400 invalid-parameter"),
                             outcome("DELETE", "/api/sessions"));
    }

    void refuses_bad_requests() {
        for (const char* body :
             {"{}", R"({"user_id":""})", R"({"user_id":1})", R"({"user_id":"a","ttl":0})",
              R"({"user_id":"a","ttl":-5})", R"({"user_id":"a","ttl":"60"})",
              R"({"user_id":"a","data":[]})", R"({"user_id":"a","session_id":"mine"})"}) {
            CPPUNIT_ASSERT_EQUAL_MESSAGE(body, std::string("422 invalid-field"),
                                         outcome("POST", "/api/sessions", "", body));
        }
        CPPUNIT_ASSERT_EQUAL(std::string("400 invalid-json"),
                             outcome("POST", "/api/sessions", "", ""));
        CPPUNIT_ASSERT_EQUAL(std::string("404 session-not-found"),
                             outcome("GET", "/api/sessions/made-up"));
    }

    // Whatever is done with it, also where no route takes it or the plugin is off.
    void no_log_holds_an_id() {
        const Answer made = begin(R"({"user_id":"ann"})");
        const std::string id = made.member("session_id");
        send("GET", path(made));
        send("GET", path(made) + "?x=1", "Referer: http://127.0.0.1" + path(made) + "\r\n");
        send("PATCH", path(made), "", "{");
        send("POST", path(made));
        send("GET", path(made) + "/more");
        CPPUNIT_ASSERT_EQUAL(
            200, send("GET", "/api/sessions/%6Carder%5fsession%5F" + id.substr(15)).status);
        send("GET", "/api/cache/" + id);
        send("POST", "/api/plugins/cache/disable");
        send("GET", path(made), "User-Agent: me " + id + "\r\n");
        CPPUNIT_ASSERT_EQUAL(0, daemon_->stop());
        int lines = 0;
        for (const auto& file :
             std::filesystem::recursive_directory_iterator(folder_->path() + "/logs")) {
            const std::string text = read_file(file.path());
            lines += static_cast<int>(std::count(text.begin(), text.end(), '\n'));
            CPPUNIT_ASSERT_MESSAGE(file.path().string(), text.find(id) == std::string::npos);
            CPPUNIT_ASSERT(text.find(id.substr(id.size() - 32)) == std::string::npos);
        }
        CPPUNIT_ASSERT(lines >= 10);
        CPPUNIT_ASSERT(daemon_->log().find(id.substr(id.size() - 32)) == std::string::npos);
    }

private:
    Answer begin(const std::string& body) { return send("POST", "/api/sessions", "", body); }
    static std::string path(const Answer& made) {
        return "/api/sessions/" + made.member("session_id");
    }
};

LARDER_TEST_SUITE(SessionTest);

}  // namespace
}  // namespace larder::test
