// The sentences of RFC 8259 that a text can break, and those that it may use; then what json.hpp
// adds to them. Each case of the table is one text and the byte where it must be refused, or none.
#include "storage-kit/json.hpp"

#include <fmt/format.h>

#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "support/suite.hpp"

namespace {

namespace json = larder::storage::json;
using namespace std::string_literals;

constexpr int kGood = -1;
const std::mt19937::result_type kSeed = std::mt19937::default_seed;  // runs are to be repeatable

struct Case {
    std::string text;
    int offset;  // of the refusal, kGood where there is none
};

const std::vector<Case>& cases() {
    static const std::vector<Case> kCases = {
        // ---- 2: JSON text, white space
        {"", 0},
        {" ", 1},
        {"\n\t\r ", 4},
        {" \n\t\r1\r\t\n ", kGood},
        {"\f1", 0},
        {"\v1", 0},
        {"\0"s, 0},
        {"1\0"s, 1},
        {"\xC2\xA0"
         "1",
         0},                    // no-break space
        {"\xE2\x80\xA8[]", 0},  // line separator
        {"\xEF\xBB\xBF{}", 0},  // 8.1: no byte order mark
        {"1 1", 2},
        {"1,", 1},
        {"[][]", 2},
        {"{}{}", 2},
        {"{}]", 2},
        {"// comment\n1", 0},
        {"/* comment */1", 0},
        {"[1]//", 3},
        {"#\n1", 0},
        // ---- 3: values
        {"true", kGood},
        {"false", kGood},
        {"null", kGood},
        {" null ", kGood},
        {"True", 0},
        {"TRUE", 0},
        {"nul", 0},
        {"nulll", 4},
        {"tru", 0},
        {"fals", 0},
        {"truefalse", 4},
        {"undefined", 0},
        {"NaN", 0},
        {"nan", 0},
        {"Infinity", 0},
        {"-Infinity", 1},
        {"inf", 0},
        {"a", 0},
        {"'a'", 0},
        {"`a`", 0},
        {"abc\"", 0},
        {"*", 0},
        {":", 0},
        {",", 0},
        {"}", 0},
        {"]", 0},
        // ---- 4: objects
        {"{}", kGood},
        {"{ }", kGood},
        {R"({"a":1})", kGood},
        {R"({ "a" : 1 , "b" : 2 })", kGood},
        {R"({"":0})", kGood},
        {R"({"a":{"a":{"a":{}}}})", kGood},
        {"{", 1},
        {R"({"a")", 4},
        {R"({"a":)", 5},
        {R"({"a":1)", 6},
        {R"({"a":1,)", 7},
        {R"({"a":1,})", 7},
        {R"({,"a":1})", 1},
        {R"({"a":1,,"b":2})", 7},
        {R"({"a" 1})", 5},
        {R"({"a"::1})", 5},
        {R"({"a":1 "b":2})", 7},
        {R"({"a":1;"b":2})", 6},
        {R"({"a":})", 5},
        {R"({a:1})", 1},
        {R"({'a':1})", 1},
        {R"({1:1})", 1},
        {R"({null:1})", 1},
        {R"({"a","b"})", 4},
        {R"({[]:1})", 1},
        {R"({"a":1])", 6},
        {R"({"a":"b")", 8},
        {R"({"a)", 1},
        // ---- 5: arrays
        {"[]", kGood},
        {"[ ]", kGood},
        {"[1]", kGood},
        {"[ 1 , 2 ]", kGood},
        {"[[],[[]],{}]", kGood},
        {"[null,true,false,0,\"\"]", kGood},
        {"[", 1},
        {"[1", 2},
        {"[1,", 3},
        {"[,1]", 1},
        {"[1,]", 3},
        {"[1,,2]", 3},
        {"[1 2]", 3},
        {"[1:2]", 2},
        {"[1;2]", 2},
        {"[1}", 2},
        {"[\"a\":1]", 4},
        {"[[[", 3},
        {"[]]", 2},
        {"[a]", 1},
        {"[true", 5},
        {"[\"a", 1},
        {"[-]", 2},
        // ---- 6: numbers
        {"0", kGood},
        {"-0", kGood},
        {"0.0", kGood},
        {"-0.0e0", kGood},
        {"1", kGood},
        {"10", kGood},
        {"-1", kGood},
        {"1.5", kGood},
        {"1.50", kGood},
        {"1e5", kGood},
        {"1E5", kGood},
        {"1e+5", kGood},
        {"1e-5", kGood},
        {"1E+05", kGood},
        {"0e0", kGood},
        {"0e+1", kGood},
        {"123456789012345678901234567890123456789012345678901234567890", kGood},
        {"-9223372036854775809", kGood},
        {"18446744073709551616", kGood},
        {"1e400", kGood},
        {"-1e400", kGood},
        {"1e-400", kGood},
        {"1e99999999999999999999", kGood},
        {"0.1234567890123456789012345678901234567890", kGood},
        {"00", 1},
        {"01", 1},
        {"-01", 2},
        {"+1", 0},
        {"++1", 0},
        {"-", 1},
        {"--1", 1},
        {"- 1", 1},
        {".5", 0},
        {"-.5", 1},
        {"1.", 2},
        {"1.e5", 2},
        {"0.", 2},
        {"1e", 2},
        {"1e+", 3},
        {"1e-", 3},
        {"1e1.5", 3},
        {"1ee5", 2},
        {"1e5e5", 3},
        {"1.5.5", 3},
        {"1 000", 2},
        {"1_000", 1},
        {"1,000", 1},
        {"0x1F", 1},
        {"1f", 1},
        {"1L", 1},
        {"0b1", 1},
        {"1e5\xC2\xB2", 3},
        {"\xEF\xBC\x91", 0},  // a full-width digit
        {"1+1", 1},
        // ---- 7: strings
        {R"("")", kGood},
        {R"("a")", kGood},
        {R"("\"\\\/\b\f\n\r\t")", kGood},
        {R"("\u0041")", kGood},
        {R"("\u00e9\u00E9")", kGood},
        {R"("\u0000")", kGood},
        {R"("\uFFFF")", kGood},
        {R"("\uD834\uDD1E")", kGood},
        {R"("\ud834\udd1e\uDBFF\uDFFF")", kGood},
        {"\"\x7F\"", kGood},  // DEL needs no escape
        {"\"/\"", kGood},
        {"\"'\"", kGood},
        {R"(")", 0},
        {R"("a)", 0},
        {R"("\")", 0},
        {R"("\)", 1},
        {R"("\a")", 1},
        {R"("\v")", 1},
        {R"("\0")", 1},
        {R"("\x41")", 1},
        {R"("\'")", 1},
        {R"("\U0041")", 1},
        {R"("\ ")", 1},
        {"\"\\\n\"", 1},
        {R"("\u")", 1},
        {R"("\u0")", 1},
        {R"("\u004")", 1},
        {R"("\u004g")", 1},
        {R"("\u 041")", 1},
        {R"("\u-041")", 1},
        {R"("ab\u00)", 3},
        {R"("a"b)", 3},
        {"\"\n\"", 1},
        {"\"a\tb\"", 2},
        {"\"a\rb\"", 2},
        {"\"\0\""s, 1},
        {"\"\x01\"", 1},
        {"\"\x1F\"", 1},
        {"\"0123456789abcdef0123456789abc\x1Fz\"", 30},
        {"{\"a\nb\":1}", 3},
        // ---- 8.2: lone surrogates are refused
        {R"("\uD800")", 1},
        {R"("\uDC00")", 1},
        {R"("\uD800\uD800")", 1},
        {R"("\uDD1E\uD834")", 1},
        {R"("a\uD834 \uDD1E")", 2},
        {R"("\uD834\n")", 1},
        {R"("\uD834\u0041")", 1},
        {R"("\uD834\uDD1)", 1},
        {R"("\uD834\uDD1E\uD834")", 13},
        {R"({"\uDFFF":1})", 2},
        // ---- 8.1: UTF-8, as RFC 3629 has it
        {"\"\xC3\xA9\"", kGood},
        {"\"\xE2\x82\xAC\"", kGood},
        {"\"\xF0\x9F\x92\xA9\"", kGood},
        {"\"\xF4\x8F\xBF\xBF\"", kGood},
        {"\"\xEF\xBF\xBF\"", kGood},  // a noncharacter is a code point
        {"\"\xEF\xBB\xBF\"", kGood},  // inside a string it is no mark
        {"\"\xE2\x80\xA8\"", kGood},
        {"\"\x80\"", 1},
        {"\"\xBF\"", 1},
        {"\"\xC3\"", 1},
        {"\"\xC3(\"", 1},
        {"\"\xC0\xAF\"", 1},  // overlong
        {"\"\xC1\xBF\"", 1},
        {"\"\xE0\x80\xAF\"", 1},
        {"\"\xE0\x9F\xBF\"", 1},
        {"\"\xF0\x80\x80\xAF\"", 1},
        {"\"\xF0\x8F\xBF\xBF\"", 1},
        {"\"\xED\xA0\x80\"", 1},  // a surrogate
        {"\"\xED\xBF\xBF\"", 1},
        {"\"\xF4\x90\x80\x80\"", 1},  // beyond U+10FFFF
        {"\"\xF5\x80\x80\x80\"", 1},
        {"\"\xFE\"", 1},
        {"\"\xFF\"", 1},
        {"\"\xE2\x82\"", 1},
        {"\"\xF0\x9F\x92\"", 1},
        {"\"ok\xC3\xA9\xE9\"", 5},
        {"[\"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\xFF\"]", 66},
        {"\xFE\xFF\0"
         "1"s,
         0},  // UTF-16
        // ---- 4: names should be unique; here they must
        {R"({"a":1,"a":2})", 7},
        {R"({"a":1,"b":2,"a":3})", 13},
        {R"({"a":1,"\u0061":2})", 7},
        {R"({"\u0061":1,"a":2})", 12},
        {R"({"":1,"":2})", 6},
        {R"({"b":1,"a":2,"b":3})", 13},
        {R"({"\/":1,"/":2})", 8},
        {R"({"\uD834\uDD1E":1,"𝄞":2})", 18},
        {R"([{"a":1},{"a":2}])", kGood},
        {R"({"a":{"a":1},"b":{"a":1}})", kGood},
        {R"({"a":1,"A":2})", kGood},
        {R"({"a":{"b":1,"b":2}})", 12},
        {R"({"i":0,"h":0,"g":0,"f":0,"e":0,"d":0,"c":0,"b":0,"a":0,"9":0})", kGood},
        {R"({"i":0,"h":0,"g":0,"f":0,"e":0,"d":0,"c":0,"b":0,"a":0,"i":0})", 55},
        {R"({"i":0,"h":0,"g":0,"f":0,"e":0,"d":0,"c":0,"b":0,"a":0,"9":0,"g":0,"h":0})", 61},
        {R"({"a":0,"b":0,"c":0,"d":0,"e":0,"f":0,"g":0,"h":0,"i":0,"j":0,"j":0})", 61},
        {R"({"a":0,"b":0,"c":0,"d":0,"e":0,"f":0,"g":0,"h":0,"i":0,"j":0,"a":0})", 61},
    };
    return kCases;
}

std::optional<std::size_t> refusal(std::string_view text) {
    try {
        json::check(text);
        return std::nullopt;
    } catch (const json::InvalidJson& error) {
        CPPUNIT_ASSERT(std::string_view(error.what()).size() > 5);
        return error.offset();
    }
}

bool is_refused(std::string_view text) { return refusal(text).has_value(); }

class JsonTest : public CppUnit::TestFixture {
    CPPUNIT_TEST_SUITE(JsonTest);
    CPPUNIT_TEST(every_case);
    CPPUNIT_TEST(every_case_inside_an_array);
    CPPUNIT_TEST(compact_strips_white_space_outside_strings);
    CPPUNIT_TEST(compact_changes_nothing_else);
    CPPUNIT_TEST(depth_is_limited);
    CPPUNIT_TEST(depth_needs_no_stack);
    CPPUNIT_TEST(many_names);
    CPPUNIT_TEST(names_built_to_be_slow);
    CPPUNIT_TEST(quoted_escapes_what_it_must);
    CPPUNIT_TEST(quoted_replaces_invalid_utf8);
    CPPUNIT_TEST(unquoted_takes_every_escape);
    CPPUNIT_TEST(quoting_and_back);
    CPPUNIT_TEST(walks_members_and_elements);
    CPPUNIT_TEST(cut_texts_are_refused);
    CPPUNIT_TEST(strings_of_every_length);
    CPPUNIT_TEST_SUITE_END();

public:
    void every_case() {
        CPPUNIT_ASSERT(cases().size() >= 150);
        for (const Case& one : cases()) {
            const auto offset = refusal(one.text);
            const int found = offset ? static_cast<int>(*offset) : kGood;
            CPPUNIT_ASSERT_EQUAL_MESSAGE(json::quoted(one.text), one.offset, found);
            try {
                json::compact(one.text);
                CPPUNIT_ASSERT_EQUAL_MESSAGE(json::quoted(one.text), kGood, one.offset);
            } catch (const json::InvalidJson& error) {
                CPPUNIT_ASSERT_EQUAL_MESSAGE(json::quoted(one.text), one.offset,
                                             static_cast<int>(error.offset()));
            }
        }
    }

    // The end of the text is no longer the end of the memory.
    void every_case_inside_an_array() {
        for (const Case& one : cases()) {
            if (one.offset == kGood) CPPUNIT_ASSERT(!is_refused("[" + one.text + "]"));
            const std::string longer = one.text + "]]}}\"\"";
            const bool refused = is_refused(std::string_view(longer).substr(0, one.text.size()));
            CPPUNIT_ASSERT_EQUAL_MESSAGE(json::quoted(one.text), one.offset != kGood, refused);
        }
    }

    void compact_strips_white_space_outside_strings() {
        CPPUNIT_ASSERT_EQUAL(std::string(R"({"a b":[1,"c\t d",{}],"e":null})"),
                             json::compact(" {\r\n\t\"a b\" : [ 1 , \"c\\t d\" , { } ] ,"
                                           "\n\"e\":null\t} \n"));
        CPPUNIT_ASSERT_EQUAL(std::string("1"), json::compact("1 "));
        CPPUNIT_ASSERT_EQUAL(std::string("1"), json::compact(" 1"));
        CPPUNIT_ASSERT_EQUAL(std::string("\" \""), json::compact(" \" \" "));
    }

    void compact_changes_nothing_else() {
        for (const std::string_view text : {"1.0", "1e400", "-0", "1E+05", R"("\u0041\/")",
                                            R"({"z":1,"a":2})", "123456789012345678901234567890"}) {
            CPPUNIT_ASSERT_EQUAL(std::string(text), json::compact(text));
        }
    }

    void depth_is_limited() {
        const auto nested = [](std::size_t n, std::string_view opening, std::string_view closing) {
            std::string text;
            for (std::size_t i = 0; i < n; ++i) text += opening;
            text += "1";
            for (std::size_t i = 0; i < n; ++i) text += closing;
            return text;
        };
        CPPUNIT_ASSERT(!is_refused(nested(1024, "[", "]")));
        CPPUNIT_ASSERT_EQUAL(std::size_t{1024}, refusal(nested(1025, "[", "]")).value());
        CPPUNIT_ASSERT(!is_refused(nested(1024, "{\"a\":", "}")));
        CPPUNIT_ASSERT_EQUAL(std::size_t{5120}, refusal(nested(1025, "{\"a\":", "}")).value());
        CPPUNIT_ASSERT(
            !is_refused("[" + nested(1023, "[", "]") + "," + nested(1023, "[", "]") + "]"));
        json::check(nested(7, "[", "]"), 7);
        CPPUNIT_ASSERT_THROW(json::check(nested(8, "[", "]"), 7), json::InvalidJson);
    }

    void depth_needs_no_stack() {
        const std::string text(5'000'000, '[');
        CPPUNIT_ASSERT_EQUAL(std::size_t{1024}, refusal(text).value());
        CPPUNIT_ASSERT_THROW(json::check(text, text.size()), json::InvalidJson);
    }

    void many_names() {
        std::mt19937 random(kSeed);  // NOLINT(cert-msc32-c,cert-msc51-cpp)
        for (const int count : {2, 8, 9, 10, 11, 100, 5000}) {
            std::vector<std::string> names;
            names.reserve(static_cast<std::size_t>(count));
            for (int i = 0; i < count; ++i) names.push_back(fmt::format("n{}", i * 7919 % 100003));
            std::shuffle(names.begin(), names.end(), random);
            std::string text = "{";
            for (const auto& name : names) text += fmt::format("\"{}\":0,", name);
            const std::string unique = text + "\"last\":0}";
            CPPUNIT_ASSERT(!is_refused(unique));
            for (const int twice : {0, count / 2, count - 1}) {
                const std::string doubled =
                    text +
                    fmt::format("\"{}\":0,\"x\":0}}", names[static_cast<std::size_t>(twice)]);
                CPPUNIT_ASSERT_EQUAL(text.size(), refusal(doubled).value());
            }
        }
    }

    // Long common beginnings, descending order: n log n comparisons, each of a few hundred bytes.
    void names_built_to_be_slow() {
        const std::string common(300, 'a');
        std::string text = "{";
        for (int i = 99'999; i >= 0; --i) text += fmt::format("\"{}{:05}\":0,", common, i);
        text += "\"z\":0}";
        CPPUNIT_ASSERT(!is_refused(text));
    }

    void quoted_escapes_what_it_must() {
        CPPUNIT_ASSERT_EQUAL(std::string(R"("\"\\/\b\f\n\r\t\u0000\u001f)"
                                         "\x7F\xC3\xA9\""),
                             json::quoted("\"\\/\b\f\n\r\t\0\x1F\x7F\xC3\xA9"s));
        CPPUNIT_ASSERT_EQUAL(std::string("\"\""), json::quoted(""));
        std::string out = "x";
        json::append_quoted(out, "y");
        CPPUNIT_ASSERT_EQUAL(std::string("x\"y\""), out);
    }

    void quoted_replaces_invalid_utf8() {
        const std::string mark = "\xEF\xBF\xBD";
        CPPUNIT_ASSERT_EQUAL("\"a" + mark + "b\"", json::quoted("a\xFF"
                                                                "b"));
        CPPUNIT_ASSERT_EQUAL("\"" + mark + mark + "\"", json::quoted("\xC0\xAF"));
        CPPUNIT_ASSERT_EQUAL("\"" + mark + "\"", json::quoted("\xE2\x82"));
        CPPUNIT_ASSERT_EQUAL("\"" + mark + mark + mark + "\"", json::quoted("\xED\xA0\x80"));
        CPPUNIT_ASSERT_EQUAL("\"\xC3\xA9" + mark + "\\n\"", json::quoted("\xC3\xA9\xF0\x9F\n"));
        for (int a = 0; a < 256; ++a) {
            for (int b = 0; b < 256; ++b) {
                const std::string text{static_cast<char>(a), static_cast<char>(b)};
                CPPUNIT_ASSERT(!is_refused(json::quoted(text)));
            }
        }
    }

    void unquoted_takes_every_escape() {
        CPPUNIT_ASSERT_EQUAL(
            "\"\\/\b\f\n\r\tA\xC3\xA9\xE2\x82\xAC\xF0\x9D\x84\x9E\0"s,
            json::unquoted(R"("\"\\\/\b\f\n\r\t\u0041\u00e9\u20AC\uD834\uDD1E\u0000")"));
        CPPUNIT_ASSERT_EQUAL(std::string(), json::unquoted(R"("")"));
        CPPUNIT_ASSERT_EQUAL(std::string("plain"), json::unquoted(R"("plain")"));
    }

    void quoting_and_back() {
        std::mt19937 random(kSeed);  // NOLINT(cert-msc32-c,cert-msc51-cpp)
        for (int i = 0; i < 2000; ++i) {
            std::string text;
            for (unsigned n = random() % 40; n > 0; --n) text += static_cast<char>(random() % 128);
            const std::string literal = json::quoted(text);
            CPPUNIT_ASSERT(!is_refused(literal));
            CPPUNIT_ASSERT_EQUAL(text, json::unquoted(literal));
        }
    }

    void walks_members_and_elements() {
        const auto walked = [](std::string_view text) {
            json::check(text);
            std::string found;
            for (json::Walk child(text); child.next();) {
                found += fmt::format("{}={};", child.name(), child.value());
            }
            return found;
        };
        CPPUNIT_ASSERT_EQUAL(std::string(), walked("{ }"));
        CPPUNIT_ASSERT_EQUAL(std::string(), walked(" [ ] "));
        CPPUNIT_ASSERT_EQUAL(std::string(), walked("12"));
        CPPUNIT_ASSERT_EQUAL(std::string(), walked("\"[1]\""));
        CPPUNIT_ASSERT_EQUAL(std::string("=1;=[2, 3];=\"a]\\\"\";={\"b\":[]};"),
                             walked(" [1, [2, 3] ,\"a]\\\"\",{\"b\":[]}]"));
        CPPUNIT_ASSERT_EQUAL(std::string("\"a\\\"\"={\"}\":1};\"b\"=-1e5;\"\"=null;"),
                             walked("{\"a\\\"\" : {\"}\":1} , \"b\":-1e5\n,\"\":null}"));
    }

    void cut_texts_are_refused() {
        const std::string text = R"({"a":[1.5e3,true,"x\u0041\n",{"b":null}],"c":"\uD834\uDD1E"})";
        CPPUNIT_ASSERT(!is_refused(text));
        for (std::size_t n = 0; n < text.size(); ++n) CPPUNIT_ASSERT(is_refused(text.substr(0, n)));
    }

    // What ends a string may stand anywhere in the blocks that are looked at together.
    void strings_of_every_length() {
        for (std::size_t n = 0; n < 70; ++n) {
            const std::string inner(n, 'x');
            CPPUNIT_ASSERT(!is_refused("\"" + inner + "\""));
            CPPUNIT_ASSERT(!is_refused("\"" + inner + "\\n\""));
            CPPUNIT_ASSERT_EQUAL(n + 1, refusal("\"" + inner + "\n\"").value());
            CPPUNIT_ASSERT_EQUAL(std::size_t{0}, refusal("\"" + inner).value());
            CPPUNIT_ASSERT_EQUAL(n + 1, refusal("\"" + inner + "\x80\"").value());
        }
    }
};

LARDER_TEST_SUITE(JsonTest);

}  // namespace
