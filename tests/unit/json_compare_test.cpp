// Values compared by what they stand for: numbers far beyond doubles, strings by code points.
#include "storage-kit/json_compare.hpp"

#include <fmt/format.h>

#include <random>
#include <string>
#include <vector>

#include "support/suite.hpp"

namespace {

namespace json = larder::storage::json;

std::string sign_of(std::strong_ordering order) { return order < 0 ? "<" : order > 0 ? ">" : "="; }

void check_number(const std::string& a, const std::string& expected, const std::string& b) {
    const std::string opposite = expected == "<" ? ">" : expected == ">" ? "<" : "=";
    CPPUNIT_ASSERT_EQUAL_MESSAGE(a + " and " + b, expected, sign_of(json::compare_numbers(a, b)));
    CPPUNIT_ASSERT_EQUAL_MESSAGE(b + " and " + a, opposite, sign_of(json::compare_numbers(b, a)));
}

class JsonCompareTest : public CppUnit::TestFixture {
    CPPUNIT_TEST_SUITE(JsonCompareTest);
    CPPUNIT_TEST(numbers);
    CPPUNIT_TEST(exponents_beyond_integers);
    CPPUNIT_TEST(numbers_written_in_many_ways);
    CPPUNIT_TEST(strings);
    CPPUNIT_TEST(whole_values);
    CPPUNIT_TEST(objects_of_many_members);
    CPPUNIT_TEST(depth_costs_no_time);
    CPPUNIT_TEST_SUITE_END();

public:
    void numbers() {
        for (const char* one : {"1", "1.0", "10e-1", "0.1e1", "1e0", "1E+0", "1e-0", "100.00e-2",
                                "0.0001e4", "1.000000000000000000000000000000"}) {
            check_number("1", "=", one);
            check_number("-1", "<", one);
            check_number("1.0000000000000000000000000000001", ">", one);
        }
        for (const char* zero : {"0", "-0", "0.000", "0e99999999999999999999999", "-0.0E-5"}) {
            check_number("0", "=", zero);
            check_number("1e-400", ">", zero);
            check_number("-1e-400", "<", zero);
        }
        check_number("9007199254740993", ">", "9007199254740992");
        check_number("-9007199254740993", "<", "-9007199254740992");
        check_number("1e400", "<", "1e401");
        check_number("-1e400", ">", "-1e401");
        check_number("1e400", "=", "10e399");
        check_number("12", "<", "101");
        check_number("12", ">", "1.01e1");
        check_number("0.5", "<", "0.50001");
        check_number("0.05", "<", "0.5");
        check_number("1234567890123456789012345678901234567890", "=",
                     "123456789012345678901234567890123456789e1");
        check_number("1234567890123456789012345678901234567890", "<",
                     "1234567890123456789012345678901234567891");
        check_number("10.5", "=", "105e-1");
        check_number("10.05", "<", "10.5");
        check_number("100", "=", "1e2");
    }

    void exponents_beyond_integers() {
        check_number("1e1000000000000000000", "=", "10e999999999999999999");
        check_number("1e1000000000000000000", "=", "0.01e1000000000000000002");
        check_number("1e1000000000000000000", ">", "9e999999999999999999");
        check_number("0.001e1000000000000000000", "<", "9e999999999999999999");
        check_number("1e99999999999999999999999", "<", "1e100000000000000000000000");
        check_number("1e99999999999999999999999", "=", "0.1e100000000000000000000000");
        check_number("1e-99999999999999999999999", "=", "10e-100000000000000000000000");
        check_number("1e-99999999999999999999999", ">", "1e-100000000000000000000000");
        check_number("1e-99999999999999999999999", ">", "0");
        check_number("-1e99999999999999999999999", "<", "5");
        check_number("1e00000000000000000000000000000002", "=", "100");
        check_number("1e99999999999999999999999", ">", "1e-99999999999999999999999");
        check_number("1e99999999999999999999999", ">", "1e5");
        check_number("1e-99999999999999999999999", "<", "1e-5");
    }

    // d × 10^e, each time with its point and its zeros somewhere else.
    void numbers_written_in_many_ways() {
        std::mt19937 random(20261122);  // NOLINT(cert-msc32-c,cert-msc51-cpp): the same every time
        const auto pick = [&](int most) {
            return static_cast<int>(random() % static_cast<unsigned>(most + 1));
        };
        const auto write = [&](std::string digits, int exponent) {
            const int zeros = pick(3);
            digits.append(static_cast<std::size_t>(zeros), '0');
            exponent -= zeros;
            const int after = pick(static_cast<int>(digits.size()) + 4);
            exponent += after;
            const int missing = after - static_cast<int>(digits.size()) + 1;
            if (missing > 0) digits.insert(0, static_cast<std::size_t>(missing), '0');
            if (after > 0) digits.insert(digits.size() - static_cast<std::size_t>(after), ".");
            return fmt::format("{}e{}{:03}", digits, exponent < 0 ? "-" : "+", std::abs(exponent));
        };
        for (int i = 0; i < 20'000; ++i) {
            const int a = pick(2000) + 1;
            const int b = pick(2000) + 1;
            const int exponent = pick(60) - 30;
            const std::string expected = a < b ? "<" : a > b ? ">" : "=";
            check_number(write(std::to_string(a), exponent), expected,
                         write(std::to_string(b), exponent));
        }
    }

    void strings() {
        const auto order = [](const char* a, const char* b) {
            return sign_of(json::compare_strings(a, b));
        };
        CPPUNIT_ASSERT_EQUAL(std::string("="), order(R"("a")", R"("\u0061")"));
        CPPUNIT_ASSERT_EQUAL(std::string("<"), order(R"("a")", R"("b")"));
        CPPUNIT_ASSERT_EQUAL(std::string("<"), order(R"("a")", R"("aa")"));
        CPPUNIT_ASSERT_EQUAL(std::string("<"), order(R"("")", R"("\u0000")"));
        CPPUNIT_ASSERT_EQUAL(std::string("<"), order(R"("Z")", R"("a")"));
        CPPUNIT_ASSERT_EQUAL(std::string("<"), order(R"("~")", "\"\xC3\xA9\""));
        // By UTF-16's units, U+FF61 would come after U+1D11E.
        CPPUNIT_ASSERT_EQUAL(std::string("<"), order(R"("\uff61")", R"("\ud834\udd1e")"));
    }

    void whole_values() {
        const auto equal = [](const char* a, const char* b) {
            CPPUNIT_ASSERT_EQUAL(json::equal(a, b), json::equal(b, a));
            return json::equal(a, b);
        };
        CPPUNIT_ASSERT(equal("[1,2.0]", "[1.0,2]"));
        CPPUNIT_ASSERT(!equal("[1,2]", "[2,1]"));
        CPPUNIT_ASSERT(!equal("[1,2]", "[1,2,3]"));
        CPPUNIT_ASSERT(!equal("[]", "[1]"));
        CPPUNIT_ASSERT(!equal("[]", "{}"));
        CPPUNIT_ASSERT(equal(R"({"a":1,"b":[{"c":null}]})", R"({"b":[{"\u0063":null}],"a":1e0})"));
        CPPUNIT_ASSERT(!equal(R"({"a":1,"b":2})", R"({"a":1,"c":2})"));
        CPPUNIT_ASSERT(!equal(R"({"a":1,"b":2})", R"({"a":2,"b":1})"));
        CPPUNIT_ASSERT(!equal(R"({"a":1})", R"({"a":1,"b":2})"));
        CPPUNIT_ASSERT(!equal("1", "\"1\""));
        CPPUNIT_ASSERT(!equal("0", "false"));
        CPPUNIT_ASSERT(!equal("null", "false"));
        CPPUNIT_ASSERT(!equal("true", "false"));
        CPPUNIT_ASSERT(equal("null", "null"));
        CPPUNIT_ASSERT(equal("\"\\n\"", "\"\\u000a\""));
    }

    void objects_of_many_members() {
        std::string a = "{", b = "{";
        for (int i = 0; i < 30'000; ++i) {
            a += fmt::format("{}\"k{}\":{}", i > 0 ? "," : "", i, i);
            b += fmt::format("{}\"k{}\":{}.0", i > 0 ? "," : "", 29'999 - i, 29'999 - i);
        }
        CPPUNIT_ASSERT(json::equal(a + "}", b + "}"));
        CPPUNIT_ASSERT(!json::equal(a + "}", b + ",\"k\":0}"));
    }

    void depth_costs_no_time() {
        std::string opening;
        for (int i = 0; i < 1000; ++i) opening += "{\"a\":";
        const std::string closing(1000, '}');
        const std::string text(4U << 20U, 'x');
        const std::string a = opening + "\"" + text + "\"" + closing;
        const std::string b = opening + "\"" + text.substr(1) + "\\u0078\"" + closing;
        const json::LongParts known_a(a);
        const json::LongParts known_b(b);
        CPPUNIT_ASSERT(json::equal(a, b, &known_a, &known_b));
    }
};

LARDER_TEST_SUITE(JsonCompareTest);

}  // namespace
