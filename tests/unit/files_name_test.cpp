// Names of files: what is left of hostile ones, what stored ones look like, and the header that
// gives them back.
#include "files_name.hpp"

#include "storage-kit/json.hpp"
#include "support/suite.hpp"

namespace larder::files {
namespace {

using std::string_literals::operator""s;

class FilesNameTest : public CppUnit::TestFixture {
    CPPUNIT_TEST_SUITE(FilesNameTest);
    CPPUNIT_TEST(keeps_good_names);
    CPPUNIT_TEST(takes_the_harm_out);
    CPPUNIT_TEST(composes);
    CPPUNIT_TEST(cuts_between_code_points);
    CPPUNIT_TEST(makes_stored_names);
    CPPUNIT_TEST(folds_extensions);
    CPPUNIT_TEST(gives_names_back);
    CPPUNIT_TEST_SUITE_END();

    static void expect(const std::string& wanted, const std::string& name) {
        CPPUNIT_ASSERT_EQUAL(wanted, sanitized_name(name));
        CPPUNIT_ASSERT_EQUAL(wanted, sanitized_name(wanted));  // nothing is left to do
    }

public:
    void keeps_good_names() {
        for (const char* name :
             {"report.pdf", "a.tar.gz", "Ünïcödé – 文書.txt", "with blanks.md", "100%.txt",
              "a\"b'c.txt", "config", "-rf", "conf.ini", "com10.txt"}) {
            expect(name, name);
        }
    }

    void takes_the_harm_out() {
        expect("passwd", "../../etc/passwd");
        expect("x", "..\\..\\x");
        expect("x", "C:\\temp\\x");
        expect("", "../");
        expect("", "..");
        expect("", "...");
        expect("htaccess", ".htaccess");
        expect("ab", "a\0b"s);
        expect("ab", "a\r\nb");
        expect("exe.gpj", "\u202Eexe.gpj");
        expect("ab", "a\u2066\u200Fb\u061C");
        expect("a.exe", "a.exe.");
        expect("a.exe", "a.exe. . ");
        expect("a.exe", "a.exe\u200E");
        expect("_CON", "CON");
        expect("_con.txt", "con.txt");
        expect("_Lpt9.a.b", "Lpt9.a.b");
        expect("_nul .txt", "nul .txt");
        expect("a__b",
               "a\xC0\xAF"
               "b");                    // an overlong '/'
        expect("___", "\xED\xA0\x80");  // a surrogate
        expect("_", "\xFF");
        expect("x", "\xEF\xBB\xBFx");
    }

    void composes() {
        expect("\u00E9.txt", "e\u0301.txt");
        expect("\uAC00", "\u1100\u1161");
    }

    void cuts_between_code_points() {
        const std::string long_name = sanitized_name(std::string(400, 'a') + ".txt");
        CPPUNIT_ASSERT_EQUAL(std::size_t{255}, long_name.size());
        CPPUNIT_ASSERT(long_name.ends_with("a.txt"));
        std::string wide;
        for (int i = 0; i < 200; ++i) wide += "\u6587";
        for (const std::string& name : {sanitized_name(wide), sanitized_name("x" + wide + ".t"),
                                        stored_name(sanitized_name("xy" + wide), 1700000000, 12),
                                        sanitized_name("a." + wide)}) {
            CPPUNIT_ASSERT(name.size() <= 255 && name.size() > 60);
            CPPUNIT_ASSERT_EQUAL(std::string::npos, storage::json::invalid_utf8(name));
        }
        CPPUNIT_ASSERT(stored_name(long_name, 1700000000, 3).ends_with("a_1700000000-3.txt"));
        CPPUNIT_ASSERT_EQUAL(std::size_t{255}, stored_name(long_name, 1700000000, 3).size());
    }

    void makes_stored_names() {
        const auto stored = [](const char* name) { return stored_name(name, 1640995200, 0); };
        CPPUNIT_ASSERT_EQUAL("document_1640995200.pdf"s, stored("document.pdf"));
        CPPUNIT_ASSERT_EQUAL("a.tar_1640995200.gz"s, stored("a.tar.gz"));
        CPPUNIT_ASSERT_EQUAL("name_1640995200"s, stored("name"));
        CPPUNIT_ASSERT_EQUAL("file_1640995200"s, stored(""));
        CPPUNIT_ASSERT_EQUAL("a_1640995200-2.b"s, stored_name("a.b", 1640995200, 2));
    }

    void folds_extensions() {
        CPPUNIT_ASSERT_EQUAL("exe"s, folded_extension("a.EXE"));
        CPPUNIT_ASSERT_EQUAL("gz"s, folded_extension("a.tar.gz"));
        CPPUNIT_ASSERT_EQUAL("sh"s, folded_extension("a.\u017Fh"));  // a long s folds to s
        CPPUNIT_ASSERT_EQUAL(""s, folded_extension("exe"));
        const auto list = extension_list(".exe, COM,.sh,,");
        CPPUNIT_ASSERT(list == (std::vector<std::string>{"exe", "com", "sh"}));
    }

    void gives_names_back() {
        CPPUNIT_ASSERT_EQUAL("attachment; filename=\"a b.txt\""s,
                             content_disposition("attachment", "a b.txt"));
        CPPUNIT_ASSERT_EQUAL("inline; filename=\"a_b_.txt\"; filename*=UTF-8''a%22b%C3%A9.txt"s,
                             content_disposition("inline", "a\"b\u00E9.txt"));
        CPPUNIT_ASSERT_EQUAL("attachment; filename=\"a__b\"; filename*=UTF-8''a%0D%0Ab"s,
                             content_disposition("attachment", "a\r\nb"));
    }
};

LARDER_TEST_SUITE(FilesNameTest);

}  // namespace
}  // namespace larder::files
