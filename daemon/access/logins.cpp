#include "access/logins.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <exception>
#include <utility>

#include "access/secrets.hpp"
#include "storage-kit/digest.hpp"
#include "storage-kit/encodings.hpp"
#include "storage-kit/random.hpp"

namespace larder::access {
namespace {

// As much work as a real one: an unknown name must take as long to refuse as a known one.
std::string unused_hash() {
    const ScryptCost cost;
    return fmt::format("$scrypt$ln={},r={},p={}${}${}", cost.log_n, cost.r, cost.p,
                       storage::to_base64url(storage::random_bytes(16)),
                       storage::to_base64url(storage::random_bytes(32)));
}

}  // namespace

Logins::Logins(const Accounts& accounts, Failures& failures, std::function<bool(Task)> post)
    : accounts_(accounts),
      failures_(failures),
      post_(std::move(post)),
      key_(storage::random_bytes(32)),
      dummy_(unused_hash()) {}

void Logins::set_limits(const Limits& limits) {
    throttle_.set_limits(limits.throttle);
    const std::scoped_lock lock(mutex_);
    remember_ = limits.remember;
    if (remember_.count() == 0) remembered_.clear();
}

bool Logins::remembers(const User& user, std::string_view password) {
    const std::string key = digest(user.name, password);
    const std::scoped_lock lock(mutex_);
    const auto found = remembered_.find(key);
    if (found == remembered_.end()) return false;
    if (found->second.hash == user.password_hash && found->second.until > Throttle::Clock::now()) {
        return true;
    }
    remembered_.erase(found);
    return false;
}

std::variant<AttemptPtr, Logins::Throttled, Logins::Busy> Logins::begin(
    std::string_view user, std::string_view password, const Caller& caller,
    std::function<void()> done) {
    const auto wait = throttle_.admit(caller.address, user, Throttle::Clock::now());
    if (wait.count() > 0) {
        failures_.note(Fault::throttled, caller.address, user, caller.request_id);
        return Throttled{wait};
    }
    auto attempt = std::make_shared<Attempt>();
    bool start = false;
    {
        const std::scoped_lock lock(mutex_);
        start = running_ < kMostAtOnce;
        if (waiting_.size() < kMostWaiting) {
            waiting_.push_back({attempt, std::string(user), std::string(password),
                                std::string(caller.address), std::string(caller.request_id),
                                std::move(done)});
            if (start) ++running_;
        } else {
            attempt = nullptr;
        }
    }
    if (attempt && start && !post_([this] { work(); })) {
        const std::scoped_lock lock(mutex_);
        --running_;
        // Others may be at work, and have taken it; else nobody would.
        const auto mine = std::find_if(waiting_.begin(), waiting_.end(),
                                       [&](const Waiting& one) { return one.attempt == attempt; });
        if (running_ == 0 && mine != waiting_.end()) {
            waiting_.erase(mine);
            attempt = nullptr;
        }
    }
    if (attempt) return AttemptPtr(std::move(attempt));
    throttle_.refund(caller.address, user);
    return Busy{};
}

void Logins::work() {
    for (;;) {
        Waiting next;
        {
            const std::scoped_lock lock(mutex_);
            if (waiting_.empty()) {
                --running_;
                return;
            }
            next = std::move(waiting_.front());
            waiting_.pop_front();
        }
        auto state = Attempt::State::failed;
        try {
            const bool right = is_right(next.user, next.password, {next.address, next.request_id});
            state = right ? Attempt::State::right : Attempt::State::wrong;
        } catch (const std::exception&) {  // told to the caller as a 500 by the state
        }
        next.attempt->state_.store(state, std::memory_order_release);
        next.done();
    }
}

std::variant<bool, Logins::Throttled> Logins::check(std::string_view user,
                                                    std::string_view password,
                                                    const Caller& caller) {
    const auto wait = throttle_.admit(caller.address, user, Throttle::Clock::now());
    if (wait.count() == 0) return is_right(user, password, caller);
    failures_.note(Fault::throttled, caller.address, user, caller.request_id);
    return Throttled{wait};
}

// An attempt that the throttle has let in.
bool Logins::is_right(std::string_view user, std::string_view password, const Caller& caller) {
    const auto directory = accounts_.now();
    const auto found = directory->users.find(user);
    const bool known = found != directory->users.end();
    const bool right = is_password(password, known ? found->second.password_hash : dummy_);
    if (!known || !right || found->second.disabled) {
        failures_.note(Fault::password, caller.address, user, caller.request_id);
        return false;
    }
    throttle_.refund(caller.address, user);
    remember(found->second, password);
    return true;
}

std::string Logins::digest(std::string_view user, std::string_view password) const {
    storage::Sha256 sum;
    sum.update(key_);
    sum.update(fmt::format("{}:{}:", user.size(), user));
    sum.update(password);
    const auto digest = sum.finish();
    return {digest.begin(), digest.end()};
}

void Logins::remember(const User& user, std::string_view password) {
    const std::string key = digest(user.name, password);
    const auto now = Throttle::Clock::now();
    const std::scoped_lock lock(mutex_);
    if (remember_.count() == 0) return;
    if (remembered_.size() >= kMostRemembered) {
        remembered_.erase(std::min_element(
            remembered_.begin(), remembered_.end(),
            [](const auto& a, const auto& b) { return a.second.until < b.second.until; }));
    }
    remembered_[key] = {user.password_hash, now + remember_};
}

}  // namespace larder::access
