// Bytes as text and back: the vectors of RFC 4648 §10, and what is none of its texts.
#include "storage-kit/encodings.hpp"

#include <string>

#include "storage-kit/random.hpp"
#include "support/suite.hpp"

namespace larder::storage {
namespace {

using std::string_literals::operator""s;

class EncodingsTest : public CppUnit::TestFixture {
    CPPUNIT_TEST_SUITE(EncodingsTest);
    CPPUNIT_TEST(agree_with_the_rfc);
    CPPUNIT_TEST(lead_back_to_all_bytes);
    CPPUNIT_TEST(take_no_other_text);
    CPPUNIT_TEST(read_what_people_type);
    CPPUNIT_TEST(random_bytes_differ);
    CPPUNIT_TEST_SUITE_END();

public:
    void agree_with_the_rfc() {
        const char* const vectors[][3] = {
            {"", "", ""},
            {"f", "Zg==", "66"},
            {"fo", "Zm8=", "666f"},
            {"foo", "Zm9v", "666f6f"},
            {"foob", "Zm9vYg==", "666f6f62"},
            {"fooba", "Zm9vYmE=", "666f6f6261"},
            {"foobar", "Zm9vYmFy", "666f6f626172"},
        };
        for (const auto& [bytes, base64, hex] : vectors) {
            CPPUNIT_ASSERT_EQUAL(std::string(base64), to_base64(bytes));
            CPPUNIT_ASSERT_EQUAL(std::string(bytes), from_base64(base64).value());
            const std::string url = to_base64url(bytes);
            CPPUNIT_ASSERT_EQUAL(std::string(base64).substr(0, url.size()), url);
            CPPUNIT_ASSERT(url.find('=') == std::string::npos);
            CPPUNIT_ASSERT_EQUAL(std::string(hex), to_hex(std::string_view(bytes)));
            CPPUNIT_ASSERT_EQUAL(std::string(bytes), from_hex(hex).value());
        }
        CPPUNIT_ASSERT_EQUAL("\xAB\xCD"s, from_hex("aBCd").value());
    }

    void lead_back_to_all_bytes() {
        std::string bytes;
        for (int c = 0; c < 256; ++c) {
            bytes += static_cast<char>(c);
            CPPUNIT_ASSERT(from_base64(to_base64(bytes)) == bytes);
            CPPUNIT_ASSERT(from_any_base64(to_base64(bytes)) == bytes);
            CPPUNIT_ASSERT(from_any_base64(to_base64url(bytes)) == bytes);
            CPPUNIT_ASSERT(from_hex(to_hex(std::string_view(bytes))) == bytes);
        }
    }

    void take_no_other_text() {
        for (const char* text : {"AAA", "A===", "AA=A", "====", "YQ== ", " YQ=", "__77", "YQ=\n"}) {
            CPPUNIT_ASSERT_MESSAGE(text, !from_base64(text));
        }
        for (const char* text : {"a", "YW5u OnA", "YW5uO*==", "YQ=Q"}) {
            CPPUNIT_ASSERT_MESSAGE(text, !from_any_base64(text));
        }
        for (const char* text : {"a", "0g", "g0", "0x", " 0", "@0", "`0"}) {
            CPPUNIT_ASSERT_MESSAGE(text, !from_hex(text));
        }
    }

    void read_what_people_type() {
        CPPUNIT_ASSERT_EQUAL("ann:pass"s, from_any_base64("YW5uOnBhc3M=").value());
        CPPUNIT_ASSERT_EQUAL("ann:pass"s, from_any_base64("YW5uOnBhc3M").value());
        CPPUNIT_ASSERT_EQUAL("\xff\xfe\xfb"s, from_any_base64("//77").value());
        CPPUNIT_ASSERT_EQUAL("\xff\xfe\xfb"s, from_any_base64("__77").value());
    }

    void random_bytes_differ() {
        CPPUNIT_ASSERT_EQUAL(std::size_t{32}, random_bytes(32).size());
        CPPUNIT_ASSERT(random_bytes(32) != random_bytes(32));
        CPPUNIT_ASSERT(random_number() != random_number());
    }
};

LARDER_TEST_SUITE(EncodingsTest);

}  // namespace
}  // namespace larder::storage
