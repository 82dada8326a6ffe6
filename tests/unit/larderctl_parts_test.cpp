// The parts of larderctl that read what others sent: objects a member at a time, event streams; and
// its tables.
#include <fmt/format.h>

#include <stdexcept>

#include "member_splitter.hpp"
#include "support/suite.hpp"
#include "table.hpp"
#include "watch.hpp"

namespace larder::ctl {
namespace {

class LarderctlPartsTest : public CppUnit::TestFixture {
    CPPUNIT_TEST_SUITE(LarderctlPartsTest);
    CPPUNIT_TEST(splits_objects_at_any_cut);
    CPPUNIT_TEST(refuses_what_is_no_object);
    CPPUNIT_TEST(knows_a_cut_object);
    CPPUNIT_TEST(bounds_a_member);
    CPPUNIT_TEST(reads_event_streams_at_any_cut);
    CPPUNIT_TEST(fits_tables_to_a_width);
    CPPUNIT_TEST(commands_no_terminal);
    CPPUNIT_TEST_SUITE_END();

public:
    void splits_objects_at_any_cut() {
        const std::string text =
            " {\"a\": 1 , \"b}\\\"\":[{\"x\":\"]}\"},2],\n\"c\" : \"\\\\\",\"d\":{}} \n";
        for (std::size_t cut = 0; cut <= text.size(); ++cut) {
            std::string told;
            MemberSplitter splitter(
                [&](std::string_view name, std::string_view value) {
                    told += fmt::format("{}={};", name, value);
                },
                100);
            splitter.feed(text.substr(0, cut));
            splitter.feed(text.substr(cut));
            CPPUNIT_ASSERT(splitter.is_whole());
            CPPUNIT_ASSERT_EQUAL(std::string(R"("a"=1;"b}\""=[{"x":"]}"},2];"c"="\\";"d"={};)"),
                                 told);
        }
    }

    void refuses_what_is_no_object() {
        for (const char* text : {"[1]", "1", "{1:2}", "{\"a\" 1}", "{\"a\":,\"b\":1}", "{\"a\":}",
                                 "{\"a\":1}}", "{\"a\":1} x", "{\"a\":]}", "{\"a\":1,}"}) {
            MemberSplitter splitter([](std::string_view, std::string_view) {}, 100);
            try {
                splitter.feed(text);
            } catch (const std::runtime_error&) {
                continue;
            }
            CPPUNIT_FAIL(fmt::format("'{}' was taken", text));
        }
    }

    void knows_a_cut_object() {
        const std::string text = R"({"a":"}","b":{"c":[1]}})";
        for (std::size_t cut = 0; cut < text.size(); ++cut) {
            MemberSplitter splitter([](std::string_view, std::string_view) {}, 100);
            splitter.feed(text.substr(0, cut));
            CPPUNIT_ASSERT_MESSAGE(text.substr(0, cut), !splitter.is_whole());
        }
        MemberSplitter none([](std::string_view, std::string_view) {}, 100);
        none.feed("{}");
        CPPUNIT_ASSERT(none.is_whole());
    }

    void bounds_a_member() {
        for (const std::string& text :
             {"{\"" + std::string(200, 'n'), "{\"a\":\"" + std::string(200, 'v'),
              "{\"a\":" + std::string(200, '1')}) {
            MemberSplitter splitter([](std::string_view, std::string_view) {}, 100);
            CPPUNIT_ASSERT_THROW(splitter.feed(text), std::runtime_error);
        }
    }

    void reads_event_streams_at_any_cut() {
        const std::string text =
            ": here\nid: 1-1\n\nevent: set\ndata: {\"a\":\ndata: 1}\n\nevent: delete\r\n"
            "data:x\r\nid: 1-2\r\n\r\n";
        for (std::size_t cut = 0; cut <= text.size(); ++cut) {
            std::string told;
            EventReader reader([&](const StreamEvent& event) {
                told += fmt::format("{}|{}|{};", event.name, event.data, event.id);
            });
            reader.feed(text.substr(0, cut));
            reader.feed(text.substr(cut));
            CPPUNIT_ASSERT_EQUAL(std::string("||1-1;set|{\"a\":\n1}|;delete|x|1-2;"), told);
        }
    }

    void fits_tables_to_a_width() {
        Table table({"NAME", "WHY"});
        table.add({"kv", ""});
        table.add({"gr\xc3\xbcn", "a long reason"});
        CPPUNIT_ASSERT_EQUAL(std::string("NAME  WHY\nkv\ngr\xc3\xbcn  a long reason\n"),
                             table.text(80));
        CPPUNIT_ASSERT_EQUAL(std::string("NAME  WHY\nkv\ngr\xc3\xbcn  a lon\xe2\x80\xa6\n"),
                             table.text(12));
    }

    void commands_no_terminal() {
        CPPUNIT_ASSERT_EQUAL(std::string("a?[31mb?"), printable("a\x1b[31mb\x7f"));
        CPPUNIT_ASSERT_EQUAL(std::string("a?31m"), printable("a\xc2\x9b"
                                                             "31m"));
    }
};

LARDER_TEST_SUITE(LarderctlPartsTest);

}  // namespace
}  // namespace larder::ctl
