#include "kv_plugin.hpp"

#include <array>

#include "larder/export.hpp"

namespace larder::kv {

void KvPlugin::configure(const Settings& /*settings*/) {}  // the declared ranges say it all

void KvPlugin::start(Routes& routes) {
    const Settings& settings = host_.settings();
    BucketsOptions options;
    options.data_directory = host_.data_directory();
    options.checkpoint_size = settings.bytes("checkpoint_size");
    options.checkpoint_interval = settings.duration("checkpoint_interval");
    buckets_ = std::make_unique<Buckets>(std::move(options), host_);
    routes_ = std::make_unique<KvRoutes>(*buckets_, host_);
    routes_->declare(routes);
    writes_ = std::make_unique<KvWrites>(*buckets_, host_, settings.bytes("max_value"));
    writes_->declare(routes);
}

void KvPlugin::drain() noexcept {}  // every pending write is answered by its commit

void KvPlugin::stop() noexcept {
    routes_.reset();
    writes_.reset();
    buckets_.reset();
}

}  // namespace larder::kv

namespace {

constinit const std::array<larder::Setting, 3> kSettings = {{
    {"max_value", "bytes", "1MiB", "1KiB", "64MiB", "The largest value a key may hold.", false,
     false},
    {"checkpoint_interval", "duration", "10m", "1s", "24h",
     "How far the readable file may be behind the journal.", false, false},
    {"checkpoint_size", "bytes", "64MiB", "64KiB", "4GiB",
     "How large a journal grows before it is folded into the readable file.", false, false},
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
