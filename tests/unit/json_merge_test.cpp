// JSON merge patches: the table of RFC 7396 appendix A, its sentences, and that what is not touched
// keeps its bytes.
#include "storage-kit/json_merge.hpp"

#include <fmt/format.h>

#include <string>

#include "larder/error.hpp"
#include "support/suite.hpp"

namespace {

namespace json = larder::storage::json;

constexpr std::uint64_t kPlenty = 1U << 30U;

void check(const char* target, const char* patch, const std::string& expected) {
    CPPUNIT_ASSERT_EQUAL_MESSAGE(fmt::format("{} with {}", target, patch), expected,
                                 json::merge_patch(target, patch, kPlenty));
}

class JsonMergeTest : public CppUnit::TestFixture {
    CPPUNIT_TEST_SUITE(JsonMergeTest);
    CPPUNIT_TEST(appendix_a);
    CPPUNIT_TEST(section_1_example);
    CPPUNIT_TEST(section_2_absent_target);
    CPPUNIT_TEST(section_2_arrays_are_replaced_whole);
    CPPUNIT_TEST(section_2_nulls_below_a_new_member);
    CPPUNIT_TEST(bytes_and_order_stay);
    CPPUNIT_TEST(names_are_compared_unescaped);
    CPPUNIT_TEST(many_members);
    CPPUNIT_TEST(depth_costs_no_time);
    CPPUNIT_TEST(size_is_limited);
    CPPUNIT_TEST_SUITE_END();

public:
    void appendix_a() {
        check(R"({"a":"b"})", R"({"a":"c"})", R"({"a":"c"})");
        check(R"({"a":"b"})", R"({"b":"c"})", R"({"a":"b","b":"c"})");
        check(R"({"a":"b"})", R"({"a":null})", R"({})");
        check(R"({"a":"b","b":"c"})", R"({"a":null})", R"({"b":"c"})");
        check(R"({"a":["b"]})", R"({"a":"c"})", R"({"a":"c"})");
        check(R"({"a":"c"})", R"({"a":["b"]})", R"({"a":["b"]})");
        check(R"({"a":{"b":"c"}})", R"({"a":{"b":"d","c":null}})", R"({"a":{"b":"d"}})");
        check(R"({"a":[{"b":"c"}]})", R"({"a":[1]})", R"({"a":[1]})");
        check(R"(["a","b"])", R"(["c","d"])", R"(["c","d"])");
        check(R"({"a":"b"})", R"(["c"])", R"(["c"])");
        check(R"({"a":"foo"})", R"(null)", R"(null)");
        check(R"({"a":"foo"})", R"("bar")", R"("bar")");
        check(R"({"e":null})", R"({"a":1})", R"({"e":null,"a":1})");
        check(R"([1,2])", R"({"a":"b","c":null})", R"({"a":"b"})");
        check(R"({})", R"({"a":{"bb":{"ccc":null}}})", R"({"a":{"bb":{}}})");
    }

    void section_1_example() {
        check(R"({"title":"Goodbye!","author":{"givenName":"John","familyName":"Doe"},)"
              R"("tags":["example","sample"],"content":"This will be unchanged"})",
              R"({"title":"Hello!","phoneNumber":"+01-123-456-7890",)"
              R"("author":{"familyName":null},"tags":["example"]})",
              R"({"title":"Hello!","author":{"givenName":"John"},"tags":["example"],)"
              R"("content":"This will be unchanged","phoneNumber":"+01-123-456-7890"})");
    }

    void section_2_absent_target() {
        check("", R"({"a":1,"b":null,"c":{"d":null}})", R"({"a":1,"c":{}})");
        check("", "[null]", "[null]");
        check("", "null", "null");
    }

    void section_2_arrays_are_replaced_whole() {
        check(R"({"a":[1,2,3]})", R"({"a":[null,{"b":null}]})", R"({"a":[null,{"b":null}]})");
        check("[1]", R"([{"a":null}])", R"([{"a":null}])");
    }

    void section_2_nulls_below_a_new_member() {
        check(R"({"a":1})", R"({"a":{"b":null,"c":2}})", R"({"a":{"c":2}})");
        check(R"({"a":null})", R"({"a":null})", "{}");
        check("{}", R"({"a":null})", "{}");
        check(R"({"a":null})", R"({"a":{}})", R"({"a":{}})");
    }

    void bytes_and_order_stay() {
        check(R"({"z":1e400,"s":"\u0041\/","n":0.1000,"o":{"k":-0,"a":[1.0]}})",
              R"({"o":{"n":123456789012345678901234567890},"n":1E+05,"b":"\u00e9","a":2})",
              R"({"z":1e400,"s":"\u0041\/","n":1E+05,"o":{"k":-0,"a":[1.0],)"
              R"("n":123456789012345678901234567890},"b":"\u00e9","a":2})");
    }

    void names_are_compared_unescaped() {
        check(R"({"\u0061":1,"b":2})", R"({"a":3})", R"({"\u0061":3,"b":2})");
        check(R"({"a":1})", R"({"\u0061":null})", "{}");
        check(R"({"a":{"x":1}})", R"({"\u0061":{"\u0078":2}})", R"({"a":{"x":2}})");
    }

    void many_members() {
        std::string target = "{", patch = "{", expected = "{";
        for (int i = 0; i < 20'000; ++i) {
            const std::string comma = i > 0 ? "," : "";
            target += fmt::format("{}\"t{}\":{}", comma, i, i);
            patch += fmt::format("{}\"t{}\":{}", comma, 39'999 - 2 * i, i % 2 == 0 ? "null" : "[]");
        }
        for (int i = 0; i < 20'000; ++i) {
            const bool patched = i % 2 == 1;
            const bool removed = patched && (39'999 - i) / 2 % 2 == 0;
            if (removed) continue;
            if (expected.size() > 1) expected += ',';
            expected += fmt::format("\"t{}\":{}", i, patched ? "[]" : std::to_string(i));
        }
        for (int i = 0; i < 20'000; ++i) {
            const int name = 39'999 - 2 * i;
            if (name >= 20'000 && i % 2 == 1) expected += fmt::format(",\"t{}\":[]", name);
        }
        CPPUNIT_ASSERT(expected + "}" == json::merge_patch(target + "}", patch + "}", kPlenty));
    }

    // A level's text is not read anew for each level around it: that would be 8 GB.
    void depth_costs_no_time() {
        std::string target, patch;
        for (int i = 0; i < 1023; ++i) {
            target += "{\"a\":";
            patch += "{\"a\":";
        }
        const std::string large = "{\"l\":\"" + std::string(8U << 20U, 'x') + "\"";
        const std::string closing(1023, '}');
        const std::string merged = json::merge_patch(target + large + "}" + closing,
                                                     patch + "{\"b\":1}" + closing, kPlenty);
        CPPUNIT_ASSERT(merged == target + large + ",\"b\":1}" + closing);
    }

    void size_is_limited() {
        CPPUNIT_ASSERT_EQUAL(std::string(R"({"a":12})"), json::merge_patch("{}", R"({"a":12})", 8));
        try {
            json::merge_patch("{}", R"({"a":12})", 7);
            CPPUNIT_FAIL("a value over the limit was made");
        } catch (const larder::Error& error) {
            CPPUNIT_ASSERT(error.code() == larder::Errc::too_large);
            CPPUNIT_ASSERT_EQUAL(std::string("value-too-large"), error.slug());
        }
        CPPUNIT_ASSERT_EQUAL(std::string("{}"),
                             json::merge_patch(R"({"a":12})", R"({"a":null})", 2));
    }
};

LARDER_TEST_SUITE(JsonMergeTest);

}  // namespace
