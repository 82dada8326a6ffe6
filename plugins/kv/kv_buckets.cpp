#include "kv_buckets.hpp"

#include <fmt/format.h>
#include <pthread.h>

#include <algorithm>
#include <array>

#include "larder/time.hpp"

namespace larder::kv {
namespace {

using storage::Finding;
using storage::StoreState;

constexpr std::size_t kMaxBuckets = 10000;
constexpr auto kUpkeepStep = std::chrono::milliseconds(250);
constexpr auto kRetryCheckpoint = std::chrono::seconds(10);
constexpr std::array<std::string_view, 3> kConfigBuckets = {"feature_flags", "server_config",
                                                            "user_preferences"};

bool is_well_known(std::string_view name) {
    return name == "storage" ||
           std::find(kConfigBuckets.begin(), kConfigBuckets.end(), name) != kConfigBuckets.end();
}

// One that was never written to, or was removed, is not there, but for those that always are.
bool is_there(const Bucket& bucket) {
    if (!bucket.is_readable()) return true;
    const auto& store = bucket.store();
    return (store.version().revision > 0 && !store.is_cleared()) || is_well_known(bucket.name());
}

Level level_of(Finding::Kind kind) {
    return kind == Finding::Kind::damaged || kind == Finding::Kind::unreadable ? Level::error
           : kind == Finding::Kind::recovered                                  ? Level::info
                                                                               : Level::warning;
}

}  // namespace

bool is_bucket_name(std::string_view name) noexcept {
    const auto plain = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); };
    return !name.empty() && name.size() <= 64 && plain(name.front()) &&
           std::all_of(name.begin(), name.end(),
                       [&](char c) { return plain(c) || c == '_' || c == '-'; });
}

std::string bucket_file(std::string_view name) {
    if (name == "storage") return "storage.json";
    return fmt::format("{}/{}.json", is_well_known(name) ? "config" : "kv", name);
}

storage::DocumentStore& Bucket::store() const {
    if (store_) return *store_;
    throw Error(Errc::unavailable, "bucket-unreadable",
                fmt::format("bucket {} could not be read when the daemon started; its log tells "
                            "what to mend",
                            name_));
}

Buckets::Buckets(BucketsOptions options, Host& host)
    : options_(std::move(options)),
      host_(host),
      histories_(options_.watch_history),
      committer_("larder-kv") {
    auto& files = storage::FileSystem::real();
    std::vector<std::string> names(kConfigBuckets.begin(), kConfigBuckets.end());
    names.emplace_back("storage");
    files.make_directory(options_.data_directory + "/config");
    files.make_directory(options_.data_directory + "/kv");
    // A bucket shows by any of its files: a first write leaves a journal before the readable file.
    for (const std::string& file : files.list(options_.data_directory + "/kv")) {
        const std::string name = file.substr(0, file.find(".json"));
        const bool ours = file == name + ".json" || file == name + ".json.journal" ||
                          file == name + ".json.journal.old" || file == name + ".json.meta";
        if (ours && is_bucket_name(name)) names.push_back(name);
    }
    std::sort(names.begin(), names.end());
    names.erase(std::unique(names.begin(), names.end()), names.end());
    for (const std::string& name : names) buckets_.emplace(name, open(name));
    upkeep_thread_ = std::thread([this] { keep_up(); });
}

Buckets::~Buckets() {
    {
        const std::scoped_lock lock(upkeep_mutex_);
        ending_ = true;
    }
    upkeep_.notify_all();
    upkeep_thread_.join();
    for (const auto& [name, bucket] : buckets_) {
        if (!bucket->store_) continue;
        try {
            bucket->store_->close();
        } catch (const Error& error) {
            host_.log().write(Level::error,
                              fmt::format("bucket {} was not folded into {}: {}; its journal keeps "
                                          "what the file lacks",
                                          name, bucket->file(), error.what()));
        }
    }
}

std::shared_ptr<Bucket> Buckets::open(const std::string& name) {
    auto bucket = std::make_shared<Bucket>(name, bucket_file(name), histories_);
    storage::StoreOptions options;
    options.checkpoint_bytes = options_.checkpoint_size;
    options.report = [this, name](const Finding& finding) {
        host_.log().write(level_of(finding.kind), fmt::format("bucket {}: {}", name, finding.text));
    };
    options.state_changed = [this, name](StoreState state, const std::string& why) {
        {
            const std::scoped_lock lock(health_mutex_);
            if (state == StoreState::open) {
                unwell_.erase(name);
            } else {
                unwell_[name] = {why, state == StoreState::read_only};
            }
        }
        report_health();
    };
    options.changed = [history = &bucket->history_](std::vector<storage::Event>&& events) {
        history->add(std::move(events));
    };
    options.cleared = [history = &bucket->history_](const storage::Version& version) {
        history->begin_anew(version);
    };
    try {
        bucket->store_ = std::make_unique<storage::DocumentStore>(
            storage::FileSystem::real(), options_.data_directory + "/" + bucket->file(), committer_,
            options);
        bucket->history_.opened(bucket->store_->version());
        // A journal that was found may be old, and is folded at once; a new one has its time.
        if (bucket->store_->journal_bytes() == 0) {
            bucket->folded_ = std::chrono::steady_clock::now();
        }
        const StoreState state = bucket->store_->state();
        if (state != StoreState::open) options.state_changed(state, bucket->store_->state_reason());
    } catch (const Error& error) {
        host_.log().write(Level::error,
                          fmt::format("bucket {}: {}: {}", name, error.what(), error.internal()));
        options.state_changed(StoreState::read_only, error.what());
    }
    return bucket;
}

void Buckets::report_health() {
    const std::scoped_lock lock(health_mutex_);
    std::string reasons;
    bool read_only = false;
    for (const auto& [name, illness] : unwell_) {
        reasons += fmt::format("{}bucket {}: {}", reasons.empty() ? "" : "; ", name, illness.why);
        read_only = read_only || illness.read_only;
    }
    const Health health = reasons.empty() ? Health::ok
                          : read_only     ? Health::read_only
                                          : Health::degraded;
    host_.report(health, reasons);
}

std::shared_ptr<Bucket> Buckets::find(std::string_view name) const {
    const std::shared_lock lock(mutex_);
    const auto found = buckets_.find(name);
    return found != buckets_.end() && is_there(*found->second) ? found->second : nullptr;
}

std::shared_ptr<Bucket> Buckets::find_even_removed(std::string_view name) const {
    const std::shared_lock lock(mutex_);
    const auto found = buckets_.find(name);
    if (found == buckets_.end()) return nullptr;
    const auto& bucket = found->second;
    const bool was = !bucket->is_readable() || bucket->store().version().epoch > 1;
    return was || is_there(*bucket) ? bucket : nullptr;
}

std::shared_ptr<Bucket> Buckets::find_or_make(std::string_view name) {
    {
        const std::shared_lock lock(mutex_);
        const auto found = buckets_.find(name);
        if (found != buckets_.end()) return found->second;
    }
    if (!is_bucket_name(name)) {
        throw Error(Errc::bad_request, "invalid-bucket",
                    "a bucket's name is 1-64 of a-z, 0-9, '_' and '-', beginning with a letter or "
                    "digit");
    }
    const std::unique_lock lock(mutex_);
    const auto found = buckets_.find(name);
    if (found != buckets_.end()) return found->second;
    if (buckets_.size() >= kMaxBuckets) {
        throw Error(Errc::no_space, "too-many-buckets",
                    fmt::format("there are {} buckets already", kMaxBuckets))
            .with("limit", std::to_string(kMaxBuckets));
    }
    return buckets_.emplace(name, open(std::string(name))).first->second;
}

std::vector<std::shared_ptr<Bucket>> Buckets::all() const {
    const std::shared_lock lock(mutex_);
    std::vector<std::shared_ptr<Bucket>> there;
    for (const auto& [name, bucket] : buckets_) {
        if (is_there(*bucket)) there.push_back(bucket);
    }
    return there;
}

void Buckets::keep_up() {
    pthread_setname_np(pthread_self(), "larder-kv-fold");
    std::unique_lock lock(upkeep_mutex_);
    auto step = kUpkeepStep;
    while (!upkeep_.wait_for(lock, step, [this] { return ending_; })) {
        lock.unlock();
        step = kUpkeepStep;
        for (const auto& bucket : all()) {
            if (!bucket->is_readable()) continue;
            step = std::min(step, end_what_is_due(bucket->store()));
            fold_if_due(*bucket);
        }
        lock.lock();
    }
}

// How long the next look at it may wait.
std::chrono::milliseconds Buckets::end_what_is_due(storage::DocumentStore& store) {
    const std::int64_t due = store.next_expiry_ms();
    if (due == 0 || store.state() == StoreState::read_only) return kUpkeepStep;
    const std::int64_t left = due - unix_now_ms();
    if (left > 0) return std::min(kUpkeepStep, std::chrono::milliseconds(left));
    store.expire();
    return kUpkeepStep;
}

void Buckets::fold_if_due(Bucket& bucket) {
    auto& store = bucket.store();
    const auto now = std::chrono::steady_clock::now();
    if (store.journal_bytes() == 0) {
        bucket.folded_ = now;
        return;
    }
    // On a full disk the only changes are removals, and only a checkpoint makes room of them.
    const std::uint64_t revision = store.version().revision;
    const bool makes_room = store.state() == StoreState::full && revision != bucket.tried_full_;
    const bool due = makes_room || store.wants_checkpoint() ||
                     now - bucket.folded_ >= options_.checkpoint_interval;
    if (!due || now < bucket.not_before_ || store.state() == StoreState::read_only) return;
    if (store.state() == StoreState::full) bucket.tried_full_ = revision;
    try {
        store.checkpoint();
        bucket.folded_ = now;
    } catch (const Error& error) {
        bucket.not_before_ = now + kRetryCheckpoint;
        host_.log().write(Level::warning,
                          fmt::format("bucket {}: checkpoint: {}; its journal goes on",
                                      bucket.name(), error.what()));
    }
}

}  // namespace larder::kv
