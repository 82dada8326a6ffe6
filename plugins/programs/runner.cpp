#include "runner.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <pthread.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <utility>

#include "larder/time.hpp"
#include "storage-kit/json.hpp"

namespace larder::programs {
namespace {

constexpr std::size_t kMostReduced = 2;
constexpr int kHeartbeatMs = 15'000;
constexpr off_t kMostLog = 1U << 20U;

}  // namespace

Runner::Runner(Host& host, ProgramStore& store, ExecutionRecords& records, const Sandbox& sandbox)
    : host_(host),
      store_(store),
      sandbox_(sandbox),
      begun_(host.metrics().counter("larder_programs_runs_total", "Runs that were begun.")),
      running_gauge_(host.metrics().gauge("larder_programs_running", "Runs under way.")),
      queued_gauge_(host.metrics().gauge("larder_programs_queued", "Runs that wait.")),
      epoll_(::epoll_create1(EPOLL_CLOEXEC)),
      wake_fd_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
      recorder_(std::make_unique<Recorder>(records, host.log())) {
    epoll_event event{};
    event.events = EPOLLIN;  // without a process: it wakes
    if (epoll_ < 0 || wake_fd_ < 0 || ::epoll_ctl(epoll_, EPOLL_CTL_ADD, wake_fd_, &event) != 0) {
        throw Error(Errc::unavailable, "overloaded", "no descriptors to watch programs with");
    }
    thread_ = std::thread([this] { loop(); });
    pthread_setname_np(thread_.native_handle(), "programs-runner");
}

Runner::~Runner() {
    drain();
    {
        const std::scoped_lock lock(mutex_);
        ending_ = true;
    }
    wake();
    thread_.join();
    recorder_.reset();
    ::close(epoll_);
    ::close(wake_fd_);
}

void Runner::wake() const noexcept {
    const std::uint64_t one = 1;
    [[maybe_unused]] const ssize_t told = ::write(wake_fd_, &one, sizeof one);
}

std::size_t Runner::most_at_once() const {
    auto most = static_cast<std::size_t>(host_.settings().integer("concurrency"));
    static const std::size_t processors = std::max(1U, std::thread::hardware_concurrency());
    if (most == 0) most = processors;
    return sandbox_.tier() == Tier::reduced ? std::min(most, kMostReduced) : most;
}

// ---- asking

void Runner::submit(ExecutionRequest request, Begun begun) {
    {
        const std::scoped_lock lock(mutex_);
        if (draining_) {
            throw Error(Errc::unavailable, "plugin-disabled", "programs are being turned off");
        }
        const auto most = static_cast<std::size_t>(host_.settings().integer("queue"));
        const std::size_t at_once = most_at_once(), begun_ones = submitted_ - waiting_;
        const std::size_t free = at_once - std::min(at_once, begun_ones);
        if (waiting_ >= most + free) {
            throw Error(Errc::too_many_requests, "queue-full",
                        fmt::format("{} runs wait already", most))
                .with("limit", std::to_string(most))
                .with_header("Retry-After", "1");
        }
        ++waiting_;
        ++submitted_;
    }
    auto run = std::make_shared<Run>(std::move(request));
    {
        const std::scoped_lock lock(mutex_);
        queue_.push_back(run);
    }
    wake();
    recorder_->begin(run->request, run->record(),
                     [this, run, begun = std::move(begun)](const Recorder::Begun& outcome) {
                         RunPtr known = run;
                         const bool is_new = !outcome.refused && !outcome.is_repeated;
                         {
                             const std::scoped_lock lock(mutex_);
                             if (is_new) {
                                 active_.emplace(outcome.id, run);
                             } else {
                                 const auto queued = std::find(queue_.begin(), queue_.end(), run);
                                 if (queued != queue_.end()) {
                                     queue_.erase(queued);
                                     --waiting_;
                                 }
                                 --submitted_;
                                 const auto found = active_.find(outcome.id);
                                 known = found == active_.end() ? nullptr : found->second;
                                 idle_.notify_all();
                             }
                         }
                         begun(outcome.refused, known, outcome.id);
                         run->standing = is_new ? Run::Standing::recorded : Run::Standing::refused;
                         wake();
                     });
}

RunPtr Runner::find(std::int64_t id) const {
    const std::scoped_lock lock(mutex_);
    const auto found = active_.find(id);
    return found == active_.end() ? nullptr : found->second;
}

bool Runner::cancel(std::int64_t id) {
    const RunPtr run = find(id);
    if (!run) return false;
    run->cancel_wanted = true;
    wake();
    return true;
}

void Runner::cancel_all(std::string_view program_id) {
    {
        const std::scoped_lock lock(mutex_);
        for (const auto& [id, run] : active_) {
            if (run->request.program_id == program_id) run->cancel_wanted = true;
        }
    }
    wake();
}

std::size_t Runner::active(std::string_view program_id) const {
    const std::scoped_lock lock(mutex_);
    return static_cast<std::size_t>(std::count_if(
        active_.begin(), active_.end(),
        [&](const auto& entry) { return entry.second->request.program_id == program_id; }));
}

void Runner::drain() {
    std::unique_lock lock(mutex_);
    draining_ = true;
    for (const auto& [id, run] : active_) run->cancel_wanted = true;
    lock.unlock();
    wake();
    lock.lock();
    // Those that are being recorded come into active_ later; the thread sees that it drains.
    idle_.wait(lock, [this] { return submitted_ == 0; });
}

void Runner::hold(bool on) { recorder_->hold(on); }

// ---- the thread

void Runner::loop() {
    auto next_beat = std::chrono::steady_clock::now() + std::chrono::milliseconds(kHeartbeatMs);
    std::array<epoll_event, 64> events{};
    for (;;) {
        {
            const std::scoped_lock lock(mutex_);
            if (ending_ && processes_.empty()) return;
        }
        settle();
        stop_cancelled();
        start_ready();
        const int count = ::epoll_wait(epoll_, events.data(), events.size(), kHeartbeatMs);
        for (int i = 0; i < count; ++i) {
            auto* const process =
                static_cast<Process*>(events[static_cast<std::size_t>(i)].data.ptr);
            if (process != nullptr) {
                read(*process);
                continue;
            }
            std::uint64_t times = 0;
            [[maybe_unused]] const ssize_t got = ::read(wake_fd_, &times, sizeof times);
        }
        if (std::chrono::steady_clock::now() < next_beat) continue;
        next_beat += std::chrono::milliseconds(kHeartbeatMs);
        for (const auto& process : processes_) process->run->heartbeat();
    }
}

// What was recorded since may begin, what was refused ends; what is over and recorded goes.
void Runner::settle() {
    std::erase_if(processes_, [this](const auto& process) {
        const Run::Standing standing = process->run->standing;
        if (standing == Run::Standing::recorded && !process->may_begin) {
            process->may_begin = true;
            process->run->begin(unix_now_ms(), word_of(sandbox_.tier()));
            if (sandbox_.tier() == Tier::bare) {
                host_.log().write(
                    Level::warning,
                    fmt::format("execution {} of {} runs without isolation",
                                process->run->record().id, process->run->request.program_id));
            }
            process->process.tell(protocol::kBegin);
        }
        if (standing == Run::Standing::refused) process->process.control = storage::OwnedFd();
        if (!process->is_over || standing == Run::Standing::arriving) return false;
        end(*process);
        return true;
    });
}

void Runner::stop_cancelled() {
    bool all = false;
    {
        const std::scoped_lock lock(mutex_);
        all = draining_;
    }
    for (const auto& process : processes_) {
        if (process->is_stopped || !(all || process->run->cancel_wanted)) continue;
        process->is_stopped = true;
        process->process.tell(protocol::kCancel);
    }
}

// The first in the queue whose program may have one more.
void Runner::start_ready() {
    const std::size_t most = most_at_once();
    auto most_each = static_cast<std::size_t>(host_.settings().integer("program_concurrency"));
    if (most_each == 0) most_each = most;
    for (;;) {
        RunPtr next;
        bool is_cancelled = false;
        {
            const std::scoped_lock lock(mutex_);
            for (auto at = queue_.begin(); at != queue_.end(); ++at) {
                is_cancelled = draining_ || (*at)->cancel_wanted;
                if (is_cancelled && (*at)->standing == Run::Standing::arriving) continue;
                const auto running = static_cast<std::size_t>(
                    std::count_if(processes_.begin(), processes_.end(), [&](const auto& process) {
                        return process->run->request.program_id == (*at)->request.program_id;
                    }));
                if (!is_cancelled && (processes_.size() >= most || running >= most_each)) continue;
                next = *at;
                queue_.erase(at);
                --waiting_;
                break;
            }
            running_gauge_.set(static_cast<double>(processes_.size()));
            queued_gauge_.set(static_cast<double>(waiting_));
        }
        if (!next) return;
        if (is_cancelled) {
            next->finish_without_run("cancelled", {}, unix_now_ms());
            record_end(next);
        } else {
            start(next);
        }
    }
}

void Runner::start(const RunPtr& run) {
    auto process = std::make_unique<Process>();
    process->run = run;
    try {
        process->process = sandbox_.start(run->request, store_.folder_of(run->request.program_id));
        const int fd = process->process.frames.get();
        ::fcntl(fd, F_SETFL, ::fcntl(fd, F_GETFL) | O_NONBLOCK);
        epoll_event event{};
        event.events = EPOLLIN;
        event.data.ptr = process.get();
        if (::epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event) != 0) {
            throw Error(Errc::unavailable, "overloaded", "too many descriptors are open");
        }
        begun_.add();
    } catch (const Error& error) {
        process->fault = error.detail();
        process->is_over = true;
        wake();
    }
    processes_.push_back(std::move(process));
}

void Runner::read(Process& process) {
    char block[65536];
    for (int round = 0; round < 16 && !process.is_over; ++round) {
        const ssize_t got = ::read(process.process.frames.get(), block, sizeof block);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0 && errno == EAGAIN) return;
        const auto take = [&](protocol::Frame kind, std::string_view bytes) {
            if (kind == protocol::Frame::result) {
                process.result = bytes;
                process.is_over = true;  // all is given back already: its end need not be awaited
            } else {
                process.run->take(kind, bytes);
            }
        };
        if (got <= 0 || !process.frames.push({block, static_cast<std::size_t>(got)}, take)) {
            process.is_over = true;
        }
    }
    if (process.is_over) {
        ::epoll_ctl(epoll_, EPOLL_CTL_DEL, process.process.frames.get(), nullptr);
    }
}

void Runner::end(Process& process) {
    const RunPtr& run = process.run;
    if (run->standing == Run::Standing::recorded) {
        if (process.fault.empty()) {
            run->finish(process.result, unix_now_ms());
        } else {
            run->finish_without_run("failed", process.fault, unix_now_ms());
        }
        record_end(run);
    }
    process.process.control = storage::OwnedFd();  // should it still live: it ends by that
    if (process.process.pid > 0) ::waitpid(process.process.pid, nullptr, 0);
}

// ---- after the end

// The row and the program's counts are two files' matter, and synced side by side.
void Runner::record_end(const RunPtr& run) {
    struct Both {
        std::atomic<int> left{2};
        std::optional<Error> failed;  // written by the recorder before it counts down
    };
    const auto both = std::make_shared<Both>();
    const auto one_done = [this, run, both] {
        if (--both->left == 0) conclude(run, both->failed);
    };
    const auto count = [this, run, one_done] {
        const Execution& record = run->record();
        store_.count_run(record.program_id, record.end_ms, record.execution_time,
                         record.succeeded(), one_done);
    };
    recorder_->end(run->record(), count,
                   [this, run, both, one_done](const std::optional<Error>& failed) {
                       both->failed = failed;
                       if (!failed) append_log(run->record());
                       one_done();
                   });
}

void Runner::conclude(const RunPtr& run, const std::optional<Error>& failed) {
    const Execution& record = run->record();
    {
        // First, so that who is told of the end finds it ended: to be stopped, and to be counted.
        const std::scoped_lock lock(mutex_);
        active_.erase(record.id);
    }
    run->complete(failed);
    ProgramRan event;
    event.program_id = record.program_id;
    event.execution_id = record.id;
    event.state = record.state;
    event.duration_us = static_cast<std::int64_t>(record.execution_time * 1e6);
    event.cpu_us = static_cast<std::int64_t>(record.cpu_time * 1e6);
    event.max_rss = record.max_rss;
    event.return_code = record.return_code.value_or(-1);
    event.principal = record.principal;
    event.request_id = record.request_id;
    host_.events().publish(event);
    const std::scoped_lock lock(mutex_);
    --submitted_;
    idle_.notify_all();
}

std::string Runner::log_path(std::string_view program_id) const {
    return fmt::format("{}/logs/{}_exec.log", store_.folder(), program_id);
}

void Runner::remove_log(std::string_view program_id) {
    const std::scoped_lock lock(log_mutex_);
    const std::string path = log_path(program_id);
    ::unlink(path.c_str());
    ::unlink((path + ".1").c_str());
}

// One line a run; a log that grew long goes on in a new one, and the one before is kept.
void Runner::append_log(const Execution& execution) {
    const std::string ended = execution.return_code
                                  ? fmt::format("return code {}", *execution.return_code)
                              : execution.signal.empty() ? execution.error_message
                                                         : execution.signal;
    std::string line = fmt::format(
        "[{}] execution {}: {} {} | {}{}{} | {:.3f} s, {:.3f} s cpu, {} bytes out, {} bytes err",
        rfc3339(execution.end_ms), execution.id, execution.command, execution.arguments,
        execution.state, ended.empty() ? "" : ", " + ended,
        execution.limit_hit.empty() ? "" : ", limit " + execution.limit_hit,
        execution.execution_time, execution.cpu_time, execution.stdout_bytes,
        execution.stderr_bytes);
    std::replace(line.begin(), line.end(), '\n', ' ');
    line += '\n';
    const std::string path = log_path(execution.program_id);
    const std::scoped_lock lock(log_mutex_);
    if (!store_.look(execution.program_id)) return;  // its log went with it
    const storage::OwnedFd file(
        ::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640));
    const bool written = file.get() >= 0 && ::write(file.get(), line.data(), line.size()) ==
                                                static_cast<ssize_t>(line.size());
    if (!written) {
        host_.log().write(Level::warning,
                          fmt::format("execution {} is missing in its log file", execution.id));
        return;
    }
    struct stat status {};
    if (::fstat(file.get(), &status) != 0 || status.st_size <= kMostLog) return;
    if (::rename(path.c_str(), (path + ".1").c_str()) != 0) {
        host_.log().write(Level::warning, fmt::format("{} cannot be renamed, and grows on", path));
    }
}

}  // namespace larder::programs
