// Who is let in by what a request's head and its peer say: names, origins, credentials.
#include "access/access.hpp"

#include <fmt/format.h>

#include "support/fake_exchange.hpp"
#include "support/suite.hpp"

namespace larder::access {
namespace {

class AccessTest : public CppUnit::TestFixture {
    CPPUNIT_TEST_SUITE(AccessTest);
    CPPUNIT_TEST(takes_hosts_apart);
    CPPUNIT_TEST(knows_loopback_names);
    CPPUNIT_TEST(knows_addresses);
    CPPUNIT_TEST(answers_to_its_own_names_alone);
    CPPUNIT_TEST(a_wildcard_listener_answers_to_any_address);
    CPPUNIT_TEST(a_unix_socket_answers_to_any_name);
    CPPUNIT_TEST(judges_origins_of_changes);
    CPPUNIT_TEST(reads_from_anywhere);
    CPPUNIT_TEST(asks_for_credentials_where_auth_is_on);
    CPPUNIT_TEST_SUITE_END();

public:
    void takes_hosts_apart() {
        CPPUNIT_ASSERT_EQUAL(std::string("a.example"), host_of("A.Example:80"));
        CPPUNIT_ASSERT_EQUAL(std::string("a"), host_of("a"));
        CPPUNIT_ASSERT_EQUAL(std::string("a"), host_of("a:"));
        CPPUNIT_ASSERT_EQUAL(std::string("::1"), host_of("[::1]:80"));
        CPPUNIT_ASSERT_EQUAL(std::string("fe80::a"), host_of("[FE80::A]"));
        CPPUNIT_ASSERT_EQUAL(std::string(), host_of(""));
        CPPUNIT_ASSERT_EQUAL(std::string(), host_of(":80"));
    }

    void knows_loopback_names() {
        for (const char* name : {"localhost", "a.localhost", "127.0.0.1", "127.255.0.7", "::1"}) {
            CPPUNIT_ASSERT_MESSAGE(name, is_loopback_name(name));
        }
        for (const char* name : {"", "localhost.example", "xlocalhost", "128.0.0.1", "127.0.0.1.x",
                                 "127.1", "0.0.0.0", "::", "::2", "127.0.0.1 "}) {
            CPPUNIT_ASSERT_MESSAGE(name, !is_loopback_name(name));
        }
    }

    void knows_addresses() {
        for (const char* text : {"192.0.2.1", "0.0.0.0", "::", "2001:db8::1", "::ffff:1.2.3.4"}) {
            CPPUNIT_ASSERT_MESSAGE(text, is_ip_literal(text));
        }
        for (const char* text : {"", "192.0.2", "192.0.2.1.5", "a.example", "2001:db8", "1"}) {
            CPPUNIT_ASSERT_MESSAGE(text, !is_ip_literal(text));
        }
    }

    void answers_to_its_own_names_alone() {
        Policy policy;
        policy.own_hosts = {"127.0.0.1", "data.example"};
        policy.allowed_hosts = {"larder.example"};
        const Access access(policy);
        for (const char* host : {"localhost", "LOCALHOST:8080", "127.0.0.1", "127.0.0.2:1", "[::1]",
                                 "data.example", "Data.Example:80", "larder.example", ""}) {
            CPPUNIT_ASSERT_EQUAL_MESSAGE(host, 0, judged(access, host, {}, false));
        }
        for (const char* host : {"evil.example", "a.data.example", "data.example.evil", "192.0.2.1",
                                 "data.example.", "localhost.", "[2001:db8::1]"}) {
            CPPUNIT_ASSERT_EQUAL_MESSAGE(host, 421, judged(access, host, {}, false));
        }
    }

    void a_wildcard_listener_answers_to_any_address() {
        Policy policy;
        policy.own_hosts = {"0.0.0.0"};
        policy.any_address = true;
        const Access access(policy);
        CPPUNIT_ASSERT_EQUAL(0, judged(access, "192.0.2.1:80", {}, false));
        CPPUNIT_ASSERT_EQUAL(0, judged(access, "[2001:db8::1]", {}, false));
        CPPUNIT_ASSERT_EQUAL(421, judged(access, "evil.example", {}, false));
        CPPUNIT_ASSERT_EQUAL(421, judged(access, "192.0.2.1.evil.example", {}, false));
    }

    void a_unix_socket_answers_to_any_name() {
        const Access access{Policy()};
        peer_.local = true;
        CPPUNIT_ASSERT_EQUAL(0, judged(access, "anything", {}, true));
        CPPUNIT_ASSERT_EQUAL(0, judged(access, "", {}, true));
    }

    void judges_origins_of_changes() {
        Policy policy;
        policy.allowed_origins = {"https://admin.example", "null"};
        const Access access(policy);
        const auto from = [&](std::string_view origin, std::string_view site = {}) {
            std::vector<http::Field> fields{{"Origin", origin}};
            if (!site.empty()) fields.push_back({"Sec-Fetch-Site", site});
            return judged(access, "localhost:8080", fields, true);
        };
        CPPUNIT_ASSERT_EQUAL(0, judged(access, "localhost:8080", {}, true));
        CPPUNIT_ASSERT_EQUAL(0, from("http://localhost:8080"));
        CPPUNIT_ASSERT_EQUAL(0, from("HTTP://LOCALHOST:8080"));
        CPPUNIT_ASSERT_EQUAL(0, from("https://admin.example"));
        CPPUNIT_ASSERT_EQUAL(0, from("https://Admin.Example", "cross-site"));
        CPPUNIT_ASSERT_EQUAL(0, from("null"));  // only since this admin allows it
        for (const char* origin :
             {"https://localhost:8080", "http://localhost", "http://127.0.0.1:8080",
              "http://evil.example", "", "http://localhost:8080.evil.example",
              "http://localhost:80801", "https://admin.example.evil", "xhttps://admin.example"}) {
            CPPUNIT_ASSERT_EQUAL_MESSAGE(origin, 403, from(origin));
        }
        CPPUNIT_ASSERT_EQUAL(403, from("http://localhost:8080", "Cross-Site"));
        const auto only_site = [&](std::string_view site) {
            return judged(access, "localhost", {{"sec-fetch-site", site}}, true);
        };
        CPPUNIT_ASSERT_EQUAL(403, only_site("cross-site"));
        for (const char* site : {"same-origin", "same-site", "none"}) {
            CPPUNIT_ASSERT_EQUAL_MESSAGE(site, 0, only_site(site));
        }
        peer_.tls = true;
        CPPUNIT_ASSERT_EQUAL(0, from("https://localhost:8080"));
        CPPUNIT_ASSERT_EQUAL(403, from("http://localhost:8080"));
        const Access strict{Policy()};
        CPPUNIT_ASSERT_EQUAL(403, judged(strict, "localhost", {{"Origin", "null"}}, true));
    }

    void reads_from_anywhere() {
        const Access access{Policy()};
        CPPUNIT_ASSERT_EQUAL(
            0, judged(access, "localhost", {{"Origin", "https://evil.example"}}, false));
        CPPUNIT_ASSERT_EQUAL(421, judged(access, "evil.example", {}, false));
    }

    void asks_for_credentials_where_auth_is_on() {
        Policy policy;
        policy.own_uid = 1000;
        const Access off(policy);
        policy.auth_enabled = true;
        const Access on(policy);
        const auto who = [&](const Access& access) {
            const auto exchange = std::make_shared<test::FakeExchange>("GET", "/");
            exchange->mutable_peer() = peer_;
            const auto identity = access.identify(exchange, nullptr);
            CPPUNIT_ASSERT(!identity.refusal && !identity.attempt);
            return identity.principal ? "'" + identity.principal->name + "'" : "nobody";
        };
        CPPUNIT_ASSERT_EQUAL(std::string("''"), who(off));
        CPPUNIT_ASSERT_EQUAL(std::string("nobody"), who(on));
        peer_.uid = 0;  // of a TCP peer this means nothing
        CPPUNIT_ASSERT_EQUAL(std::string("nobody"), who(on));
        peer_.local = true;
        CPPUNIT_ASSERT_EQUAL(std::string("'local'"), who(on));
        CPPUNIT_ASSERT_EQUAL(std::string("''"), who(off));
        peer_.uid = 1000;
        CPPUNIT_ASSERT_EQUAL(std::string("'local'"), who(on));
        peer_.uid = 1001;
        CPPUNIT_ASSERT_EQUAL(std::string("nobody"), who(on));
    }

private:
    int judged(const Access& access, std::string_view authority, std::vector<http::Field> fields,
               bool changes) const {
        http::Head head;
        head.authority = authority;
        head.fields = std::move(fields);
        const auto refusal = access.judge_site(head, peer_, changes);
        return refusal ? refusal->status : 0;
    }

    http::Peer peer_;
};

LARDER_TEST_SUITE(AccessTest);

}  // namespace
}  // namespace larder::access
