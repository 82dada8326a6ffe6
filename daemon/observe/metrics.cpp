// Sharded instruments and the registry that shows them. Not the per-request counters of the front,
// which are cheaper still (http_metrics.hpp).
#include "observe/metrics.hpp"

#include <dirent.h>
#include <fmt/format.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>
#include <exception>
#include <fstream>
#include <sstream>

namespace larder::observe {

namespace {

constexpr std::size_t kShards = 8;

std::size_t shard() noexcept {
    static std::atomic<std::size_t> next{0};
    thread_local const std::size_t mine = next.fetch_add(1, std::memory_order_relaxed) % kShards;
    return mine;
}

[[noreturn]] void refuse(std::string message) {
    throw Error(Errc::internal, "bad-metric", std::move(message));
}

}  // namespace

class MetricsOwner::Instrument {
public:
    Instrument(MetricType kind, std::string_view text) : type(kind), help(text) {}
    Instrument(const Instrument&) = delete;
    Instrument& operator=(const Instrument&) = delete;
    virtual ~Instrument() = default;
    virtual void show(Exposition& page, const Key& key) const = 0;

    const MetricType type;
    const std::string help;
};

class MetricsOwner::CounterCell final : public Instrument, public Counter {
public:
    explicit CounterCell(std::string_view text) : Instrument(MetricType::counter, text) {}
    void add(std::uint64_t n) noexcept override {
        shards_[shard()].value.fetch_add(n, std::memory_order_relaxed);
    }
    void show(Exposition& page, const Key& key) const override {
        std::uint64_t sum = 0;
        for (const Shard& part : shards_) sum += part.value.load(std::memory_order_relaxed);
        page.counter(key.first, help, key.second, sum);
    }

private:
    struct alignas(64) Shard {
        std::atomic<std::uint64_t> value{0};
    };
    std::array<Shard, kShards> shards_;
};

class MetricsOwner::GaugeCell final : public Instrument, public Gauge {
public:
    explicit GaugeCell(std::string_view text) : Instrument(MetricType::gauge, text) {}
    void set(double value) noexcept override { value_.store(value, std::memory_order_relaxed); }
    void show(Exposition& page, const Key& key) const override {
        page.gauge(key.first, help, key.second, value_.load(std::memory_order_relaxed));
    }

private:
    std::atomic<double> value_{0};
};

class MetricsOwner::HistogramCell final : public Instrument, public Histogram {
public:
    HistogramCell(std::string_view text, std::span<const double> bounds)
        : Instrument(MetricType::histogram, text), bounds_(bounds.begin(), bounds.end()) {
        for (Shard& part : shards_) {
            part.counts = std::make_unique<std::atomic<std::uint64_t>[]>(bounds_.size() + 1);
        }
    }
    void observe(double value) noexcept override {
        if (std::isnan(value)) return;
        const auto place = std::lower_bound(bounds_.begin(), bounds_.end(), value);
        Shard& part = shards_[shard()];
        part.counts[static_cast<std::size_t>(place - bounds_.begin())].fetch_add(
            1, std::memory_order_relaxed);
        part.sum.fetch_add(value, std::memory_order_relaxed);
    }
    void show(Exposition& page, const Key& key) const override {
        std::vector<std::uint64_t> counts(bounds_.size() + 1);
        double sum = 0;
        for (const Shard& part : shards_) {
            for (std::size_t i = 0; i < counts.size(); ++i) {
                counts[i] += part.counts[i].load(std::memory_order_relaxed);
            }
            sum += part.sum.load(std::memory_order_relaxed);
        }
        page.histogram(key.first, help, key.second, bounds_, counts, sum);
    }
    const std::vector<double>& bounds() const noexcept { return bounds_; }

private:
    struct alignas(64) Shard {
        std::atomic<double> sum{0};
        std::unique_ptr<std::atomic<std::uint64_t>[]> counts;
    };
    const std::vector<double> bounds_;
    std::array<Shard, kShards> shards_;
};

MetricsOwner::MetricsOwner(Registry& registry) : registry_(registry) {
    const std::lock_guard lock(registry_.mutex_);
    registry_.owners_.push_back(this);
}

MetricsOwner::~MetricsOwner() {
    const std::lock_guard lock(registry_.mutex_);
    std::erase(registry_.owners_, this);
}

// Under the registry's mutex. Null: not there yet, and nobody else's.
MetricsOwner::Instrument* MetricsOwner::find(MetricType type, std::string_view name,
                                             std::string_view help, std::string_view labels) {
    check_metric(type, name, help);
    check_labels(type, labels);
    for (const MetricsOwner* const owner : registry_.owners_) {
        for (const auto& [key, instrument] : owner->instruments_) {
            if (key.first != name) continue;
            if (instrument->type != type) {
                refuse(fmt::format("metric '{}' is there already with another type", name));
            }
            if (key.second != labels) continue;
            if (owner == this) return instrument.get();
            refuse(fmt::format("metric '{}{{{}}}' belongs to another plugin", name, labels));
        }
    }
    return nullptr;
}

Counter& MetricsOwner::counter(std::string_view name, std::string_view help,
                               std::string_view labels) {
    const std::lock_guard lock(registry_.mutex_);
    if (Instrument* const found = find(MetricType::counter, name, help, labels)) {
        return static_cast<CounterCell&>(*found);
    }
    auto made = std::make_unique<CounterCell>(help);
    CounterCell& cell = *made;
    instruments_.emplace(Key(name, labels), std::move(made));
    return cell;
}

Gauge& MetricsOwner::gauge(std::string_view name, std::string_view help, std::string_view labels) {
    const std::lock_guard lock(registry_.mutex_);
    if (Instrument* const found = find(MetricType::gauge, name, help, labels)) {
        return static_cast<GaugeCell&>(*found);
    }
    auto made = std::make_unique<GaugeCell>(help);
    GaugeCell& cell = *made;
    instruments_.emplace(Key(name, labels), std::move(made));
    return cell;
}

Histogram& MetricsOwner::histogram(std::string_view name, std::string_view help,
                                   std::span<const double> bounds, std::string_view labels) {
    for (std::size_t i = 0; i < bounds.size(); ++i) {
        if (!std::isfinite(bounds[i]) || (i != 0 && bounds[i] <= bounds[i - 1])) {
            refuse(fmt::format("expected the bounds of '{}' to be finite and to grow", name));
        }
    }
    const std::lock_guard lock(registry_.mutex_);
    if (Instrument* const found = find(MetricType::histogram, name, help, labels)) {
        HistogramCell& cell = static_cast<HistogramCell&>(*found);
        if (std::ranges::equal(cell.bounds(), bounds)) return cell;
        refuse(fmt::format("histogram '{}' is there already with other bounds", name));
    }
    auto made = std::make_unique<HistogramCell>(help, bounds);
    HistogramCell& cell = *made;
    instruments_.emplace(Key(name, labels), std::move(made));
    return cell;
}

void MetricsOwner::collect(std::function<void(Exposition&)> collector) {
    const std::lock_guard lock(registry_.mutex_);
    collectors_.push_back(std::move(collector));
}

void MetricsOwner::show(Exposition& page, std::uint64_t& failed) const {
    for (const auto& [key, instrument] : instruments_) instrument->show(page, key);
    for (const auto& collector : collectors_) {
        try {
            collector(page);
        } catch (const std::exception&) {
            ++failed;  // shown on the page itself
        }
    }
}

std::string Registry::text(Format format) const {
    Exposition page;
    {
        const std::lock_guard lock(mutex_);
        for (const MetricsOwner* const owner : owners_) owner->show(page, failed_);
        page.counter("larder_metrics_collector_errors_total",
                     "Collectors that threw during a scrape, since the start.", {}, failed_);
    }
    const auto refused = static_cast<double>(page.refused());
    page.gauge("larder_metrics_refused_samples",
               "Samples left out of this page because they contradict others.", {}, refused);
    return page.text(format);
}

namespace {

double count_descriptors() {
    DIR* const folder = ::opendir("/proc/self/fd");
    if (folder == nullptr) return 0;
    double count = -3;  // ".", ".." and the folder itself
    while (::readdir(folder) != nullptr) ++count;
    ::closedir(folder);
    return count;
}

// Fields of /proc/self/stat after the name, which may itself hold blanks and brackets; the first is
// field 3 of proc(5).
std::vector<double> stat_fields() {
    std::ifstream file("/proc/self/stat");
    std::string text;
    std::getline(file, text);
    std::istringstream rest(text.substr(std::min(text.rfind(')') + 4, text.size())));
    std::vector<double> fields{0};
    for (double field = 0; rest >> field;) fields.push_back(field);
    return fields;
}

// Unix time of the machine's start, which process start times count from.
double boot_time() {
    std::ifstream file("/proc/stat");
    for (std::string word; file >> word;) {
        double seconds = 0;
        if (word == "btime" && file >> seconds) return seconds;
    }
    return 0;
}

}  // namespace

void collect_process(Exposition& page) {
    const std::vector<double> fields = stat_fields();
    if (fields.size() > 21) {
        const auto ticks = static_cast<double>(::sysconf(_SC_CLK_TCK));
        page.counter_seconds("process_cpu_seconds_total", "CPU time, user and system.", {},
                             (fields[11] + fields[12]) / ticks);
        page.gauge("process_threads", "Threads.", {}, fields[17]);
        page.gauge("process_start_time_seconds", "When the process began, Unix time.", {},
                   boot_time() + fields[19] / ticks);
        page.gauge("process_virtual_memory_bytes", "Address space.", {}, fields[20]);
        page.gauge("process_resident_memory_bytes", "Memory in RAM.", {},
                   fields[21] * static_cast<double>(::sysconf(_SC_PAGESIZE)));
    }
    page.gauge("process_open_fds", "Open descriptors.", {}, count_descriptors());
    rlimit limit{};
    if (::getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        page.gauge("process_max_fds", "Descriptors that may be open.", {},
                   static_cast<double>(limit.rlim_cur));
    }
}

}  // namespace larder::observe
