#include "kv_plugin.hpp"

#include <algorithm>
#include <array>

#include "kv_snapshot.hpp"
#include "larder/export.hpp"

namespace larder::kv {
namespace {

constexpr std::uint64_t kWatchersQueues = 64U << 20U;  // bytes on their way to watchers, at least

}  // namespace

void KvPlugin::configure(const Settings& /*settings*/) {}  // the declared ranges say it all

void KvPlugin::start(Routes& routes) {
    const Settings& settings = host_.settings();
    BucketsOptions options;
    options.data_directory = host_.data_directory();
    options.checkpoint_size = settings.bytes("checkpoint_size");
    options.checkpoint_interval = settings.duration("checkpoint_interval");
    options.watch_history = settings.bytes("watch_history");
    WatchOptions watch;
    watch.most_watchers = static_cast<std::size_t>(settings.integer("max_watchers"));
    watch.most_bytes = std::max<std::uint64_t>(options.watch_history, kWatchersQueues);
    buckets_ = std::make_unique<Buckets>(std::move(options), host_);
    watches_ = std::make_unique<Watches>(*buckets_, host_, watch);
    routes_ = std::make_unique<KvRoutes>(*buckets_, *watches_, host_);
    routes_->declare(routes);
    writes_ = std::make_unique<KvWrites>(*buckets_, host_, settings.bytes("max_value"));
    writes_->declare(routes);
    host_.services().offer(kWarmFromKv, static_cast<WarmSource*>(this));
}

// Every pending write is answered by its commit; streams would never end by themselves.
void KvPlugin::drain() noexcept {
    if (watches_) watches_->drain();
}

void KvPlugin::stop() noexcept {
    routes_.reset();
    watches_.reset();
    writes_.reset();
    buckets_.reset();
}

void* KvPlugin::extension(std::string_view id) noexcept {
    if (id == kUsage) return static_cast<Usage*>(this);
    if (id == kProgress) return static_cast<Progress*>(this);
    if (id == kSnapshotable) return static_cast<Snapshotable*>(this);
    return nullptr;
}

void KvPlugin::tell(ProgressSink& sink) {
    const auto [done, waiting] = buckets_->progress();
    sink.thread("larder-kv", done, waiting);
}

void KvPlugin::hold(bool on) noexcept { buckets_->hold(on); }

std::unique_ptr<Moment> KvPlugin::pin() {
    return kv::pin(*buckets_, std::string(host_.data_directory()));
}

void KvPlugin::adopt(std::string_view previous) {
    kv::adopt(std::string(host_.data_directory()), std::string(previous));
}

}  // namespace larder::kv

namespace {

constinit const std::array<larder::Setting, 5> kSettings = {{
    {"max_value", "bytes", "1MiB", "1KiB", "64MiB", "The largest value a key may hold.", false,
     false},
    {"checkpoint_interval", "duration", "10m", "1s", "24h",
     "How far the readable file may be behind the journal.", false, false},
    {"checkpoint_size", "bytes", "64MiB", "64KiB", "4GiB",
     "How large a journal grows before it is folded into the readable file.", false, false},
    {"max_watchers", "integer", "10000", "1", "100000", "How many may watch buckets at a time.",
     false, false},
    {"watch_history", "bytes", "64MiB", "64KiB", "64GiB",
     "How much memory the recent changes of all buckets may take, from which watchers resume.",
     false, false},
}};

constinit const larder::PluginEntry kEntry = {
    "kv",
    LARDER_PLUGIN_VERSION,
    "JSON values by key, in buckets that are readable files",
    "/api/kv",
    "storage.json,config/,kv/",
    kSettings.data(),
    kSettings.size(),
    [](larder::Host& host) -> larder::Plugin* { return new larder::kv::KvPlugin(host); },
    [](larder::Plugin* plugin) noexcept { delete static_cast<larder::kv::KvPlugin*>(plugin); },
};

}  // namespace

LARDER_PLUGIN(kEntry)
