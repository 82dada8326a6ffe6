// Contents: beginning and end · what comes by time · sinks · health
#include "metrics_core.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <new>
#include <utility>

#include "larder/error.hpp"
#include "larder/time.hpp"
#include "metrics_schema.hpp"
#include "storage-kit/file_system.hpp"
#include "storage-kit/timestamps.hpp"

namespace larder::metrics {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::milliseconds kTick{1000};
constexpr std::chrono::seconds kSampleEvery{10}, kCompactEvery{60};
constexpr std::chrono::seconds kLately{60};
constexpr std::uint64_t kManyErrors = 20, kRaisedPercent = 10, kResolvedPercent = 5;
constexpr int kSeriesAtOnce = 20;                     // compacted in one tick
constexpr std::uint64_t kMostRewritten = 64U << 20U;  // bytes, of a database that was taken over

std::unique_ptr<storage::sqlite::Database> open(
    const std::string& path, storage::sqlite::Sync sync,
    const std::vector<storage::sqlite::Migration>& steps, Log& log) {
    storage::sqlite::Options options;
    options.sync = sync;
    auto database =
        std::make_unique<storage::sqlite::Database>(path, options, std::vector<std::string>{});
    try {
        storage::sqlite::prefer_incremental_vacuum(*database, kMostRewritten);
    } catch (const Error& error) {
        if (error.code() != Errc::unavailable) throw;  // another plugin has it open: the next start
        log.write(Level::info, fmt::format("{}: {}", path, error.what()));
    }
    storage::sqlite::migrate(*database, kOwner, steps);
    return database;
}

std::string words_of(const Error& error) {
    return error.internal().empty() ? error.detail() : error.internal();
}

}  // namespace

// ---- beginning and end

MetricsCore::MetricsCore(Host& host)
    : host_(host),
      folder_(std::string(host.data_directory()) + "/programs/db"),
      flush_(host.settings().duration("flush")),
      sampler_(std::string(host.data_directory())) {
    open_databases();
    insight_ = std::static_pointer_cast<Insight>(host.services().lease(kInsight));
    if (!insight_) {
        throw Error(Errc::unavailable, "no-insight",
                    "the daemon does not offer larder.insight/1; use the one that this plugin came "
                    "with");
    }
    series_ = &host.metrics().gauge("larder_metrics_series", "Series of performance records.");
    bytes_ = &host.metrics().gauge("larder_metrics_database_bytes", "Bytes of metrics.db in use.");
    overflowed_ = &host.metrics().counter("larder_metrics_overflow_total",
                                          "Records of series beyond metrics.max_series.");
    lost_errors_ = &host.metrics().counter("larder_metrics_lost_errors_total",
                                           "Error reports that came faster than they are kept.");
    records_ = &host.metrics().counter("larder_audit_records_total", "Audit records taken.");
    http_ = std::make_unique<HttpHistory>(*metrics_db_, *insight_);
    http_->begin();
    performance_ = std::make_unique<PerformanceStore>(
        *metrics_db_, static_cast<std::size_t>(host.settings().integer("max_series")),
        [this] { metrics_lane_->poke(); });
    performance_->load();
    errors_ = std::make_unique<ErrorStore>(*errors_db_, [this] { errors_lane_->poke(); });
    audit_ = std::make_unique<AuditStore>(
        AuditOptions{folder_, std::string(host.data_directory()) + "/logs/audit.log"}, host.log());
    flushed_ = compacted_ = Clock::now();
    Log& log = host.log();
    errors_lane_ = std::make_unique<Lane>("metrics-errors", log, kTick, [this] { tick_errors(); });
    audit_lane_ = std::make_unique<Lane>("metrics-audit", log, kTick, [this] { tick_audit(); });
    metrics_lane_ = std::make_unique<Lane>("metrics-db", log, kTick, [this] { tick_metrics(); });
    host.services().offer(kErrorSink, static_cast<ErrorSink*>(this));
    host.services().offer(kAuditSink, static_cast<AuditSink*>(this));
    metrics_lane_->poke();  // the machine's first figures
    upkeep_ = host.scheduler().add(
        {"upkeep", "every 1h", false, std::chrono::minutes(1), [this](JobRun&) { run_upkeep(); }});
    optimizing_ = host.scheduler().add(
        {"optimize", "@weekly", false, std::chrono::minutes(1), [this](JobRun&) { optimize(); }});
}

void MetricsCore::open_databases() {
    storage::FileSystem::real().make_directory(folder_);
    Log& log = host_.log();
    metrics_db_ =
        open(folder_ + "/metrics.db", storage::sqlite::Sync::normal, metrics_migrations(), log);
    errors_db_ =
        open(folder_ + "/errors.db", storage::sqlite::Sync::full, errors_migrations(), log);
}

MetricsCore::~MetricsCore() {
    drain();
    optimizing_.reset();
    upkeep_.reset();
    metrics_lane_.reset();  // the others may get a last error or record of it
    errors_lane_.reset();
    audit_lane_.reset();
}

void MetricsCore::drain() noexcept {
    if (performance_) performance_->drain();
    if (!metrics_lane_ || !insight()) return;
    settle_metrics();
    const std::scoped_lock lock(insight_mutex_);
    insight_->sample_requests(0);
    insight_.reset();
}

void MetricsCore::hold(bool on) noexcept {
    for (Lane* const lane : {metrics_lane_.get(), errors_lane_.get(), audit_lane_.get()}) {
        lane->hold(on);
    }
}

std::shared_ptr<Insight> MetricsCore::insight() const {
    const std::scoped_lock lock(insight_mutex_);
    return insight_;
}

// ---- what comes by time

void MetricsCore::settle_metrics() {
    metrics_lane_->run([this] {
        try {
            collect();
            performance_->flush();
            http_->flush();
            stands(Part::metrics, {});
        } catch (const Error& error) {
            stands(Part::metrics, words_of(error));
        }
    });
}

void MetricsCore::settle_errors() {
    errors_lane_->run([this] { tick_errors(); });
}

void MetricsCore::collect() {
    const auto insight = this->insight();
    if (!insight) return;
    insight->sample_requests(static_cast<std::uint32_t>(host_.settings().integer("raw_rate")));
    const auto fresh = http_->collect(unix_now_ms(), [this](int status, std::uint64_t count) {
        ErrorEntry entry;
        entry.message = fmt::format("answered {} where no route was reached", status);
        entry.category = "http";
        entry.severity = status == 503 ? "warning" : "error";
        entry.source = "larderd";
        entry.time_ms = unix_now_ms();
        entry.count = count;
        errors_->queue(std::move(entry));
    });
    watch_errors(fresh);
}

// An alert while many of the latest requests failed; over when few do.
void MetricsCore::watch_errors(const HttpHistory::Fresh& fresh) {
    const auto now = Clock::now();
    lately_.emplace_back(now, fresh);
    while (now - lately_.front().first > kLately) lately_.pop_front();
    HttpHistory::Fresh sum;
    for (const auto& [when, some] : lately_) {
        sum.requests += some.requests;
        sum.errors += some.errors;
    }
    if (sum.errors >= kManyErrors && sum.errors * 100 >= sum.requests * kRaisedPercent) {
        host_.alerts().raise("error-rate", Severity::error,
                             fmt::format("{} of {} requests in the last minute failed (5xx); "
                                         "GET /api/errors tells why",
                                         sum.errors, sum.requests));
    } else if (sum.errors * 100 <= sum.requests * kResolvedPercent) {
        host_.alerts().resolve("error-rate");
    }
}

void MetricsCore::tick_metrics() {
    try {
        const auto now = Clock::now();
        collect();
        if (sampled_ == Clock::time_point() || now - sampled_ >= kSampleEvery) {
            sampled_ = now;
            sample_system(unix_now_ms());
        }
        performance_->flush();
        if (now - flushed_ >= flush_ || !insight()) {
            flushed_ = now;
            http_->flush();
        }
        if (now - compacted_ >= kCompactEvery) {
            int left = kSeriesAtOnce;
            while (left > 0 && http_->compact(unix_now_ms())) --left;
            if (left > 0) compacted_ = now;
        }
        enforce_size(*metrics_db_, {"http_requests", "performance_metrics", "system_metrics"});
        series_->set(static_cast<double>(performance_->series()));
        const std::uint64_t overflowed = performance_->overflowed();
        overflowed_->add(overflowed - std::exchange(told_overflowed_, overflowed));
        stands(Part::metrics, {});
    } catch (const Error& error) {
        stands(Part::metrics, words_of(error));
    }
}

void MetricsCore::sample_system(std::int64_t now_ms) {
    SystemSample sample = sampler_.take();
    if (const auto insight = this->insight()) {
        sample.active_connections = static_cast<double>(insight->facts().connections);
    }
    write_system_sample(*metrics_db_, sample, now_ms);
}

void MetricsCore::tick_errors() {
    try {
        errors_->flush();
        enforce_size(*errors_db_, {"error_occurrences"});
        const std::uint64_t lost = errors_->lost();
        lost_errors_->add(lost - std::exchange(told_lost_, lost));
        stands(Part::errors, {});
    } catch (const Error& error) {
        stands(Part::errors, words_of(error));
    }
}

void MetricsCore::tick_audit() {
    stands(Part::audit, audit_->retry() ? std::string() : audit_->trouble());
}

// ---- sinks

void MetricsCore::take(const ErrorReport& report) noexcept {
    try {
        ErrorEntry entry;
        entry.message = report.message;
        entry.category = report.category;
        entry.severity = severity_word(report.severity);
        entry.stack_trace = report.stack_trace;
        entry.endpoint = report.endpoint;
        entry.method = report.method;
        entry.request_id = report.request_id;
        entry.user_id = report.user_id;
        entry.request_data = report.request_data;
        entry.context = report.context;
        entry.source = report.source;
        entry.time_ms = report.time_ms != 0 ? report.time_ms : unix_now_ms();
        errors_->queue(std::move(entry));
    } catch (const std::bad_alloc&) {
        return;  // there is no memory for reports either
    }
}

void MetricsCore::take(const AuditRecord& record) {
    AuditRow row;
    row.time = storage::sql_time(record.time_ms != 0 ? record.time_ms : unix_now_ms());
    row.actor = record.actor;
    row.action = record.action;
    row.target = record.target;
    row.outcome = record.outcome;
    row.ip_address = record.ip_address;
    row.request_id = record.request_id;
    row.source = record.source;
    row.details = record.details;
    audit_lane_->run([&] {
        try {
            audit_->record(row, !blocks());
        } catch (const Error&) {
            stands(Part::audit, audit_->trouble());
            throw;
        }
        stands(Part::audit, audit_->trouble());
    });
    records_->add();
}

void MetricsCore::record_restored(const std::string& what) {
    AuditRow row;
    row.action = "restored";
    row.target = what;
    audit_lane_->run([&] { audit_->record(row, true); });
}

// ---- health

bool MetricsCore::blocks() const { return host_.settings().text("audit_on_failure") == "block"; }

void MetricsCore::stands(Part part, const std::string& trouble) {
    static constexpr const char* kWhat[] = {"metrics", "errors", "the audit"};
    const std::scoped_lock lock(standing_mutex_);
    const auto index = static_cast<std::size_t>(part);
    if (trouble_[index] == trouble) return;
    trouble_[index] = trouble;
    std::string reason;
    for (std::size_t i = 0; i < 3; ++i) {
        if (trouble_[i].empty()) continue;
        reason += fmt::format("{}{} cannot be written: {}", reason.empty() ? "" : "; ", kWhat[i],
                              trouble_[i]);
    }
    const bool refused = !trouble_[2].empty() && blocks();
    if (refused) reason += "; changes that are audited are refused until it can";
    host_.report(reason.empty() ? Health::ok
                 : refused      ? Health::read_only
                                : Health::degraded,
                 reason);
}

}  // namespace larder::metrics
