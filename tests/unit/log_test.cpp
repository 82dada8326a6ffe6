// Messages: their three shapes, escaping, levels, files that are moved aside or full, thinning.
#include "observe/log.hpp"
#include "larder/time.hpp"

#include <Poco/Logger.h>
#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <filesystem>
#include <regex>
#include <thread>
#include <vector>

#include "observe/escape.hpp"
#include "support/suite.hpp"
#include "support/temporary_folder.hpp"

using namespace larder::observe;  // NOLINT(google-build-using-namespace)
using larder::Level;
using larder::test::read_file;

namespace {

// A stream to log to, and what came out of it.
class Pipe {
public:
    Pipe() { CPPUNIT_ASSERT_EQUAL(0, ::pipe(ends_.data())); }
    ~Pipe() {
        ::close(ends_[0]);
        close_writer();
    }
    Pipe(const Pipe&) = delete;
    Pipe& operator=(const Pipe&) = delete;
    int writer() const { return ends_[1]; }
    std::string all() {
        close_writer();
        std::string text;
        char buffer[4096];
        for (ssize_t got = 0; (got = ::read(ends_[0], buffer, sizeof(buffer))) > 0;) {
            text.append(buffer, static_cast<std::size_t>(got));
        }
        return text;
    }

private:
    void close_writer() {
        if (ends_[1] >= 0) ::close(ends_[1]);
        ends_[1] = -1;
    }
    std::array<int, 2> ends_{};
};

LogOptions to_stream(const Pipe& pipe, bool terminal = false) {
    return {.folder = "", .level = Level::info, .stream = pipe.writer(), .terminal = terminal};
}

std::string escaped(std::string_view text) {
    std::string out;
    append_escaped(out, text);
    return out;
}

void assert_matches(const std::string& pattern, const std::string& text) {
    CPPUNIT_ASSERT_MESSAGE(text, std::regex_match(text, std::regex(pattern)));
}

class Lines final : public larder::Log {
public:
    void write(Level level, std::string_view message) noexcept override {
        all.push_back(fmt::format("{}: {}", level_word(level), message));
    }
    std::vector<std::string> all;
};

}  // namespace

class LogTest : public CppUnit::TestFixture {
    CPPUNIT_TEST_SUITE(LogTest);
    CPPUNIT_TEST(journal_lines_carry_their_priority);
    CPPUNIT_TEST(terminal_lines_carry_time_and_level);
    CPPUNIT_TEST(files_split_by_level);
    CPPUNIT_TEST(level_changes_while_running);
    CPPUNIT_TEST(nothing_in_a_message_starts_a_line);
    CPPUNIT_TEST(long_messages_are_cut);
    CPPUNIT_TEST(lines_of_many_threads_stay_whole);
    CPPUNIT_TEST(reopen_follows_a_moved_file);
    CPPUNIT_TEST(a_failed_reopen_keeps_the_old_file);
    CPPUNIT_TEST(a_full_disk_loses_lines_and_mends);
    CPPUNIT_TEST(files_that_cannot_be_opened_are_refused);
    CPPUNIT_TEST(poco_loggers_end_here);
    CPPUNIT_TEST(complaints_thin_out);
    CPPUNIT_TEST(time_stamps);
    CPPUNIT_TEST_SUITE_END();

    larder::test::TemporaryFolder scratch_;

    void journal_lines_carry_their_priority() {
        Pipe pipe;
        LogWriter writer(to_stream(pipe));
        writer.set_level(Level::debug);
        NamedLog log(writer, "kv");
        log.write(Level::debug, "a");
        log.write(Level::info, "b");
        log.write(Level::notice, "c");
        logger_for(writer, "http")(Level::warning, "d");
        writer.write(Level::error, "", "e");
        CPPUNIT_ASSERT_EQUAL(std::string("<7>kv: a\n<6>kv: b\n<5>kv: c\n<4>http: d\n<3>e\n"),
                             pipe.all());
    }

    void terminal_lines_carry_time_and_level() {
        Pipe pipe;
        LogWriter writer(to_stream(pipe, true));
        writer.write(Level::warning, "kv", "bad jam");
        assert_matches(R"(\d\d:\d\d:\d\d\.\d{3} warning kv: bad jam\n)", pipe.all());
    }

    void files_split_by_level() {
        LogWriter writer({.folder = scratch_ / "logs"});
        writer.write(Level::debug, "a", "no");
        writer.write(Level::info, "a", "yes");
        writer.write(Level::warning, "b", "both");
        const std::string time = R"(20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z )";
        assert_matches(time + "info a: yes\n" + time + "warning b: both\n",
                       read_file(scratch_ / "logs/app.log"));
        assert_matches(time + "warning b: both\n", read_file(scratch_ / "logs/error.log"));
    }

    void level_changes_while_running() {
        Pipe pipe;
        LogWriter writer(to_stream(pipe));
        writer.write(Level::debug, "s", "1");
        writer.set_level(Level::debug);
        writer.write(Level::debug, "s", "2");
        writer.set_level(Level::error);
        writer.write(Level::warning, "s", "3");
        CPPUNIT_ASSERT_EQUAL(std::string("<7>s: 2\n"), pipe.all());
        CPPUNIT_ASSERT(level_of("notice") == Level::notice);
        CPPUNIT_ASSERT(!level_of("loud"));
    }

    void nothing_in_a_message_starts_a_line() {
        Pipe pipe;
        LogWriter writer(to_stream(pipe));
        writer.write(Level::info, "s\n<0>", "a\r\n<0>fake\x1b[2J\tb");
        CPPUNIT_ASSERT_EQUAL(std::string("<6>s\\n<0>: a\\r\\n<0>fake\\x1B[2J\\tb\n"), pipe.all());
        CPPUNIT_ASSERT_EQUAL(std::string("größe €"), escaped("größe €"));
        CPPUNIT_ASSERT_EQUAL(std::string("\\xC2\\x9B2J"), escaped("\xC2\x9B"
                                                                  "2J"));
        CPPUNIT_ASSERT_EQUAL(std::string("a\\xFFb\\xC2"), escaped("a\xff"
                                                                  "b\xC2"));
        CPPUNIT_ASSERT_EQUAL(std::string("\\x00\\x7F"), escaped(std::string_view("\0\x7f", 2)));
    }

    void long_messages_are_cut() {
        Pipe pipe;
        LogWriter writer(to_stream(pipe));
        writer.write(Level::info, "s", std::string(20000, 'x'));
        CPPUNIT_ASSERT_EQUAL("<6>s: " + std::string(16384, 'x') + "…\n", pipe.all());
    }

    void lines_of_many_threads_stay_whole() {
        LogWriter writer({.folder = scratch_ / "logs"});
        std::vector<std::thread> threads;
        threads.reserve(4);
        for (int t = 0; t < 4; ++t) {
            threads.emplace_back([&writer, t] {
                for (int i = 0; i < 500; ++i) {
                    writer.write(Level::info, "s", std::string(100, static_cast<char>('a' + t)));
                }
            });
        }
        for (std::thread& thread : threads) thread.join();
        std::istringstream lines(read_file(scratch_ / "logs/app.log"));
        int count = 0;
        for (std::string line; std::getline(lines, line); ++count) {
            const std::string message = line.substr(line.find("s: ") + 3);
            CPPUNIT_ASSERT_EQUAL(std::string(100, message.at(0)), message);
        }
        CPPUNIT_ASSERT_EQUAL(2000, count);
    }

    void reopen_follows_a_moved_file() {
        LogWriter writer({.folder = scratch_ / "logs"});
        writer.write(Level::error, "s", "before");
        for (const char* const name : {"logs/app.log", "logs/error.log"}) {
            std::filesystem::rename(scratch_ / name, (scratch_ / name) + ".1");
        }
        writer.write(Level::error, "s", "still");
        writer.reopen();
        writer.write(Level::error, "s", "after");
        for (const char* const name : {"logs/app.log", "logs/error.log"}) {
            const std::string old = read_file((scratch_ / name) + ".1");
            CPPUNIT_ASSERT(old.find("before") != std::string::npos);
            CPPUNIT_ASSERT(old.find("still") != std::string::npos);
            const std::string fresh = read_file(scratch_ / name);
            CPPUNIT_ASSERT(fresh.find("after") != std::string::npos);
            CPPUNIT_ASSERT(fresh.find("still") == std::string::npos);
        }
    }

    void a_failed_reopen_keeps_the_old_file() {
        LogWriter writer({.folder = scratch_ / "logs"});
        std::filesystem::rename(scratch_ / "logs", scratch_ / "old");
        writer.reopen();
        writer.write(Level::info, "s", "after");
        const std::string text = read_file(scratch_ / "old/app.log");
        CPPUNIT_ASSERT(text.find("app.log could not be opened anew, got 'No such file or "
                                 "directory'; the old file stays in use") != std::string::npos);
        CPPUNIT_ASSERT(text.find("info s: after") != std::string::npos);
    }

    void a_full_disk_loses_lines_and_mends() {
        std::filesystem::create_directory(scratch_ / "logs");
        std::filesystem::create_symlink("/dev/full", scratch_ / "logs/app.log");
        LogWriter writer({.folder = scratch_ / "logs"});
        writer.write(Level::info, "s", "lost");
        CPPUNIT_ASSERT_EQUAL(std::uint64_t{1}, writer.lost());
        std::filesystem::remove(scratch_ / "logs/app.log");
        writer.reopen();
        writer.write(Level::info, "s", "kept");
        CPPUNIT_ASSERT_EQUAL(std::uint64_t{1}, writer.lost());
        const std::string text = read_file(scratch_ / "logs/app.log");
        CPPUNIT_ASSERT(text.starts_with("20") && text.ends_with("info s: kept\n"));
    }

    void files_that_cannot_be_opened_are_refused() {
        try {
            const LogWriter writer({.folder = scratch_ / "missing/logs"});
            CPPUNIT_FAIL("opened");
        } catch (const larder::Error& error) {
            CPPUNIT_ASSERT(error.code() == larder::Errc::unavailable);
            CPPUNIT_ASSERT(error.internal().find("missing/logs/app.log, got 'No such file") !=
                           std::string::npos);
        }
    }

    void poco_loggers_end_here() {
        Pipe pipe;
        LogWriter writer(to_stream(pipe));
        Poco::Logger& before = Poco::Logger::get("before");
        {
            const PocoLink link(writer);
            before.warning("one");
            Poco::Logger::get("after").fatal("two");
            Poco::Logger::get("after").debug("not at this level");
        }
        before.warning("nowhere");
        CPPUNIT_ASSERT_EQUAL(std::string("<4>before: one\n<3>after: two\n"), pipe.all());
    }

    void complaints_thin_out() {
        Complaint complaint;
        Lines log;
        const Complaint::Clock::time_point start{};
        CPPUNIT_ASSERT(!complaint.relent(log, Level::info, "fine", start));
        for (int second = 0; second < 100; ++second) {
            complaint.complain(log, Level::warning, "no jam", start + std::chrono::seconds(second));
        }
        CPPUNIT_ASSERT(
            complaint.relent(log, Level::info, "jam is back", start + std::chrono::seconds(100)));
        CPPUNIT_ASSERT(
            !complaint.relent(log, Level::info, "jam is back", start + std::chrono::seconds(101)));
        complaint.complain(log, Level::warning, "no jam", start + std::chrono::seconds(102));
        const std::vector<std::string> expected{
            "warning: no jam",
            "warning: no jam (and 9 times more in the last 10 s)",
            "warning: no jam (and 19 times more in the last 20 s)",
            "warning: no jam (and 39 times more in the last 40 s)",
            "info: jam is back (after 100 complaints in 100 s)",
            "warning: no jam",
        };
        CPPUNIT_ASSERT_EQUAL(fmt::format("{}", fmt::join(expected, "\n")),
                             fmt::format("{}", fmt::join(log.all, "\n")));
    }

    void time_stamps() {
        CPPUNIT_ASSERT_EQUAL(std::string("2026-11-22T15:26:28.007Z"),
                             larder::rfc3339(1795361188LL * 1000 + 7));
        CPPUNIT_ASSERT_EQUAL(std::string("1970-01-01T00:00:00.000Z"),
                             larder::rfc3339(0LL * 1000 + 0));
    }
};

LARDER_TEST_SUITE(LogTest);
