// The plugin behind its routes: three databases, a writer's thread for each, what is put into them
// by the daemon and by time, and how they stand. It knows no HTTP.
//
//   requests ┐                              errors of all plugins → ErrorStore → errors.db
//   machine  ├→ "metrics-db" → metrics.db   audit of all plugins  → AuditStore → audit.db
//   records  ┘
#pragma once

#include <atomic>
#include <chrono>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "audit_store.hpp"
#include "error_store.hpp"
#include "http_history.hpp"
#include "larder/alerts.hpp"
#include "larder/host.hpp"
#include "larder/insight.hpp"
#include "metrics_lane.hpp"
#include "performance_store.hpp"
#include "storage-kit/sqlite.hpp"
#include "system_metrics.hpp"

namespace larder::metrics {

class MetricsCore final : private ErrorSink, private AuditSink {
public:
    // Opens the databases, takes up work, offers the sinks. Throws Error. [control]
    explicit MetricsCore(Host& host);
    ~MetricsCore();  // writes what is there
    MetricsCore(const MetricsCore&) = delete;
    MetricsCore& operator=(const MetricsCore&) = delete;

    void drain() noexcept;        // lets go of the daemon's service [control]
    void hold(bool on) noexcept;  // all writers [any]

    // Puts into the databases what came up to this moment, so that what is read next tells of it.
    // Where that cannot be done it is told as health, and what is there is read. [worker]
    void settle_metrics();
    void settle_errors();

    HttpHistory& http() noexcept { return *http_; }
    PerformanceStore& performance() noexcept { return *performance_; }
    ErrorStore& errors() noexcept { return *errors_; }
    AuditStore& audit() noexcept { return *audit_; }
    storage::sqlite::Database& metrics_database() noexcept { return *metrics_db_; }
    storage::sqlite::Database& errors_database() noexcept { return *errors_db_; }
    Host& host() noexcept { return host_; }
    // Null once the plugin drains. [any]
    std::shared_ptr<Insight> insight() const;

    // Into the audit: that a restore put these databases in place. [control]
    void record_restored(const std::string& what);

    // Runs it on a writer's thread; throws what it throws. [worker]
    void on_errors_lane(const std::function<void()>& work) { errors_lane_->run(work); }

    // ---- upkeep [worker]

    // Removes what is older; rows by what they are: "http_requests", "errors" …
    using Removed = std::map<std::string, std::uint64_t>;
    Removed clean_up(std::chrono::milliseconds retention,
                     std::chrono::milliseconds audit_retention);
    // Rows of metrics.db that are older, table by table; `bytes` is their share of what is used.
    struct Aged {
        std::string table;
        std::uint64_t rows, bytes;
    };
    std::vector<Aged> aged_metrics(std::int64_t cutoff_ms);
    void remove_metrics(std::int64_t cutoff_ms, Removed& removed);
    struct Optimized {
        std::string name;
        std::uint64_t bytes_before, bytes_after;
    };
    std::vector<Optimized> optimize();
    std::vector<Optimized> would_optimize();  // the least that optimize() gives back
    // By the settings, at its hour; and the audit's chain judged.
    void run_upkeep();

private:
    enum class Part : std::uint8_t { metrics = 0, errors, audit };

    void take(const ErrorReport& report) noexcept override;
    void take(const AuditRecord& record) override;

    void open_databases();
    void tick_metrics();
    void tick_errors();
    void tick_audit();
    void collect();
    void watch_errors(const HttpHistory::Fresh& fresh);
    void sample_system(std::int64_t now_ms);
    void enforce_size(storage::sqlite::Database& database,
                      const std::vector<std::string>& tables) const;
    std::vector<std::pair<Lane*, storage::sqlite::Database*>> databases();
    void give_pages_back();
    std::uint64_t remove_rows(const std::string& table, std::int64_t cutoff_ms);
    void stands(Part part, const std::string& trouble);
    bool blocks() const;

    Host& host_;
    const std::string folder_;
    const std::chrono::milliseconds flush_;
    std::unique_ptr<storage::sqlite::Database> metrics_db_, errors_db_;
    mutable std::mutex insight_mutex_;
    std::shared_ptr<Insight> insight_;  // guarded by insight_mutex_
    SystemSampler sampler_;             // the metrics lane's, as the next four
    std::chrono::steady_clock::time_point flushed_, sampled_, compacted_;
    std::deque<std::pair<std::chrono::steady_clock::time_point, HttpHistory::Fresh>> lately_;
    std::unique_ptr<HttpHistory> http_;
    std::unique_ptr<PerformanceStore> performance_;
    std::unique_ptr<ErrorStore> errors_;
    std::unique_ptr<AuditStore> audit_;
    std::mutex standing_mutex_;
    std::string trouble_[3];  // guarded by standing_mutex_
    Gauge *series_ = nullptr, *bytes_ = nullptr;
    Counter *overflowed_ = nullptr, *lost_errors_ = nullptr, *records_ = nullptr;
    std::uint64_t told_overflowed_ = 0, told_lost_ = 0;
    // Last, since they use all of the above; gone first.
    std::unique_ptr<Lane> metrics_lane_, errors_lane_, audit_lane_;
    std::unique_ptr<Ticket> upkeep_, optimizing_;
};

}  // namespace larder::metrics
