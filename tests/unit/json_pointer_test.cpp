// JSON pointers by the sentences of RFC 6901, and the walk to a part however deep or late it is.
#include "storage-kit/json_pointer.hpp"

#include <fmt/format.h>

#include <string>
#include <vector>

#include "larder/error.hpp"
#include "storage-kit/json.hpp"
#include "support/suite.hpp"

namespace {

namespace json = larder::storage::json;
using namespace std::string_literals;

std::string found(std::string_view document, std::string_view pointer) {
    const auto part = json::find(document, json::Pointer::parse(pointer));
    return part ? std::string(*part) : "(nothing)";
}

void check(const std::string& expected, std::string_view document, std::string_view pointer) {
    CPPUNIT_ASSERT_EQUAL_MESSAGE(fmt::format("{} in {}", pointer, document), expected,
                                 found(document, pointer));
}

const std::string kNothing = "(nothing)";

class JsonPointerTest : public CppUnit::TestFixture {
    CPPUNIT_TEST_SUITE(JsonPointerTest);
    CPPUNIT_TEST(section_3_syntax);
    CPPUNIT_TEST(section_4_objects);
    CPPUNIT_TEST(section_4_arrays);
    CPPUNIT_TEST(section_4_escapes_are_undone_in_order);
    CPPUNIT_TEST(section_5_examples);
    CPPUNIT_TEST(section_7_nothing_there);
    CPPUNIT_TEST(parts_keep_their_bytes);
    CPPUNIT_TEST(names_are_compared_unescaped);
    CPPUNIT_TEST(indices);
    CPPUNIT_TEST(below);
    CPPUNIT_TEST(deep_and_late);
    CPPUNIT_TEST_SUITE_END();

public:
    void section_3_syntax() {
        for (const std::string& text : {"a"s, "a/b"s, "#/a"s, " /a"s, "/~"s, "/~2"s, "/a~"s,
                                        "/a~/b"s, "/~~0"s, "/\xFF"s, "/\xED\xA0\x80"s}) {
            try {
                json::Pointer::parse(text);
                CPPUNIT_FAIL(json::quoted(text) + " was taken");
            } catch (const larder::Error& error) {
                CPPUNIT_ASSERT(error.code() == larder::Errc::bad_request);
                CPPUNIT_ASSERT_EQUAL("invalid-pointer"s, error.slug());
            }
        }
        const auto tokens = json::Pointer::parse("/a//b~1c/").tokens();
        CPPUNIT_ASSERT(tokens == std::vector<std::string>({"a", "", "b/c", ""}));
        CPPUNIT_ASSERT(json::Pointer::parse("").tokens().empty());
        CPPUNIT_ASSERT_EQUAL(std::size_t{1}, json::Pointer::parse("/").tokens().size());
    }

    void section_4_objects() {
        const auto* const document = R"({"a":{"b":1,"":2},"":3,"0":4,"-":5,"01":6})";
        check("1", document, "/a/b");
        check("2", document, "/a/");
        check("3", document, "/");
        check("4", document, "/0");
        check("5", document, "/-");
        check("6", document, "/01");
        check(kNothing, document, "/A");
        check(kNothing, document, "/a/b/c");
    }

    void section_4_arrays() {
        const auto* const document = R"([10,[20],"x"])";
        check("10", document, "/0");
        check("20", document, "/1/0");
        check("\"x\"", document, "/2");
        for (const char* pointer :
             {"/3", "/-", "/00", "/01", "/+1", "/-1", "/1.0", "/1e0", "/ 1", "/a", "/",
              "/18446744073709551616", "/99999999999999999999", "/0x1"}) {
            check(kNothing, document, pointer);
        }
        check(kNothing, "[]", "/0");
    }

    void section_4_escapes_are_undone_in_order() {
        check("1", R"({"~1":1,"/":2})", "/~01");
        check("2", R"({"~1":1,"/":2})", "/~1");
        check("3", R"({"~0":3})", "/~00");
    }

    void section_5_examples() {
        const auto* const document = R"({"foo":["bar","baz"],"":0,"a/b":1,"c%d":2,"e^f":3,"g|h":4,)"
                                     R"("i\\j":5,"k\"l":6," ":7,"m~n":8})";
        check(document, document, "");
        check(R"(["bar","baz"])", document, "/foo");
        check(R"("bar")", document, "/foo/0");
        check("0", document, "/");
        check("1", document, "/a~1b");
        check("2", document, "/c%d");
        check("3", document, "/e^f");
        check("4", document, "/g|h");
        check("5", document, "/i\\j");
        check("6", document, "/k\"l");
        check("7", document, "/ ");
        check("8", document, "/m~0n");
    }

    void section_7_nothing_there() {
        for (const char* scalar : {"1", "\"a\"", "null", "true"}) {
            check(scalar, scalar, "");
            check(kNothing, scalar, "/");
            check(kNothing, scalar, "/0");
        }
        check(kNothing, "{}", "/a");
    }

    void parts_keep_their_bytes() {
        const auto* const document =
            R"({"n":[1e400,0.1000,-0],"s":"\u0041\/","o":{"z":[],"a":{}}})";
        check("[1e400,0.1000,-0]", document, "/n");
        check("0.1000", document, "/n/1");
        check("-0", document, "/n/2");
        check(R"("\u0041\/")", document, "/s");
        check(R"({"z":[],"a":{}})", document, "/o");
        check("{}", document, "/o/a");
    }

    void names_are_compared_unescaped() {
        check("1", R"({"\u0061":1})", "/a");
        check("1", R"({"\ud834\udd1e":1})", "/\xF0\x9D\x84\x9E");
        check("1", R"({"a\/b":1})", "/a~1b");
        check("2", R"({"a\"},{":1,"b":2})", "/b");
        check(kNothing, R"({"a":1})", "/\\u0061");
    }

    void indices() {
        CPPUNIT_ASSERT_EQUAL(std::size_t{0}, json::index_of("0").value());
        CPPUNIT_ASSERT_EQUAL(std::size_t{120}, json::index_of("120").value());
        for (const char* text : {"", "-", "-0", "+1", "00", "1 ", "1a", "99999999999999999999"}) {
            CPPUNIT_ASSERT(!json::index_of(text));
        }
    }

    void below() {
        const auto is_below = [](const char* a, const char* b) {
            return json::Pointer::parse(a).is_below(json::Pointer::parse(b));
        };
        CPPUNIT_ASSERT(is_below("/a/b", "/a"));
        CPPUNIT_ASSERT(is_below("/a", ""));
        CPPUNIT_ASSERT(!is_below("/a", "/a"));
        CPPUNIT_ASSERT(!is_below("/ab", "/a"));
        CPPUNIT_ASSERT(!is_below("/a", "/a/b"));
    }

    // Were the end of each level looked for on the way down, this would read 8 GB.
    void deep_and_late() {
        const std::string inner = "\"" + std::string(8U << 20U, 'x') + "\"";
        std::string document, pointer;
        for (int i = 0; i < 1000; ++i) {
            document += "[0,{\"a\":";
            pointer += "/1/a";
        }
        document += inner;
        for (int i = 0; i < 1000; ++i) document += "}]";
        CPPUNIT_ASSERT(found(document, pointer) == inner);
        check(kNothing, document, pointer + "/0");
        check("0", document, "/1/a/0");
    }
};

LARDER_TEST_SUITE(JsonPointerTest);

}  // namespace
