// larder-run: runs one program in its sandbox, within its limits, and tells its daemon what came of
// it. One thread, one run, one process of its own, so that the daemon's threads and memory have no
// part in it. Not for use by hand: it is told what to do over descriptors (run_protocol.hpp).
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include "larder_run/cgroups.hpp"
#include "larder_run/descriptors.hpp"
#include "larder_run/process_tree.hpp"
#include "larder_run/run_request.hpp"
#include "larder_run/sandboxed_child.hpp"
#include "larder_run/small_files.hpp"
#include "larder_run/streams.hpp"
#include "run_protocol.hpp"

namespace larder::programs {
namespace {

using protocol::Frame;

constexpr std::int64_t kGlanceMs = 25;  // between looks at what is used, without a cgroup
constexpr std::int64_t kCgroupGlanceMs = 100;
constexpr std::uint64_t kMostDataEntries = 20'000;

std::int64_t now_us() {
    timespec now{};
    ::clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1'000'000 + now.tv_nsec / 1000;
}

class Supervisor {
public:
    explicit Supervisor(RunRequest request) : request_(std::move(request)) {}
    int run();

private:
    bool begin();
    void watch();
    void glance(std::int64_t now_ms);
    void look_at_data(std::int64_t now_ms);
    void stop(const char* why);
    void hear_control();
    void end();
    std::optional<int> exit_code() const;

    RunRequest request_;
    Frames frames_;
    Stream out_{request_.output, Frame::out_first, Frame::out_live, Frame::out_last};
    Stream err_{request_.output, Frame::err_first, Frame::err_live, Frame::err_last};
    Pipe status_, begin_;
    std::string status_text_;
    std::unique_ptr<RunCgroup> cgroup_;
    pid_t child_ = -1;
    int child_fd_ = -1;
    int child_status_ = 0;
    bool ended_ = false;   // the program's first process has
    std::string stopped_;  // why we killed it; empty: we did not
    std::string fault_;
    bool out_of_processes_ = false;
    std::uint64_t peak_ = 0,
                  cpu_us_ = 0;  // as they were seen; the dead are accounted for otherwise
    bool cancelled_ = false, orphaned_ = false;
    std::int64_t began_us_ = 0, ended_us_ = 0, next_glance_ms_ = 0, next_data_ms_ = 0;
};

void Supervisor::stop(const char* why) {
    if (ended_ || !stopped_.empty()) return;
    stopped_ = why;
    ::kill(child_, SIGKILL);
    if (cgroup_) cgroup_->kill();
}

bool Supervisor::begin() {
    if (request_.cgroup) {
        if (request_.sweep) RunCgroup::sweep();
        cgroup_ = RunCgroup::make(request_);
    }
    if (!out_.pipe.open() || !err_.pipe.open() || !status_.open() || !begin_.open()) {
        fault_ = std::string("pipe: ") + strerror(errno);
        return false;
    }
    frames_.add(Frame::started, {});
    began_us_ = now_us();
    child_ = ::fork();
    if (child_ < 0) {
        fault_ = std::string("fork: ") + strerror(errno);
        return false;
    }
    if (child_ == 0) {
        run_child(request_, cgroup_.get(),
                  {out_.pipe.write_end, err_.pipe.write_end, status_.write_end, begin_.read_end});
    }
    close_fd(out_.pipe.write_end);
    close_fd(err_.pipe.write_end);
    close_fd(status_.write_end);
    close_fd(begin_.read_end);
    child_fd_ = static_cast<int>(::syscall(SYS_pidfd_open, child_, 0));
    if (child_fd_ < 0) {
        fault_ = std::string("pidfd_open: ") + strerror(errno);
        ::kill(child_, SIGKILL);
        return false;
    }
    for (const int fd : {out_.pipe.read_end, err_.pipe.read_end, status_.read_end,
                         protocol::kFramesFd, protocol::kControlFd}) {
        ::fcntl(fd, F_SETFL, ::fcntl(fd, F_GETFL) | O_NONBLOCK);
    }
    return true;
}

void Supervisor::hear_control() {
    char what = 0;
    const ssize_t got = ::read(protocol::kControlFd, &what, 1);
    if (got < 0) return;
    if (got == 1 && what == protocol::kBegin) {
        began_us_ = now_us();  // the wait was not the program's
        if (::write(begin_.write_end, &what, 1) != 1) stop("cancelled");
        return;
    }
    cancelled_ = true;
    orphaned_ = got == 0;
    stop("cancelled");
}

// A file each by RLIMIT_FSIZE; all of them by looking.
void Supervisor::look_at_data(std::int64_t now_ms) {
    namespace fs = std::filesystem;
    if (!request_.has_data || now_ms < next_data_ms_) return;
    const std::int64_t from_us = now_us();
    std::uint64_t bytes = 0, entries = 0;
    std::error_code fault;
    for (fs::recursive_directory_iterator at(request_.folder + "/data", fault), last;
         !fault && at != last; at.increment(fault)) {
        struct stat status {};
        if (::lstat(at->path().c_str(), &status) != 0) continue;
        bytes += static_cast<std::uint64_t>(status.st_blocks) * 512;
        if (++entries > kMostDataEntries) break;
    }
    if (bytes > request_.data_quota || entries > kMostDataEntries) stop("disk");
    // A twentieth of the time at most.
    next_data_ms_ = now_ms + 200 + (now_us() - from_us) / 50;
}

void Supervisor::glance(std::int64_t now_ms) {
    if (now_ms < next_glance_ms_) return;
    next_glance_ms_ = now_ms + (cgroup_ ? kCgroupGlanceMs : kGlanceMs);
    const auto most_cpu_us = static_cast<std::uint64_t>(request_.cpu_ms) * 1000;
    if (cgroup_) {
        if (cgroup_->out_of_memory()) stop("memory");
        if (cgroup_->cpu_us() > most_cpu_us) stop("cpu");
        out_of_processes_ = out_of_processes_ || cgroup_->out_of_processes();
    } else {
        const TreeUse use = look_at_tree(child_);
        peak_ = std::max(peak_, use.resident);
        cpu_us_ = std::max(cpu_us_, use.cpu_us);
        if (use.resident > request_.memory) stop("memory");
        if (use.cpu_us > most_cpu_us) stop("cpu");
        // Fork fails at the limit, which nobody tells us; but that it is reached can be seen.
        out_of_processes_ = out_of_processes_ || use.tasks > request_.processes + kSandboxProcesses;
    }
    look_at_data(now_ms);
}

void Supervisor::watch() {
    std::int64_t drain_end_ms = 0;  // after the end, what is in the pipes has so long to come
    for (;;) {
        const std::int64_t now_ms = now_us() / 1000;
        const std::int64_t wall_end_ms = began_us_ / 1000 + request_.wall_ms;
        if (!ended_) {
            if (now_ms >= wall_end_ms) stop("wall");
            glance(now_ms);
        }
        const bool drained = out_.pipe.read_end < 0 && err_.pipe.read_end < 0;
        if (ended_ && (drained || now_ms >= drain_end_ms)) return;
        const std::int64_t next = ended_ ? drain_end_ms : std::min(wall_end_ms, next_glance_ms_);
        std::array<pollfd, 6> polled{{{out_.pipe.read_end, POLLIN, 0},
                                      {err_.pipe.read_end, POLLIN, 0},
                                      {status_.read_end, POLLIN, 0},
                                      {ended_ ? -1 : child_fd_, POLLIN, 0},
                                      {orphaned_ ? -1 : protocol::kControlFd, POLLIN, 0},
                                      {frames_.is_empty() ? -1 : protocol::kFramesFd, POLLOUT, 0}}};
        ::poll(polled.data(), polled.size(),
               static_cast<int>(std::max<std::int64_t>(next - now_ms, 0)));
        if (polled[0].revents != 0 && !out_.pump(frames_, now_ms)) close_fd(out_.pipe.read_end);
        if (polled[1].revents != 0 && !err_.pump(frames_, now_ms)) close_fd(err_.pipe.read_end);
        if (polled[2].revents != 0) {
            char block[4096];
            const ssize_t got = ::read(status_.read_end, block, sizeof block);
            if (got > 0) status_text_.append(block, static_cast<std::size_t>(got));
            if (got == 0) close_fd(status_.read_end);
        }
        if (polled[4].revents != 0) hear_control();
        if (!frames_.flush()) {
            orphaned_ = true;
            stop("cancelled");
        }
        if (!ended_ && polled[3].revents != 0) {
            ended_us_ = now_us();
            ended_ = true;
            if (cgroup_) {
                if (stopped_.empty() && cgroup_->out_of_memory()) stopped_ = "memory";
                out_of_processes_ = out_of_processes_ || cgroup_->out_of_processes();
                cpu_us_ = cgroup_->cpu_us();
                if (!stopped_.empty()) peak_ = cgroup_->peak();
                cgroup_->kill();
            }
            ::waitpid(child_, &child_status_, 0);
            kill_children();  // what bubblewrap left, now ours
            drain_end_ms = now_us() / 1000 + 1000;
        }
    }
}

// Of bubblewrap's status records: {"child-pid": n} … {"exit-code": n}.
std::optional<int> Supervisor::exit_code() const {
    if (request_.isolation == "none") {
        if (WIFSIGNALED(child_status_)) return 128 + WTERMSIG(child_status_);
        return WEXITSTATUS(child_status_);
    }
    const std::size_t at = status_text_.find("\"exit-code\":");
    if (at == std::string::npos) return std::nullopt;
    const std::string_view digits = std::string_view(status_text_).substr(at + 12);
    const std::size_t first = std::min(digits.find_first_not_of(' '), digits.size());
    int code = 0;
    const auto read = std::from_chars(digits.data() + first, digits.data() + digits.size(), code);
    if (read.ec != std::errc()) return std::nullopt;
    return code;
}

void Supervisor::end() {
    while (status_.read_end >= 0) {
        char block[4096];
        const ssize_t got = ::read(status_.read_end, block, sizeof block);
        if (got <= 0) break;
        status_text_.append(block, static_cast<std::size_t>(got));
    }
    if (!ended_) ended_us_ = now_us();
    out_.finish(frames_);
    err_.finish(frames_);
    std::string items;
    const auto item = [&](std::string_view name, auto value) {
        protocol::append_item(items, name, std::to_string(value));
    };
    const auto code = exit_code();
    if (fault_.empty() && stopped_.empty() && !code) {
        fault_ = err_.beginning().empty() ? "the sandbox ended before the program began"
                                          : err_.beginning();
    }
    if (code && stopped_.empty()) item("code", *code);
    protocol::append_item(items, "stopped", stopped_);
    protocol::append_item(items, "fault", fault_);
    item("cancelled", cancelled_ && stopped_ == "cancelled" ? 1 : 0);
    item("pids", out_of_processes_ ? 1 : 0);
    item("cgroup", cgroup_ ? 1 : 0);
    item("wall_us", began_us_ == 0 ? 0 : ended_us_ - began_us_);
    item("stdout_bytes", out_.total());
    item("stderr_bytes", err_.total());
    rusage used{};
    ::getrusage(RUSAGE_CHILDREN, &used);
    // What was killed together with its namespace is in no parent's account.
    const auto cpu_us =
        static_cast<std::uint64_t>((used.ru_utime.tv_sec + used.ru_stime.tv_sec) * 1'000'000 +
                                   used.ru_utime.tv_usec + used.ru_stime.tv_usec);
    item("cpu_us", std::max(cpu_us, cpu_us_));
    item("max_rss", std::max(static_cast<std::uint64_t>(used.ru_maxrss) * 1024, peak_));
    cgroup_.reset();  // given back before anybody is told of the end
    frames_.add(Frame::result, items);
    ::fcntl(protocol::kFramesFd, F_SETFL, ::fcntl(protocol::kFramesFd, F_GETFL) & ~O_NONBLOCK);
    frames_.flush();
}

int Supervisor::run() {
    if (begin()) watch();
    kill_children();
    end();
    return 0;
}

}  // namespace
}  // namespace larder::programs

int main() {
    using namespace larder::programs;
    ::prctl(PR_SET_CHILD_SUBREAPER, 1);
    // It cannot fail for signals that there are.
    (void)::signal(SIGPIPE, SIG_IGN);
    (void)::signal(SIGXFSZ, SIG_DFL);
    ::umask(077);
    if (::chdir("/") != 0) return 1;
    ::close_range(protocol::kInputFd + 1, ~0U, 0);
    RunRequest request = parse_request(read_all(protocol::kRequestFd));
    if (request.command.empty()) return 2;
    return Supervisor(std::move(request)).run();
}
