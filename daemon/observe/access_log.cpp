// The access log: formatting on the reactor, writing on a thread of its own. Contents: pieces of a
// line · Ring (a reactor's side) · AccessLog: life · write and wake · the writer thread · flush,
// reopen.
#include "observe/access_log.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <filesystem>
#include <system_error>
#include <utility>

#include "observe/escape.hpp"
#include "storage-kit/rotation.hpp"

namespace larder::observe {

namespace {

// How much of each text is kept; the target is never longer (longer ones are refused with 414).
constexpr std::size_t kMaxTarget = 8192;
constexpr std::size_t kMaxText = 1024;
// An escaped byte takes four; seven short texts and the fixed parts fit in the rest.
constexpr std::size_t kScratch = 4 * kMaxTarget + 24 * kMaxText + 512;
static_assert(kScratch * 2 < AccessLog::kRing);
constexpr int kPollMs = 1000;  // how long a line may stay in a ring that never fills

constexpr std::size_t kDate = 26;  // "22/Nov/2026:15:26:28 +0000"

char* put(char* to, std::string_view text) noexcept {
    std::memcpy(to, text.data(), text.size());
    return to + text.size();
}

char* put_number(char* to, std::uint64_t number) noexcept {
    return std::to_chars(to, to + 20, number).ptr;
}

char* put_digits(char* to, std::uint64_t number, int digits) noexcept {
    for (int i = digits - 1; i >= 0; --i, number /= 10) {
        to[i] = static_cast<char>('0' + number % 10);
    }
    return to + digits;
}

void put_date(char* to, std::time_t time) noexcept {
    constexpr std::string_view kMonths = "JanFebMarAprMayJunJulAugSepOctNovDec";
    std::tm parts{};
    ::gmtime_r(&time, &parts);
    const auto digits = [&to](int number, int count, std::string_view after) {
        to = put(put_digits(to, static_cast<std::uint64_t>(number), count), after);
    };
    digits(parts.tm_mday, 2, "/");
    to = put(put(to, kMonths.substr(static_cast<std::size_t>(parts.tm_mon) * 3, 3)), "/");
    digits(parts.tm_year + 1900, 4, ":");
    digits(parts.tm_hour, 2, ":");
    digits(parts.tm_min, 2, ":");
    digits(parts.tm_sec, 2, " +0000");
}

// A text between quotes.
char* put_text(char* to, std::string_view text, std::size_t most = kMaxText) noexcept {
    if (text.empty()) return put(to, "-");
    return put_escaped(to, text.substr(0, most), Blanks::kept);
}

// A text without quotes: a blank in it would shift all that follow.
char* put_word(char* to, std::string_view text, std::size_t most = kMaxText) noexcept {
    if (text.empty()) return put(to, "-");
    return put_escaped(to, text.substr(0, most), Blanks::escaped);
}

std::uint64_t lines_in(std::string_view text) noexcept {
    return static_cast<std::uint64_t>(std::count(text.begin(), text.end(), '\n'));
}

int open_log(const std::string& path) noexcept {
    return ::open(path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0640);
}

std::uint64_t size_of(int fd) noexcept {
    struct stat facts {};
    return ::fstat(fd, &facts) == 0 ? static_cast<std::uint64_t>(facts.st_size) : 0;
}

// A Log over the function, as Complaint asks for one.
class LogOf final : public Log {
public:
    explicit LogOf(const Logger& logger) : logger_(logger) {}
    void write(Level level, std::string_view message) noexcept override { logger_(level, message); }

private:
    const Logger& logger_;
};

}  // namespace

// `head` and `tail` count bytes for ever; their difference is what waits.
struct AccessLog::Ring {
    // the reactor's
    alignas(64) std::atomic<std::uint64_t> head{0};
    std::uint64_t seen_tail = 0;
    std::time_t date_of = -1;
    std::array<char, kDate> date{};
    std::array<char, kScratch> scratch;
    std::atomic<std::uint64_t> dropped{0};
    // the writer's
    alignas(64) std::atomic<std::uint64_t> tail{0};
    std::unique_ptr<char[]> bytes{new char[kRing]};  // not zeroed: untouched pages cost nothing

    std::string_view format(const AccessLine& line) noexcept;
};

std::string_view AccessLog::Ring::format(const AccessLine& line) noexcept {
    if (line.time != date_of) {
        date_of = line.time;
        put_date(date.data(), line.time);
    }
    char* to = put_word(scratch.data(), line.address);
    to = put(to, " - ");
    to = put_word(to, line.user);
    to = put(to, " [");
    to = put(to, {date.data(), date.size()});
    to = put(to, "] \"");
    to = put_word(to, line.method);
    to = put(to, " ");
    to = put_word(to, line.target, kMaxTarget);
    to = put(to, line.version == 10 ? " HTTP/1.0\" " : " HTTP/1.1\" ");
    to = put_digits(to, static_cast<std::uint64_t>(std::clamp(line.status, 0, 999)), 3);
    to = put(to, " ");
    to = put_number(to, line.bytes);
    to = put(to, " \"");
    to = put_text(to, line.referer);
    to = put(to, "\" \"");
    to = put_text(to, line.agent);
    to = put(to, "\" ");
    to = put_word(to, line.request_id);
    to = put(to, " ");
    const std::int64_t ns = std::max<std::int64_t>(line.duration.count(), 0);
    const std::uint64_t us = static_cast<std::uint64_t>(ns) / 1000;
    to = put_number(to, us / 1'000'000);
    to = put(to, ".");
    to = put_digits(to, us % 1'000'000, 6);
    to = put(to, "\n");
    hide_secrets(scratch.data(), to);
    return {scratch.data(), static_cast<std::size_t>(to - scratch.data())};
}

AccessLog::AccessLog(std::string path, std::size_t reactors, Logger logger, Rotation rotation)
    : path_(std::move(path)), logger_(std::move(logger)), rotation_(rotation) {
    for (std::size_t i = 0; i < reactors; ++i) rings_.push_back(std::make_unique<Ring>());
    const std::string folder = std::filesystem::path(path_).parent_path().string();
    if (!folder.empty()) ::mkdir(folder.c_str(), 0750);  // open() tells what is wrong
    fd_ = open_log(path_);
    if (fd_ >= 0) wake_fd_ = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (wake_fd_ < 0) {
        const std::string why = std::generic_category().message(errno);
        if (fd_ >= 0) ::close(fd_);
        throw Error(Errc::unavailable, "log-unavailable", "the access log cannot be opened")
            .because(fmt::format("expected to write to {}, got '{}'; check the folder's owner and "
                                 "mode, or set daemon.access_log = false",
                                 path_, why));
    }
    size_ = size_of(fd_);
    thread_ = std::thread([this] { run(); });
}

AccessLog::~AccessLog() {
    {
        const std::lock_guard lock(mutex_);
        stopping_ = true;
    }
    wake();
    thread_.join();
    ::close(wake_fd_);
    ::close(fd_);
}

void AccessLog::write(std::size_t reactor, const AccessLine& line) noexcept {
    if (reactor >= rings_.size()) return;
    Ring& ring = *rings_[reactor];
    const std::string_view text = ring.format(line);
    const std::uint64_t head = ring.head.load(std::memory_order_relaxed);
    if (head + text.size() - ring.seen_tail > kRing) {
        ring.seen_tail = ring.tail.load(std::memory_order_acquire);
        if (head + text.size() - ring.seen_tail > kRing) {
            const std::uint64_t dropped = ring.dropped.load(std::memory_order_relaxed);
            ring.dropped.store(dropped + 1, std::memory_order_relaxed);
            return wake();
        }
    }
    const std::size_t at = head & (kRing - 1);
    const std::size_t first = std::min(text.size(), kRing - at);
    std::memcpy(ring.bytes.get() + at, text.data(), first);
    std::memcpy(ring.bytes.get(), text.data() + first, text.size() - first);
    const std::uint64_t after = head + text.size();
    ring.head.store(after, std::memory_order_release);
    // seen_tail is old: looked at anew only when the ring seems half full
    if (after - ring.seen_tail < kRing / 2) return;
    ring.seen_tail = ring.tail.load(std::memory_order_acquire);
    if (after - ring.seen_tail >= kRing / 2) wake();
}

void AccessLog::wake() noexcept {
    if (awake_.load(std::memory_order_relaxed) || awake_.exchange(true)) return;
    const std::uint64_t one = 1;
    // cannot fail: the counter is far from full, and the descriptor is ours
    static_cast<void>(::write(wake_fd_, &one, sizeof(one)) == 0);
}

void AccessLog::run() {
    while (true) {
        pollfd ready{wake_fd_, POLLIN, 0};
        ::poll(&ready, 1, kPollMs);
        std::uint64_t calls = 0;
        while (::read(wake_fd_, &calls, sizeof(calls)) < 0 && errno == EINTR) continue;
        awake_.store(false);
        std::uint64_t asked = 0;
        bool anew = false, stopping = false;
        {
            const std::lock_guard lock(mutex_);
            asked = asked_;
            anew = std::exchange(anew_, false);
            stopping = stopping_;
        }
        for (const std::unique_ptr<Ring>& ring : rings_) empty(*ring);
        tell_dropped();
        if (rotation_.at > 0 && size_ >= rotation_.at && !mid_line_) rotate();
        if (anew) open_anew();
        {
            const std::lock_guard lock(mutex_);
            answered_ = asked;
        }
        done_.notify_all();
        if (stopping) return;
    }
}

void AccessLog::empty(Ring& ring) {
    const std::uint64_t head = ring.head.load(std::memory_order_acquire);
    std::uint64_t tail = ring.tail.load(std::memory_order_relaxed);
    while (tail != head) {
        const std::size_t at = tail & (kRing - 1);
        const std::size_t length = std::min<std::uint64_t>(head - tail, kRing - at);
        append({ring.bytes.get() + at, length});
        tail += length;
        ring.tail.store(tail, std::memory_order_release);
    }
}

// Lines come in whole, but for one that goes round the ring's edge and comes in two calls.
void AccessLog::append(std::string_view lines) {
    if (skipping_) {
        const std::size_t end = lines.find('\n');
        if (end == std::string_view::npos) return;
        lines.remove_prefix(end + 1);
        lost_.fetch_add(1, std::memory_order_relaxed);
        skipping_ = false;
    }
    while (!lines.empty()) {
        const bool mends = torn_;
        const std::string_view next = mends ? std::string_view("\n") : lines;
        const ssize_t wrote = ::write(fd_, next.data(), next.size());
        if (wrote < 0 && errno == EINTR) continue;
        if (wrote <= 0) return give_up(lines, errno);
        torn_ = false;
        if (mends) continue;
        const std::string_view taken = lines.substr(0, static_cast<std::size_t>(wrote));
        written_.fetch_add(lines_in(taken), std::memory_order_relaxed);
        lines.remove_prefix(taken.size());
        mid_line_ = taken.back() != '\n';
        size_ += taken.size();
        if (std::exchange(failing_, false)) {
            LogOf log(logger_);
            disk_complaint_.relent(log, Level::notice, path_ + " takes lines again");
        }
    }
}

void AccessLog::give_up(std::string_view lines, int error) {
    lost_.fetch_add(lines_in(lines), std::memory_order_relaxed);
    skipping_ = lines.back() != '\n';
    torn_ = std::exchange(mid_line_, false) || torn_;
    failing_ = true;
    LogOf log(logger_);
    disk_complaint_.complain(log, Level::warning,
                             fmt::format("{} takes no lines, got '{}'; they are lost until it does",
                                         path_, std::generic_category().message(error)));
}

void AccessLog::tell_dropped() {
    std::uint64_t dropped = 0;
    for (const std::unique_ptr<Ring>& ring : rings_) {
        dropped += ring->dropped.load(std::memory_order_relaxed);
    }
    if (dropped == told_dropped_) return;
    LogOf log(logger_);
    ring_complaint_.complain(
        log, Level::warning,
        fmt::format("{} lines did not get into {}: the disk is slower than the "
                    "requests",
                    dropped - told_dropped_, path_));
    told_dropped_ = dropped;
}

void AccessLog::open_anew() {
    const int fresh = open_log(path_);
    if (fresh < 0) {
        return logger_(
            Level::warning,
            fmt::format("{} could not be opened anew, got '{}'; the old file stays in use", path_,
                        std::generic_category().message(errno)));
    }
    ::close(std::exchange(fd_, fresh));
    size_ = size_of(fd_);
    torn_ = mid_line_ = false;
}

// When it fails the file grows on, and it is tried again when it has doubled.
void AccessLog::rotate() {
    size_ = 0;
    const int error = storage::rotate_file(path_, rotation_.keep);
    if (error == 0) return open_anew();
    logger_(Level::warning, fmt::format("{} could not be numbered, got '{}'; it grows on", path_,
                                        std::generic_category().message(error)));
}

void AccessLog::wait_for_writer(bool anew) {
    std::unique_lock lock(mutex_);
    const std::uint64_t ticket = ++asked_;
    anew_ = anew_ || anew;
    wake();
    done_.wait(lock, [&] { return answered_ >= ticket; });
}

void AccessLog::flush() { wait_for_writer(false); }

void AccessLog::reopen() { wait_for_writer(true); }

std::uint64_t AccessLog::dropped() const noexcept {
    std::uint64_t total = lost_.load(std::memory_order_relaxed);
    for (const std::unique_ptr<Ring>& ring : rings_) {
        total += ring->dropped.load(std::memory_order_relaxed);
    }
    return total;
}

}  // namespace larder::observe
