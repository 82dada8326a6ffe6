// One thread for all streams; it formats, the reactors send.
//
//   Watcher, Round   who watches, what is made once for many
//   opening          a request becomes a watcher
//   the thread       rounds, heartbeats, the end
#include "kv_watch.hpp"

#include <fmt/format.h>
#include <pthread.h>

#include <algorithm>
#include <charconv>
#include <optional>
#include <tuple>
#include <utility>

#include "kv_answers.hpp"
#include "kv_values.hpp"
#include "storage-kit/json.hpp"
#include "storage-kit/query.hpp"

namespace larder::kv {
namespace {

using storage::Event;
using storage::Version;
using Clock = std::chrono::steady_clock;
using Block = std::shared_ptr<const std::string>;

constexpr auto kHeartbeat = std::chrono::seconds(15);
constexpr std::uint64_t kBlockBytes = 256U << 10U;  // of one watcher's block in a round, about
constexpr auto kLeastRest = std::chrono::microseconds(2000);
constexpr auto kRestPerWatcher = std::chrono::microseconds(50);
constexpr auto kMostRest = std::chrono::microseconds(250'000);

Version parse_id(std::string_view text, std::string_view name) {
    Version id{0, 0};
    const char* const end = text.data() + text.size();
    const auto epoch = std::from_chars(text.data(), end, id.epoch);
    if (epoch.ec == std::errc() && epoch.ptr != end && *epoch.ptr == '-') {
        const auto revision = std::from_chars(epoch.ptr + 1, end, id.revision);
        if (revision.ec == std::errc() && revision.ptr == end && id.epoch > 0) return id;
    }
    throw storage::invalid_parameter(name, "an id is <epoch>-<revision>, as the stream gave it");
}

// Where to go on; nothing: from now on.
std::optional<Version> asked_for(const Request& request) {
    for (const char* other : {"limit", "cursor", "where", "all"}) {
        if (request.query(other)) {
            throw storage::invalid_parameter(other,
                                             "watch=true goes with prefix, since and values");
        }
    }
    const auto header = request.header("Last-Event-ID");
    if (header && !header->empty()) return parse_id(*header, "Last-Event-ID");
    if (const auto since = request.query("since")) return parse_id(*since, "since");
    return std::nullopt;
}

std::string heartbeat(const Version& at) {
    return fmt::format(": here\nid: {}\n\n", revision_header(at));
}

void append_event(std::string& out, const Event& event, bool values) {
    const storage::Document& document = *event.document;
    switch (event.kind) {
        case Event::Kind::set: out += "event: set\n"; break;
        case Event::Kind::remove: out += "event: delete\n"; break;
        case Event::Kind::expire: out += "event: expire\n"; break;
    }
    out += R"(data: {"key":)";
    storage::json::append_quoted(out, document.key);
    fmt::format_to(std::back_inserter(out), R"(,"revision":{})", document.revision);
    if (values) {
        out += R"(,"value":)";
        out += event.kind == Event::Kind::set ? document.value : "null";
    }
    out += "}\n";
}

}  // namespace

// ---- Watcher, Round

struct Watches::Watcher {
    std::shared_ptr<Bucket> bucket;
    std::string prefix;
    bool values = true;
    Version at;  // everything up to here is in its queue; only the thread, once it has it
    std::shared_ptr<EventStream> stream;
    std::atomic<bool> blocked = false;  // its queue is full
    std::atomic<bool> gone = false;     // its client has left
    std::atomic<bool> counted = true;   // in active_
};

// What came to one bucket since the last round, made once for all who want the same of it.
class Watches::Round {
public:
    Round(const History& history, std::shared_ptr<std::atomic<std::uint64_t>> outstanding)
        : newest(history.newest()), history_(history), outstanding_(std::move(outstanding)) {}

    const Version newest;

    struct Part {
        History::Reach reach;
        Block block;  // null: nothing of it is wanted
        Version to;   // where whoever got it stands
    };
    const Part& part(const Watcher& watcher) {
        auto [at, fresh] = parts_.try_emplace(
            {watcher.at.epoch, watcher.at.revision, watcher.values, watcher.prefix});
        if (fresh) at->second = make(watcher);
        return at->second;
    }

private:
    Part make(const Watcher& watcher) const {
        std::vector<BatchPtr> batches;
        Part part{history_.since(watcher.at, kBlockBytes, batches), nullptr, watcher.at};
        if (batches.empty()) return part;
        part.to.revision = batches.back()->last();
        std::string text;
        for (const BatchPtr& batch : batches) append(text, *batch, watcher);
        if (!text.empty()) part.block = counted(std::move(text));
        return part;
    }

    // The id stands on the last event of a commit that is shown, so that a cut in its midst repeats
    // all of it.
    static void append(std::string& text, const Batch& batch, const Watcher& watcher) {
        bool open = false;  // an event was not ended yet
        for (const Event& event : batch.events) {
            const storage::Document& document = *event.document;
            if (document.revision <= watcher.at.revision) continue;
            if (document.key.starts_with(watcher.prefix)) {
                if (std::exchange(open, true)) text += '\n';
                append_event(text, event, watcher.values);
            }
            if (event.last && std::exchange(open, false)) {
                fmt::format_to(std::back_inserter(text), "id: {}-{}\n\n", watcher.at.epoch,
                               document.revision);
            }
        }
    }

    Block counted(std::string text) const {
        outstanding_->fetch_add(text.size(), std::memory_order_relaxed);
        return Block(new std::string(std::move(text)),
                     [outstanding = outstanding_](const std::string* gone) {
                         outstanding->fetch_sub(gone->size(), std::memory_order_relaxed);
                         delete gone;
                     });
    }

    const History& history_;
    const std::shared_ptr<std::atomic<std::uint64_t>> outstanding_;
    std::map<std::tuple<std::uint64_t, std::uint64_t, bool, std::string>, Part> parts_;
};

// ---- opening

Watches::Watches(Buckets& buckets, Host& host, WatchOptions options)
    : buckets_(buckets),
      options_(options),
      gauge_(host.metrics().gauge("larder_kv_watchers", "Streams of changes that are open.")),
      cut_off_(host.metrics().counter("larder_kv_watchers_cut_total",
                                      "Watchers that were too slow and were cut off.")),
      outstanding_(std::make_shared<std::atomic<std::uint64_t>>(0)),
      thread_([this] { serve(); }) {
    buckets_.histories().wake = [this] { wake(); };
}

Watches::~Watches() {
    {
        const std::lock_guard lock(mutex_);
        ending_ = true;
    }
    wake_.notify_all();
    thread_.join();
}

void Watches::open(const Request& request, Reply reply) {
    const std::string_view name = request.param("bucket");
    const auto asked = asked_for(request);
    auto watcher = std::make_shared<Watcher>();
    watcher->values = storage::flag_of(request, "values", true);
    watcher->prefix = request.query("prefix").value_or("");
    // One that was removed is not there, but whoever watched it is told why.
    watcher->bucket = asked ? buckets_.find_even_removed(name) : buckets_.find(name);
    if (!watcher->bucket) throw bucket_not_found();
    const Version now = watcher->bucket->store().version();
    History& history = watcher->bucket->history();
    watcher->at = asked.value_or(history.newest());
    if (watcher->at.epoch != now.epoch) {
        throw Error(Errc::gone, "epoch-changed",
                    "the bucket's history began anew since; read it again, then watch from there")
            .with_header(kVersionField, revision_header(now));
    }
    if (!buckets_.find(name)) throw bucket_not_found();
    if (watcher->at.revision > now.revision) {
        throw storage::invalid_parameter(request.query("since") ? "since" : "Last-Event-ID",
                                         "the bucket has not come so far");
    }
    std::vector<BatchPtr> unused;
    if (history.since(watcher->at, 0, unused) == History::Reach::compacted) {
        throw Error(Errc::gone, "compacted",
                    "the changes since are not kept any more; read the bucket, then watch from "
                    "there")
            .with_header(kVersionField, revision_header(now));
    }
    if (active_.fetch_add(1) >= options_.most_watchers) {
        active_.fetch_sub(1);
        throw Error(Errc::unavailable, "too-many-watchers",
                    fmt::format("there are {} watchers already", options_.most_watchers))
            .with("limit", std::to_string(options_.most_watchers))
            .with_header("Retry-After", "5");
    }
    gauge_.set(static_cast<double>(active_.load()));
    const auto told = [this, weak = std::weak_ptr<Watcher>(watcher)](bool gone) {
        const auto known = weak.lock();
        if (!known) return;
        if (gone) let_go(*known);
        known->gone = known->gone || gone;
        known->blocked = false;
        known->bucket->history().dirty = true;
        wake();
    };
    StreamHead head;
    head.headers.emplace_back(kVersionField, revision_header(now));
    head.writable = [told] { told(false); };
    head.closed = [told] { told(true); };
    watcher->stream = std::move(reply).stream(std::move(head));
    watcher->stream->send(std::make_shared<const std::string>(heartbeat(watcher->at)));
    history.watchers.fetch_add(1);
    history.dirty = true;
    {
        const std::lock_guard lock(mutex_);
        if (!draining_) {
            fresh_.push_back(std::move(watcher));
        } else {
            watcher->stream->close();
            let_go(*watcher);
        }
    }
    wake();
}

// Counted no more; whoever sees it go first does it.
void Watches::let_go(Watcher& watcher) noexcept {
    if (!watcher.counted.exchange(false)) return;
    watcher.bucket->history().watchers.fetch_sub(1);
    gauge_.set(static_cast<double>(active_.fetch_sub(1) - 1));
}

// ---- the thread

void Watches::wake() noexcept {
    if (work_.exchange(true, std::memory_order_acq_rel)) return;
    const std::lock_guard lock(mutex_);
    if (sleeping_) wake_.notify_one();
}

std::chrono::milliseconds Watches::rest() const {
    const auto wanted = kLeastRest + kRestPerWatcher * active_.load(std::memory_order_relaxed);
    return std::chrono::ceil<std::chrono::milliseconds>(
        std::min<std::chrono::microseconds>(wanted, kMostRest));
}

void Watches::serve() {
    pthread_setname_np(pthread_self(), "larder-kv-watch");
    auto next_beat = Clock::now() + kHeartbeat;
    std::unique_lock lock(mutex_);
    while (!ending_) {
        sleeping_ = true;
        wake_.wait_until(lock, next_beat, [this] { return work_ || draining_ || ending_; });
        sleeping_ = false;
        if (over_ || ending_) {
            wake_.wait(lock, [this] { return ending_; });
            break;
        }
        const bool last = draining_;
        work_.store(false, std::memory_order_release);
        std::vector<WatcherPtr> fresh = std::exchange(fresh_, {});
        lock.unlock();
        adopt(std::move(fresh));
        const bool more = go_round();
        if (last) end_all();
        if (Clock::now() >= next_beat) {
            beat();
            next_beat += kHeartbeat;
        }
        lock.lock();
        if (more) work_ = true;
        if (last) {
            over_ = true;
            drained_.notify_all();
        }
        // Changes that come meanwhile go out together in the next round.
        wake_.wait_for(lock, rest(), [this] { return draining_ || ending_; });
    }
}

void Watches::adopt(std::vector<WatcherPtr> fresh) {
    for (WatcherPtr& watcher : fresh) {
        watched_[watcher->bucket.get()].push_back(std::move(watcher));
    }
}

bool Watches::go_round() {
    bool more = false;
    for (auto at = watched_.begin(); at != watched_.end();) {
        auto& [bucket, watchers] = *at;
        if (bucket->history().dirty.exchange(false, std::memory_order_acq_rel)) {
            Round round(bucket->history(), outstanding_);
            std::erase_if(watchers,
                          [&](const WatcherPtr& watcher) { return !attend(*watcher, round); });
            for (const WatcherPtr& watcher : watchers) {
                if (watcher->blocked || watcher->at.revision >= round.newest.revision) continue;
                bucket->history().dirty = more = true;
                break;
            }
        }
        at = watchers.empty() ? watched_.erase(at) : std::next(at);
    }
    return more;
}

// Gives it what came. False: it is over.
bool Watches::attend(Watcher& watcher, Round& round) {
    if (watcher.gone) return false;
    const bool fallen = watcher.at.epoch != round.newest.epoch;
    if (!fallen && (watcher.blocked || watcher.at.revision >= round.newest.revision)) return true;
    // Slow ones hold blocks; while they hold too many, the rest wait with them.
    if (!fallen && outstanding_->load(std::memory_order_relaxed) > options_.most_bytes) return true;
    const Round::Part& part = round.part(watcher);
    if (part.reach != History::Reach::whole) {
        if (part.reach == History::Reach::compacted) cut_off_.add();
        watcher.stream->close();
        let_go(watcher);
        return false;
    }
    const auto sent = part.block ? give(watcher, part.block) : EventStream::Sent::taken;
    if (sent == EventStream::Sent::taken) watcher.at = part.to;
    if (sent == EventStream::Sent::closed) let_go(watcher);
    return sent != EventStream::Sent::closed;
}

EventStream::Sent Watches::give(Watcher& watcher, Block block) {
    watcher.blocked = true;  // before, since room may be told of at once
    const auto sent = watcher.stream->send(std::move(block));
    if (sent != EventStream::Sent::full) watcher.blocked = false;
    return sent;
}

// Tells those who have everything where that is.
void Watches::beat() {
    for (auto& [bucket, watchers] : watched_) {
        const Version newest = bucket->history().newest();
        const Block block = std::make_shared<const std::string>(heartbeat(newest));
        for (const WatcherPtr& watcher : watchers) {
            if (watcher->blocked || watcher->at.epoch != newest.epoch ||
                watcher->at.revision != newest.revision) {
                continue;
            }
            give(*watcher, block);
        }
    }
}

void Watches::end_all() {
    for (int round = 0; round < 64 && go_round(); ++round) {  // a block a round
    }
    beat();
    for (auto& [bucket, watchers] : watched_) {
        for (const WatcherPtr& watcher : watchers) {
            watcher->stream->close();
            let_go(*watcher);
        }
    }
    watched_.clear();
}

void Watches::drain() {
    for (const auto& bucket : buckets_.all()) {
        // What was under way is in the history after this.
        if (bucket->is_readable() && bucket->history().watchers > 0) {
            bucket->store().commit_and_wait([](storage::Transaction&) {});
        }
    }
    std::unique_lock lock(mutex_);
    draining_ = true;
    wake_.notify_all();
    drained_.wait(lock, [this] { return over_; });
}

}  // namespace larder::kv
