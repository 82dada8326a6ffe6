// The counters, gauges and histograms behind GET /metrics. Not their text (exposition.hpp), and not
// the metrics plugin, which keeps a history.
//
//   Registry ── MetricsOwner (one a plugin: larder::Metrics) ── counters, gauges, histograms,
//   collectors
//
// Adding is a relaxed atomic on a shard of the thread's own, so that threads do not fight for a
// line.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "larder/host.hpp"
#include "observe/exposition.hpp"

namespace larder::observe {

class Registry;

// One plugin's metrics, withdrawn as one by its destructor: what it handed out ends then. Names and
// labels that are malformed, or taken by another owner, throw Error{internal}. [any]
class MetricsOwner final : public Metrics {
public:
    explicit MetricsOwner(Registry& registry);  // the registry must outlive it
    ~MetricsOwner();
    MetricsOwner(const MetricsOwner&) = delete;
    MetricsOwner& operator=(const MetricsOwner&) = delete;

    Counter& counter(std::string_view name, std::string_view help,
                     std::string_view labels = {}) override;
    Gauge& gauge(std::string_view name, std::string_view help,
                 std::string_view labels = {}) override;
    Histogram& histogram(std::string_view name, std::string_view help,
                         std::span<const double> bounds, std::string_view labels = {}) override;

    // Called at each scrape, on the scraper's thread, for values that are known elsewhere. What it
    // throws costs its own samples alone and is counted. Must not touch the registry.
    void collect(std::function<void(Exposition&)> collector);

private:
    friend class Registry;
    class Instrument;
    class CounterCell;
    class GaugeCell;
    class HistogramCell;
    using Key = std::pair<std::string, std::string>;  // name, labels

    Instrument* find(MetricType type, std::string_view name, std::string_view help,
                     std::string_view labels);
    void show(Exposition& page, std::uint64_t& failed) const;

    Registry& registry_;
    // guarded by the registry's mutex
    std::map<Key, std::unique_ptr<Instrument>> instruments_;
    std::vector<std::function<void(Exposition&)>> collectors_;
};

class Registry {
public:
    // The page as it stands now. [any]
    std::string text(Format format) const;

private:
    friend class MetricsOwner;
    mutable std::mutex mutex_;
    std::vector<MetricsOwner*> owners_;  // guarded by mutex_
    mutable std::uint64_t failed_ = 0;   // collectors that threw; guarded by mutex_
};

// The standard process_* families (memory, CPU, descriptors, threads, start), for a collector.
// [any]
void collect_process(Exposition& page);

}  // namespace larder::observe
