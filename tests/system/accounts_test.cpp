// Users and tokens through a real larderd: what each may do on every route there is, and the life
// of accounts over HTTP. Who is let in without any is auth_test's.
#include <fmt/format.h>

#include <map>
#include <memory>
#include <set>

#include "access/secrets.hpp"
#include "larder/time.hpp"
#include "storage-kit/encodings.hpp"
#include "support/daemon_process.hpp"
#include "support/document_routes.hpp"
#include "support/json_view.hpp"
#include "support/problem.hpp"
#include "support/raw_client.hpp"
#include "support/suite.hpp"

namespace larder::test {
namespace {

class AccountsSystemTest : public CppUnit::TestFixture {
    CPPUNIT_TEST_SUITE(AccountsSystemTest);
    CPPUNIT_TEST(each_route_lets_in_whom_it_declares);
    CPPUNIT_TEST(prefixes_confine_a_token);
    CPPUNIT_TEST(a_user_lives_and_goes);
    CPPUNIT_TEST(refuses_mistaken_accounts);
    CPPUNIT_TEST(a_revoked_token_is_refused_at_once);
    CPPUNIT_TEST(passwords_change_as_they_may);
    CPPUNIT_TEST(guessing_is_throttled);
    CPPUNIT_TEST(survives_a_restart_and_keeps_no_secret);
    CPPUNIT_TEST(records_who_did_what);
    CPPUNIT_TEST(an_upload_waits_for_its_password);
    CPPUNIT_TEST(accounts_can_be_made_before_auth_is_on);
    CPPUNIT_TEST_SUITE_END();

public:
    void setUp() override { start({{"LARDER_AUTH_ENABLED", "true"}}); }
    void tearDown() override { daemon_.reset(); }

    // Every route of the OpenAPI document × every kind of credentials.
    void each_route_lets_in_whom_it_declares() {
        const auto routes = routes_of_document(ask("GET", "/openapi.json").body);
        CPPUNIT_ASSERT_MESSAGE(std::to_string(routes.size()), routes.size() > 30);
        const std::string expired = bearer("old", {"admin"}, {}, "2020-01-01T00:00:00Z");
        const auto gone = make_token("gone", {"admin"});
        const std::string revoked = header_of(gone);
        CPPUNIT_ASSERT_EQUAL(
            204, ask("DELETE", "/api/tokens/" + gone->getValue<std::string>("id")).status);
        std::map<std::string, std::string> by_scope;
        for (const DocumentRoute& route : routes) {
            const std::string where = route.method + " " + route.target;
            const auto status = [&](const std::string& credentials) {
                const Answer answer = request(port(), route.method, route.target, credentials);
                if (answer.status >= 400 && route.method != "HEAD" && route.target != "/readyz") {
                    CPPUNIT_ASSERT_EQUAL_MESSAGE(where, std::string(), fault_of_problem(answer));
                }
                return answer.status;
            };
            const auto with = [&](const std::string& scope) {
                std::string& token = by_scope[scope];
                if (token.empty()) token = bearer("t", {scope});
                return status(token);
            };
            const auto is_in = [](int code) { return code != 401 && code != 403; };
            const bool open = route.permission == "open", any = route.permission == "any";
            for (const std::string& none :
                 {std::string(), expired, revoked,
                  std::string("Authorization: Bearer larder_x\r\n"),
                  "Authorization: Bearer " + access::make_token().text + "\r\n"}) {
                CPPUNIT_ASSERT_EQUAL_MESSAGE(where, open, status(none) != 401);
            }
            CPPUNIT_ASSERT_EQUAL_MESSAGE(where, open || any, is_in(with("elsewhere:*")));
            for (const std::string permission : {"read", "write", "execute", "admin"}) {
                const std::string scope = route.area + ":" + permission;
                if (scope == "daemon:admin") continue;
                const bool enough = open || any || (permission == route.permission);
                CPPUNIT_ASSERT_EQUAL_MESSAGE(where + " with " + scope, enough, is_in(with(scope)));
            }
            const bool other = open || any;
            const std::string confined = bearer("c", {"*:*"}, {"elsewhere/"});
            CPPUNIT_ASSERT_EQUAL_MESSAGE(where + " beyond the prefixes", other,
                                         is_in(status(confined)));
            const bool daemons = route.permission == "admin" && route.area == "daemon";
            CPPUNIT_ASSERT_EQUAL_MESSAGE(where + " with *:*", !daemons, is_in(with("*:*")));
            CPPUNIT_ASSERT_MESSAGE(where + " with admin", is_in(with("admin")));
        }
    }

    void prefixes_confine_a_token() {
        const std::string mine = bearer("mine", {"kv:*"}, {"kv/mine/", "kv/shared/a"});
        const auto status = [&](std::string_view method, const std::string& target,
                                const std::string& body = "") {
            return request(port(), method, target, mine, body).status;
        };
        for (const auto& [method, target, body, expected] :
             std::vector<std::tuple<std::string, std::string, std::string, int>>{
                 {"PUT", "/api/kv/mine/x", "1", 201},
                 {"GET", "/api/kv/mine/x", "", 200},
                 {"GET", "/api/kv/mine", "", 200},
                 {"GET", "/api/kv/mine?all=true", "", 200},
                 {"POST", "/api/kv/mine", R"({"ops":[{"op":"set","key":"y","value":1}]})", 200},
                 {"PUT", "/api/kv/min%65/z", "1", 201},
                 {"PUT", "/api/kv/shared/a/b", "1", 201},
                 {"PUT", "/api/kv/shared/abc", "1", 201},
                 {"POST", "/api/kv/shared/abc/increment", R"({"by":1})", 200},
                 {"GET", "/api/kv/shared?prefix=a", "", 200},
                 {"GET", "/api/kv/shared?prefix=ab", "", 200},
                 {"GET", "/api/kv/shared?prefix=%61", "", 200},
                 {"PUT", "/api/kv/shared/b", "1", 403},
                 {"PUT", "/api/kv/shared/b/..%2Fa", "1", 403},
                 {"GET", "/api/kv/shared", "", 403},
                 {"GET", "/api/kv/shared?prefix=b", "", 403},
                 {"GET", "/api/kv/shared?prefix=", "", 403},
                 {"GET", "/api/kv/shared?all=true", "", 403},
                 {"DELETE", "/api/kv/shared?confirm=shared", "", 403},
                 {"POST", "/api/kv/shared", R"({"ops":[{"op":"set","key":"a","value":1}]})", 403},
                 {"GET", "/api/kv/mine2", "", 403},
                 {"GET", "/api/kv", "", 403},
                 {"GET", "/api/status", "", 403},
                 {"GET", "/api/whoami", "", 200},
             }) {
            CPPUNIT_ASSERT_EQUAL_MESSAGE(method + " " + target, expected,
                                         status(method, target, body));
        }
    }

    void a_user_lives_and_goes() {
        CPPUNIT_ASSERT_EQUAL(201, add_user("ann", {"editor"}).status);
        CPPUNIT_ASSERT_EQUAL(std::string("/api/users/bob"), add_user("bob", {}).header("location"));
        CPPUNIT_ASSERT_EQUAL(std::string("409 user-exists"), outcome(add_user("ann", {})));
        const auto list = object_of(ask("GET", "/api/users").body);
        CPPUNIT_ASSERT_EQUAL(std::size_t{2}, list->getArray("items")->size());
        CPPUNIT_ASSERT(find_item(list, {{"name", "ann"}}));
        CPPUNIT_ASSERT(list->getArray("items")->getObject(0)->getArray("roles")->size() == 1);
        CPPUNIT_ASSERT_EQUAL(201, as("ann", "PUT", "/api/kv/storage/a", "1"));
        CPPUNIT_ASSERT_EQUAL(403, as("bob", "PUT", "/api/kv/storage/a", "1"));
        CPPUNIT_ASSERT_EQUAL(403, as("ann", "GET", "/api/users"));

        const auto patched = ask("PATCH", "/api/users/bob", R"({"roles":["kv:write"]})",
                                 "Content-Type: application/merge-patch+json\r\n");
        CPPUNIT_ASSERT_EQUAL(200, patched.status);
        CPPUNIT_ASSERT_EQUAL_MESSAGE("at once", 200, as("bob", "PUT", "/api/kv/storage/a", "2"));
        const std::string token = bearer("of-bob", {"kv:*"}, {}, "", "bob");
        CPPUNIT_ASSERT_EQUAL(200, with(token, "PUT", "/api/kv/storage/a", "3"));
        CPPUNIT_ASSERT_EQUAL_MESSAGE("bob may not read", 403,
                                     with(token, "GET", "/api/kv/storage/a"));
        for (const char* null : {R"({"roles":null})", R"({"disabled":null})"}) {
            CPPUNIT_ASSERT_EQUAL(422, ask("PATCH", "/api/users/bob", null).status);
        }
        CPPUNIT_ASSERT_EQUAL(200, ask("PATCH", "/api/users/bob", R"({"disabled":true})").status);
        CPPUNIT_ASSERT_EQUAL(401, with(token, "PUT", "/api/kv/storage/a", "4"));
        CPPUNIT_ASSERT_EQUAL(401, as("bob", "PUT", "/api/kv/storage/a", "4"));
        CPPUNIT_ASSERT_EQUAL(200, ask("PATCH", "/api/users/bob", R"({"disabled":false})").status);
        CPPUNIT_ASSERT_EQUAL(200, with(token, "PUT", "/api/kv/storage/a", "5"));
        CPPUNIT_ASSERT_EQUAL(204, ask("DELETE", "/api/users/bob").status);
        CPPUNIT_ASSERT_EQUAL(401, with(token, "PUT", "/api/kv/storage/a", "6"));
        CPPUNIT_ASSERT_EQUAL(std::string("404 user-not-found"),
                             outcome(ask("DELETE", "/api/users/bob")));
        CPPUNIT_ASSERT_EQUAL(std::string("404 user-not-found"),
                             outcome(ask("GET", "/api/users/bob")));
        CPPUNIT_ASSERT_EQUAL(std::size_t{0},
                             object_of(ask("GET", "/api/tokens").body)->getArray("items")->size());
    }

    void refuses_mistaken_accounts() {
        const auto pointer = [&](const std::string& target, const std::string& body) {
            const Answer answer = ask("POST", target, body);
            return outcome(answer) + " " + answer.member("pointer");
        };
        const std::string invalid = "422 invalid-field ";
        for (const auto& [body, where] : std::vector<std::pair<std::string, std::string>>{
                 {"{}", "/name"},
                 {R"({"name":"a b","password":"12345678"})", "/name"},
                 {R"({"name":1,"password":"12345678"})", "/name"},
                 {R"({"name":"ann"})", "/password"},
                 {R"({"name":"ann","password":"short"})", "/password"},
                 {R"({"name":"ann","password":"12345678","roles":["boss"]})", "/roles/0"},
                 {R"({"name":"ann","password":"12345678","roles":"admin"})", "/roles"},
                 {R"({"name":"ann","password":"12345678","role":"admin"})", "/role"},
                 {R"({"name":"ann","password":"12345678","disabled":1})", "/disabled"}}) {
            CPPUNIT_ASSERT_EQUAL_MESSAGE(body, invalid + where, pointer("/api/users", body));
        }
        for (const auto& [body, where] : std::vector<std::pair<std::string, std::string>>{
                 {R"({"scopes":["kv:read"]})", "/name"},
                 {R"({"name":"a/b","scopes":["kv:read"]})", "/name"},
                 {R"({"name":"a"})", "/scopes"},
                 {R"({"name":"a","scopes":[]})", "/scopes"},
                 {R"({"name":"a","scopes":["kv:read","kv"]})", "/scopes/1"},
                 {R"({"name":"a","scopes":["kv:read"],"prefixes":[""]})", "/prefixes/0"},
                 {R"({"name":"a","scopes":["kv:read"],"prefixes":["/api/kv"]})", "/prefixes/0"},
                 {R"({"name":"a","scopes":["kv:read"],"expires_at":"soon"})", "/expires_at"},
                 {R"({"name":"a","scopes":["kv:read"],"expires_at":9})", "/expires_at"},
                 {R"({"name":"a","scopes":["kv:read"],"user":"nobody"})", "/user"}}) {
            CPPUNIT_ASSERT_EQUAL_MESSAGE(body, invalid + where, pointer("/api/tokens", body));
        }
        CPPUNIT_ASSERT_EQUAL(std::string("400 invalid-json "), pointer("/api/users", "{"));
        CPPUNIT_ASSERT_EQUAL(std::string("404 token-not-found"),
                             outcome(ask("DELETE", "/api/tokens/0123456789ab")));
        CPPUNIT_ASSERT_EQUAL(
            std::string("404 user-not-found"),
            outcome(ask("PUT", "/api/users/ann/password", R"({"password":"12345678"})")));
    }

    void a_revoked_token_is_refused_at_once() {
        const auto made = make_token("ci", {"kv:read"});
        const std::string credentials = header_of(made);
        // On connections that every reactor has seen this token on.
        std::vector<std::unique_ptr<RawClient>> clients;
        for (int i = 0; i < 8; ++i) {
            clients.push_back(std::make_unique<RawClient>(port()));
            CPPUNIT_ASSERT_EQUAL(200,
                                 clients.back()->request("GET", "/api/kv", credentials).status);
        }
        CPPUNIT_ASSERT_EQUAL(
            204, ask("DELETE", "/api/tokens/" + made->getValue<std::string>("id")).status);
        for (const auto& client : clients) {
            CPPUNIT_ASSERT_EQUAL(401, client->request("GET", "/api/kv", credentials).status);
        }
    }

    void passwords_change_as_they_may() {
        add_user("ann", {"editor"});
        add_user("bob", {"editor"});
        const auto set = [&](const std::string& credentials, const std::string& user,
                             const std::string& body) {
            return outcome(
                request(port(), "PUT", "/api/users/" + user + "/password", credentials, body));
        };
        const std::string fresh = R"({"password":"battery staple"})";
        CPPUNIT_ASSERT_EQUAL(std::string("403 forbidden"), set(basic("ann"), "bob", fresh));
        CPPUNIT_ASSERT_EQUAL(std::string("401 unauthorized"), set("", "ann", fresh));
        const std::string token = bearer("of-ann", {"kv:read"}, {}, "", "ann");
        CPPUNIT_ASSERT_EQUAL(std::string("422 invalid-field"), set(token, "ann", fresh));
        CPPUNIT_ASSERT_EQUAL(std::string("403 wrong-password"),
                             set(token, "ann", R"({"password":"battery staple","current":"x"})"));
        CPPUNIT_ASSERT_EQUAL(
            std::string("204"),
            set(token, "ann", R"({"password":"battery staple","current":"correct horse"})"));
        CPPUNIT_ASSERT_EQUAL(401, as("ann", "GET", "/api/whoami"));
        CPPUNIT_ASSERT_EQUAL(200, with(basic("ann", "battery staple"), "GET", "/api/whoami"));
        CPPUNIT_ASSERT_EQUAL(std::string("204"), set(basic("ann", "battery staple"), "ann",
                                                     R"({"password":"another one"})"));
        CPPUNIT_ASSERT_EQUAL(200, with(basic("ann", "another one"), "GET", "/api/whoami"));
        CPPUNIT_ASSERT_EQUAL(204, ask("PUT", "/api/users/bob/password", fresh).status);
        CPPUNIT_ASSERT_EQUAL(200, with(basic("bob", "battery staple"), "GET", "/api/whoami"));
    }

    void guessing_is_throttled() {
        start({{"LARDER_AUTH_ENABLED", "true"},
               {"LARDER_AUTH_FAILURES_PER_USER", "2"},
               {"LARDER_AUTH_FAILURES_PER_ADDRESS", "4"}});
        add_user("ann", {"viewer"});
        CPPUNIT_ASSERT_EQUAL(200, as("ann", "GET", "/api/kv"));
        for (int i = 0; i < 2; ++i) {
            CPPUNIT_ASSERT_EQUAL(401,
                                 with(basic("ann", fmt::format("guess {}", i)), "GET", "/api/kv"));
        }
        const Answer refused = request(port(), "GET", "/api/kv", basic("ann", "guess 3"));
        CPPUNIT_ASSERT_EQUAL(std::string("429 too-many-logins"), outcome(refused));
        CPPUNIT_ASSERT(std::stoi(refused.header("retry-after")) > 200);
        CPPUNIT_ASSERT_EQUAL_MESSAGE("who is known goes on", 200, as("ann", "GET", "/api/kv"));
        for (int i = 0; i < 2; ++i) {
            CPPUNIT_ASSERT_EQUAL(401,
                                 with(basic("bob", fmt::format("guess {}", i)), "GET", "/api/kv"));
        }
        CPPUNIT_ASSERT_EQUAL_MESSAGE("nor by other names", 429,
                                     with(basic("eve", "guess 1"), "GET", "/api/kv"));
        const std::string token = bearer("ci", {"kv:read"});
        CPPUNIT_ASSERT_EQUAL_MESSAGE("tokens are not guessed", 200, with(token, "GET", "/api/kv"));
        const std::string page = ask("GET", "/metrics").body;
        CPPUNIT_ASSERT(page.find("larder_auth_failures_total{reason=\"wrong-password\"} 4") !=
                       std::string::npos);
    }

    void survives_a_restart_and_keeps_no_secret() {
        add_user("ann", {"viewer"});
        const auto made = make_token("ci", {"kv:read"});
        CPPUNIT_ASSERT_EQUAL(200, with(header_of(made), "GET", "/api/kv"));
        start({{"LARDER_AUTH_ENABLED", "true"}});
        CPPUNIT_ASSERT_EQUAL(200, as("ann", "GET", "/api/kv"));
        CPPUNIT_ASSERT_EQUAL(200, with(header_of(made), "GET", "/api/kv"));
        const auto list = object_of(ask("GET", "/api/tokens").body);
        const auto item = find_item(list, {{"name", "ci"}});
        CPPUNIT_ASSERT(item && !item->isNull("last_used") && !item->has("secret"));
        CPPUNIT_ASSERT_EQUAL(0, daemon_->stop());
        const std::string secret = made->getValue<std::string>("secret").substr(20);
        const std::string all = read_file(folder_ / "data/users.json") +
                                read_file(folder_ / "data/logs/access.log") + daemon_->log();
        CPPUNIT_ASSERT(all.find(secret) == std::string::npos);
        CPPUNIT_ASSERT(all.find("correct horse") == std::string::npos);
        CPPUNIT_ASSERT(all.find(storage::to_base64url("ann:correct horse")) == std::string::npos);
        CPPUNIT_ASSERT(all.find("$scrypt$") != std::string::npos);
    }

    void records_who_did_what() {
        start({{"LARDER_AUTH_ENABLED", "true"},
               {"LARDER_METRICS_ENABLED", "false"},  // it stores the audit, too
               {"LARDER_DAEMON_PLUGIN_DIRS", daemon_folder() + "/lib/larder/test_plugins"}});
        const std::string admin = bearer("boss", {"admin"});
        with(admin, "POST", "/api/users", R"({"name":"ann","password":"correct horse"})");
        with(admin, "PATCH", "/api/users/ann", R"({"roles":["viewer"]})");
        with(admin, "PUT", "/api/users/ann/password", R"({"password":"battery staple"})");
        CPPUNIT_ASSERT_EQUAL(403, with(basic("ann", "battery staple"), "POST", "/api/reload"));
        with("Authorization: Bearer larder_0123456789ab_x\r\n", "GET", "/api/kv");
        with(admin, "DELETE", "/api/users/ann");
        CPPUNIT_ASSERT_EQUAL(200, ask("POST", "/api/plugins/shelf/enable").status);
        for (const char* line : {"token.add ", "user.add ann", "user.change ann",
                                 "user.password ann", "auth.failed", "user.remove ann"}) {
            CPPUNIT_ASSERT_MESSAGE(line, eventually([&] {
                                       ask("POST", "/api/scheduler/jobs/larderd.disk/run");
                                       const std::string seen =
                                           ask("GET", "/api/shelf/seen?what=audit").body;
                                       return seen.find(line) != std::string::npos;
                                   }));
        }
        const std::string seen = ask("GET", "/api/shelf/seen?what=audit").body;
        CPPUNIT_ASSERT_MESSAGE(seen, seen.find("horse") == std::string::npos &&
                                         seen.find("staple") == std::string::npos);
        CPPUNIT_ASSERT_EQUAL(0, daemon_->stop());
        const std::string log = read_file(folder_ / "data/logs/access.log");
        CPPUNIT_ASSERT_MESSAGE(log, log.find(" - token/boss [") != std::string::npos);
        CPPUNIT_ASSERT_MESSAGE("who was refused, too", log.find(" - ann [") != std::string::npos);
    }

    void an_upload_waits_for_its_password() {
        add_user("ann", {"editor"});
        const std::string value = "\"" + std::string(300000, 'x') + "\"";
        RawClient client(port());
        const Answer answer = client.request("PUT", "/api/kv/storage/big", basic("ann"), value);
        CPPUNIT_ASSERT_EQUAL(201, answer.status);
        CPPUNIT_ASSERT_EQUAL(value,
                             client.request("GET", "/api/kv/storage/big", basic("ann")).body);
        RawClient other(port());
        CPPUNIT_ASSERT_EQUAL(
            401, other.request("PUT", "/api/kv/storage/big", basic("ann", "no"), value).status);
    }

    void accounts_can_be_made_before_auth_is_on() {
        start({});
        const auto me = object_of(request(port(), "GET", "/api/whoami").body);
        CPPUNIT_ASSERT_EQUAL(std::string("none"), me->getValue<std::string>("by"));
        CPPUNIT_ASSERT(!me->getValue<bool>("auth_enabled") && me->getValue<bool>("admin"));
        CPPUNIT_ASSERT_EQUAL(201, add_user("ann", {"admin"}).status);
        start({{"LARDER_AUTH_ENABLED", "true"}});
        CPPUNIT_ASSERT_EQUAL(200, as("ann", "GET", "/api/users"));
        const auto now = object_of(request(port(), "GET", "/api/whoami", basic("ann")).body);
        CPPUNIT_ASSERT_EQUAL(std::string("ann"), now->getValue<std::string>("name"));
        CPPUNIT_ASSERT_EQUAL(std::string("password"), now->getValue<std::string>("by"));
        CPPUNIT_ASSERT(now->getValue<bool>("admin"));
    }

private:
    int port() const { return daemon_->port(); }
    static std::string daemon_folder() {
        const std::string binary = DaemonProcess::binary();
        return binary.substr(0, binary.rfind("/bin/"));
    }
    void start(std::vector<std::pair<std::string, std::string>> environment) {
        if (daemon_) CPPUNIT_ASSERT_EQUAL(0, daemon_->stop());
        daemon_.reset();
        DaemonOptions options;
        options.data_directory = folder_ / "data";
        options.environment = std::move(environment);
        daemon_ = std::make_unique<DaemonProcess>(options);
    }
    // By the Unix socket, as an admin of the machine.
    Answer ask(std::string_view method, const std::string& target, const std::string& body = "",
               const std::string& headers = "") const {
        return RawClient(folder_ / "data/larder.sock").request(method, target, headers, body);
    }
    int with(const std::string& credentials, std::string_view method, const std::string& target,
             const std::string& body = "") const {
        return request(port(), method, target, credentials, body).status;
    }
    int as(const std::string& user, std::string_view method, const std::string& target,
           const std::string& body = "") const {
        return with(basic(user), method, target, body);
    }
    static std::string basic(const std::string& user,
                             const std::string& password = "correct horse") {
        return "Authorization: Basic " + storage::to_base64url(user + ":" + password) + "\r\n";
    }
    static std::string array_of(const std::vector<std::string>& words) {
        std::string all;
        for (const auto& word : words) all += (all.empty() ? "\"" : ",\"") + word + "\"";
        return "[" + all + "]";
    }
    Answer add_user(const std::string& name, const std::vector<std::string>& roles) const {
        return ask("POST", "/api/users",
                   fmt::format(R"({{"name":"{}","password":"correct horse","roles":{}}})", name,
                               array_of(roles)));
    }
    Poco::JSON::Object::Ptr make_token(const std::string& name,
                                       const std::vector<std::string>& scopes,
                                       const std::vector<std::string>& prefixes = {},
                                       const std::string& expires = "",
                                       const std::string& user = "") const {
        const Answer made = ask(
            "POST", "/api/tokens",
            fmt::format(R"({{"name":"{}","scopes":{},"prefixes":{},"expires_at":{},"user":{}}})",
                        name, array_of(scopes), array_of(prefixes),
                        expires.empty() ? "null" : "\"" + expires + "\"",
                        user.empty() ? "null" : "\"" + user + "\""));
        CPPUNIT_ASSERT_EQUAL_MESSAGE(made.body, 201, made.status);
        return object_of(made.body);
    }
    static std::string header_of(const Poco::JSON::Object::Ptr& token) {
        return "Authorization: Bearer " + token->getValue<std::string>("secret") + "\r\n";
    }
    std::string bearer(const std::string& name, const std::vector<std::string>& scopes,
                       const std::vector<std::string>& prefixes = {},
                       const std::string& expires = "", const std::string& user = "") const {
        return header_of(make_token(name, scopes, prefixes, expires, user));
    }
    static std::string outcome(const Answer& answer) {
        return answer.status < 400 ? std::to_string(answer.status)
                                   : fmt::format("{} {}", answer.status, answer.member("code"));
    }
    TemporaryFolder folder_;
    std::unique_ptr<DaemonProcess> daemon_;
};

LARDER_TEST_SUITE(AccountsSystemTest);

}  // namespace
}  // namespace larder::test
