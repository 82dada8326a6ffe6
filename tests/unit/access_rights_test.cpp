// What scopes, roles and prefixes allow, and which are refused.
#include "access/rights.hpp"

#include <stdexcept>

#include "support/suite.hpp"

namespace larder::access {
namespace {

class AccessRightsTest : public CppUnit::TestFixture {
    CPPUNIT_TEST_SUITE(AccessRightsTest);
    CPPUNIT_TEST(a_scope_allows_what_it_says_and_no_more);
    CPPUNIT_TEST(stars_stand_for_all);
    CPPUNIT_TEST(only_the_admin_administers_the_daemon);
    CPPUNIT_TEST(refuses_what_is_no_scope);
    CPPUNIT_TEST(roles_are_scopes);
    CPPUNIT_TEST(prefixes_confine);
    CPPUNIT_TEST(a_token_has_no_more_than_its_user);
    CPPUNIT_TEST_SUITE_END();

public:
    void a_scope_allows_what_it_says_and_no_more() {
        CPPUNIT_ASSERT_EQUAL(std::string("kv:r"), allowed({"kv:read"}));
        CPPUNIT_ASSERT_EQUAL(std::string("kv:w"), allowed({"kv:write"}));
        CPPUNIT_ASSERT_EQUAL(std::string("kv:rw files:r"),
                             allowed({"kv:write", "kv:read", "files:read"}));
        CPPUNIT_ASSERT_EQUAL(std::string("kv:x"), allowed({"kv:execute"}));
        CPPUNIT_ASSERT_EQUAL(std::string("daemon:r"), allowed({"daemon:read"}));
        CPPUNIT_ASSERT_EQUAL(std::string(), allowed({"cache:read"}));
        CPPUNIT_ASSERT_EQUAL(std::string(), allowed({}));
    }

    void stars_stand_for_all() {
        CPPUNIT_ASSERT_EQUAL(std::string("kv:rwxa"), allowed({"kv:*"}));
        CPPUNIT_ASSERT_EQUAL(std::string("kv:r files:r daemon:r"), allowed({"*:read"}));
        CPPUNIT_ASSERT_EQUAL(std::string("kv:a files:a"), allowed({"*:admin"}));
        CPPUNIT_ASSERT_EQUAL(std::string("kv:rwxa files:rwxa daemon:rwx"), allowed({"*:*"}));
    }

    void only_the_admin_administers_the_daemon() {
        CPPUNIT_ASSERT_EQUAL(std::string("daemon:rwx"), allowed({"daemon:*"}));
        CPPUNIT_ASSERT_EQUAL(std::string("kv:rwxa files:rwxa daemon:rwxa"), allowed({"admin"}));
        CPPUNIT_ASSERT(Rights(Grants::of({"admin"})).is_admin());
        CPPUNIT_ASSERT(!Rights(Grants::of({"*:*"})).is_admin());
        CPPUNIT_ASSERT(!Rights(Grants::of({"admin"}), {}, {"kv/"}).is_admin());
        CPPUNIT_ASSERT(!Rights(Grants::of({"admin"}), Grants::of({"*:*"}), {}).is_admin());
    }

    void refuses_what_is_no_scope() {
        for (const char* scope : {"", "kv", "kv:", ":read", "kv:reads", "KV:read", "kv:read ",
                                  "kv:read:write", "k-v:read", "daemon:admin", "admin:", "*",
                                  "9:read", "a123456789012345678901234567890123:read"}) {
            CPPUNIT_ASSERT_THROW_MESSAGE(scope, Grants::check(scope), std::invalid_argument);
        }
        for (const char* scope : {"admin", "kv:read", "files:write", "programs:execute", "backup:*",
                                  "*:*", "*:read", "a_1:admin", "daemon:*"}) {
            CPPUNIT_ASSERT_NO_THROW_MESSAGE(scope, Grants::check(scope));
        }
    }

    void roles_are_scopes() {
        const auto of_roles = [](const std::vector<std::string>& roles) {
            return shown(grants_of_roles(roles));
        };
        CPPUNIT_ASSERT_EQUAL(std::string("kv:r files:r daemon:r"), of_roles({"viewer"}));
        CPPUNIT_ASSERT_EQUAL(std::string("kv:rwx files:rwx daemon:rwx"), of_roles({"editor"}));
        CPPUNIT_ASSERT_EQUAL(std::string("kv:rwxa files:rwxa daemon:rwxa"), of_roles({"admin"}));
        CPPUNIT_ASSERT_EQUAL(std::string("kv:rw files:r daemon:r"),
                             of_roles({"viewer", "kv:write"}));
        CPPUNIT_ASSERT_EQUAL(std::string(), of_roles({}));
        for (const Role& role : roles()) CPPUNIT_ASSERT_NO_THROW(check_role(role.name));
        CPPUNIT_ASSERT_NO_THROW(check_role("kv:read"));
        CPPUNIT_ASSERT_THROW(check_role("root"), std::invalid_argument);
    }

    void prefixes_confine() {
        const Rights rights(Grants::of({"kv:*"}), {}, {"kv/settings/", "files/report"});
        CPPUNIT_ASSERT(rights.is_confined());
        for (const char* name : {"kv/settings/", "kv/settings/a", "files/report-1.pdf"}) {
            CPPUNIT_ASSERT_MESSAGE(name, rights.cover(name));
        }
        for (const char* name : {"kv/settings", "kv/settings2/a", "kv/", "", "files/repor"}) {
            CPPUNIT_ASSERT_MESSAGE(name, !rights.cover(name));
        }
        CPPUNIT_ASSERT(Rights(Grants::of({})).cover("anything"));
    }

    void a_token_has_no_more_than_its_user() {
        const Rights rights(Grants::of({"kv:*", "files:read"}), grants_of_roles({"editor"}), {});
        CPPUNIT_ASSERT(rights.allow("kv", Permission::write));
        CPPUNIT_ASSERT(!rights.allow("kv", Permission::admin));
        CPPUNIT_ASSERT(rights.allow("files", Permission::read));
        CPPUNIT_ASSERT(!rights.allow("files", Permission::write));
        CPPUNIT_ASSERT(rights.allow("cache", Permission::open));
    }

private:
    static std::string allowed(const std::vector<std::string>& scopes) {
        return shown(Grants::of(scopes));
    }
    static std::string shown(const Grants& grants) {
        std::string all;
        for (const char* area : {"kv", "files", "daemon"}) {
            std::string letters;
            for (const auto& [permission, letter] :
                 std::vector<std::pair<Permission, char>>{{Permission::read, 'r'},
                                                          {Permission::write, 'w'},
                                                          {Permission::execute, 'x'},
                                                          {Permission::admin, 'a'}}) {
                if (grants.allow(area, permission)) letters += letter;
            }
            if (letters.empty()) continue;
            all += (all.empty() ? "" : " ") + std::string(area) + ":" + letters;
        }
        return all;
    }
};

LARDER_TEST_SUITE(AccessRightsTest);

}  // namespace
}  // namespace larder::access
