// The small parts of programs that need no daemon: words, main files, records, kept output, frames,
// what a sandbox is started with.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "execution.hpp"
#include "larder/error.hpp"
#include "larder_run/kept_output.hpp"
#include "main_file.hpp"
#include "programs_record.hpp"
#include "programs_uploads.hpp"
#include "run_protocol.hpp"
#include "sandbox.hpp"
#include "schedules.hpp"
#include "support/suite.hpp"

namespace larder::programs {
namespace {

using std::string_literals::operator""s;

class ProgramsPartsTest : public CppUnit::TestFixture {
    CPPUNIT_TEST_SUITE(ProgramsPartsTest);
    CPPUNIT_TEST(splits_words_as_a_shell);
    CPPUNIT_TEST(finds_the_main_file);
    CPPUNIT_TEST(reads_larder_json);
    CPPUNIT_TEST(keeps_records);
    CPPUNIT_TEST(takes_the_origins_records);
    CPPUNIT_TEST(makes_names_safe);
    CPPUNIT_TEST(keeps_both_ends_of_output);
    CPPUNIT_TEST(takes_frames_apart);
    CPPUNIT_TEST(reads_schedules);
    CPPUNIT_TEST_SUITE_END();

    static std::string words(std::string_view text) {
        const auto found = split_words(text);
        return found ? fmt::format("[{}]", fmt::join(*found, "|")) : "unclosed";
    }

public:
    void splits_words_as_a_shell() {
        CPPUNIT_ASSERT_EQUAL("[]"s, words(""));
        CPPUNIT_ASSERT_EQUAL("[]"s, words("  \t\n "));
        CPPUNIT_ASSERT_EQUAL("[a|b c]"s, words("a 'b c'"));
        CPPUNIT_ASSERT_EQUAL("[a|b c|d]"s, words("  a \"b c\"\td "));
        CPPUNIT_ASSERT_EQUAL("[||a]"s, words("'' \"\" a"));
        CPPUNIT_ASSERT_EQUAL("[ab c]"s, words("a'b c'"));
        CPPUNIT_ASSERT_EQUAL("[a b]"s, words("a\\ b"));
        CPPUNIT_ASSERT_EQUAL("[a\\b]"s, words("'a\\b'"));
        CPPUNIT_ASSERT_EQUAL("[a\\b\"$]"s, words(R"("a\b\"\$")"));
        CPPUNIT_ASSERT_EQUAL("[ab]"s, words("a\\\nb"));
        // Nothing means anything to anybody: there is no shell.
        CPPUNIT_ASSERT_EQUAL("[;|rm|-rf|$HOME|`x`|*|>f|&|#c]"s,
                             words("; rm -rf $HOME `x` * >f & #c"));
        for (const char* open : {"'a", "\"a", "a\\", "a 'b\"c"}) {
            CPPUNIT_ASSERT_EQUAL_MESSAGE(open, "unclosed"s, words(open));
        }
    }

    void finds_the_main_file() {
        const auto found = [](std::vector<std::string> files) {
            return find_main_file(std::move(files), {}).file;
        };
        CPPUNIT_ASSERT_EQUAL("main.py"s, found({"app.py", "main.py", "main.js"}));
        CPPUNIT_ASSERT_EQUAL("start.sh"s, found({"start.sh", "a.py", "src/main.py"}));
        CPPUNIT_ASSERT_EQUAL("src/app.js"s, found({"a.py", "src/app.js", "src/deep/main.py"}));
        CPPUNIT_ASSERT_EQUAL("a.py"s, found({"z.js", "a.py", "a.sh", "b/c.py"}));
        CPPUNIT_ASSERT_EQUAL("lib/z.js"s, found({"lib/z.js", "a.sh", "README"}));
        CPPUNIT_ASSERT_EQUAL(""s, found({"a.sh", "README", "main.pyc"}));
        const MainFile one = find_main_file({"b.py", "main.py", "x.txt", "sub/run.sh"}, {});
        CPPUNIT_ASSERT_EQUAL("main.py sub/run.sh b.py"s,
                             fmt::format("{}", fmt::join(one.candidates, " ")));
        CPPUNIT_ASSERT_EQUAL("a known name at the top"s, one.reason);
        CPPUNIT_ASSERT_EQUAL("b.py"s, find_main_file({"b.py", "main.py"}, "b.py").file);
    }

    void reads_larder_json() {
        CPPUNIT_ASSERT_EQUAL("x.py"s, declared_main_file(R"({"name":1,"main_file":"x.py"})"));
        CPPUNIT_ASSERT_EQUAL(""s, declared_main_file("{}"));
        CPPUNIT_ASSERT_THROW(declared_main_file("{"), Error);
        CPPUNIT_ASSERT_THROW(declared_main_file(R"({"main_file":1})"), Error);
    }

    void keeps_records() {
        Record record;
        record.id = "project_7";
        record.filename = "a \"b\"";
        record.original_name = "a.zip";
        record.main_file = "src/main.py";
        record.main_file_reason = "because";
        record.main_file_candidates = {"src/main.py", "x.js"};
        record.files = {"src/", "x.js"};
        record.size = 10;
        record.file_count = 2;
        record.uploaded_ms = 1'700'000'000'123;
        record.execution_count = 4;
        record.success_count = 3;
        record.error_count = 1;
        record.total_execution_time = 6;
        record.network = true;
        record.schedule = R"({"every":60})";
        const std::string json = record_json(record);
        const auto again = record_of("project_7", json);
        CPPUNIT_ASSERT(again.has_value());
        CPPUNIT_ASSERT_EQUAL(json, record_json(*again));
        for (const char* part :
             {R"("project_id":"project_7")", R"("avg_execution_time":1.5)",
              R"("storage_path":"programs/project_7/")", R"("language":"python")"}) {
            CPPUNIT_ASSERT_MESSAGE(json, json.find(part) != std::string::npos);
        }
    }

    void takes_the_origins_records() {
        const auto record = record_of(
            "program_1640995200",
            R"({"program_id":"program_1640995200","type":"single","filename":"script.py",)"
            R"("original_name":"my_script.py","language":"python","size":2048,)"
            R"("upload_time":"2024-01-01T12:00:00","execution_count":5,"success_count":4,)"
            R"("last_executed":"2024-01-01T13:00:00.000Z","avg_execution_time":1.5})");
        CPPUNIT_ASSERT(record.has_value());
        CPPUNIT_ASSERT_EQUAL("script.py"s, record->main_file);
        CPPUNIT_ASSERT_EQUAL("python"s, std::string(record->language()));
        CPPUNIT_ASSERT_EQUAL(7.5, record->total_execution_time);
        CPPUNIT_ASSERT_EQUAL(std::int64_t{1704110400000}, record->uploaded_ms);
        CPPUNIT_ASSERT(!record_of("x", "[]").has_value());
    }

    void makes_names_safe() {
        CPPUNIT_ASSERT_EQUAL("a b.py"s, safe_script_name("a b.py"));
        CPPUNIT_ASSERT_EQUAL("c.sh"s, safe_script_name("-c.sh"));
        CPPUNIT_ASSERT_EQUAL("help.py"s, safe_script_name("--help.PY"));
        CPPUNIT_ASSERT_EQUAL("program.js"s, safe_script_name("...js"));
        CPPUNIT_ASSERT_EQUAL("a_b_.py"s, safe_script_name("a\nb\xFF.py"));
        CPPUNIT_ASSERT_EQUAL("ü.py"s, safe_script_name("ü.py"));
    }

    void keeps_both_ends_of_output() {
        for (const std::size_t piece : {1U, 3U, 7U, 1000U}) {
            for (const std::size_t total : {0U, 5U, 10U, 11U, 500U}) {
                std::string all;
                for (std::size_t i = 0; i < total; ++i) all += static_cast<char>('a' + i % 26);
                KeptOutput kept(10);
                std::string first;
                for (std::size_t at = 0; at < total; at += piece) {
                    const std::string part = all.substr(at, piece);
                    first += part.substr(0, kept.take(part));
                }
                CPPUNIT_ASSERT_EQUAL(all.substr(0, 5), first);
                const std::string rest = all.substr(std::min<std::size_t>(5, total));
                CPPUNIT_ASSERT_EQUAL(
                    rest.substr(rest.size() - std::min<std::size_t>(5, rest.size())),
                    std::string(kept.tail()));
                CPPUNIT_ASSERT_EQUAL(std::uint64_t{total}, kept.total());
            }
        }
    }

    void takes_frames_apart() {
        std::string text;
        protocol::append_frame(text, protocol::Frame::out_first, "hello");
        protocol::append_frame(text, protocol::Frame::started, "");
        protocol::append_frame(text, protocol::Frame::result, std::string(70'000, 'x'));
        for (const std::size_t piece : {1U, 4U, 5U, 64U, 100'000U}) {
            FrameReader reader;
            std::string story;
            for (std::size_t at = 0; at < text.size(); at += piece) {
                CPPUNIT_ASSERT(reader.push(std::string_view(text).substr(at, piece),
                                           [&](protocol::Frame kind, std::string_view bytes) {
                                               story += fmt::format(
                                                   "{}{} ", static_cast<char>(kind), bytes.size());
                                           }));
            }
            CPPUNIT_ASSERT_EQUAL("o5 s0 r70000 "s, story);
        }
        FrameReader reader;
        CPPUNIT_ASSERT(!reader.push("o\xFF\xFF\xFF\xFF", [](protocol::Frame, std::string_view) {}));
        std::string items, seen;
        protocol::append_item(items, "a", "1=2");
        protocol::append_item(items, "b", "");
        protocol::each_item(items + "cut", [&](std::string_view name, std::string_view value) {
            seen += fmt::format("{}:{} ", name, value);
        });
        CPPUNIT_ASSERT_EQUAL("a:1=2 b: "s, seen);
    }

    void reads_schedules() {
        CPPUNIT_ASSERT_EQUAL(
            R"({"cron":"0 2 * * *","args":["a","b c"],"catch_up":"one","on_busy":"queue"})"s,
            Schedule::of_body(R"({"cron":"0 2 * * *","args":"a 'b c'","catch_up":"one",)"
                              R"("on_busy":"queue"})")
                .json());
        CPPUNIT_ASSERT_EQUAL(R"({"every":60,"args":[],"catch_up":"none","on_busy":"skip"})"s,
                             Schedule::of_body(R"({"every":60})").json());
        for (const char* wrong :
             {"{}", R"({"cron":"* * * * *","every":1})", R"({"every":0})", R"({"every":1.5})",
              R"({"every":"1"})", R"({"every":1,"on_busy":"wait"})", R"({"every":1,"x":1})",
              "[]"}) {
            CPPUNIT_ASSERT_THROW_MESSAGE(wrong, Schedule::of_body(wrong), Error);
        }
    }
};

LARDER_TEST_SUITE(ProgramsPartsTest);

}  // namespace
}  // namespace larder::programs
