#include "notify/notifier.hpp"

#include <fmt/format.h>
#include <pthread.h>

#include <algorithm>
#include <utility>

#include "larder/time.hpp"

namespace larder::notify {

Notifier::Notifier(std::string name, Log& log, std::function<bool(const Notice&)> deliver,
                   std::chrono::milliseconds first_pause, std::chrono::milliseconds longest_pause)
    : name_(std::move(name)),
      log_(log),
      deliver_(std::move(deliver)),
      first_pause_(first_pause),
      longest_pause_(longest_pause) {}

Notifier::~Notifier() { stop(); }

void Notifier::tell(const observe::Alert& alert) {
    const std::scoped_lock lock(mutex_);
    if (stopping_) return;
    if (waiting_.size() >= kMostWaiting) {
        waiting_.pop_front();
        log_.write(Level::error,
                   fmt::format("{}: {} notices of alerts wait, so the oldest was lost", name_,
                               kMostWaiting));
    }
    waiting_.push_back({fmt::format("{}-{}", unix_now_ms(), next_++), alert});
    if (!thread_.joinable()) {
        thread_ = std::thread([this] {
            pthread_setname_np(pthread_self(), name_.substr(0, 15).c_str());
            run();
        });
    }
    changed_.notify_all();
}

void Notifier::stop() {
    {
        const std::scoped_lock lock(mutex_);
        stopping_ = true;
        changed_.notify_all();
    }
    if (thread_.joinable()) thread_.join();
}

void Notifier::run() {
    std::unique_lock lock(mutex_);
    for (;;) {
        changed_.wait(lock, [this] { return stopping_ || !waiting_.empty(); });
        if (stopping_) return;
        const Notice notice = std::move(waiting_.front());
        waiting_.pop_front();
        auto pause = first_pause_;
        for (unsigned tries = 1;; ++tries) {
            lock.unlock();
            const bool over = try_once(notice, tries);
            lock.lock();
            if (over || stopping_) break;
            changed_.wait_for(lock, pause, [this] { return stopping_; });
            if (stopping_) return;
            pause = std::min(pause * 2, longest_pause_);
        }
    }
}

// True: it was taken, or is given up.
bool Notifier::try_once(const Notice& notice, unsigned tries) {
    std::string why;
    bool give_up = tries == kMostTries;
    try {
        deliver_(notice);
        return true;
    } catch (const NotTaken& error) {
        why = error.what();
        give_up = give_up || error.is_final();
    } catch (const std::exception& error) {
        why = error.what();
    }
    log_.write(give_up ? Level::error : Level::warning,
               fmt::format("{}: alert {} of {} was not taken: {}; {}", name_, notice.alert.key,
                           notice.alert.source, why,
                           give_up ? "it is given up" : "it will be tried again"));
    return give_up;
}

}  // namespace larder::notify
