// Contents: blocks of copied facts · one subscription · Core: publishing, distributing, delivering
// · the face.
#include "observe/event_bus.hpp"

#include <fmt/format.h>
#include <pthread.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstring>
#include <deque>
#include <map>
#include <mutex>
#include <new>
#include <set>
#include <utility>
#include <vector>

#include "larder/time.hpp"
#include "observe/log.hpp"

namespace larder::observe {
namespace {

constexpr auto kLatest = std::chrono::milliseconds(100);
constexpr std::size_t kLanes = 8;
constexpr std::size_t kBlockBytes = 32U << 10U, kBlockFacts = 256;
constexpr std::size_t kLongestText = 1024;  // of one member; the rest is cut off
constexpr std::size_t kQueuedBlocks = 64;   // a subscriber

template <std::size_t N> using Texts = std::array<std::string_view*, N>;
Texts<6> texts_of(RequestEnded& fact) {
    return {&fact.plugin, &fact.route, &fact.method, &fact.request_id, &fact.principal, &fact.peer};
}
Texts<6> texts_of(FileStored& fact) {
    return {&fact.filename, &fact.original_name, &fact.mime_type,
            &fact.sha256,   &fact.principal,     &fact.request_id};
}
Texts<4> texts_of(ProgramRan& fact) {
    return {&fact.program_id, &fact.state, &fact.principal, &fact.request_id};
}
Texts<3> texts_of(PluginChanged& fact) { return {&fact.plugin, &fact.state, &fact.reason}; }
Texts<4> texts_of(AlertChanged& fact) {
    return {&fact.key, &fact.source, &fact.severity, &fact.text};
}

// A cut never parts a character.
std::string_view cut(std::string_view text) {
    if (text.size() <= kLongestText) return text;
    std::size_t end = kLongestText;
    while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0U) == 0x80U) --end;
    return text.substr(0, end);
}

// Facts copied one behind the other, each followed by its texts. Filled by one lane, then only
// read.
class Block {
public:
    // False: it does not fit any more. A kind that is not known is passed over.
    bool add(const Event& event) {
        switch (event.kind) {
            case EventKind::request_ended: return copy<RequestEnded>(event);
            case EventKind::file_stored: return copy<FileStored>(event);
            case EventKind::program_ran: return copy<ProgramRan>(event);
            case EventKind::plugin_changed: return copy<PluginChanged>(event);
            case EventKind::alert_changed: return copy<AlertChanged>(event);
        }
        return true;
    }
    const std::vector<const Event*>& facts() const noexcept { return facts_; }
    std::uint32_t kinds() const noexcept { return kinds_; }

private:
    template <class Fact> bool copy(const Event& event) {
        static_assert(std::is_trivially_copyable_v<Fact> && sizeof(Fact) % alignof(void*) == 0);
        Fact fact;
        const std::size_t known = std::min<std::size_t>(event.size, sizeof(Fact));
        if (known < sizeof(Event)) return true;
        std::memcpy(static_cast<void*>(&fact), &event, known);
        fact.size = sizeof(Fact);
        if (fact.time_ms == 0) fact.time_ms = unix_now_ms();
        std::size_t wanted = sizeof(Fact);
        for (std::string_view* const text : texts_of(fact)) {
            *text = cut(*text);
            wanted += text->size();
        }
        const std::size_t at = (used_ + alignof(Fact) - 1) / alignof(Fact) * alignof(Fact);
        if (at + wanted > kBlockBytes || facts_.size() == kBlockFacts) return false;
        used_ = at + sizeof(Fact);
        for (std::string_view* const text : texts_of(fact)) {
            char* const place = reinterpret_cast<char*>(bytes_.data()) + used_;
            text->copy(place, text->size());
            *text = {place, text->size()};
            used_ += text->size();
        }
        facts_.push_back(new (bytes_.data() + at) Fact(fact));
        kinds_ |= event_bit(Fact::kKind);
        return true;
    }

    alignas(std::max_align_t) std::array<std::byte, kBlockBytes> bytes_;
    std::size_t used_ = 0;
    std::vector<const Event*> facts_;
    std::uint32_t kinds_ = 0;
};

struct Subscription {
    Subscription(std::string by, std::uint32_t of, EventBus::Take take)
        : owner(std::move(by)),
          kinds(of),
          body(std::make_shared<EventBus::Take>(std::move(take))) {}

    const std::string owner;
    const std::uint32_t kinds;

    // ---- guarded by Core::mutex_
    std::shared_ptr<EventBus::Take> body;  // null once withdrawn
    std::deque<std::shared_ptr<const Block>> queue;
    std::uint64_t dropped = 0;  // since the last batch
    bool open = false, calling = false;
    std::thread::id thread;  // that calls
};
using SubscriptionPtr = std::shared_ptr<Subscription>;

}  // namespace

class EventBus::Core : public std::enable_shared_from_this<Core> {
public:
    explicit Core(Log& log) : log_(log) {}

    void publish(const Event& event) noexcept;
    std::unique_ptr<Ticket> subscribe(const std::string& owner, std::uint32_t kinds, Take take);
    void withdraw(const SubscriptionPtr& subscription, bool wait);
    void open(const std::string& owner);
    std::vector<SubscriptionPtr> of(const std::string& owner);
    void shut(const std::string& owner);
    void gather();  // what is in the lanes goes to the queues
    void deliver(const SubscriptionPtr& subscription);
    void deliver_all();
    void serve();
    void end();
    void collect(Exposition& page) const;

    std::atomic<std::uint32_t> wanted_{0};

private:
    struct alignas(64) Lane {
        std::mutex mutex;
        std::shared_ptr<Block> block;  // guarded by mutex; null: nothing in it
    };
    class SubscriptionTicket final : public Ticket {
    public:
        SubscriptionTicket(std::shared_ptr<Core> core, SubscriptionPtr subscription)
            : core_(std::move(core)), subscription_(std::move(subscription)) {}
        ~SubscriptionTicket() override { core_->withdraw(subscription_, true); }
        SubscriptionTicket(const SubscriptionTicket&) = delete;
        SubscriptionTicket& operator=(const SubscriptionTicket&) = delete;

    private:
        const std::shared_ptr<Core> core_;
        const SubscriptionPtr subscription_;
    };
    struct Totals {
        std::uint64_t delivered = 0, dropped = 0;
    };

    void distribute(const std::shared_ptr<const Block>& block);
    void count_wanted();
    void wake(bool& reason);
    void call(Subscription& subscription, const Take& take, const Block& block,
              std::uint64_t dropped);

    Log& log_;
    std::array<Lane, kLanes> lanes_;
    std::atomic<std::uint64_t> out_of_memory_{0};

    mutable std::mutex mutex_;  // guards all below; taken after a lane's
    std::condition_variable wake_, ended_;
    std::vector<SubscriptionPtr> subscriptions_;
    std::set<std::string> open_;
    std::map<std::string, Totals> totals_;  // by owner
    bool begun_ = false, full_ = false;     // a lane has something; a block is full
    bool ending_ = false;
    Complaint complaint_;  // has a lock of its own
};

// ---- publishing

void EventBus::Core::publish(const Event& event) noexcept {
    if ((wanted_.load(std::memory_order_relaxed) & event_bit(event.kind)) == 0) return;
    static std::atomic<std::size_t> threads{0};
    thread_local const std::size_t mine = threads.fetch_add(1);
    // How plugins and alerts stand is told by several threads, and the last word must come last.
    const bool in_order =
        event.kind == EventKind::plugin_changed || event.kind == EventKind::alert_changed;
    Lane& lane = lanes_[in_order ? 0 : mine % kLanes];
    try {
        const std::scoped_lock lock(lane.mutex);
        if (lane.block && !lane.block->add(event)) {
            distribute(std::exchange(lane.block, nullptr));
            wake(full_);
        }
        if (lane.block) return;
        lane.block = std::make_shared<Block>();
        lane.block->add(event);
        wake(begun_);
    } catch (const std::bad_alloc&) {
        out_of_memory_.fetch_add(1);
    }
}

void EventBus::Core::wake(bool& reason) {
    const std::scoped_lock lock(mutex_);
    reason = true;
    wake_.notify_all();
}

void EventBus::Core::gather() {
    for (Lane& lane : lanes_) {
        const std::scoped_lock lock(lane.mutex);
        if (lane.block) distribute(std::exchange(lane.block, nullptr));
    }
}

void EventBus::Core::distribute(const std::shared_ptr<const Block>& block) {
    const std::scoped_lock lock(mutex_);
    for (const auto& subscription : subscriptions_) {
        if (!subscription->open || (subscription->kinds & block->kinds()) == 0) continue;
        if (subscription->queue.size() < kQueuedBlocks) {
            subscription->queue.push_back(block);
            continue;
        }
        const auto lost = static_cast<std::uint64_t>(std::count_if(
            block->facts().begin(), block->facts().end(),
            [&](const Event* fact) { return (subscription->kinds & event_bit(fact->kind)) != 0; }));
        subscription->dropped += lost;
        totals_[subscription->owner].dropped += lost;
    }
}

// ---- subscriptions

std::unique_ptr<Ticket> EventBus::Core::subscribe(const std::string& owner, std::uint32_t kinds,
                                                  Take take) {
    auto subscription = std::make_shared<Subscription>(owner, kinds, std::move(take));
    const std::scoped_lock lock(mutex_);
    subscription->open = open_.contains(owner);
    subscriptions_.push_back(subscription);
    totals_[owner];
    count_wanted();
    return std::make_unique<SubscriptionTicket>(shared_from_this(), std::move(subscription));
}

void EventBus::Core::withdraw(const SubscriptionPtr& subscription, bool wait) {
    std::shared_ptr<Take> body;
    std::unique_lock lock(mutex_);
    std::erase(subscriptions_, subscription);
    count_wanted();
    subscription->open = false;
    subscription->queue.clear();
    if (wait && subscription->thread != std::this_thread::get_id()) {
        ended_.wait(lock, [&] { return !subscription->calling; });
    }
    body = std::move(subscription->body);
    lock.unlock();  // what the body captured is the plugin's, and may lock what it likes
}

void EventBus::Core::open(const std::string& owner) {
    const std::scoped_lock lock(mutex_);
    open_.insert(owner);
    for (const auto& subscription : subscriptions_) {
        if (subscription->owner == owner) subscription->open = true;
    }
    count_wanted();
}

void EventBus::Core::shut(const std::string& owner) {
    const std::scoped_lock lock(mutex_);
    open_.erase(owner);
}

std::vector<SubscriptionPtr> EventBus::Core::of(const std::string& owner) {
    const std::scoped_lock lock(mutex_);
    std::vector<SubscriptionPtr> theirs;
    for (const auto& subscription : subscriptions_) {
        if (subscription->owner == owner) theirs.push_back(subscription);
    }
    return theirs;
}

void EventBus::Core::count_wanted() {
    std::uint32_t kinds = 0;
    for (const auto& subscription : subscriptions_) {
        if (subscription->open) kinds |= subscription->kinds;
    }
    wanted_.store(kinds, std::memory_order_relaxed);
}

// ---- delivering

// Gives it what is queued for it; waits while another thread is at that.
void EventBus::Core::deliver(const SubscriptionPtr& subscription) {
    std::unique_lock lock(mutex_);
    if (subscription->thread == std::this_thread::get_id()) return;  // from inside its own call
    for (;;) {
        ended_.wait(lock, [&] { return !subscription->calling; });
        if (subscription->queue.empty() || !subscription->body) return;
        const auto block = std::move(subscription->queue.front());
        subscription->queue.pop_front();
        const std::uint64_t dropped = std::exchange(subscription->dropped, 0);
        subscription->calling = true;
        subscription->thread = std::this_thread::get_id();
        auto body = subscription->body;
        lock.unlock();
        call(*subscription, *body, *block, dropped);
        body.reset();
        lock.lock();
        subscription->calling = false;
        subscription->thread = {};
        ended_.notify_all();
    }
}

void EventBus::Core::call(Subscription& subscription, const Take& take, const Block& block,
                          std::uint64_t dropped) {
    std::vector<const Event*> wanted;
    wanted.reserve(block.facts().size());
    for (const Event* const fact : block.facts()) {
        if ((subscription.kinds & event_bit(fact->kind)) != 0) wanted.push_back(fact);
    }
    std::string fault;
    try {
        take({wanted, dropped});
    } catch (const std::exception& error) {
        fault = error.what();
    } catch (...) {
        fault = "what is no std::exception";
    }
    if (!fault.empty()) {
        complaint_.complain(
            log_, Level::error,
            fmt::format("{} threw at a batch of {} events, which are lost to it: {}",
                        subscription.owner, wanted.size(), fault));
    }
    const std::scoped_lock lock(mutex_);
    Totals& totals = totals_[subscription.owner];
    (fault.empty() ? totals.delivered : totals.dropped) += wanted.size();
}

void EventBus::Core::deliver_all() {
    std::vector<SubscriptionPtr> all;
    {
        const std::scoped_lock lock(mutex_);
        all = subscriptions_;
    }
    for (const auto& subscription : all) deliver(subscription);
}

void EventBus::Core::serve() {
    pthread_setname_np(pthread_self(), "larder:events");
    std::unique_lock lock(mutex_);
    for (;;) {
        wake_.wait(lock, [this] { return begun_ || full_ || ending_; });
        wake_.wait_for(lock, kLatest, [this] { return full_ || ending_; });
        const bool last = ending_;
        begun_ = full_ = false;
        lock.unlock();
        gather();
        deliver_all();
        if (last) return;
        lock.lock();
    }
}

void EventBus::Core::end() {
    const std::scoped_lock lock(mutex_);
    ending_ = true;
    wake_.notify_all();
}

void EventBus::Core::collect(Exposition& page) const {
    const std::scoped_lock lock(mutex_);
    for (const auto& [owner, totals] : totals_) {
        const std::string labels = label("subscriber", owner);
        page.counter("larder_events_delivered_total", "Events that subscribers took.", labels,
                     totals.delivered);
        page.counter("larder_events_dropped_total",
                     "Events lost to subscribers that did not take them in time, or threw.", labels,
                     totals.dropped);
    }
    page.counter("larder_events_unpublished_total", "Events that there was no memory for.", {},
                 out_of_memory_.load());
}

// ---- the face

EventBus::EventBus(Log& log) : core_(std::make_shared<Core>(log)) {}
EventBus::~EventBus() { stop(); }

void EventBus::start() {
    thread_ = std::thread([core = core_] { core->serve(); });
}

void EventBus::stop() {
    core_->end();
    if (thread_.joinable()) thread_.join();
}

void EventBus::publish(const Event& event) noexcept { core_->publish(event); }

bool EventBus::wanted(EventKind kind) const noexcept {
    return (core_->wanted_.load(std::memory_order_relaxed) & event_bit(kind)) != 0;
}

std::unique_ptr<Ticket> EventBus::subscribe(const std::string& owner, std::uint32_t kinds,
                                            Take take) {
    return core_->subscribe(owner, kinds, std::move(take));
}

void EventBus::open(const std::string& owner) { core_->open(owner); }

void EventBus::close(const std::string& owner) {
    core_->gather();
    for (const auto& subscription : core_->of(owner)) {
        core_->deliver(subscription);
        core_->withdraw(subscription, true);
    }
    core_->shut(owner);
}

void EventBus::abandon(const std::string& owner) {
    core_->shut(owner);
    for (const auto& subscription : core_->of(owner)) core_->withdraw(subscription, false);
}

void EventBus::flush() {
    core_->gather();
    core_->deliver_all();
}

void EventBus::collect(Exposition& page) const { core_->collect(page); }

}  // namespace larder::observe
