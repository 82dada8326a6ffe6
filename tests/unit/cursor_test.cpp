// Cursors of paged lists: what was given out is taken back, anything else is told from it.
#include "storage-kit/cursor.hpp"

#include <fmt/format.h>

#include <random>

#include "support/suite.hpp"

namespace larder::storage {
namespace {

class CursorTest : public CppUnit::TestFixture {
    CPPUNIT_TEST_SUITE(CursorTest);
    CPPUNIT_TEST(takes_back_what_it_gave);
    CPPUNIT_TEST(is_safe_in_a_query);
    CPPUNIT_TEST(refuses_another_lists_cursor);
    CPPUNIT_TEST(refuses_what_it_never_gave);
    CPPUNIT_TEST(refuses_every_change_of_one_character);
    CPPUNIT_TEST_SUITE_END();

public:
    void takes_back_what_it_gave() {
        std::mt19937 random(7);  // NOLINT(cert-msc32-c,cert-msc51-cpp): the same every time
        for (std::size_t size = 1; size < 300; ++size) {
            std::string position(size, '\0');
            for (char& byte : position) byte = static_cast<char>(random());
            const auto back = decode_cursor("kv.keys", encode_cursor("kv.keys", position));
            CPPUNIT_ASSERT(back && *back == position);
        }
    }

    void is_safe_in_a_query() {
        for (int byte = 0; byte < 256; ++byte) {
            const std::string text = encode_cursor("k", std::string(3, static_cast<char>(byte)));
            CPPUNIT_ASSERT_EQUAL(std::string::npos,
                                 text.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmno"
                                                        "pqrstuvwxyz0123456789-_"));
        }
    }

    void refuses_another_lists_cursor() {
        const std::string cursor = encode_cursor("kv.keys", "a");
        CPPUNIT_ASSERT(!decode_cursor("kv.buckets", cursor));
        CPPUNIT_ASSERT(!decode_cursor("kv.key", cursor));
        CPPUNIT_ASSERT(!decode_cursor("", cursor));
    }

    void refuses_what_it_never_gave() {
        const std::string good = encode_cursor("k", "position");
        for (const std::string& text :
             {std::string(), std::string("a"), std::string("abcd"), std::string("AAAAAA"),
              std::string("AAAAAAA"), good + "A", good + "=", " " + good, good + "\n",
              good.substr(1), good.substr(0, good.size() - 1), std::string("!!!!!!!!"),
              std::string(8193, 'A'), good + good, encode_cursor("k", "")}) {
            CPPUNIT_ASSERT_MESSAGE(text, !decode_cursor("k", text));
        }
    }

    void refuses_every_change_of_one_character() {
        for (const char* position : {"a", "ab", "abc", "a longer position"}) {
            const std::string good = encode_cursor("k", position);
            for (std::size_t i = 0; i < good.size(); ++i) {
                for (const char c : std::string("AZaz09-_")) {
                    std::string bent = good;
                    bent[i] = c;
                    if (bent == good) continue;
                    CPPUNIT_ASSERT_MESSAGE(fmt::format("{} for {}", bent, good),
                                           !decode_cursor("k", bent));
                }
            }
        }
    }
};

LARDER_TEST_SUITE(CursorTest);

}  // namespace
}  // namespace larder::storage
