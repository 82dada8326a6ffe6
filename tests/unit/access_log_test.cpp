// The access log: the line, what clients cannot do to it, and what happens when the file is slow,
// full or moved.
#include "observe/access_log.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <map>
#include <mutex>
#include <regex>
#include <thread>
#include <vector>

#include "support/suite.hpp"
#include "support/temporary_folder.hpp"

using larder::Level;
using larder::observe::AccessLine;
using larder::observe::AccessLog;
using larder::test::read_file;

namespace {

AccessLine line(std::string_view target = "/api/kv/storage/a") {
    AccessLine made;
    made.address = "127.0.0.1";
    made.user = "ann";
    made.method = "GET";
    made.target = target;
    made.status = 200;
    made.bytes = 123;
    made.referer = "https://example.com/";
    made.agent = "curl/7.88.1";
    made.request_id = "req-1";
    made.duration = std::chrono::microseconds(123);
    made.time = 1795361188;
    return made;
}

std::vector<std::string> lines_of(const std::string& text) {
    std::vector<std::string> lines;
    std::istringstream stream(text);
    for (std::string each; std::getline(stream, each);) lines.push_back(each);
    return lines;
}

}  // namespace

class AccessLogTest : public CppUnit::TestFixture {
    CPPUNIT_TEST_SUITE(AccessLogTest);
    CPPUNIT_TEST(a_line_is_combined_log_format);
    CPPUNIT_TEST(missing_texts_are_dashes);
    CPPUNIT_TEST(clients_cannot_forge_lines_or_fields);
    CPPUNIT_TEST(texts_are_bounded);
    CPPUNIT_TEST(all_lines_are_there_and_whole);
    CPPUNIT_TEST(a_slow_file_drops_lines_and_never_blocks);
    CPPUNIT_TEST(a_full_disk_is_counted_and_told_once);
    CPPUNIT_TEST(a_cut_line_is_ended_before_the_next);
    CPPUNIT_TEST(reopen_follows_a_moved_file);
    CPPUNIT_TEST(the_end_writes_what_is_there);
    CPPUNIT_TEST(a_file_that_cannot_be_opened_is_refused);
    CPPUNIT_TEST_SUITE_END();

    larder::test::TemporaryFolder scratch_;
    const std::string path_ = scratch_ / "logs/access.log";
    std::mutex mutex_;
    std::vector<std::string> told_;  // guarded by mutex_

    larder::observe::Logger logger() {
        return [this](Level, std::string_view message) {
            const std::lock_guard lock(mutex_);
            told_.emplace_back(message);
        };
    }
    std::vector<std::string> told() {
        const std::lock_guard lock(mutex_);
        return told_;
    }

    std::string written(const AccessLine& made) {
        AccessLog log(path_, 1, logger());
        log.write(0, made);
        log.flush();
        return read_file(path_);
    }

    void a_line_is_combined_log_format() {
        CPPUNIT_ASSERT_EQUAL(
            std::string("127.0.0.1 - ann [22/Nov/2026:15:26:28 +0000] \"GET /api/kv/storage/a "
                        "HTTP/1.1\" 200 123 \"https://example.com/\" \"curl/7.88.1\" req-1 "
                        "0.000123\n"),
            written(line()));
    }

    void missing_texts_are_dashes() {
        AccessLine made;
        made.version = 10;
        made.duration = std::chrono::milliseconds(61'001);
        CPPUNIT_ASSERT_EQUAL(
            std::string("- - - [01/Jan/1970:00:00:00 +0000] \"- - HTTP/1.0\" 000 0 "
                        "\"-\" \"-\" - 61.001000\n"),
            written(made));
    }

    void clients_cannot_forge_lines_or_fields() {
        AccessLine made = line("/a\"b\\c\n127.0.0.1 - x");
        made.user = "a b] \"";
        made.agent = std::string_view("x\x1b[0m\xC3\xA4\0\x7f", 9);
        made.referer = "\" 200 0 \"";
        CPPUNIT_ASSERT_EQUAL(
            std::string("127.0.0.1 - a\\x20b]\\x20\\x22 [22/Nov/2026:15:26:28 +0000] \"GET "
                        "/a\\x22b\\x5Cc\\x0A127.0.0.1\\x20-\\x20x HTTP/1.1\" 200 123 \"\\x22 200 0 "
                        "\\x22\" \"x\\x1B[0m\\xC3\\xA4\\x00\\x7F\" req-1 0.000123\n"),
            written(made));
    }

    void texts_are_bounded() {
        const std::string bad(100'000, '\n');
        AccessLine made = line(bad);
        made.address = made.user = made.method = made.referer = made.agent = made.request_id = bad;
        const std::string text = written(made);
        CPPUNIT_ASSERT_EQUAL(std::size_t{1}, lines_of(text).size());
        CPPUNIT_ASSERT(text.size() > 32'768 && text.size() < 57'856);
    }

    void all_lines_are_there_and_whole() {
        constexpr int kEach = 20'000;
        AccessLog log(path_, 2, logger());
        std::vector<std::thread> reactors;
        for (std::size_t r = 0; r < 2; ++r) {
            reactors.emplace_back([&log, r] {
                for (int i = 0; i < kEach; ++i) log.write(r, line(fmt::format("/{}/{}", r, i)));
            });
        }
        for (std::thread& reactor : reactors) reactor.join();
        log.flush();
        const std::regex shape(
            R"(127\.0\.0\.1 - ann \[[^\]]+\] "GET /(\d)/(\d+) HTTP/1\.1" 200 123 "[^"]+" "[^"]+" req-1 0\.000123)");
        std::map<std::string, int> next;
        const std::vector<std::string> lines = lines_of(read_file(path_));
        for (const std::string& each : lines) {
            std::smatch parts;
            CPPUNIT_ASSERT_MESSAGE(each, std::regex_match(each, parts, shape));
            const int number = std::stoi(parts[2]);
            CPPUNIT_ASSERT_MESSAGE(each, number >= next[parts[1]]);  // in order, dropped ones apart
            next[parts[1]] = number + 1;
        }
        CPPUNIT_ASSERT_EQUAL(std::uint64_t{lines.size()}, log.written());
        CPPUNIT_ASSERT_EQUAL(std::uint64_t{2} * kEach, log.written() + log.dropped());
    }

    // A pipe that nobody reads stands for a disk that does not answer.
    void a_slow_file_drops_lines_and_never_blocks() {
        std::filesystem::create_directory(scratch_ / "logs");
        CPPUNIT_ASSERT_EQUAL(0, ::mkfifo(path_.c_str(), 0600));
        const int reader = ::open(path_.c_str(), O_RDONLY | O_NONBLOCK);
        CPPUNIT_ASSERT(reader >= 0);
        constexpr std::uint64_t kLines = 20'000;  // three rings full
        std::string text;
        {
            AccessLog log(path_, 1, logger());
            for (std::uint64_t i = 0; i < kLines; ++i)
                log.write(0, line());  // returns: nothing waits
            CPPUNIT_ASSERT(log.dropped() > 0);
            std::thread flusher([&log] { log.flush(); });
            const std::uint64_t dropped = log.dropped();
            const std::uint64_t length = 137;
            const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
            while (text.size() < (kLines - dropped) * length &&
                   std::chrono::steady_clock::now() < deadline) {
                char buffer[65536];
                const ssize_t got = ::read(reader, buffer, sizeof(buffer));
                if (got > 0) text.append(buffer, static_cast<std::size_t>(got));
                if (got < 0) std::this_thread::yield();
            }
            flusher.join();
            const std::vector<std::string> lines = lines_of(text);
            CPPUNIT_ASSERT_EQUAL(kLines, lines.size() + log.dropped());
            for (const std::string& each : lines) CPPUNIT_ASSERT_EQUAL(lines.front(), each);
        }
        ::close(reader);
        CPPUNIT_ASSERT_EQUAL(std::size_t{1}, told().size());
        CPPUNIT_ASSERT(told()[0].find("the disk is slower than the requests") != std::string::npos);
    }

    void a_full_disk_is_counted_and_told_once() {
        std::filesystem::create_directory(scratch_ / "logs");
        std::filesystem::create_symlink("/dev/full", path_);
        AccessLog log(path_, 1, logger());
        for (int i = 0; i < 10; ++i) {
            log.write(0, line());
            log.flush();
        }
        CPPUNIT_ASSERT_EQUAL(std::uint64_t{10}, log.dropped());
        CPPUNIT_ASSERT_EQUAL(std::uint64_t{0}, log.written());
        CPPUNIT_ASSERT_EQUAL(std::size_t{1}, told().size());
        CPPUNIT_ASSERT(told()[0].find("takes no lines, got 'No space left on device'") !=
                       std::string::npos);
        std::filesystem::remove(path_);
        log.reopen();
        log.write(0, line());
        log.flush();
        CPPUNIT_ASSERT_EQUAL(std::size_t{1}, lines_of(read_file(path_)).size());
        CPPUNIT_ASSERT_EQUAL(std::size_t{2}, told().size());
        CPPUNIT_ASSERT(told()[1].find("takes lines again") != std::string::npos);
    }

    // A pipe with room for part of a line, in non-blocking mode, takes that part and no more, as a
    // disk does whose last block was just used up.
    void a_cut_line_is_ended_before_the_next() {
        std::filesystem::create_directory(scratch_ / "logs");
        CPPUNIT_ASSERT_EQUAL(0, ::mkfifo(path_.c_str(), 0600));
        const int reader = ::open(path_.c_str(), O_RDONLY | O_NONBLOCK);
        const int writer = ::open(path_.c_str(), O_WRONLY | O_NONBLOCK);
        CPPUNIT_ASSERT(reader >= 0 && writer >= 0);
        CPPUNIT_ASSERT_EQUAL(4096, ::fcntl(writer, F_SETPIPE_SZ, 4096));
        AccessLog log("/proc/self/fd/" + std::to_string(writer), 1, logger());
        // opening /proc/self/fd/N gives a new description: make that one non-blocking too
        for (int fd = 3; fd < 256; ++fd) {
            struct stat mine {
            }, theirs{};
            if (::fstat(writer, &mine) != 0 || ::fstat(fd, &theirs) != 0) continue;
            if (mine.st_ino != theirs.st_ino || mine.st_dev != theirs.st_dev) continue;
            CPPUNIT_ASSERT_EQUAL(0, ::fcntl(fd, F_SETFL, ::fcntl(fd, F_GETFL) | O_NONBLOCK));
        }
        log.write(0, line("/first/" + std::string(6000, 'x')));
        log.flush();  // it fits in part
        char buffer[65536];
        const ssize_t got = ::read(reader, buffer, sizeof(buffer));
        CPPUNIT_ASSERT_EQUAL(ssize_t{4096}, got);
        CPPUNIT_ASSERT(buffer[4095] != '\n');
        CPPUNIT_ASSERT_EQUAL(std::uint64_t{1}, log.dropped());
        log.write(0, line("/second"));
        log.flush();
        const ssize_t more = ::read(reader, buffer, sizeof(buffer));
        const std::string text(buffer, static_cast<std::size_t>(std::max<ssize_t>(more, 0)));
        CPPUNIT_ASSERT_MESSAGE(text, text.starts_with("\n127.0.0.1 - ann"));
        CPPUNIT_ASSERT_EQUAL(std::size_t{2}, lines_of(text).size());
        CPPUNIT_ASSERT_EQUAL(std::uint64_t{1}, log.dropped());
        CPPUNIT_ASSERT_EQUAL(std::uint64_t{1}, log.written());
        ::close(reader);
        ::close(writer);
    }

    void reopen_follows_a_moved_file() {
        AccessLog log(path_, 1, logger());
        log.write(0, line("/before"));
        std::filesystem::rename(path_, path_ + ".1");
        log.write(0, line("/still"));
        log.reopen();
        log.write(0, line("/after"));
        log.flush();
        CPPUNIT_ASSERT_EQUAL(std::size_t{2}, lines_of(read_file(path_ + ".1")).size());
        const std::string fresh = read_file(path_);
        CPPUNIT_ASSERT(fresh.find("/after") != std::string::npos);
        CPPUNIT_ASSERT_EQUAL(std::size_t{1}, lines_of(fresh).size());
        std::filesystem::rename(scratch_ / "logs", scratch_ / "old");
        log.reopen();
        log.write(0, line("/kept"));
        log.flush();
        CPPUNIT_ASSERT_EQUAL(std::size_t{2},
                             lines_of(read_file(scratch_ / "old/access.log")).size());
        CPPUNIT_ASSERT(told().at(0).find("the old file stays in use") != std::string::npos);
    }

    void the_end_writes_what_is_there() {
        {
            AccessLog log(path_, 1, logger());
            for (int i = 0; i < 100; ++i) log.write(0, line());
            log.write(1, line());  // no such reactor: passed over, not a crash
        }
        CPPUNIT_ASSERT_EQUAL(std::size_t{100}, lines_of(read_file(path_)).size());
    }

    void a_file_that_cannot_be_opened_is_refused() {
        CPPUNIT_ASSERT_THROW(AccessLog(scratch_ / "no/such/access.log", 1, logger()),
                             larder::Error);
    }
};

LARDER_TEST_SUITE(AccessLogTest);
