// Contents: scripts · what workers use · the keeper: coming back, serving, going.
#include "redis_link.hpp"

#include <fmt/format.h>
#include <openssl/evp.h>
#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <random>
#include <system_error>
#include <utility>

#include "larder/time.hpp"
#include "redis_scripts.hpp"
#include "storage-kit/encodings.hpp"

namespace larder::cache {
namespace {

constexpr auto kFirstPause = std::chrono::milliseconds(100),
               kLastPause = std::chrono::milliseconds(5000);
constexpr auto kLook = std::chrono::milliseconds(1000);

// Errors that say that this Redis is of no use now, whatever it is asked.
bool is_of_its_state(std::string_view error) {
    static constexpr std::array<std::string_view, 9> kWords = {
        "READONLY",  "LOADING", "MISCONF",    "NOAUTH", "NOPERM",
        "WRONGPASS", "OOM",     "MASTERDOWN", "BUSY"};
    return std::any_of(kWords.begin(), kWords.end(),
                       [&](std::string_view word) { return error.starts_with(word); });
}

RedisReply run_script(RedisConnection& connection, const Script& script, std::string_view prefix,
                      const std::vector<std::string_view>& arguments,
                      RedisConnection::Deadline deadline) {
    std::vector<std::string_view> words{"EVALSHA", script.sha1(), "1", prefix};
    words.insert(words.end(), arguments.begin(), arguments.end());
    RedisReply reply = connection.ask(words, deadline);
    if (reply.kind != RedisReply::Kind::error || !reply.text.starts_with("NOSCRIPT")) return reply;
    words[0] = "EVAL";
    words[1] = script.source();
    return connection.ask(words, deadline);
}

}  // namespace

// ---- scripts

// Redis names a script by its SHA-1; nothing here rests on its strength.
Script::Script(std::string_view source) : source_(source) {
    std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
    unsigned size = 0;
    if (EVP_Digest(source.data(), source.size(), digest.data(), &size, EVP_sha1(), nullptr) != 1) {
        return;  // an unknown name: Redis is sent the source then
    }
    sha1_ = storage::to_hex(std::span(digest).first(size));
}

// ---- what workers use

RedisLink::RedisLink(LinkOptions options, LinkHooks hooks)
    : options_(std::move(options)),
      hooks_(std::move(hooks)),
      why_("not connected yet"),
      since_ms_(unix_now_ms()),
      wake_fd_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
    if (wake_fd_ < 0) throw std::system_error(errno, std::generic_category(), "eventfd");
}

RedisLink::~RedisLink() {
    stop();
    ::close(wake_fd_);
}

void RedisLink::start() {
    keeper_ = std::thread([this] {
        pthread_setname_np(pthread_self(), "cache-redis");
        keep();
    });
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return tried_; });
}

void RedisLink::stop() noexcept {
    {
        const std::scoped_lock lock(mutex_);
        stopping_ = true;
    }
    changed_.notify_all();
    ::eventfd_write(wake_fd_, 1);
    if (keeper_.joinable()) keeper_.join();
    ready_.store(false);
    idle_.clear();
}

LinkFacts RedisLink::facts() const {
    const std::scoped_lock lock(mutex_);
    return {is_ready(), why_, errors_, returns_, since_ms_};
}

void RedisLink::kick() noexcept {
    {
        const std::scoped_lock lock(mutex_);
        kicked_ = true;
    }
    ::eventfd_write(wake_fd_, 1);
}

void RedisLink::fail(std::uint64_t era, std::string why) {
    {
        const std::scoped_lock lock(mutex_);
        ++errors_;
        if (era != era_) return;  // of a connection from before; it came back since
        ++era_;
        ready_.store(false, std::memory_order_release);
        why_ = std::move(why);
        since_ms_ = unix_now_ms();
        idle_.clear();
    }
    ::eventfd_write(wake_fd_, 1);
}

template <class Ask> RedisReply RedisLink::guarded(Ask ask) {
    std::unique_ptr<RedisConnection> connection;
    std::uint64_t era = 0;
    {
        const std::scoped_lock lock(mutex_);
        if (!is_ready()) throw RedisAway();
        era = era_;
        if (!idle_.empty()) {
            connection = std::move(idle_.back());
            idle_.pop_back();
        }
    }
    try {
        const auto until = deadline();
        if (!connection) connection = std::make_unique<RedisConnection>(options_.address, until);
        RedisReply reply = ask(*connection, until);
        const bool refused = reply.kind == RedisReply::Kind::error;
        if (refused && is_of_its_state(reply.text)) {
            throw RedisFailed(fmt::format("it says '{}'", reply.text));
        }
        const std::scoped_lock lock(mutex_);
        if (era == era_ && idle_.size() < options_.most_idle)
            idle_.push_back(std::move(connection));
        if (!refused) return reply;
        ++errors_;
        throw RedisAway();
    } catch (const RedisFailed& failed) {
        fail(era, failed.what());
        throw RedisAway();
    }
}

RedisReply RedisLink::run(const Script& script, const std::vector<std::string_view>& arguments) {
    return guarded([&](RedisConnection& connection, Clock::time_point until) {
        return run_script(connection, script, options_.prefix, arguments, until);
    });
}

RedisReply RedisLink::ask(const std::vector<std::string_view>& words) {
    return guarded([&](RedisConnection& connection, Clock::time_point until) {
        return connection.ask(words, until);
    });
}

RedisReply RedisLink::run_on(RedisConnection& connection, const Script& script,
                             const std::vector<std::string_view>& arguments) const {
    RedisReply reply = run_script(connection, script, options_.prefix, arguments, deadline());
    if (reply.kind != RedisReply::Kind::error) return reply;
    throw RedisFailed(fmt::format("it says '{}'", reply.text));
}

// ---- the keeper

// True when it is time to end.
bool RedisLink::pause(std::chrono::milliseconds time) {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, time, [this] { return stopping_; });
    return stopping_;
}

void RedisLink::set_away(const std::string& why) {
    commands_.reset();
    subscription_.reset();
    {
        const std::scoped_lock lock(mutex_);
        if (ready_.exchange(false)) {
            ++era_;
            since_ms_ = unix_now_ms();
        }
        why_ = why;
        idle_.clear();
    }
    hooks_.went(why);
    const std::scoped_lock lock(mutex_);
    tried_ = true;
    changed_.notify_all();
}

void RedisLink::keep() {
    std::minstd_rand dice(std::random_device{}());
    auto wait = kFirstPause;
    for (;;) {
        try {
            come_back();
            wait = kFirstPause;
            serve();
        } catch (const std::exception& failed) {
            set_away(fmt::format("Redis at {}: {}", options_.address.name(), failed.what()));
        }
        // Up to half as long again, so that many daemons do not all come at once.
        const std::chrono::milliseconds jitter(dice() % static_cast<unsigned>(wait.count() / 2));
        if (pause(wait + jitter)) return;
        wait = std::min<std::chrono::milliseconds>(wait * 2, kLastPause);
    }
}

// Connects, proves that it can be written to, hears what others publish, and mends what could not
// be done while it was away; then it is used.
void RedisLink::come_back() {
    const auto until = deadline();
    commands_ = std::make_unique<RedisConnection>(options_.address, until);
    subscription_ = std::make_unique<RedisConnection>(options_.address, until);
    epoch_ = run_on(*commands_, scripts::hello(), {scripts::fresh_epoch()}).text;
    std::string command;
    const std::string channel = options_.prefix + "changes";
    append_command(command, {"SUBSCRIBE", channel});
    const auto replies = subscription_->exchange(command, 1, deadline());
    if (replies[0].kind != RedisReply::Kind::array || replies[0].items.size() != 3) {
        throw RedisFailed("it answers a SUBSCRIBE with something else");
    }
    hooks_.before_return(*commands_);
    hooks_.returned();
    const std::scoped_lock lock(mutex_);
    ++era_;
    ++returns_;
    since_ms_ = unix_now_ms();
    why_.clear();
    tried_ = true;
    ready_.store(true, std::memory_order_release);
    changed_.notify_all();
}

// Until Redis fails, here or to a worker, or it is time to end.
void RedisLink::serve() {
    auto next_look = Clock::now() + kLook;
    for (;;) {
        while (const auto message = subscription_->try_read(Clock::now())) {
            const auto& items = message->items;
            if (items.size() == 3 && items[0].text == "message") hooks_.published(items[2].text);
        }
        const auto left = std::chrono::ceil<std::chrono::milliseconds>(next_look - Clock::now());
        std::array<pollfd, 2> both = {{{subscription_->fd(), POLLIN, 0}, {wake_fd_, POLLIN, 0}}};
        (void)::poll(both.data(), both.size(),
                     static_cast<int>(std::max<std::int64_t>(left.count(), 0)));
        eventfd_t count = 0;
        (void)::eventfd_read(wake_fd_, &count);
        bool kicked = false;
        {
            const std::scoped_lock lock(mutex_);
            if (stopping_) return;
            if (!is_ready()) throw RedisFailed(why_);
            kicked = std::exchange(kicked_, false);
        }
        if (kicked && hooks_.has_leftovers()) hooks_.before_return(*commands_);
        if (Clock::now() >= next_look) {
            look_after(*commands_);
            next_look = Clock::now() + kLook;
        }
    }
}

// Finds a Redis that hangs, or was flushed, while nobody else asks it anything. The subscription is
// asked, too: half of a connection may be gone.
void RedisLink::look_after(RedisConnection& connection) {
    const std::string epoch = run_on(connection, scripts::hello(), {scripts::fresh_epoch()}).text;
    if (epoch != epoch_) {
        epoch_ = epoch;
        hooks_.flushed();
    }
    std::string ping;
    append_command(ping, {"PING"});
    const auto until = deadline();
    subscription_->send(ping, until);
    for (;;) {
        const auto reply = subscription_->try_read(until);
        if (!reply) throw RedisFailed("its subscription does not answer in time");
        const auto& items = reply->items;
        if (items.size() == 3 && items[0].text == "message") hooks_.published(items[2].text);
        if (items.size() == 2 && items[0].text == "pong") return;
    }
}

}  // namespace larder::cache
