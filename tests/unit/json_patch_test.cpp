// JSON patches: every example of RFC 6902 appendix A, its sentences by section, and what a patch
// may not cost. Random edits against a naive model are json_edit_test.cpp's.
//
//   expect, expect_failure, expect_refusal   one patch and what must come of it
//   appendix_a_*      the RFC's examples, in its order
//   section_*         its sentences
//   the rest          bytes, bounds, costs
#include "storage-kit/json_patch.hpp"

#include <fmt/format.h>

#include <string>

#include "larder/error.hpp"
#include "storage-kit/json.hpp"
#include "support/suite.hpp"

namespace {

namespace json = larder::storage::json;
using larder::Errc;

constexpr std::uint64_t kPlenty = 1U << 30U;

std::string patched(std::string_view target, std::string_view patch,
                    std::uint64_t max_bytes = kPlenty) {
    const std::string compact = json::compact(patch);
    return json::Patch::parse(compact).apply(json::compact(target), max_bytes);
}

void expect(const std::string& expected, std::string_view target, std::string_view patch) {
    CPPUNIT_ASSERT_EQUAL_MESSAGE(fmt::format("{} with {}", target, patch), expected,
                                 patched(target, patch));
}

void expect_error(Errc code, const std::string& slug, const std::string& pointer,
                  std::string_view target, std::string_view patch) {
    const std::string what = fmt::format("{} with {}", target, patch);
    try {
        patched(target, patch);
    } catch (const larder::Error& error) {
        CPPUNIT_ASSERT_EQUAL_MESSAGE(what, slug, error.slug());
        CPPUNIT_ASSERT(error.code() == code);
        CPPUNIT_ASSERT(!error.detail().empty());
        CPPUNIT_ASSERT_EQUAL_MESSAGE(what, json::quoted(pointer), error.members().at(0).second);
        return;
    }
    CPPUNIT_FAIL(what + " was applied");
}

void expect_failure(const std::string& pointer, std::string_view target, std::string_view patch) {
    expect_error(Errc::conflict, "patch-failed", pointer, target, patch);
}

void expect_test_failure(const std::string& pointer, std::string_view target,
                         std::string_view patch) {
    expect_error(Errc::conflict, "patch-test-failed", pointer, target, patch);
}

void expect_refusal(const std::string& pointer, std::string_view patch) {
    expect_error(Errc::unprocessable, "invalid-patch", pointer, R"({"a":{"b":[1,2]}})", patch);
}

std::string slug_of(std::string_view target, std::string_view patch, std::uint64_t max_bytes) {
    try {
        patched(target, patch, max_bytes);
        return "";
    } catch (const larder::Error& error) {
        return error.slug();
    }
}

std::string nested(std::size_t levels, const std::string& inner) {
    return std::string(levels, '[') + inner + std::string(levels, ']');
}

std::string times(std::size_t count, const std::string& text) {
    std::string out;
    for (std::size_t i = 0; i < count; ++i) out += text;
    return out;
}

class JsonPatchTest : public CppUnit::TestFixture {
    CPPUNIT_TEST_SUITE(JsonPatchTest);
    CPPUNIT_TEST(appendix_a_adding_and_removing);
    CPPUNIT_TEST(appendix_a_replacing_and_moving);
    CPPUNIT_TEST(appendix_a_testing);
    CPPUNIT_TEST(appendix_a_failures_and_escapes);
    CPPUNIT_TEST(section_3_document_structure);
    CPPUNIT_TEST(section_4_members);
    CPPUNIT_TEST(section_4_1_add);
    CPPUNIT_TEST(section_4_2_remove);
    CPPUNIT_TEST(section_4_3_replace);
    CPPUNIT_TEST(section_4_4_move);
    CPPUNIT_TEST(section_4_5_copy);
    CPPUNIT_TEST(section_4_6_test);
    CPPUNIT_TEST(section_5_failure_undoes_all);
    CPPUNIT_TEST(one_patch_serves_many_values);
    CPPUNIT_TEST(bytes_and_order_stay);
    CPPUNIT_TEST(copies_are_their_own);
    CPPUNIT_TEST(removed_names_come_back_last);
    CPPUNIT_TEST(objects_of_many_members);
    CPPUNIT_TEST(operations_are_limited);
    CPPUNIT_TEST(size_is_limited);
    CPPUNIT_TEST(doubling_is_stopped);
    CPPUNIT_TEST(depth_is_limited);
    CPPUNIT_TEST(depth_may_move);
    CPPUNIT_TEST(many_inserts_into_a_long_array);
    CPPUNIT_TEST(deeper_at_each_operation);
    CPPUNIT_TEST_SUITE_END();

public:
    // A.1 to A.4
    void appendix_a_adding_and_removing() {
        expect(R"({"foo":"bar","baz":"qux"})", R"({"foo":"bar"})",
               R"([{"op":"add","path":"/baz","value":"qux"}])");
        expect(R"({"foo":["bar","qux","baz"]})", R"({"foo":["bar","baz"]})",
               R"([{"op":"add","path":"/foo/1","value":"qux"}])");
        expect(R"({"foo":"bar"})", R"({"baz":"qux","foo":"bar"})",
               R"([{"op":"remove","path":"/baz"}])");
        expect(R"({"foo":["bar","baz"]})", R"({"foo":["bar","qux","baz"]})",
               R"([{"op":"remove","path":"/foo/1"}])");
    }

    // A.5 to A.7
    void appendix_a_replacing_and_moving() {
        expect(R"({"baz":"boo","foo":"bar"})", R"({"baz":"qux","foo":"bar"})",
               R"([{"op":"replace","path":"/baz","value":"boo"}])");
        expect(R"({"foo":{"bar":"baz"},"qux":{"corge":"grault","thud":"fred"}})",
               R"({"foo":{"bar":"baz","waldo":"fred"},"qux":{"corge":"grault"}})",
               R"([{"op":"move","from":"/foo/waldo","path":"/qux/thud"}])");
        expect(R"({"foo":["all","cows","eat","grass"]})", R"({"foo":["all","grass","cows","eat"]})",
               R"([{"op":"move","from":"/foo/1","path":"/foo/3"}])");
    }

    // A.8 to A.11
    void appendix_a_testing() {
        const auto* const document = R"({"baz":"qux","foo":["a",2,"c"]})";
        expect(document, document,
               R"([{"op":"test","path":"/baz","value":"qux"},)"
               R"({"op":"test","path":"/foo/1","value":2}])");
        expect_test_failure("/0", R"({"baz":"qux"})",
                            R"([{"op":"test","path":"/baz","value":"bar"}])");
        expect(R"({"foo":"bar","child":{"grandchild":{}}})", R"({"foo":"bar"})",
               R"([{"op":"add","path":"/child","value":{"grandchild":{}}}])");
        expect(R"({"foo":"bar","baz":"qux"})", R"({"foo":"bar"})",
               R"([{"op":"add","path":"/baz","value":"qux","xyz":123}])");
    }

    // A.12 to A.16
    void appendix_a_failures_and_escapes() {
        expect_failure("/0", R"({"foo":"bar"})",
                       R"([{"op":"add","path":"/baz/bat","value":"qux"}])");
        CPPUNIT_ASSERT_THROW(
            json::compact(R"([{"op":"add","path":"/baz","value":"qux","op":"remove"}])"),
            json::InvalidJson);
        expect(R"({"/":9,"~1":10})", R"({"/":9,"~1":10})",
               R"([{"op":"test","path":"/~01","value":10}])");
        expect_test_failure("/0", R"({"/":9,"~1":10})",
                            R"([{"op":"test","path":"/~01","value":"10"}])");
        expect(R"({"foo":["bar",["abc","def"]]})", R"({"foo":["bar"]})",
               R"([{"op":"add","path":"/foo/-","value":["abc","def"]}])");
    }

    void section_3_document_structure() {
        for (const char* patch : {"{}", "1", "null", "\"a\"", R"({"op":"remove","path":"/a"})"}) {
            expect_refusal("", patch);
        }
        expect_refusal("/0", "[1]");
        expect_refusal("/1", R"([{"op":"remove","path":"/a"},[]])");
        expect(R"({"a":1})", R"({"a":1})", "[]");
        expect("[2,1]", "[]",
               R"([{"op":"add","path":"/0","value":1},{"op":"add","path":"/0","value":2}])");
    }

    void section_4_members() {
        expect_refusal("/0", "[{}]");
        expect_refusal("/0", R"([{"path":"/a"}])");
        expect_refusal("/0/op", R"([{"op":"Add","path":"/a","value":1}])");
        expect_refusal("/0/op", R"([{"op":"spam","path":"/a"}])");
        expect_refusal("/0/op", R"([{"op":null,"path":"/a"}])");
        expect_refusal("/0", R"([{"op":"remove"}])");
        expect_refusal("/0/path", R"([{"op":"remove","path":1}])");
        expect_refusal("/0/path", R"([{"op":"remove","path":null}])");
        expect_refusal("/0/path", R"([{"op":"remove","path":"a"}])");
        expect_refusal("/1/path", R"([{"op":"remove","path":"/a"},{"op":"remove","path":"/~2"}])");
        expect("{}", R"({"a":1})", R"([{"\u006fp":"r\u0065move","p\u0061th":"\u002fa"}])");
        expect("{}", R"({"a":1})", R"([{"path":"/a","x":{"op":1},"from":7,"op":"remove"}])");
    }

    void section_4_1_add() {
        expect("[1]", R"({"a":1})", R"([{"op":"add","path":"","value":[1]}])");
        expect(R"({"a":2,"b":3})", R"({"a":1,"b":3})", R"([{"op":"add","path":"/a","value":2}])");
        expect("[1,2,3]", "[1,2]", R"([{"op":"add","path":"/2","value":3}])");
        expect("[0,1,2]", "[1,2]", R"([{"op":"add","path":"/0","value":0}])");
        expect(R"({"a":null})", "{}", R"([{"op":"add","path":"/a","value":null}])");
        expect(R"({"-":1})", "{}", R"([{"op":"add","path":"/-","value":1}])");
        expect(R"({"":1})", "{}", R"([{"op":"add","path":"/","value":1}])");
        expect_failure("/0", "[1,2]", R"([{"op":"add","path":"/3","value":3}])");
        for (const char* index : {"01", "a", "-1", "1.5", "", "1e0", "99999999999999999999"}) {
            expect_failure("/0", "[1,2]",
                           fmt::format(R"([{{"op":"add","path":"/{}","value":3}}])", index));
        }
        expect_failure("/0", R"({"q":{"bar":2}})", R"([{"op":"add","path":"/a/b","value":1}])");
        expect_failure("/0", R"({"a":1})", R"([{"op":"add","path":"/a/b","value":1}])");
        expect_failure("/0", "\"text\"", R"([{"op":"add","path":"/0","value":1}])");
        expect_failure("/0", "[[1]]", R"([{"op":"add","path":"/-/0","value":1}])");
        expect_refusal("/0", R"([{"op":"add","path":"/a"}])");
    }

    void section_4_2_remove() {
        expect("[2]", "[1,2]", R"([{"op":"remove","path":"/0"}])");
        expect("[]", "[1]", R"([{"op":"remove","path":"/0"}])");
        expect("{}", R"({"a":{"b":1}})", R"([{"op":"remove","path":"/a"}])");
        expect_failure("/0", R"({"a":1})", R"([{"op":"remove","path":"/b"}])");
        expect_failure("/0", "[1]", R"([{"op":"remove","path":"/1"}])");
        expect_failure("/0", "[1]", R"([{"op":"remove","path":"/-"}])");
        expect_failure("/0", R"({"a":1})", R"([{"op":"remove","path":"/a/b"}])");
        expect_failure("/0", R"({"a":1})", R"([{"op":"remove","path":""}])");
    }

    void section_4_3_replace() {
        expect("[1,5]", "[1,2]", R"([{"op":"replace","path":"/1","value":5}])");
        expect("7", R"({"a":1})", R"([{"op":"replace","path":"","value":7}])");
        expect(R"({"b":1,"a":[]})", R"({"b":1,"a":2})",
               R"([{"op":"replace","path":"/a","value":[]}])");
        expect_failure("/0", R"({"a":1})", R"([{"op":"replace","path":"/b","value":1}])");
        expect_failure("/0", "[1]", R"([{"op":"replace","path":"/1","value":1}])");
        expect_failure("/0", "[1]", R"([{"op":"replace","path":"/-","value":1}])");
        expect_failure("/0", "1", R"([{"op":"replace","path":"/a","value":1}])");
        expect_refusal("/0", R"([{"op":"replace","path":"/a"}])");
    }

    void section_4_4_move() {
        expect(R"({"b":{"c":1}})", R"({"a":{"c":1}})",
               R"([{"op":"move","from":"/a","path":"/b"}])");
        expect(R"({"b":1})", R"({"b":2,"a":1})", R"([{"op":"move","from":"/a","path":"/b"}])");
        expect("[2,3,1]", "[1,2,3]", R"([{"op":"move","from":"/0","path":"/-"}])");
        expect("[2,3,1]", "[1,2,3]", R"([{"op":"move","from":"/0","path":"/2"}])");
        expect_failure("/0", "[1,2,3]", R"([{"op":"move","from":"/0","path":"/3"}])");
        expect("1", R"({"a":{"b":1}})", R"([{"op":"move","from":"/a/b","path":""}])");
        expect(R"({"a":1})", R"({"a":{"b":1}})", R"([{"op":"move","from":"/a/b","path":"/a"}])");
        expect(R"({"b":1,"a":2})", R"({"b":1,"a":2})",
               R"([{"op":"move","from":"/b","path":"/b"}])");
        expect("[1]", "[1]", R"([{"op":"move","from":"","path":""}])");
        expect_failure("/0", "{}", R"([{"op":"move","from":"/a","path":"/a"}])");
        expect_failure("/0", "{}", R"([{"op":"move","from":"/a","path":"/b"}])");
        expect_refusal("/0/from", R"([{"op":"move","from":"/a","path":"/a/b"}])");
        expect_refusal("/0/from", R"([{"op":"move","from":"","path":"/a"}])");
        expect_refusal("/0", R"([{"op":"move","path":"/a"}])");
        expect_refusal("/0/from", R"([{"op":"move","from":"x","path":"/a"}])");
        expect(R"({"ab":1})", R"({"a":1})", R"([{"op":"move","from":"/a","path":"/ab"}])");
    }

    void section_4_5_copy() {
        expect(R"({"a":[1],"b":[1]})", R"({"a":[1]})",
               R"([{"op":"copy","from":"/a","path":"/b"}])");
        expect(R"({"a":{"x":1,"y":{"x":1}}})", R"({"a":{"x":1}})",
               R"([{"op":"copy","from":"/a","path":"/a/y"}])");
        expect("[1,2,1]", "[1,2]", R"([{"op":"copy","from":"/0","path":"/-"}])");
        expect("1", R"({"a":1})", R"([{"op":"copy","from":"/a","path":""}])");
        expect_failure("/0", "{}", R"([{"op":"copy","from":"/a","path":"/b"}])");
        expect_failure("/0", R"({"a":1})", R"([{"op":"copy","from":"/a","path":"/b/c"}])");
        expect_refusal("/0", R"([{"op":"copy","path":"/a"}])");
    }

    void section_4_6_test() {
        const auto passes = [](const char* target, const char* value) {
            const std::string patch =
                fmt::format(R"([{{"op":"test","path":"","value":{}}}])", value);
            return slug_of(target, patch, kPlenty).empty();
        };
        CPPUNIT_ASSERT(passes("1", "1.0"));
        CPPUNIT_ASSERT(passes("1", "10e-1"));
        CPPUNIT_ASSERT(passes("1e400", "10e399"));
        CPPUNIT_ASSERT(!passes("9007199254740993", "9007199254740992"));
        CPPUNIT_ASSERT(passes("\"a\"", R"("\u0061")"));
        CPPUNIT_ASSERT(passes(R"({"a":1,"b":[2]})", R"({"b":[2.0],"a":1})"));
        CPPUNIT_ASSERT(!passes(R"({"a":1})", R"({"a":1,"b":2})"));
        CPPUNIT_ASSERT(!passes("[1,2]", "[2,1]"));
        CPPUNIT_ASSERT(!passes("[1,2]", "[1]"));
        for (const char* value : {"true", "false", "null"}) CPPUNIT_ASSERT(passes(value, value));
        CPPUNIT_ASSERT(!passes("null", "false"));
        CPPUNIT_ASSERT(!passes("0", "null"));
        CPPUNIT_ASSERT(!passes("\"1\"", "1"));
        expect_test_failure("/0", R"({"a":1})", R"([{"op":"test","path":"/b","value":null}])");
        expect_test_failure("/0", "[1]", R"([{"op":"test","path":"/-","value":1}])");
        expect_refusal("/0", R"([{"op":"test","path":"/a"}])");
        // Of a part that was edited just before.
        expect(R"({"a":{"c":[1,2]}})", R"({"a":{"b":0,"c":[1]}})",
               R"([{"op":"remove","path":"/a/b"},{"op":"add","path":"/a/c/-","value":2},)"
               R"({"op":"test","path":"/a","value":{"c":[1.0,2]}}])");
    }

    void section_5_failure_undoes_all() {
        const std::string document = R"({"a":"x"})";
        const std::string patch = json::compact(
            R"([{"op":"replace","path":"/a","value":42},{"op":"test","path":"/a","value":"C"}])");
        const auto parsed = json::Patch::parse(patch);
        CPPUNIT_ASSERT_THROW(parsed.apply(document, kPlenty), larder::Error);
        CPPUNIT_ASSERT_EQUAL(std::string(R"({"a":"x"})"), document);
        expect_test_failure("/1", document, patch);
    }

    void one_patch_serves_many_values() {
        auto patch = json::Patch::parse(R"([{"op":"add","path":"/n","value":[1]}])");
        const json::Patch copy = patch;
        patch = json::Patch::parse(R"([{"op":"add","path":"/n/-","value":2}])");
        const std::string first = copy.apply("{}", kPlenty);
        CPPUNIT_ASSERT_EQUAL(std::string(R"({"n":[1]})"), first);
        CPPUNIT_ASSERT_EQUAL(std::string(R"({"n":[1,2]})"), patch.apply(first, kPlenty));
        CPPUNIT_ASSERT_EQUAL(std::string(R"({"m":0,"n":[1]})"), copy.apply(R"({"m":0})", kPlenty));
    }

    void bytes_and_order_stay() {
        expect(R"({"z":1e400,"s":"\u0041\/","o":{"n":-0,"x":1.50},"a":[0.1000,{"\u0062":2E+1}]})",
               R"({"z":1e400,"s":"\u0041\/","o":{"n":-0},"a":[0.1000,"gone",{"\u0062":1.0}]})",
               R"([{"op":"remove","path":"/a/1"},{"op":"add","path":"/o/x","value":1.50},)"
               R"({"op":"replace","path":"/a/1/b","value":2E+1}])");
        expect(R"({"a\"/\n":1})", "{}", R"([{"op":"add","path":"/a\"~1\n","value":1}])");
    }

    void copies_are_their_own() {
        expect(R"({"a":{"x":[1]},"b":{"x":[1,2]},"c":{"x":[0,1]}})", R"({"a":{"x":[1]}})",
               R"([{"op":"test","path":"/a/x/0","value":1},)"
               R"({"op":"copy","from":"/a","path":"/b"},{"op":"copy","from":"/b","path":"/c"},)"
               R"({"op":"add","path":"/b/x/-","value":2},{"op":"add","path":"/c/x/0","value":0}])");
        expect(R"({"a":1,"b":{"a":1,"c":2}})", R"({"a":1})",
               R"([{"op":"copy","from":"","path":"/b"},{"op":"add","path":"/b/c","value":2}])");
        expect(R"([[],[[5]]])", "[[]]",
               R"([{"op":"copy","from":"","path":"/-"},{"op":"add","path":"/1/0/-","value":5}])");
    }

    void removed_names_come_back_last() {
        expect(R"({"b":2,"a":3})", R"({"a":1,"b":2})",
               R"([{"op":"remove","path":"/a"},{"op":"add","path":"/a","value":3}])");
    }

    // Enough look-ups that names are found by an index, which what comes and goes must keep right.
    void objects_of_many_members() {
        std::string target = "{", patch = "[", expected = "{";
        for (int i = 0; i < 5000; ++i) target += fmt::format("{}\"k{}\":{}", i ? "," : "", i, i);
        const auto op = [&](const std::string& text) {
            if (patch.size() > 1) patch += ',';
            patch += text;
        };
        for (int i = 0; i < 1000; ++i) {
            op(fmt::format(R"({{"op":"remove","path":"/k{}"}})", i));
            op(fmt::format(R"({{"op":"replace","path":"/k{}","value":true}})", i + 1000));
            op(fmt::format(R"({{"op":"add","path":"/n{}","value":[]}})", i));
            if (i % 2 == 0) op(fmt::format(R"({{"op":"add","path":"/k{}","value":{{}}}})", i));
            if (i % 4 == 0) op(fmt::format(R"({{"op":"remove","path":"/k{}"}})", i));
        }
        for (int i = 1000; i < 5000; ++i) {
            expected += fmt::format("{}\"k{}\":{}", i > 1000 ? "," : "", i,
                                    i < 2000 ? "true" : std::to_string(i));
        }
        for (int i = 0; i < 1000; ++i) {
            expected += fmt::format(",\"n{}\":[]", i);
            if (i % 4 == 2) expected += fmt::format(",\"k{}\":{{}}", i);
        }
        CPPUNIT_ASSERT(expected + "}" == patched(target + "}", patch + "]"));
        expect_failure("/10", target + "}",
                       "[" + times(10, R"({"op":"test","path":"/k9","value":9},)") +
                           R"({"op":"remove","path":"/k5000"}])");
    }

    void operations_are_limited() {
        const std::string one = R"({"op":"test","path":"","value":1})";
        const std::string most = one + times(json::Patch::kMaxOperations - 1, "," + one);
        expect("1", "1", "[" + most + "]");
        expect_refusal("/10000", "[" + most + "," + one + "]");
    }

    void size_is_limited() {
        const auto* const patch = R"([{"op":"add","path":"/b","value":"xy"}])";
        CPPUNIT_ASSERT_EQUAL(std::string(), slug_of(R"({"a":1})", patch, 16));
        CPPUNIT_ASSERT_EQUAL(std::string("value-too-large"), slug_of(R"({"a":1})", patch, 15));
        // On the way it may be larger.
        expect(R"({"b":"xy"})", R"({"a":1})",
               R"([{"op":"add","path":"/b","value":"xy"},{"op":"remove","path":"/a"}])");
        CPPUNIT_ASSERT_EQUAL(
            std::string(),
            slug_of(R"({"a":1})",
                    R"([{"op":"add","path":"/b","value":"xy"},{"op":"remove","path":"/a"}])", 10));
    }

    void doubling_is_stopped() {
        for (const char* op :
             {R"({"op":"copy","from":"","path":"/-"})", R"({"op":"copy","from":"","path":"/0"})"}) {
            const std::string patch = fmt::format("[{}{}]", op, times(999, fmt::format(",{}", op)));
            CPPUNIT_ASSERT_EQUAL(std::string("value-too-large"), slug_of("[1]", patch, 1U << 20U));
        }
        // Each doubles a text that is thrown away again: no limit is met, and nothing is wrong.
        const std::string large = "{\"a\":\"" + std::string(100'000, 'x') + "\"}";
        const std::string pair =
            R"({"op":"copy","from":"","path":"/b"},{"op":"remove","path":"/b"})";
        CPPUNIT_ASSERT(
            patched(large, fmt::format("[{}{}]", pair, times(400, "," + pair)), 200'000) == large);
    }

    void depth_is_limited() {
        const auto add = [](const std::string& path, const std::string& value) {
            return fmt::format(R"([{{"op":"add","path":"{}","value":{}}}])", path, value);
        };
        // The patch itself is two levels more.
        CPPUNIT_ASSERT_EQUAL(std::string(),
                             slug_of("[[]]", add("/0/-", nested(1022, "")), kPlenty));
        CPPUNIT_ASSERT_EQUAL(std::string("value-too-deep"),
                             slug_of("[[[]]]", add("/0/0/-", nested(1022, "")), kPlenty));
        CPPUNIT_ASSERT_EQUAL(
            std::string("value-too-deep"),
            slug_of(nested(1024, ""), R"([{"op":"copy","from":"","path":"/-"}])", kPlenty));
        // Into its own innermost part: twice as deep.
        const std::string innermost =
            fmt::format(R"([{{"op":"copy","from":"","path":"{}"}}])", times(600, "/0"));
        CPPUNIT_ASSERT_EQUAL(std::string("value-too-deep"),
                             slug_of(nested(600, ""), innermost, kPlenty));
    }

    // Deep parts that go to and fro never make the value deeper.
    void depth_may_move() {
        const std::string deep = nested(1000, "1");
        const std::string target = fmt::format(R"({{"a":{},"b":{{"c":{{}}}}}})", deep);
        const std::string pair = R"({"op":"move","from":"/a","path":"/b/c/d"},)"
                                 R"({"op":"move","from":"/b/c/d","path":"/a"})";
        CPPUNIT_ASSERT_EQUAL(fmt::format(R"({{"b":{{"c":{{}}}},"a":{}}})", deep),
                             patched(target, fmt::format("[{}{}]", pair, times(2000, "," + pair))));
    }

    // 2,000 moves of millions of elements each would take minutes.
    void many_inserts_into_a_long_array() {
        const std::string target = "[" + times(4'000'000, "1,") + "1]";
        const std::string op = R"({"op":"add","path":"/0","value":2})";
        const std::string back = R"({"op":"remove","path":"/2000000"})";
        const std::string patch =
            fmt::format("[{}{}{}]", op, times(1999, "," + op), times(2000, "," + back));
        CPPUNIT_ASSERT(patched(target, patch) ==
                       "[" + times(2000, "2,") + times(4'000'000 - 2000, "1,") + "1]");
    }

    // Each goes one level further into what was not taken apart yet.
    void deeper_at_each_operation() {
        std::string target, patch, path;
        for (int i = 0; i < 1000; ++i) {
            target += "[0,";
            path += "/1";
            patch += fmt::format(R"({}{{"op":"replace","path":"{}/0","value":7}})", i ? "," : "",
                                 path.substr(2));
        }
        const std::string inner = "\"" + std::string(8U << 20U, 'x') + "\"";
        const std::string closing(1000, ']');
        std::string expected;
        for (int i = 0; i < 1000; ++i) expected += "[7,";
        CPPUNIT_ASSERT(patched(target + inner + closing, "[" + patch + "]") ==
                       expected + inner + closing);
    }
};

LARDER_TEST_SUITE(JsonPatchTest);

}  // namespace
