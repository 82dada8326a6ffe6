// Passwords and tokens as texts: what is made is taken, what was tampered with is not.
#include "access/secrets.hpp"

#include <set>

#include "storage-kit/encodings.hpp"
#include "support/suite.hpp"

namespace larder::access {
namespace {

constexpr ScryptCost kCheap{4, 1, 1};

class AccessSecretsTest : public CppUnit::TestFixture {
    CPPUNIT_TEST_SUITE(AccessSecretsTest);
    CPPUNIT_TEST(knows_a_password_again);
    CPPUNIT_TEST(agrees_with_the_rfc);
    CPPUNIT_TEST(takes_no_damaged_hash);
    CPPUNIT_TEST(refuses_a_cost_that_nobody_pays);
    CPPUNIT_TEST(makes_tokens_that_differ);
    CPPUNIT_TEST(reads_the_id_of_tokens_alone);
    CPPUNIT_TEST_SUITE_END();

public:
    void knows_a_password_again() {
        const std::string with_nul("a\0b", 3);
        for (const std::string& password :
             {std::string("correct horse"), std::string(), with_nul}) {
            const std::string hash = hash_password(password, kCheap);
            CPPUNIT_ASSERT(is_password_hash(hash));
            CPPUNIT_ASSERT(is_password(password, hash));
            CPPUNIT_ASSERT(!is_password(password + "x", hash));
            CPPUNIT_ASSERT(hash != hash_password(password, kCheap));
        }
        CPPUNIT_ASSERT(!is_password("a", hash_password(with_nul, kCheap)));
        CPPUNIT_ASSERT(is_password("as it is set", hash_password("as it is set")));
    }

    // RFC 7914 §12, the second vector: "password", "NaCl", N 1024, r 8, p 16.
    void agrees_with_the_rfc() {
        const std::string key = *storage::from_any_base64(
            "_bq-HJ00cgB4VucZDQHp_nxq18vII3gw53N2Y0s3MWIurzDZLiKjiG_xCSed"
            "mDDaxyevuUqD7m2DYMvfoswGQA");
        const std::string hash = "$scrypt$ln=10,r=8,p=16$" + storage::to_base64url("NaCl") + "$" +
                                 storage::to_base64url(key);
        CPPUNIT_ASSERT_EQUAL(std::size_t{64}, key.size());
        CPPUNIT_ASSERT(is_password("password", hash));
        CPPUNIT_ASSERT(!is_password("Password", hash));
    }

    void takes_no_damaged_hash() {
        const std::string hash = hash_password("correct horse", kCheap);
        CPPUNIT_ASSERT_EQUAL(std::string("$scrypt$ln=4,r=1,p=1$"), hash.substr(0, 21));
        for (const std::string& text :
             {std::string(), std::string("correct horse"), hash.substr(1), hash.substr(0, 40),
              hash + "!", "$bcrypt" + hash.substr(7), hash.substr(0, hash.rfind('$')),
              std::string("$scrypt$ln=4,r=1,p=1$$"), std::string("$scrypt$ln=x,r=1,p=1$YQ$YQ")}) {
            CPPUNIT_ASSERT_MESSAGE(text, !is_password_hash(text));
            CPPUNIT_ASSERT_MESSAGE(text, !is_password("correct horse", text));
        }
    }

    void refuses_a_cost_that_nobody_pays() {
        const std::string tail = hash_password("a", kCheap).substr(20);
        CPPUNIT_ASSERT(is_password_hash("$scrypt$ln=4,r=1,p=1" + tail));
        for (const char* cost : {"ln=40,r=8,p=1", "ln=20,r=8,p=1", "ln=0,r=8,p=1", "ln=4,r=0,p=1",
                                 "ln=4,r=1,p=0", "ln=4,r=1,p=65", "ln=4,r=4294967297,p=1"}) {
            CPPUNIT_ASSERT_MESSAGE(cost, !is_password_hash("$scrypt$" + std::string(cost) + tail));
        }
    }

    void makes_tokens_that_differ() {
        std::set<std::string> ids, texts;
        for (int i = 0; i < 100; ++i) {
            const NewToken token = make_token();
            CPPUNIT_ASSERT_EQUAL(std::string("larder_" + token.id + "_"), token.text.substr(0, 20));
            CPPUNIT_ASSERT_EQUAL(std::size_t{20 + 43}, token.text.size());
            CPPUNIT_ASSERT(token_id(token.text) == std::string_view(token.id));
            ids.insert(token.id);
            texts.insert(token.text);
        }
        CPPUNIT_ASSERT_EQUAL(std::size_t{100}, ids.size());
        CPPUNIT_ASSERT_EQUAL(std::size_t{100}, texts.size());
    }

    void reads_the_id_of_tokens_alone() {
        CPPUNIT_ASSERT(token_id("larder_0123456789ab_x") == std::string_view("0123456789ab"));
        for (const std::string& text :
             {std::string(), std::string("larder_"), std::string("larder_0123456789ab"),
              std::string("larder_0123456789ab_"), std::string("Larder_0123456789ab_x"),
              std::string("larder_0123456789abcx"),
              "larder_0123456789ab_" + std::string(300, 'x')}) {
            CPPUNIT_ASSERT_MESSAGE(text, !token_id(text));
        }
    }
};

LARDER_TEST_SUITE(AccessSecretsTest);

}  // namespace
}  // namespace larder::access
