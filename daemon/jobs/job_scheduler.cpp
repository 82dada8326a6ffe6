// Contents: one job and one run of it · Core: adding and withdrawing, planning, running, the book ·
// the face.
#include "jobs/job_scheduler.hpp"

#include <fmt/format.h>
#include <pthread.h>

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>
#include <system_error>
#include <utility>

#include "jobs/schedule.hpp"
#include "larder/cancel_flag.hpp"
#include "larder/error.hpp"
#include "observe/log.hpp"

namespace larder::jobs {
namespace {

constexpr std::int64_t kSecond = 1000, kMinute = 60 * kSecond, kHour = 60 * kMinute;
constexpr std::int64_t kLongestNap = kMinute;  // so that a changed clock is seen
constexpr std::int64_t kRetryPost = kSecond;
constexpr std::int64_t kWriteAtMostEvery = 5 * kSecond;
constexpr std::uint64_t kMostMissed = 1000;
constexpr std::int64_t kForgetAfter = std::int64_t{400} * 24 * kHour;  // jobs of plugins long gone

bool is_job_name(std::string_view name) {
    return !name.empty() && name.size() <= 64 &&
           name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_.-") == name.npos;
}

std::int64_t back_off(std::uint64_t failures) {
    return failures > 6 ? kHour : std::min(kHour, kMinute << (failures - 1));
}

using Body = std::function<void(JobRun&)>;

struct Entry {
    Entry(std::string full_name, const JobOwner& by, const Job& job)
        : name(std::move(full_name)),
          owner(by),
          schedule(job.when),
          catch_up(job.catch_up),
          jitter_ms(std::max<std::int64_t>(0, job.jitter.count())),
          body(std::make_shared<Body>(job.run)) {}

    const std::string name;
    const JobOwner owner;
    const Schedule schedule;
    const bool catch_up;
    const std::int64_t jitter_ms;

    // ---- guarded by Core::mutex_
    std::shared_ptr<Body> body;            // null once withdrawn
    std::int64_t due_ms = 0, next_ms = 0;  // as scheduled; with jitter
    std::uint64_t missed = 0;
    const char* trigger = "schedule";
    bool busy = false;  // posted or running
    bool running = false;
    bool resting = false;  // its plugin drains, or it is withdrawn: no run begins
    bool alerted = false;
    std::thread::id thread;            // that runs it
    std::shared_ptr<CancelFlag> flag;  // of the run under way
    JobRecord record;
    std::deque<Run> history;  // the latest first
    std::uint64_t succeeded = 0, failed = 0, cancelled = 0;
};
using EntryPtr = std::shared_ptr<Entry>;

}  // namespace

Error no_such_job() {
    return Error(Errc::not_found, "job-not-found",
                 "there is no job of this name; GET /api/scheduler/jobs lists them");
}

class JobScheduler::Core : public std::enable_shared_from_this<Core> {
public:
    explicit Core(SchedulerOptions options);

    std::unique_ptr<Ticket> add(const JobOwner& owner, const Job& job);
    void withdraw(const EntryPtr& entry, bool wait);
    void cancel(std::string_view owner);
    void withdraw_all(std::string_view owner);
    void run_now(std::string_view name);
    std::vector<JobStatus> status() const;
    std::optional<JobStatus> status(std::string_view name) const;

    void serve();
    void end();
    void look_again();
    void hold(bool on);
    void take_over();

private:
    // One run: posted as a task, it frees the job also when the task is dropped unrun.
    class Turn final : public JobRun {
    public:
        Turn(std::shared_ptr<Core> core, EntryPtr entry, std::string trigger, std::int64_t due_ms,
             std::uint64_t missed)
            : core_(std::move(core)),
              entry_(std::move(entry)),
              trigger_(std::move(trigger)),
              due_ms_(due_ms),
              missed_(missed) {}
        ~Turn() { core_->release(*entry_); }
        Turn(const Turn&) = delete;
        Turn& operator=(const Turn&) = delete;

        void run();
        Cancel& cancel() noexcept override { return *flag_; }
        std::int64_t due_ms() const noexcept override { return due_ms_; }
        std::uint64_t missed() const noexcept override { return missed_; }

    private:
        friend class Core;
        const std::shared_ptr<Core> core_;
        const EntryPtr entry_;
        const std::string trigger_;
        const std::int64_t due_ms_;
        const std::uint64_t missed_;
        const std::shared_ptr<CancelFlag> flag_ = std::make_shared<CancelFlag>();
    };
    class JobTicket final : public Ticket {
    public:
        JobTicket(std::shared_ptr<Core> core, EntryPtr entry)
            : core_(std::move(core)), entry_(std::move(entry)) {}
        ~JobTicket() override { core_->withdraw(entry_, true); }
        JobTicket(const JobTicket&) = delete;
        JobTicket& operator=(const JobTicket&) = delete;

    private:
        const std::shared_ptr<Core> core_;
        const EntryPtr entry_;
    };

    void plan(Entry& entry, std::int64_t now, std::int64_t not_before);
    void plan_first(Entry& entry, std::int64_t now);
    std::int64_t launch_due(std::unique_lock<std::mutex>& lock, std::int64_t now);
    std::unique_ptr<Turn> begin_turn(const EntryPtr& entry, std::string trigger,
                                     std::int64_t due_ms, std::uint64_t missed);
    bool post(std::unique_ptr<Turn> turn);
    std::shared_ptr<Body> enter(Turn& turn, std::int64_t& started);
    void leave(Turn& turn, std::int64_t started, const std::string* fault);
    void release(Entry& entry);
    void wake();
    void tell_of_failure(Entry& entry, const Run& run);
    void write_book(std::unique_lock<std::mutex>& lock, std::int64_t now);
    static JobStatus status_of(const Entry& entry);

    const SchedulerOptions options_;

    mutable std::mutex mutex_;  // guards all below
    bool keeps_book_ = true;
    bool held_ = false, writing_ = false;
    std::condition_variable wake_, ended_;
    std::map<std::string, EntryPtr, std::less<>> entries_;
    JobRecords book_;
    bool dirty_ = false, ending_ = false;
    bool changed_ = false;  // since serve() last looked
    std::int64_t written_ms_ = 0, seen_ms_ = 0;
    observe::Complaint complaint_;  // has a lock of its own
};

// ---- adding and withdrawing

JobScheduler::Core::Core(SchedulerOptions options) : options_(std::move(options)) {
    try {
        book_ = read_job_book(*options_.files, options_.book);
    } catch (const std::exception& error) {
        keeps_book_ = false;
        options_.log->write(Level::error,
                            fmt::format("what jobs did before is not known, and what they do now "
                                        "is not kept: {}",
                                        error.what()));
    }
    seen_ms_ = options_.clock_ms();
    std::erase_if(book_, [&](const auto& record) {
        return std::max(record.second.served_ms, record.second.last.started_ms) <
               seen_ms_ - kForgetAfter;
    });
}

std::unique_ptr<Ticket> JobScheduler::Core::add(const JobOwner& owner, const Job& job) {
    if (!is_job_name(job.name)) {
        throw Error(Errc::internal, "bad-job",
                    fmt::format("'{}' is no name for a job: expected 1-64 of a-z, 0-9, '_', '.' "
                                "and '-'",
                                job.name.substr(0, 100)));
    }
    auto entry = std::make_shared<Entry>(fmt::format("{}.{}", owner.name, job.name), owner, job);
    const std::scoped_lock lock(mutex_);
    if (entries_.contains(entry->name)) {
        throw Error(Errc::conflict, "job-conflict",
                    fmt::format("there is a job {} already", entry->name));
    }
    plan_first(*entry, options_.clock_ms());
    entries_.emplace(entry->name, entry);
    wake();
    return std::make_unique<JobTicket>(shared_from_this(), std::move(entry));
}

void JobScheduler::Core::withdraw(const EntryPtr& entry, bool wait) {
    std::shared_ptr<Body> body;
    bool alerted = false;
    {
        std::unique_lock lock(mutex_);
        const auto found = entries_.find(entry->name);
        if (found != entries_.end() && found->second == entry) entries_.erase(found);
        entry->resting = true;
        if (entry->flag) entry->flag->cancel();
        if (wait && entry->thread != std::this_thread::get_id()) {
            ended_.wait(lock, [&] { return !entry->running; });
        }
        body = std::move(entry->body);  // destroyed without the lock: it is the plugin's code
        alerted = std::exchange(entry->alerted, false);
    }
    if (alerted) options_.alerts->resolve("job-failed:" + entry->name);
}

void JobScheduler::Core::cancel(std::string_view owner) {
    const std::scoped_lock lock(mutex_);
    for (const auto& [name, entry] : entries_) {
        if (entry->owner.name != owner) continue;
        entry->resting = true;
        if (entry->flag) entry->flag->cancel();
    }
}

void JobScheduler::Core::withdraw_all(std::string_view owner) {
    std::vector<EntryPtr> theirs;
    {
        const std::scoped_lock lock(mutex_);
        for (const auto& [name, entry] : entries_) {
            if (entry->owner.name == owner) theirs.push_back(entry);
        }
    }
    for (const auto& entry : theirs) withdraw(entry, false);
}

// ---- planning

void JobScheduler::Core::plan_first(Entry& entry, std::int64_t now) {
    const auto known = book_.find(entry.name);
    if (known == book_.end()) {
        entry.record.anchor_ms = entry.record.served_ms = now;
        book_[entry.name] = entry.record;
        dirty_ = true;
    } else {
        entry.record = known->second;
        if (!entry.record.last.outcome.empty()) entry.history.push_front(entry.record.last);
    }
    plan(entry, now, now);
    if (!entry.catch_up) return;
    std::uint64_t times = 0;
    for (std::int64_t due = entry.record.served_ms; times < kMostMissed; ++times) {
        due = entry.schedule.next(due, entry.record.anchor_ms, *options_.zone);
        if (due > now) break;
        entry.due_ms = due;
    }
    if (times == 0) return;
    entry.missed = times - 1;
    entry.trigger = "catch-up";
    entry.next_ms =
        now + static_cast<std::int64_t>(options_.random() * static_cast<double>(entry.jitter_ms));
}

// The next time after `now`, and not before `not_before`.
void JobScheduler::Core::plan(Entry& entry, std::int64_t now, std::int64_t not_before) {
    entry.missed = 0;
    entry.trigger = "schedule";
    entry.due_ms =
        entry.schedule.next(std::max(now, not_before - 1), entry.record.anchor_ms, *options_.zone);
    entry.next_ms = entry.due_ms + static_cast<std::int64_t>(options_.random() *
                                                             static_cast<double>(entry.jitter_ms));
}

void JobScheduler::Core::serve() {
    pthread_setname_np(pthread_self(), "larder:jobs");
    std::unique_lock lock(mutex_);
    while (!ending_) {
        changed_ = false;
        const std::int64_t now = options_.clock_ms();
        if (now < seen_ms_ - kMinute) {  // the clock was set back: what was planned is far away
            for (const auto& [name, entry] : entries_) plan(*entry, now, now);
        }
        seen_ms_ = now;
        std::int64_t until = std::min(launch_due(lock, now), now + kLongestNap);
        if (dirty_ && now >= written_ms_ + kWriteAtMostEvery) write_book(lock, now);
        if (dirty_ && !held_) until = std::min(until, written_ms_ + kWriteAtMostEvery);
        if (ending_ || until <= now) continue;
        wake_.wait_for(lock, std::chrono::milliseconds(until - now),
                       [this] { return changed_ || ending_; });
    }
    write_book(lock, options_.clock_ms());
}

// Posts what is due; returns when the next will be.
std::int64_t JobScheduler::Core::launch_due(std::unique_lock<std::mutex>& lock, std::int64_t now) {
    std::vector<std::unique_ptr<Turn>> turns;
    std::int64_t next = now + kLongestNap;
    for (const auto& [name, entry] : entries_) {
        if (entry->busy || entry->resting) continue;
        if (entry->next_ms > now) {
            next = std::min(next, entry->next_ms);
            continue;
        }
        turns.push_back(begin_turn(entry, entry->trigger, entry->due_ms, entry->missed));
    }
    lock.unlock();
    std::vector<EntryPtr> refused;
    for (auto& turn : turns) {
        const EntryPtr entry = turn->entry_;
        if (!post(std::move(turn))) refused.push_back(entry);
    }
    lock.lock();
    for (const auto& entry : refused) {
        entry->next_ms = now + kRetryPost;
        next = std::min(next, entry->next_ms);
    }
    return next;
}

// ---- running

std::unique_ptr<JobScheduler::Core::Turn> JobScheduler::Core::begin_turn(const EntryPtr& entry,
                                                                         std::string trigger,
                                                                         std::int64_t due_ms,
                                                                         std::uint64_t missed) {
    auto turn =
        std::make_unique<Turn>(shared_from_this(), entry, std::move(trigger), due_ms, missed);
    entry->busy = true;
    entry->flag = turn->flag_;
    return turn;
}

bool JobScheduler::Core::post(std::unique_ptr<Turn> turn) {
    const EntryPtr entry = turn->entry_;
    return entry->owner.post([turn = std::move(turn)] { turn->run(); });
}

void JobScheduler::Core::run_now(std::string_view name) {
    std::unique_ptr<Turn> turn;
    {
        const std::scoped_lock lock(mutex_);
        const auto found = entries_.find(name);
        if (found == entries_.end()) throw no_such_job();
        if (found->second->busy) {
            throw Error(Errc::conflict, "job-running", "the job runs already");
        }
        turn = begin_turn(found->second, "hand", options_.clock_ms(), 0);
    }
    if (post(std::move(turn))) return;
    throw Error(Errc::unavailable, "overloaded",
                "no worker can take the job now, or its plugin is being stopped")
        .with_header("Retry-After", "1");
}

void JobScheduler::Core::Turn::run() {
    std::int64_t started = 0;
    const std::shared_ptr<Body> body = core_->enter(*this, started);
    if (!body) return;
    std::string fault;
    bool threw = true;
    try {
        (*body)(*this);
        threw = false;
    } catch (const Error& error) {
        fault = error.internal().empty() ? error.detail()
                                         : fmt::format("{} ({})", error.detail(), error.internal());
    } catch (const std::exception& error) {
        fault = error.what();
    } catch (...) {
        fault = "threw what is no std::exception";
    }
    core_->leave(*this, started, threw ? &fault : nullptr);
}

// What to run, or nothing when it was withdrawn meanwhile.
std::shared_ptr<Body> JobScheduler::Core::enter(Turn& turn, std::int64_t& started) {
    const std::scoped_lock lock(mutex_);
    Entry& entry = *turn.entry_;
    if (entry.resting || ending_) return nullptr;
    entry.running = true;
    entry.thread = std::this_thread::get_id();
    started = options_.clock_ms();
    return entry.body;
}

void JobScheduler::Core::leave(Turn& turn, std::int64_t started, const std::string* fault) {
    Entry& entry = *turn.entry_;
    Run run;
    bool over = false;
    {
        const std::scoped_lock lock(mutex_);
        const std::int64_t now = options_.clock_ms();
        const bool cancelled = turn.flag_->cancelled();
        run = {turn.due_ms_, started,       std::max<std::int64_t>(0, now - started),
               "succeeded",  turn.trigger_, {}};
        if (cancelled) {
            run.outcome = "cancelled";
            ++entry.cancelled;
        } else if (fault != nullptr) {
            run.outcome = "failed";
            run.error = fault->substr(0, 1000);
            ++entry.failed;
            ++entry.record.failures;
        } else {
            ++entry.succeeded;
            entry.record.failures = 0;
            over = std::exchange(entry.alerted, false);
        }
        entry.history.push_front(run);
        if (entry.history.size() > kHistory) entry.history.pop_back();
        entry.record.last = run;
        entry.record.served_ms = std::max(entry.record.served_ms, now);
        book_[entry.name] = entry.record;
        dirty_ = true;
        plan(entry, now, run.outcome == "failed" ? now + back_off(entry.record.failures) : now);
    }
    if (over) options_.alerts->resolve("job-failed:" + entry.name);
    if (run.outcome == "failed") tell_of_failure(entry, run);
}

void JobScheduler::Core::tell_of_failure(Entry& entry, const Run& run) {
    std::uint64_t failures = 0;
    {
        const std::scoped_lock lock(mutex_);
        failures = entry.record.failures;
        if (failures >= kFailuresForAlert && entry.body) entry.alerted = true;
        if (!entry.alerted) failures = std::min(failures, kFailuresForAlert - 1);
    }
    const std::string message = fmt::format("job {} failed: {}", entry.name, run.error);
    entry.owner.log->write(Level::error, message);
    ErrorReport report;
    report.message = message;
    report.category = "job";
    options_.report(entry.owner.name, report);
    if (failures < kFailuresForAlert) return;
    options_.alerts->raise(
        "job-failed:" + entry.name, Severity::error,
        fmt::format("job {} has failed {} times in a row: {}", entry.name, failures, run.error));
}

void JobScheduler::Core::release(Entry& entry) {
    const std::scoped_lock lock(mutex_);
    entry.busy = entry.running = false;
    entry.thread = {};
    entry.flag.reset();
    ended_.notify_all();
    wake();
}

// ---- the book, and what is shown

void JobScheduler::Core::write_book(std::unique_lock<std::mutex>& lock, std::int64_t now) {
    if (held_ || !std::exchange(dirty_, false) || !keeps_book_) return;
    written_ms_ = now;
    const JobRecords records = book_;
    writing_ = true;
    lock.unlock();
    try {
        write_job_book(*options_.files, options_.book, records);
        complaint_.relent(*options_.log, Level::notice, "runs of jobs are kept again");
    } catch (const std::system_error& error) {
        complaint_.complain(
            *options_.log, Level::warning,
            fmt::format("what jobs did is not kept: {}: {}", options_.book, error.what()));
    }
    lock.lock();
    writing_ = false;
    ended_.notify_all();
}

void JobScheduler::Core::hold(bool on) {
    std::unique_lock lock(mutex_);
    held_ = on;
    if (on) ended_.wait(lock, [this] { return !writing_; });
    if (!on) wake();
}

void JobScheduler::Core::take_over() {
    JobRecords fresh = read_job_book(*options_.files, options_.book);
    const std::scoped_lock lock(mutex_);
    book_ = std::move(fresh);
    keeps_book_ = true;
    const std::int64_t now = options_.clock_ms();
    for (const auto& [name, entry] : entries_) {
        if (entry->busy) {
            book_[name] = entry->record;
            continue;
        }
        entry->history.clear();
        entry->record = {};
        plan_first(*entry, now);
    }
    dirty_ = true;
}

void JobScheduler::Core::end() {
    const std::scoped_lock lock(mutex_);
    ending_ = true;
    wake_.notify_all();
}

void JobScheduler::Core::look_again() {
    const std::scoped_lock lock(mutex_);
    wake();
}

// With mutex_ held.
void JobScheduler::Core::wake() {
    changed_ = true;
    wake_.notify_all();
}

JobStatus JobScheduler::Core::status_of(const Entry& entry) {
    return {entry.name,
            entry.owner.name,
            entry.schedule.text(),
            entry.catch_up,
            entry.running,
            entry.jitter_ms,
            entry.running || entry.resting ? 0 : entry.next_ms,
            entry.record.failures,
            entry.succeeded,
            entry.failed,
            entry.cancelled,
            {entry.history.begin(), entry.history.end()}};
}

std::vector<JobStatus> JobScheduler::Core::status() const {
    const std::scoped_lock lock(mutex_);
    std::vector<JobStatus> all;
    for (const auto& [name, entry] : entries_) all.push_back(status_of(*entry));
    return all;
}

std::optional<JobStatus> JobScheduler::Core::status(std::string_view name) const {
    const std::scoped_lock lock(mutex_);
    const auto found = entries_.find(name);
    if (found == entries_.end()) return std::nullopt;
    return status_of(*found->second);
}

// ---- the face

JobScheduler::JobScheduler(SchedulerOptions options)
    : core_(std::make_shared<Core>(std::move(options))) {}

JobScheduler::~JobScheduler() { stop(); }

void JobScheduler::start() {
    thread_ = std::thread([core = core_] { core->serve(); });
}

void JobScheduler::stop() {
    core_->end();
    if (thread_.joinable()) thread_.join();
}

std::unique_ptr<Ticket> JobScheduler::add(const JobOwner& owner, const Job& job) {
    return core_->add(owner, job);
}
void JobScheduler::cancel(std::string_view owner) { core_->cancel(owner); }
void JobScheduler::withdraw(std::string_view owner) { core_->withdraw_all(owner); }
std::vector<JobStatus> JobScheduler::status() const { return core_->status(); }
std::optional<JobStatus> JobScheduler::status(std::string_view name) const {
    return core_->status(name);
}
void JobScheduler::run_now(std::string_view name) { core_->run_now(name); }
void JobScheduler::look_again() { core_->look_again(); }
void JobScheduler::hold(bool on) { core_->hold(on); }
void JobScheduler::take_over() { core_->take_over(); }

void JobScheduler::collect(observe::Exposition& page) const {
    for (const JobStatus& job : status()) {
        for (const auto& [outcome, count] :
             {std::pair<std::string_view, std::uint64_t>{"succeeded", job.succeeded},
              {"failed", job.failed},
              {"cancelled", job.cancelled}}) {
            page.counter("larder_job_runs_total", "Runs of jobs by outcome.",
                         observe::label("job", job.name) + "," + observe::label("outcome", outcome),
                         count);
        }
        if (job.history.empty()) continue;
        page.gauge("larder_job_last_duration_seconds", "How long a job's latest run took.",
                   observe::label("job", job.name),
                   static_cast<double>(job.history.front().duration_ms) / 1000);
    }
}

}  // namespace larder::jobs
