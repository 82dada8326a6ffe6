// A line for each request in logs/access.log, written without ever making a reactor wait. Not the
// place to decide what may be logged: targets come already without secrets.
//
//   ip - user [22/Nov/2026:15:26:28 +0000] "GET /x HTTP/1.1" 200 123 "referer" "agent" id 0.000123
//
// Combined Log Format, then the request's id and its duration in seconds. Each reactor has a ring
// of bytes that it alone fills and the writer thread alone empties; no lock stands between them.
// When the writer falls behind, lines are dropped whole and counted.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <ctime>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "observe/log.hpp"

namespace larder::observe {

// Empty texts are logged as "-". All of it is escaped: nothing here can start a line.
struct AccessLine {
    std::string_view address, user, method, target;
    unsigned version = 11;    // 10 or 11
    int status = 0;           // 0: nothing was answered, logged as 000
    std::uint64_t bytes = 0;  // of the answer's body
    std::string_view referer, agent, request_id;
    std::chrono::nanoseconds duration{0};
    std::time_t time = 0;  // seconds since 1970, when it ended
};

class AccessLog {
public:
    static constexpr std::size_t kRing = 1U << 20U;  // bytes a reactor, a power of two

    // Opens `path` for appending; its folder is made when it is not there. Starts the writer
    // thread. `logger` hears of trouble, thinned. Throws Error{unavailable}.
    AccessLog(std::string path, std::size_t reactors, Logger logger, Rotation rotation = {});
    ~AccessLog();  // writes what is there and ends the thread
    AccessLog(const AccessLog&) = delete;
    AccessLog& operator=(const AccessLog&) = delete;

    // Never waits. `reactor` is below the number given; each is used by one thread at a time. [io]
    void write(std::size_t reactor, const AccessLine& line) noexcept;

    // Returns when all that was written before the call is in the file (or was given up). [any]
    void flush();
    // As flush(), then opens the file anew, after it was moved aside. [any]
    void reopen();

    std::uint64_t written() const noexcept { return written_.load(std::memory_order_relaxed); }
    std::uint64_t dropped() const noexcept;  // lines: the ring was full, or the disk

private:
    struct Ring;

    void run();
    void empty(Ring& ring);
    void append(std::string_view lines);
    void give_up(std::string_view lines, int error);
    void tell_dropped();
    void wake() noexcept;
    void open_anew();
    void rotate();
    void wait_for_writer(bool anew);

    const std::string path_;
    const Logger logger_;
    const Rotation rotation_;
    std::vector<std::unique_ptr<Ring>> rings_;
    int wake_fd_ = -1;
    std::atomic<bool> awake_{false};  // the writer was called and has not looked yet
    std::atomic<std::uint64_t> written_{0}, lost_{0};

    // the writer thread's own
    int fd_ = -1;
    std::uint64_t size_ = 0;
    bool mid_line_ = false;  // the last byte written was no line feed
    bool torn_ = false;      // … and the rest of that line is lost: end it before the next
    bool skipping_ = false;  // what comes next is the rest of a line that was given up
    bool failing_ = false;
    std::uint64_t told_dropped_ = 0;
    Complaint disk_complaint_, ring_complaint_;

    std::mutex mutex_;
    std::condition_variable done_;
    std::uint64_t asked_ = 0, answered_ = 0;  // guarded by mutex_, as are the next two
    bool anew_ = false, stopping_ = false;
    std::thread thread_;
};

}  // namespace larder::observe
