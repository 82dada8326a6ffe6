// The declared types: what each takes, its range, and the words of its refusals.
#include "config/value.hpp"

#include <string>

#include "config/nearest.hpp"
#include "support/suite.hpp"

using larder::Error;
using larder::Setting;
using larder::config::check_setting;
using larder::config::parse_value;
using larder::config::ValueError;

namespace {

Setting declared(const char* type, const char* fallback, const char* least = nullptr,
                 const char* most = nullptr) {
    return {"key", type, fallback, least, most, "A sentence.", false, false};
}

std::string refusal(const Setting& setting, std::string_view text) {
    try {
        parse_value(setting, text);
    } catch (const ValueError& error) {
        return error.what();
    }
    CPPUNIT_FAIL("taken: " + std::string(setting.type) + " '" + std::string(text) + "'");
    return {};
}

std::int64_t number(const char* type, std::string_view text) {
    return parse_value(declared(type, "0"), text).number;
}

}  // namespace

class ValueTest : public CppUnit::TestFixture {
    CPPUNIT_TEST_SUITE(ValueTest);
    CPPUNIT_TEST(integers);
    CPPUNIT_TEST(flags_are_true_or_false_alone);
    CPPUNIT_TEST(sizes);
    CPPUNIT_TEST(durations);
    CPPUNIT_TEST(paths_and_choices);
    CPPUNIT_TEST(ranges);
    CPPUNIT_TEST(words_in_place_of_numbers);
    CPPUNIT_TEST(malformed_declarations);
    CPPUNIT_TEST(lists);
    CPPUNIT_TEST(nearest_names);
    CPPUNIT_TEST_SUITE_END();

    void integers() {
        CPPUNIT_ASSERT_EQUAL(std::int64_t{42}, number("integer", "42"));
        CPPUNIT_ASSERT_EQUAL(std::int64_t{-7}, number("integer", "-7"));
        CPPUNIT_ASSERT_EQUAL(INT64_MAX, number("integer", "9223372036854775807"));
        for (const char* const text :
             {"", "x", "1x", "+1", " 1", "1.5", "0x10", "9223372036854775808", "--1", "-"}) {
            refusal(declared("integer", "0"), text);
        }
        CPPUNIT_ASSERT_EQUAL(std::string("expected a whole number such as 42, got 'many'"),
                             refusal(declared("integer", "0"), "many"));
        CPPUNIT_ASSERT_EQUAL(std::string("expected a whole number such as 42, got nothing"),
                             refusal(declared("integer", "0"), ""));
    }

    void flags_are_true_or_false_alone() {
        const Setting flag = declared("flag", "false");
        CPPUNIT_ASSERT_EQUAL(std::int64_t{1}, parse_value(flag, "true").number);
        CPPUNIT_ASSERT_EQUAL(std::int64_t{0}, parse_value(flag, "false").number);
        for (const char* const text : {"", "yes", "no", "on", "off", "1", "0", "True"}) {
            CPPUNIT_ASSERT(refusal(flag, text).starts_with("expected true or false, got "));
        }
    }

    void sizes() {
        CPPUNIT_ASSERT_EQUAL(std::int64_t{512}, number("bytes", "512"));
        CPPUNIT_ASSERT_EQUAL(std::int64_t{512}, number("bytes", "512B"));
        CPPUNIT_ASSERT_EQUAL(std::int64_t{65536}, number("bytes", "64KiB"));
        CPPUNIT_ASSERT_EQUAL(std::int64_t{1} << 20U, number("bytes", "1MiB"));
        CPPUNIT_ASSERT_EQUAL(std::int64_t{5} << 30U, number("bytes", "5GiB"));
        CPPUNIT_ASSERT_EQUAL(std::int64_t{1} << 40U, number("bytes", "1TiB"));
        CPPUNIT_ASSERT_EQUAL(std::int64_t{64000}, number("bytes", "64KB"));
        CPPUNIT_ASSERT_EQUAL(std::int64_t{5000000000}, number("bytes", "5GB"));
        for (const char* const text :
             {"", "MiB", "1 MiB", "1mib", "-1", "1.5MiB", "1Mi", "1M", "12parsecs"}) {
            refusal(declared("bytes", "0"), text);
        }
        CPPUNIT_ASSERT_EQUAL(
            std::string("expected a number below 2^63 in its smallest unit, got '9000000TiB'"),
            refusal(declared("bytes", "0"), "9000000TiB"));
        refusal(declared("bytes", "0"), "99999999999999999999");
    }

    void durations() {
        CPPUNIT_ASSERT_EQUAL(std::int64_t{500}, number("duration", "500ms"));
        CPPUNIT_ASSERT_EQUAL(std::int64_t{10000}, number("duration", "10s"));
        CPPUNIT_ASSERT_EQUAL(std::int64_t{300000}, number("duration", "5m"));
        CPPUNIT_ASSERT_EQUAL(std::int64_t{3600000}, number("duration", "1h"));
        CPPUNIT_ASSERT_EQUAL(std::int64_t{90} * 86400000, number("duration", "90d"));
        CPPUNIT_ASSERT_EQUAL(std::int64_t{0}, number("duration", "0"));
        for (const char* const text : {"", "10", "10 s", "1.5s", "-1s", "1h30m", "s", "10S"}) {
            refusal(declared("duration", "0"), text);
        }
        CPPUNIT_ASSERT_EQUAL(
            std::string("expected a duration such as 500ms, 10s, 5m, 1h or 90d, got '10'"),
            refusal(declared("duration", "0"), "10"));
        refusal(declared("duration", "0"), "9223372036854775807s");
    }

    void paths_and_choices() {
        CPPUNIT_ASSERT_EQUAL(std::string("/a/b"), parse_value(declared("path", ""), "/a/b").text);
        CPPUNIT_ASSERT_EQUAL(std::string(), parse_value(declared("path", ""), "").text);
        CPPUNIT_ASSERT_EQUAL(std::string("expected an absolute path, got 'data'"),
                             refusal(declared("path", "/x"), "data"));
        CPPUNIT_ASSERT_EQUAL(std::string("expected an absolute path, got nothing"),
                             refusal(declared("path", "/x"), ""));
        const Setting choice = declared("choice:degrade|block", "degrade");
        CPPUNIT_ASSERT_EQUAL(std::string("block"), parse_value(choice, "block").text);
        CPPUNIT_ASSERT_EQUAL(std::string("expected one of degrade, block, got 'degrade|block'"),
                             refusal(choice, "degrade|block"));
    }

    void ranges() {
        const Setting size = declared("bytes", "1MiB", "1KiB", "64MiB");
        CPPUNIT_ASSERT_EQUAL(std::int64_t{1024}, parse_value(size, "1KiB").number);
        CPPUNIT_ASSERT_EQUAL(std::int64_t{64} << 20U, parse_value(size, "64MiB").number);
        CPPUNIT_ASSERT_EQUAL(std::string("expected 1KiB to 64MiB, got '1023'"),
                             refusal(size, "1023"));
        CPPUNIT_ASSERT_EQUAL(std::string("expected 1KiB to 64MiB, got '65MiB'"),
                             refusal(size, "65MiB"));
        CPPUNIT_ASSERT_EQUAL(std::string("expected at least 1, got '0'"),
                             refusal(declared("integer", "1", "1"), "0"));
        CPPUNIT_ASSERT_EQUAL(std::string("expected at most 1h, got '61m'"),
                             refusal(declared("duration", "1s", nullptr, "1h"), "61m"));
    }

    void words_in_place_of_numbers() {
        const Setting retention = declared("duration", "off", "1h", "900d");
        CPPUNIT_ASSERT_EQUAL(std::int64_t{0}, parse_value(retention, "off").number);
        CPPUNIT_ASSERT_EQUAL(std::string("off"), parse_value(retention, "off").text);
        CPPUNIT_ASSERT_EQUAL(std::int64_t{3600000}, parse_value(retention, "1h").number);
        refusal(retention, "none");
        refusal(retention, "0");
        refusal(declared("duration", "1h"), "off");
        CPPUNIT_ASSERT_EQUAL(std::string("none"),
                             parse_value(declared("path", "none"), "none").text);
        CPPUNIT_ASSERT_EQUAL(std::string("duration, 1h to 900d, or off"),
                             larder::config::describe_type(retention));
    }

    void malformed_declarations() {
        check_setting(declared("bytes", "1MiB", "1KiB", "64MiB"));
        check_setting(declared("integer", "cores", "1", "256"));
        for (const Setting& setting :
             {declared("size", "1"), declared("choice:", ""), declared("bytes", "much"),
              declared("bytes", "1MiB", "small"), declared("integer", "0", "1"),
              declared("flag", "true", "true"), declared("text", "a\nb"),
              declared("choice:a|b", "c"), declared("integer", nullptr)}) {
            CPPUNIT_ASSERT_THROW(check_setting(setting), Error);
        }
        Setting named = declared("text", "");
        named.key = "Key";
        CPPUNIT_ASSERT_THROW(check_setting(named), Error);
    }

    void lists() {
        using larder::config::split_list;
        const std::vector<std::string> expected{"a", "b c", "d"};
        CPPUNIT_ASSERT(expected == split_list(" a,b c , ,d,"));
        CPPUNIT_ASSERT(split_list("").empty());
        CPPUNIT_ASSERT(split_list(" , ").empty());
    }

    void nearest_names() {
        using larder::config::edit_distance;
        using larder::config::nearest;
        CPPUNIT_ASSERT_EQUAL(std::size_t{0}, edit_distance("listen", "listen"));
        CPPUNIT_ASSERT_EQUAL(std::size_t{1}, edit_distance("lisetn", "listen"));
        CPPUNIT_ASSERT_EQUAL(std::size_t{3}, edit_distance("kitten", "sitting"));
        CPPUNIT_ASSERT_EQUAL(std::size_t{3}, edit_distance("", "abc"));
        const std::vector<std::string> known{"listen", "reactors", "idle_timeout", "head_timeout"};
        CPPUNIT_ASSERT_EQUAL(std::string("listen"), nearest("lissten", known));
        CPPUNIT_ASSERT_EQUAL(std::string("head_timeout"), nearest("haed_timeuot", known));
        CPPUNIT_ASSERT_EQUAL(std::string(), nearest("colour", known));
    }
};

LARDER_TEST_SUITE(ValueTest);
