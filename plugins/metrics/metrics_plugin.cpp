#include "metrics_plugin.hpp"

#include <fmt/format.h>

#include <array>

#include "larder/export.hpp"
#include "larder/time.hpp"
#include "metrics_snapshot.hpp"
#include "storage-kit/file_system.hpp"
#include "storage-kit/timestamps.hpp"

namespace larder::metrics {

void MetricsPlugin::configure(const Settings& /*settings*/) {}  // the declared ranges say it all

void MetricsPlugin::start(Routes& routes) {
    core_ = std::make_unique<MetricsCore>(host_);
    if (!restored_.empty()) core_->record_restored(restored_);
    metrics_ = std::make_unique<MetricsRoutes>(*core_);
    metrics_->declare(routes);
    errors_ = std::make_unique<ErrorRoutes>(*core_);
    errors_->declare(routes);
    audit_ = std::make_unique<AuditRoutes>(*core_);
    audit_->declare(routes);
}

void MetricsPlugin::drain() noexcept {
    if (core_) core_->drain();
}

void MetricsPlugin::stop() noexcept {
    audit_.reset();
    errors_.reset();
    metrics_.reset();
    core_.reset();
}

void* MetricsPlugin::extension(std::string_view id) noexcept {
    if (id == kUsage) return static_cast<Usage*>(this);
    if (id == kCleanable) return static_cast<Cleanable*>(this);
    if (id == kSnapshotable) return static_cast<Snapshotable*>(this);
    return nullptr;
}

void MetricsPlugin::measure(UsageSink& sink) {
    const std::string folder = std::string(host_.data_directory()) + "/programs/db";
    sink.section("databases");
    sink.count("size", storage::bytes_below(folder));
}

void MetricsPlugin::clean(const CleanupRequest& request, CleanupSink& sink) {
    if (request.metrics_older_than_days < 0) return;
    const std::int64_t before = storage::age_cutoff(unix_now_ms(), request.metrics_older_than_days);
    core_->settle_metrics();
    const auto aged = core_->aged_metrics(before);
    MetricsCore::Removed removed;
    if (!request.dry_run) core_->remove_metrics(before, removed);
    for (const MetricsCore::Aged& table : aged) {
        const std::uint64_t rows = request.dry_run ? table.rows : removed[table.table];
        if (rows == 0) continue;
        sink.removed("metrics", fmt::format("{} rows of {}", rows, table.table), table.bytes);
    }
}

void MetricsPlugin::hold(bool on) noexcept { core_->hold(on); }

std::unique_ptr<Moment> MetricsPlugin::pin() {
    return metrics::pin(*core_, std::string(host_.data_directory()));
}

void MetricsPlugin::adopt(std::string_view previous) {
    restored_ = metrics::adopt(std::string(host_.data_directory()), std::string(previous));
}

}  // namespace larder::metrics

namespace {

constinit const std::array<larder::Setting, 7> kSettings = {{
    {"raw_rate", "integer", "1000", "0", "100000",
     "How many requests a second are kept whole; beyond it one row stands for many.", true, false},
    {"flush", "duration", "10s", "1s", "10m",
     "How often the counts of requests are written; a kill loses at most so much of them.", false,
     false},
    {"retention", "duration", "90d", "1h", "36500d", "How long metrics and errors are kept.", true,
     false},
    {"max_size", "bytes", "1GiB", "1MiB", "1TiB",
     "How large metrics.db and errors.db may each become before the oldest rows go.", true, false},
    {"max_series", "integer", "50000", "1", "1000000",
     "Series of performance records (names with tags); further ones go into larder.overflow.",
     false, false},
    {"audit_retention", "duration", "365d", "1h", "36500d", "How long audit records are kept.",
     true, false},
    {"audit_on_failure", "choice:degrade|block", "degrade", nullptr, nullptr,
     "When the audit cannot be written: degrade goes on and writes it later, block refuses what "
     "would be recorded.",
     true, false},
}};

constinit const larder::PluginEntry kEntry = {
    "metrics",
    LARDER_PLUGIN_VERSION,
    "Metrics, errors and audit, in databases that any SQLite client reads",
    "/api/metrics,/api/errors,/api/audit",
    "programs/db/,logs/audit.log",
    kSettings.data(),
    kSettings.size(),
    [](larder::Host& host) -> larder::Plugin* { return new larder::metrics::MetricsPlugin(host); },
    [](larder::Plugin* plugin) noexcept {
        delete static_cast<larder::metrics::MetricsPlugin*>(plugin);
    },
};

}  // namespace

LARDER_PLUGIN(kEntry)
