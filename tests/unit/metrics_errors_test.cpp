// What is done to an error before it is kept: secrets taken out of texts and JSON, and the
// fingerprint by which errors are grouped. Not their store.
#include <string>
#include <utility>
#include <vector>

#include "error_fingerprint.hpp"
#include "error_scrub.hpp"
#include "support/suite.hpp"

namespace {

using namespace larder::metrics;  // NOLINT(google-build-using-namespace)

class MetricsErrorsTest : public CppUnit::TestFixture {
    CPPUNIT_TEST_SUITE(MetricsErrorsTest);
    CPPUNIT_TEST(names_of_secrets);
    CPPUNIT_TEST(secrets_leave_texts);
    CPPUNIT_TEST(what_is_no_secret_stays);
    CPPUNIT_TEST(secrets_leave_json);
    CPPUNIT_TEST(scrubbing_twice_changes_nothing);
    CPPUNIT_TEST(templates);
    CPPUNIT_TEST(messages_group);
    CPPUNIT_TEST(stacks_group);
    CPPUNIT_TEST(the_grouping_is_told);
    CPPUNIT_TEST_SUITE_END();

public:
    void names_of_secrets() {
        for (const char* name :
             {"password", "Password", "user_password", "PASSWD", "Authorization", "authorization",
              "Set-Cookie", "cookie", "api_key", "apiKey", "X-Api-Key", "access-token", "secret",
              "clientSecret", "private_key", "auth", "session_id", "credentials"}) {
            CPPUNIT_ASSERT_MESSAGE(name, is_secret_name(name));
        }
        for (const char* name : {"user", "author", "path", "passenger", "key", "id", "", "message",
                                 "compass", "authority"}) {
            CPPUNIT_ASSERT_MESSAGE(name, !is_secret_name(name));
        }
    }

    void secrets_leave_texts() {
        const std::vector<std::pair<std::string, std::string>> texts = {
            {"Authorization: Bearer abc.def-ghi", "Authorization: [scrubbed]"},
            {"sent Bearer abcdef0123456789 to it", "sent Bearer [scrubbed] to it"},
            {"Basic dXNlcjpwYXNzd29yZA==", "Basic [scrubbed]"},
            {"password=hunter2 failed", "password=[scrubbed] failed"},
            {"password: hunter2, user: ann", "password: [scrubbed], user: ann"},
            {R"({"api_key": "k123", "n": 1})", R"({"api_key": "[scrubbed]", "n": 1})"},
            {"https://ann:s3cret@host/x", "https://ann:[scrubbed]@host/x"},
            {"redis://:s3cret@host:6379", "redis://:[scrubbed]@host:6379"},
            {"Cookie: a=b; c=d\nnext line", "Cookie: [scrubbed]\nnext line"},
            {"GET /x?token=abc&a=1", "GET /x?token=[scrubbed]&a=1"},
        };
        for (const auto& [text, wanted] : texts) {
            CPPUNIT_ASSERT_EQUAL(wanted, scrub_text(text));
        }
    }

    void what_is_no_secret_stays() {
        for (const char* text :
             {"", "a basic idea", "the password is wrong", "bearer of news", "no secret here:\n",
              "http://host:80/a@b", "ratio 3:4 = 0.75", "mail ann@example.com"}) {
            CPPUNIT_ASSERT_EQUAL(std::string(text), scrub_text(text));
        }
    }

    void secrets_leave_json() {
        CPPUNIT_ASSERT_EQUAL(
            std::string(R"({"a":[{"token":"[scrubbed]","n":1e400}],"Password":"[scrubbed]",)"
                        R"("ok":"x","secret":null,"u":"//a:[scrubbed]@h"})"),
            scrub_json(R"({"a":[{"token":{"deep":[1]},"n":1e400}],"Password":12,)"
                       R"("ok":"x","secret":null,"u":"//a:b@h"})"));
        CPPUNIT_ASSERT_EQUAL(std::string(R"("pwd=[scrubbed]")"), scrub_json(R"("pwd=1234")"));
    }

    void scrubbing_twice_changes_nothing() {
        const std::string once = scrub_text("password=a b Bearer abcdefghijk //u:p@h token: x");
        CPPUNIT_ASSERT_EQUAL(once, scrub_text(once));
    }

    void templates() {
        const std::vector<std::pair<std::string, std::string>> texts = {
            {"user 7 not in \"x\"", "user <n> not in <text>"},
            {"no file /var/lib/x.json", "no file <path>"},
            {"id 550e8400-e29b-41d4-a716-446655440000", "id <id>"},
            {"at 0x7ffe12", "at <id>"},
            {"worker7 of 10.0.0.1", "worker<n> of <n>.<n>.<n>.<n>"},
            {"can't stop", "can't stop"},
            {"deadbeef", "deadbeef"},
        };
        for (const auto& [text, wanted] : texts) {
            CPPUNIT_ASSERT_EQUAL(wanted, message_template(text));
        }
    }

    void messages_group() {
        const auto id = [](const char* category, const char* endpoint, const char* message) {
            return fingerprint_of(category, endpoint, "GET", message, "").error_id;
        };
        const std::string first = id("db", "/a", "user 7 is gone");
        CPPUNIT_ASSERT_EQUAL(std::size_t{32}, first.size());
        CPPUNIT_ASSERT_EQUAL(first, id("db", "/a", "user 81 is gone"));
        CPPUNIT_ASSERT(first != id("http", "/a", "user 7 is gone"));
        CPPUNIT_ASSERT(first != id("db", "/b", "user 7 is gone"));
        CPPUNIT_ASSERT(first != id("db", "/a", "user 7 is back"));
    }

    void stacks_group() {
        const auto id = [](const char* message, const char* stack) {
            return fingerprint_of("app", "/x", "GET", message, stack).error_id;
        };
        const char* const python =
            "Traceback (most recent call last):\n"
            "  File \"/app/main.py\", line 10, in run\n    step()\n"
            "  File \"/app/main.py\", line 22, in step\n    raise ValueError(x)\n"
            "ValueError: 7 is wrong\n";
        const char* const same =
            "Traceback (most recent call last):\n"
            "  File \"/app/main.py\", line 11, in run\n    step()\n"
            "  File \"/app/main.py\", line 25, in step\n    raise ValueError(y)\n"
            "ValueError: 9 is wrong, too\n";
        const char* const other =
            "Traceback (most recent call last):\n"
            "  File \"/app/main.py\", line 11, in run\n    step()\n"
            "  File \"/app/main.py\", line 25, in leap\n    raise ValueError(y)\n"
            "ValueError: 9 is wrong, too\n";
        CPPUNIT_ASSERT_EQUAL(id("a", python), id("b", same));
        CPPUNIT_ASSERT(id("a", python) != id("a", other));
        const char* const script =
            "TypeError: x is 1\n    at f (/srv/a.js:10:5)\n    at g (b.js:1:1)";
        const char* const again =
            "TypeError: x is 2\n    at f (/srv/a.js:12:9)\n    at g (b.js:3:7)";
        CPPUNIT_ASSERT_EQUAL(id("", script), id("", again));
    }

    void the_grouping_is_told() {
        CPPUNIT_ASSERT_EQUAL(
            std::string(R"({"version":1,"method":"message","components":{"category":"db",)"
                        R"("endpoint":"/a","method":"GET","message":"<n> left"}})"),
            fingerprint_of("db", "/a", "GET", "3 left", "").grouping);
        const std::string stack =
            fingerprint_of("app", "/a", "GET", "E: x", "E: x\n at f (a.js:1:2)").grouping;
        CPPUNIT_ASSERT_EQUAL(
            std::string(R"x({"version":1,"method":"stack","components":{"category":"app",)x"
                        R"x("type":"E","frames":["at f (a.js:<n>:<n>)"]}})x"),
            stack);
    }
};

LARDER_TEST_SUITE(MetricsErrorsTest);

}  // namespace
