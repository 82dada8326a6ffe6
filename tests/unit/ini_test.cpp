// The strict .ini reader: what it takes, and each mistake with its line. Not what keys mean.
#include "config/ini.hpp"

#include <string>

#include "support/suite.hpp"

using larder::config::IniDocument;
using larder::config::parse_ini;

namespace {

void expect_fault(const std::string& text, unsigned line, const std::string& part) {
    const IniDocument document = parse_ini(text);
    CPPUNIT_ASSERT_EQUAL_MESSAGE(text, std::size_t{1}, document.faults.size());
    CPPUNIT_ASSERT_EQUAL_MESSAGE(text, line, document.faults[0].line);
    const std::string& message = document.faults[0].message;
    CPPUNIT_ASSERT_MESSAGE("'" + message + "' lacks '" + part + "'",
                           message.find(part) != std::string::npos);
}

std::string value_of(const std::string& written) {
    const IniDocument document = parse_ini("[s]\nk = " + written + "\n");
    CPPUNIT_ASSERT_MESSAGE(written, document.faults.empty());
    CPPUNIT_ASSERT_EQUAL(std::size_t{1}, document.entries.size());
    return document.entries[0].value;
}

}  // namespace

class IniTest : public CppUnit::TestFixture {
    CPPUNIT_TEST_SUITE(IniTest);
    CPPUNIT_TEST(takes_sections_keys_and_comments);
    CPPUNIT_TEST(trims_and_unquotes_values);
    CPPUNIT_TEST(takes_what_editors_leave);
    CPPUNIT_TEST(refuses_duplicates_naming_both_lines);
    CPPUNIT_TEST(refuses_junk);
    CPPUNIT_TEST(refuses_bad_names);
    CPPUNIT_TEST(refuses_bad_quotes_and_trailing_comments);
    CPPUNIT_TEST(refuses_bad_bytes);
    CPPUNIT_TEST(keeps_its_limits);
    CPPUNIT_TEST(tells_every_mistake_once);
    CPPUNIT_TEST_SUITE_END();

    void takes_sections_keys_and_comments() {
        const IniDocument document = parse_ini(
            "# a comment\n"
            "; another\n"
            "\n"
            "[http]\n"
            "  listen = 127.0.0.1:8080  \n"
            "idle_timeout=75s\n"
            "\t# indented\n"
            "[auth]\n"
            "enabled = true\n");
        CPPUNIT_ASSERT(document.faults.empty());
        CPPUNIT_ASSERT_EQUAL(std::size_t{2}, document.sections.size());
        CPPUNIT_ASSERT_EQUAL(8U, document.sections[1].line);
        CPPUNIT_ASSERT_EQUAL(std::size_t{3}, document.entries.size());
        CPPUNIT_ASSERT_EQUAL(std::string("http"), document.entries[0].section);
        CPPUNIT_ASSERT_EQUAL(std::string("listen"), document.entries[0].key);
        CPPUNIT_ASSERT_EQUAL(std::string("127.0.0.1:8080"), document.entries[0].value);
        CPPUNIT_ASSERT_EQUAL(5U, document.entries[0].line);
        CPPUNIT_ASSERT_EQUAL(std::string("75s"), document.entries[1].value);
        CPPUNIT_ASSERT_EQUAL(std::string("auth"), document.entries[2].section);
    }

    void trims_and_unquotes_values() {
        CPPUNIT_ASSERT_EQUAL(std::string("a b"), value_of("  a b \t"));
        CPPUNIT_ASSERT_EQUAL(std::string(), value_of(""));
        CPPUNIT_ASSERT_EQUAL(std::string(), value_of("\"\""));
        CPPUNIT_ASSERT_EQUAL(std::string(" a "), value_of("\" a \""));
        CPPUNIT_ASSERT_EQUAL(std::string("a\"b\\c"), value_of(R"("a\"b\\c")"));
        CPPUNIT_ASSERT_EQUAL(std::string("x # y"), value_of("\"x # y\""));
        CPPUNIT_ASSERT_EQUAL(std::string("a#b;c"), value_of("a#b;c"));
        CPPUNIT_ASSERT_EQUAL(std::string("a=b"), value_of("a=b"));
        CPPUNIT_ASSERT_EQUAL(std::string("C:\\x"), value_of("C:\\x"));
        CPPUNIT_ASSERT_EQUAL(std::string("größe"), value_of("größe"));
    }

    void takes_what_editors_leave() {
        const IniDocument document = parse_ini("\xEF\xBB\xBF[s]\r\nk = v\r\n[t]\r\nlast = w");
        CPPUNIT_ASSERT(document.faults.empty());
        CPPUNIT_ASSERT_EQUAL(std::string("v"), document.entries.at(0).value);
        CPPUNIT_ASSERT_EQUAL(std::string("w"), document.entries.at(1).value);
        CPPUNIT_ASSERT(parse_ini("").faults.empty());
    }

    void refuses_duplicates_naming_both_lines() {
        expect_fault("[s]\na = 1\nb = 2\na = 3\n", 4, "'a' stands twice in [s], first at line 2");
        expect_fault("[s]\n[t]\n[s]\n", 3, "[s] stands twice, first at line 1");
        CPPUNIT_ASSERT(parse_ini("[s]\na = 1\n[t]\na = 1\n").faults.empty());
    }

    void refuses_junk() {
        expect_fault("[s]\nhello\n", 2, "expected 'key = value', [section] or a # comment");
        expect_fault("a = 1\n[s]\n", 1, "before the first [section]");
        expect_fault("[s]\n = 1\n", 2, "expected a key");
        expect_fault("[s]\na = 1\n  continued\n", 3, "got 'continued'");
    }

    void refuses_bad_names() {
        expect_fault("[S]\n", 1, "expected a section such as [http]");
        expect_fault("[ s ]\n", 1, "expected a section");
        expect_fault("[]\n", 1, "expected a section");
        expect_fault("[s\n", 1, "expected a section");
        expect_fault("[\n", 1, "expected a section");
        expect_fault("[s] # why\n", 1, "expected a section");
        expect_fault("[s]\nA = 1\n", 2, "expected a key");
        expect_fault("[s]\na.b = 1\n", 2, "expected a key");
        expect_fault("[s]\n1a = 1\n", 2, "expected a key");
        expect_fault("[s]\n" + std::string(65, 'a') + " = 1\n", 2, "expected a key");
        CPPUNIT_ASSERT(parse_ini("[s]\n" + std::string(64, 'a') + " = 1\n").faults.empty());
    }

    void refuses_bad_quotes_and_trailing_comments() {
        expect_fault("[s]\na = \"x\n", 2, "closing double quote");
        expect_fault("[s]\na = \"x\\\"\n", 2, "closing double quote");
        expect_fault("[s]\na = \"x\\\n", 2, "closing double quote");
        expect_fault("[s]\na = \"x\" y\n", 2, "after the closing quote");
        expect_fault("[s]\na = \"x\\n\"\n", 2, "another escape");
        expect_fault("[s]\na = 10s # short\n", 2, "a line of its own");
        expect_fault("[s]\na = 10s ; short\n", 2, "a line of its own");
    }

    void refuses_bad_bytes() {
        expect_fault(std::string("[s]\na = x\0y\n", 12), 2, "without control characters");
        expect_fault("[s]\na = x\x1b[0m\n", 2, "got 'a = x\\x1B[0m'");
        expect_fault("[s]\na = x\ry\n", 2, "control");
        for (const char* const bytes : {"\xff", "\xc0\xaf", "\xed\xa0\x80", "\xf4\x90\x80\x80",
                                        "\xe2\x82", "\x80", "\xe0\x80\x80"}) {
            expect_fault("[s]\na = " + std::string(bytes) + "\n", 2, "expected UTF-8");
        }
        CPPUNIT_ASSERT(parse_ini("[s]\na = \xf4\x8f\xbf\xbf \xed\x9f\xbf\n").faults.empty());
    }

    void keeps_its_limits() {
        const std::string most(larder::config::kMaxIniLine - 4, 'x');
        CPPUNIT_ASSERT(parse_ini("[s]\na = " + most + "\n").faults.empty());
        expect_fault("[s]\na = " + most + "x\n", 2, "expected a line of at most 65536 bytes");
        const std::string filler(larder::config::kMaxIniFile, '\n');
        CPPUNIT_ASSERT(parse_ini(filler).faults.empty());
        expect_fault(filler + "\n", 0, "expected at most 1048576 bytes");
        std::string junk;
        for (int i = 0; i < 1000; ++i) junk += "junk\n";
        CPPUNIT_ASSERT_EQUAL(larder::config::kMaxIniFaults, parse_ini(junk).faults.size());
    }

    void tells_every_mistake_once() {
        const IniDocument document = parse_ini("[Bad]\na = 1\na = 2\n[s]\njunk\nb = 1\nb = 2\n");
        CPPUNIT_ASSERT_EQUAL(std::size_t{3}, document.faults.size());
        CPPUNIT_ASSERT_EQUAL(1U, document.faults[0].line);
        CPPUNIT_ASSERT_EQUAL(5U, document.faults[1].line);
        CPPUNIT_ASSERT_EQUAL(7U, document.faults[2].line);
        CPPUNIT_ASSERT_EQUAL(std::size_t{1}, document.entries.size());
    }
};

LARDER_TEST_SUITE(IniTest);
