// The mailbox is a vector under a mutex, swapped out whole: a committer that completes many answers
// wakes each reactor once. Lock-free queues would save nothing that was measured.
#include "http/reactor.hpp"

#include <pthread.h>
#include <sys/random.h>

#include <algorithm>
#include <csignal>
#include <ctime>
#include <exception>
#include <utility>

#include <fmt/format.h>

#include "http/response_writer.hpp"
#include "larder/time.hpp"

namespace larder::http {

namespace {

thread_local const Reactor* current_reactor = nullptr;

class Call final : public Mailed {
public:
    explicit Call(std::function<void()> call) : call_(std::move(call)) {}
    void deliver(std::uint64_t) noexcept override { call_(); }

private:
    std::function<void()> call_;
};

std::uint64_t random_seed() noexcept {
    std::uint64_t seed = 0;
    if (::getrandom(&seed, sizeof seed, 0) != sizeof seed) {
        seed = static_cast<std::uint64_t>(Clock::now().time_since_epoch().count());
    }
    return seed;
}

}  // namespace

Reactor::Reactor(std::size_t index, std::shared_ptr<Environment> environment,
                 const Options& options)
    : index_(index),
      environment_(std::move(environment)),
      options_(options),
      wheel_(Clock::now()),
      seed_(random_seed()) {}

Reactor::~Reactor() = default;

const Reactor* Reactor::current() noexcept { return current_reactor; }

void Reactor::log(Level level, std::string_view message) const {
    if (environment_->logger) environment_->logger(level, message);
}

void Reactor::start(const std::string& thread_name) {
    thread_ = std::thread([this] { work(); });
    pthread_setname_np(thread_.native_handle(), thread_name.c_str());
}

void Reactor::work() {
    // OpenSSL writes with write(2), which knows no MSG_NOSIGNAL.
    sigset_t pipe;
    sigemptyset(&pipe);
    sigaddset(&pipe, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &pipe, nullptr);
    current_reactor = this;
    while (!ending_) {
        poller_.wait(until_due());
        read_mail();
        if (wheel_users_ == 0) continue;
        const Clock::time_point now = Clock::now();
        if (now < next_tick_) continue;
        wheel_.advance(now);
        next_tick_ = now + TimerWheel::kSlot;
    }
    current_reactor = nullptr;
}

// How long the poller may wait; from here until read_mail() whoever posts must wake it.
std::chrono::milliseconds Reactor::until_due() {
    {
        const std::lock_guard lock(mutex_);
        if (!mail_.empty()) return std::chrono::milliseconds(0);
        asleep_ = true;
    }
    if (wheel_users_ == 0) return std::chrono::milliseconds(-1);
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(next_tick_ - Clock::now());
    return std::max(left, std::chrono::milliseconds(0));
}

void Reactor::stop() {
    if (!thread_.joinable()) return;
    run([this] {
        cut_all();
        {
            const std::lock_guard lock(mutex_);
            closed_ = true;
        }
        ending_ = true;
    });
    thread_.join();
    // What came after the last reading is let go here; nobody is told any more.
    std::vector<Mail> late;
    {
        const std::lock_guard lock(mutex_);
        closed_ = true;
        late.swap(mail_);
    }
}

bool Reactor::mail(std::shared_ptr<Mailed> to, std::uint64_t what) noexcept {
    bool asleep = false;
    {
        const std::lock_guard lock(mutex_);
        if (closed_) return false;
        if (mail_.empty()) mail_since_ = Clock::now();
        mail_.push_back({std::move(to), what});
        asleep = std::exchange(asleep_, false);
    }
    if (asleep) poller_.wake();
    return true;
}

bool Reactor::lags() const {
    constexpr std::chrono::seconds kLong{1};
    const std::lock_guard lock(mutex_);
    return !mail_.empty() && Clock::now() - mail_since_ > kLong;
}

bool Reactor::run(std::function<void()> call) {
    return mail(std::make_shared<Call>(std::move(call)), 0);
}

void Reactor::read_mail() {
    {
        const std::lock_guard lock(mutex_);
        asleep_ = false;
        reading_.swap(mail_);
    }
    for (Mail& letter : reading_) {
        letter.to->deliver(letter.what);
        letter.to.reset();
    }
    reading_.clear();
}

std::string_view Reactor::date() {
    timespec now{};
    ::clock_gettime(CLOCK_REALTIME_COARSE, &now);
    if (now.tv_sec != date_second_) {
        date_second_ = now.tv_sec;
        date_ = http_date(now.tv_sec);
    }
    return date_;
}

// splitmix64: every value once in 2^64, which is what an id needs.
std::uint64_t Reactor::random() noexcept {
    seed_ += 0x9E3779B97F4A7C15U;
    std::uint64_t value = seed_;
    value = (value ^ (value >> 30U)) * 0xBF58476D1CE4E5B9U;
    value = (value ^ (value >> 27U)) * 0x94D049BB133111EBU;
    return value ^ (value >> 31U);
}

void Reactor::admit(std::shared_ptr<Resident> resident) {
    resident->place_ = residents_.size();
    residents_.push_back(std::move(resident));
    hold_wheel(true);
}

void Reactor::hold_wheel(bool on) {
    if (!on) {
        --wheel_users_;
        return;
    }
    if (wheel_users_++ > 0) return;
    const Clock::time_point now = Clock::now();
    wheel_.advance(now);  // it stood still
    next_tick_ = now + TimerWheel::kSlot;
}

void Reactor::dismiss(Resident& resident) noexcept {
    const std::size_t place = resident.place_;
    if (place + 1 != residents_.size()) {
        std::swap(residents_[place], residents_.back());
        residents_[place]->place_ = place;
    }
    residents_.pop_back();
    hold_wheel(false);
    drop_load();
    if (!environment_->draining.load(std::memory_order_relaxed)) return;
    const std::lock_guard lock(environment_->mutex);
    environment_->one_less.notify_all();
}

void Reactor::for_each_resident(const std::function<void(Resident&)>& call) {
    // From the back, since those that close take themselves out of the list.
    for (std::size_t i = residents_.size(); i > 0; --i) {
        if (i > residents_.size()) continue;
        const std::shared_ptr<Resident> resident = residents_[i - 1];
        call(*resident);
    }
}

void Reactor::begin_drain() {
    for_each_resident([](Resident& resident) { resident.begin_drain(); });
}

void Reactor::visit(const std::function<bool(Exchange&)>& look) {
    for_each_resident([&look](Resident& resident) { resident.visit(look); });
}

std::size_t Reactor::cut_all() {
    std::size_t busy = 0;
    while (!residents_.empty()) {
        const std::shared_ptr<Resident> resident = residents_.back();
        if (resident->cut()) ++busy;
    }
    return busy;
}

}  // namespace larder::http
