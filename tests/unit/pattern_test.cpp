// Route patterns taken apart, and percent-decoding.
#include "routing/pattern.hpp"

#include <fmt/format.h>

#include "larder/error.hpp"
#include "support/suite.hpp"

namespace larder::routing {
namespace {

class PatternTest : public CppUnit::TestFixture {
    CPPUNIT_TEST_SUITE(PatternTest);
    CPPUNIT_TEST(takes_patterns_apart);
    CPPUNIT_TEST(refuses_malformed_patterns);
    CPPUNIT_TEST(decodes_once);
    CPPUNIT_TEST(refuses_malformed_escapes);
    CPPUNIT_TEST_SUITE_END();

public:
    void takes_patterns_apart() {
        CPPUNIT_ASSERT_EQUAL(std::string("healthz"), shape("/healthz"));
        CPPUNIT_ASSERT_EQUAL(std::string("api kv {bucket} {key...}"),
                             shape("/api/kv/{bucket}/{key...}"));
        CPPUNIT_ASSERT_EQUAL(std::string("api kv {bucket} {key...} + /increment"),
                             shape("/api/kv/{bucket}/{key...}/increment"));
        CPPUNIT_ASSERT_EQUAL(std::string("a {b...} + /c/d"), shape("/a/{b...}/c/d"));
        CPPUNIT_ASSERT_EQUAL(std::string("{a} b {c}"), shape("/{a}/b/{c}"));
        // A name and a fixed text may be the same word.
        CPPUNIT_ASSERT_EQUAL(std::string("name {name}"), shape("/name/{name}"));
    }

    void refuses_malformed_patterns() {
        for (const char* text : {"", "healthz", "/", "//", "/a//b", "/a/", "/{}", "/{...}", "/a{b}",
                                 "/{a}b", "/{a", "/a}", "/{a}/{a}", "/{a}/{a...}", "/{a...}/{b}",
                                 "/{a...}/b/{c}", "/a%2Fb", "/a?b", "/a#b"}) {
            try {
                parse_pattern(text);
            } catch (const Error& error) {
                CPPUNIT_ASSERT(error.code() == Errc::internal);
                CPPUNIT_ASSERT_MESSAGE(error.detail(),
                                       error.detail().find(text) != std::string::npos);
                continue;
            }
            CPPUNIT_FAIL(fmt::format("'{}' was taken", text));
        }
    }

    void decodes_once() {
        CPPUNIT_ASSERT_EQUAL(std::string("a b"), decoded("a%20b"));
        CPPUNIT_ASSERT_EQUAL(std::string("%41"), decoded("%2541"));
        CPPUNIT_ASSERT_EQUAL(std::string("/../"), decoded("%2F..%2f"));
        CPPUNIT_ASSERT_EQUAL(std::string("\xc3\xa4\xff"), decoded("%C3%a4%FF"));
        CPPUNIT_ASSERT_EQUAL(std::string("a+b"), decoded("a+b"));
        CPPUNIT_ASSERT_EQUAL(std::string(), decoded(""));
        std::string query = "x";
        CPPUNIT_ASSERT(percent_decode("a+b%2B", query, true));
        CPPUNIT_ASSERT_EQUAL(std::string("xa b+"), query);
    }

    void refuses_malformed_escapes() {
        for (const std::string& text :
             {std::string("%"), std::string("%4"), std::string("a%"), std::string("%zz"),
              std::string("%4g"), std::string("%%41"), std::string("%-1"), std::string("% 1"),
              std::string("%00"), std::string("a\0b", 3), std::string("%+1")}) {
            std::string out;
            CPPUNIT_ASSERT_MESSAGE(text, !percent_decode(text, out));
        }
    }

private:
    static std::string shape(std::string_view text) {
        const Pattern pattern = parse_pattern(text);
        std::string out;
        for (const Segment& segment : pattern.segments) {
            if (!out.empty()) out += ' ';
            switch (segment.kind) {
                case Segment::Kind::fixed: out += segment.text; break;
                case Segment::Kind::parameter: out += fmt::format("{{{}}}", segment.text); break;
                case Segment::Kind::rest: out += fmt::format("{{{}...}}", segment.text); break;
            }
        }
        return pattern.tail.empty() ? out : fmt::format("{} + {}", out, pattern.tail);
    }
    static std::string decoded(std::string_view text) {
        std::string out;
        CPPUNIT_ASSERT_MESSAGE(std::string(text), percent_decode(text, out));
        return out;
    }
};

LARDER_TEST_SUITE(PatternTest);

}  // namespace
}  // namespace larder::routing
