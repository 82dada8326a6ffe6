// Users and tokens on a disk that may fail, and the file that keeps them.
#include "access/accounts.hpp"

#include <cerrno>

#include "access/secrets.hpp"
#include "larder/error.hpp"
#include "storage-kit/atomic_file.hpp"
#include "support/fault_disk.hpp"
#include "support/kept_log.hpp"
#include "support/suite.hpp"

namespace larder::access {
namespace {

class AccountsTest : public CppUnit::TestFixture {
    CPPUNIT_TEST_SUITE(AccountsTest);
    CPPUNIT_TEST(keeps_all_of_it_over_restarts);
    CPPUNIT_TEST(a_change_that_cannot_be_written_was_not_made);
    CPPUNIT_TEST(a_change_that_throws_was_not_made);
    CPPUNIT_TEST(last_uses_are_written_when_there_were_any);
    CPPUNIT_TEST(a_file_of_others_is_kept_aside);
    CPPUNIT_TEST(refuses_what_it_cannot_read);
    CPPUNIT_TEST(names_and_passwords_have_bounds);
    CPPUNIT_TEST_SUITE_END();

public:
    void keeps_all_of_it_over_restarts() {
        Accounts accounts(disk_, kPath, log_);
        CPPUNIT_ASSERT(accounts.now()->users.empty());
        const auto before = accounts.version();
        accounts.change([&](Directory& directory) {
            directory.users["ann"] = ann();
            directory.tokens["a1"] = token();
        });
        CPPUNIT_ASSERT(accounts.version() > before);
        const Accounts again(disk_, kPath, log_);
        const auto directory = again.now();
        const User& user = directory->users.at("ann");
        CPPUNIT_ASSERT_EQUAL(std::string("ann"), user.name);
        CPPUNIT_ASSERT_EQUAL(ann().password_hash, user.password_hash);
        CPPUNIT_ASSERT(user.roles == ann().roles);
        CPPUNIT_ASSERT(user.disabled);
        CPPUNIT_ASSERT_EQUAL(std::int64_t{1000}, user.created_ms);
        CPPUNIT_ASSERT_EQUAL(std::int64_t{2000}, user.updated_ms);
        const Token& kept = directory->tokens.at("a1");
        CPPUNIT_ASSERT_EQUAL(std::string("a1"), kept.id);
        CPPUNIT_ASSERT_EQUAL(token().name, kept.name);
        CPPUNIT_ASSERT_EQUAL(token().sha256, kept.sha256);
        CPPUNIT_ASSERT(kept.scopes == token().scopes && kept.prefixes == token().prefixes);
        CPPUNIT_ASSERT_EQUAL(std::string("ann"), kept.user);
        CPPUNIT_ASSERT_EQUAL(std::int64_t{3000}, kept.created_ms);
        CPPUNIT_ASSERT_EQUAL(std::int64_t{4000}, kept.expires_ms);
        CPPUNIT_ASSERT_EQUAL(std::int64_t{0}, kept.last_used_ms->load());
    }

    void a_change_that_cannot_be_written_was_not_made() {
        for (const auto& [error, slug] : std::vector<std::pair<int, std::string>>{
                 {ENOSPC, "disk-full"}, {EDQUOT, "disk-full"}, {EIO, "storage-failed"}}) {
            test::FaultDisk disk;
            Accounts accounts(disk, kPath, log_);
            accounts.change([](Directory& directory) { directory.users["ann"] = ann(); });
            const auto version = accounts.version();
            disk.arm({1, error});
            try {
                accounts.change([](Directory& directory) { directory.users.clear(); });
                CPPUNIT_FAIL("it was taken");
            } catch (const Error& refusal) {
                CPPUNIT_ASSERT_EQUAL(slug, refusal.slug());
                CPPUNIT_ASSERT(refusal.detail().find('/') == std::string::npos);
            }
            CPPUNIT_ASSERT_EQUAL(version, accounts.version());
            CPPUNIT_ASSERT(accounts.now()->users.contains("ann"));
            CPPUNIT_ASSERT(Accounts(disk, kPath, log_).now()->users.contains("ann"));
        }
    }

    void a_change_that_throws_was_not_made() {
        Accounts accounts(disk_, kPath, log_);
        CPPUNIT_ASSERT_THROW(accounts.change([](Directory& directory) {
            directory.users["ann"] = ann();
            throw Error(Errc::conflict, "no", "no");
        }),
                             Error);
        CPPUNIT_ASSERT(accounts.now()->users.empty());
        CPPUNIT_ASSERT(!disk_.exists(kPath));
    }

    void last_uses_are_written_when_there_were_any() {
        Accounts accounts(disk_, kPath, log_);
        accounts.change([](Directory& directory) { directory.tokens["a1"] = token(); });
        disk_.remove(kPath);
        accounts.keep_last_uses();
        CPPUNIT_ASSERT_MESSAGE("nothing was used", !disk_.exists(kPath));
        *accounts.now()->tokens.at("a1").last_used_ms = 5000;
        accounts.keep_last_uses();
        const Accounts again(disk_, kPath, log_);
        CPPUNIT_ASSERT_EQUAL(std::int64_t{5000}, again.now()->tokens.at("a1").last_used_ms->load());
        disk_.remove(kPath);
        accounts.keep_last_uses();
        CPPUNIT_ASSERT_MESSAGE("nothing since", !disk_.exists(kPath));
    }

    void a_file_of_others_is_kept_aside() {
        const std::string text = R"({"bob": {"password": "plain"}})";
        storage::write_atomically(disk_, kPath, text);
        Accounts accounts(disk_, kPath, log_);
        CPPUNIT_ASSERT(accounts.now()->users.empty());
        CPPUNIT_ASSERT(log_.has("users.json.origin"));
        CPPUNIT_ASSERT_EQUAL(text, storage::read_file(disk_, kPath));
        accounts.change([](Directory& directory) { directory.users["ann"] = ann(); });
        CPPUNIT_ASSERT_EQUAL(text, storage::read_file(disk_, kPath + ".origin"));
        CPPUNIT_ASSERT(Accounts(disk_, kPath, log_).now()->users.contains("ann"));
    }

    void refuses_what_it_cannot_read() {
        Directory directory;
        directory.users["ann"] = ann();
        directory.tokens["a1"] = token();
        const std::string good = text_of(directory);
        CPPUNIT_ASSERT_NO_THROW(directory_of(good, kPath));
        for (const auto& [from, to] : std::vector<std::pair<std::string, std::string>>{
                 {"\"version\": 1", "\"version\": 2"},
                 {"$scrypt$", "$plain$"},
                 {"[\"editor\"]", "[\"boss\"]"},
                 {"[\"editor\"]", "\"editor\""},
                 {"\"ann\": {", "\"a:b\": {"},
                 {"kv:read", "kv:reads"},
                 {token().sha256, "abc"},
                 {"1970-01-01T00:00:04.000Z", "soon"},
                 {"\"tokens\": {", "\"tokens\": {,"}}) {
            std::string bad = good;
            CPPUNIT_ASSERT_MESSAGE(from, bad.find(from) != std::string::npos);
            bad.replace(bad.find(from), from.size(), to);
            test::FaultDisk disk;
            storage::write_atomically(disk, kPath, bad);
            try {
                const Accounts accounts(disk, kPath, log_);
                CPPUNIT_FAIL("it was taken: " + to);
            } catch (const Error& error) {
                CPPUNIT_ASSERT(error.code() == Errc::corrupt);
                CPPUNIT_ASSERT_MESSAGE(error.detail(),
                                       error.detail().find(kPath) != std::string::npos);
            }
        }
    }

    void names_and_passwords_have_bounds() {
        for (const char* name : {"a", "Ann", "ann.b@example.org", "0", "a_b-c"}) {
            CPPUNIT_ASSERT_NO_THROW_MESSAGE(name, check_user_name(name));
        }
        for (const std::string& name :
             {std::string(), std::string("a:b"), std::string("a/b"), std::string("a b"),
              std::string(".a"), std::string("local"), std::string("token"),
              std::string("\xc3\xa4"), std::string(65, 'a')}) {
            CPPUNIT_ASSERT_THROW_MESSAGE(name, check_user_name(name), std::invalid_argument);
        }
        CPPUNIT_ASSERT_NO_THROW(check_token_name("ci:deploy"));
        CPPUNIT_ASSERT_THROW(check_token_name("a/b"), std::invalid_argument);
        CPPUNIT_ASSERT_THROW(check_token_name("a b"), std::invalid_argument);
        CPPUNIT_ASSERT_THROW(check_token_name(""), std::invalid_argument);
        CPPUNIT_ASSERT_NO_THROW(check_password("12345678"));
        CPPUNIT_ASSERT_THROW(check_password("1234567"), std::invalid_argument);
        CPPUNIT_ASSERT_THROW(check_password(std::string(1025, 'a')), std::invalid_argument);
    }

private:
    static User ann() {
        static const std::string hash = hash_password("correct horse", {4, 1, 1});
        return {"ann", hash, {"editor"}, true, 1000, 2000};
    }
    static Token token() {
        Token token;
        token.id = "a1";
        token.name = "say\"ci\"";
        token.sha256 = std::string(64, 'a');
        token.scopes = {"kv:read"};
        token.prefixes = {"kv/\xc3\xa4/"};
        token.user = "ann";
        token.created_ms = 3000;
        token.expires_ms = 4000;
        return token;
    }

    static inline const std::string kPath = "/data/users.json";
    test::FaultDisk disk_;
    test::KeptLog log_;
};

LARDER_TEST_SUITE(AccountsTest);

}  // namespace
}  // namespace larder::access
