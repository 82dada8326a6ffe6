// Per-reactor cells and their sum.
#include "observe/http_metrics.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <limits>
#include <new>

namespace larder::observe {

namespace {

constexpr std::array<std::int64_t, 14> kBoundsNs{
    500'000,       1'000'000,     2'500'000,     5'000'000,     10'000'000,
    25'000'000,    50'000'000,    100'000'000,   250'000'000,   500'000'000,
    1'000'000'000, 2'500'000'000, 5'000'000'000, 10'000'000'000};

constexpr std::array<double, kBoundsNs.size()> bounds_in_seconds() {
    std::array<double, kBoundsNs.size()> bounds{};
    for (std::size_t i = 0; i < bounds.size(); ++i) {
        bounds[i] = static_cast<double>(kBoundsNs[i]) / 1e9;
    }
    return bounds;
}
constexpr std::array<double, kBoundsNs.size()> kBounds = bounds_in_seconds();

// A route answers with a handful of statuses; those beyond count as "other".
constexpr std::size_t kStatuses = 15;

using Number = std::atomic<std::uint64_t>;

// One thread writes, so no read-modify-write is needed: a plain add that others may read.
void add(Number& to, std::uint64_t n) noexcept {
    to.store(to.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
}

// Durations, finely. A cell gets them with its first request: most routes are never asked on most
// reactors.
struct Fine {
    std::array<Number, DurationBuckets::kCount> buckets{};
    Number shortest{std::numeric_limits<std::uint64_t>::max()}, longest{0};
};

struct alignas(64) Cell {
    // slot i counts status[i] - 1; 0 is a free slot; the last slot counts all others
    std::array<std::atomic<std::uint16_t>, kStatuses> status{};
    std::array<Number, kStatuses + 1> count{};
    std::array<Number, kBounds.size() + 1> buckets{};
    Number nanoseconds{0}, bytes_in{0}, bytes_out{0};
    std::atomic<Fine*> fine{nullptr};

    Cell() = default;
    Cell(const Cell&) = delete;
    Cell& operator=(const Cell&) = delete;
    ~Cell() { delete fine.load(std::memory_order_relaxed); }
};

void add_finely(Cell& cell, std::uint64_t ns) noexcept {
    Fine* fine = cell.fine.load(std::memory_order_relaxed);
    if (fine == nullptr) {
        fine = new (std::nothrow) Fine;
        if (fine == nullptr) return;
        cell.fine.store(fine, std::memory_order_release);
    }
    add(fine->buckets[DurationBuckets::index(ns)], 1);
    if (ns < fine->shortest.load(std::memory_order_relaxed)) {
        fine->shortest.store(ns, std::memory_order_relaxed);
    }
    if (ns > fine->longest.load(std::memory_order_relaxed)) {
        fine->longest.store(ns, std::memory_order_relaxed);
    }
}

std::size_t slot_of(Cell& cell, std::uint16_t status) noexcept {
    const auto mark = static_cast<std::uint16_t>(status + 1);
    for (std::size_t i = 0; i < kStatuses; ++i) {
        const std::uint16_t there = cell.status[i].load(std::memory_order_relaxed);
        if (there == mark) return i;
        if (there != 0) continue;
        cell.status[i].store(mark, std::memory_order_relaxed);
        return i;
    }
    return kStatuses;
}

std::uint64_t read(const Number& number) noexcept { return number.load(std::memory_order_relaxed); }

}  // namespace

class RouteSeries {
public:
    RouteSeries(std::string_view route_template, std::string_view method_word, std::size_t reactors)
        : route(route_template), method(method_word), cells(reactors) {}
    const std::string route, method;
    std::vector<Cell> cells;  // one a reactor; never resized
};

std::string_view route_of(const RouteSeries& series) noexcept { return series.route; }
std::string_view method_of(const RouteSeries& series) noexcept { return series.method; }

HttpMetrics::HttpMetrics(std::size_t reactors) : reactors_(reactors) {}
HttpMetrics::~HttpMetrics() = default;

RouteSeries& HttpMetrics::series(std::string_view route_template, std::string_view method) {
    const std::lock_guard lock(mutex_);
    std::unique_ptr<RouteSeries>& found =
        series_[{std::string(route_template), std::string(method)}];
    if (!found) found = std::make_unique<RouteSeries>(route_template, method, reactors_);
    return *found;
}

void HttpMetrics::record(RouteSeries& series, std::size_t reactor, int status,
                         std::chrono::nanoseconds duration, std::uint64_t bytes_in,
                         std::uint64_t bytes_out) noexcept {
    if (reactor >= series.cells.size()) return;
    Cell& cell = series.cells[reactor];
    const bool answered = status >= 100 && status <= 599;
    add(cell.count[slot_of(cell, static_cast<std::uint16_t>(answered ? status : 0))], 1);
    const std::int64_t ns = std::max<std::int64_t>(duration.count(), 0);
    std::size_t bucket = 0;
    while (bucket < kBoundsNs.size() && ns > kBoundsNs[bucket]) ++bucket;
    add(cell.buckets[bucket], 1);
    add(cell.nanoseconds, static_cast<std::uint64_t>(ns));
    add_finely(cell, static_cast<std::uint64_t>(ns));
    if (bytes_in != 0) add(cell.bytes_in, bytes_in);
    if (bytes_out != 0) add(cell.bytes_out, bytes_out);
}

void HttpMetrics::collect(Exposition& page) const {
    const std::lock_guard lock(mutex_);
    for (const auto& [name, series] : series_) {
        std::map<std::string, std::uint64_t> by_status;
        std::array<std::uint64_t, kBounds.size() + 1> buckets{};
        std::uint64_t nanoseconds = 0, in = 0, out = 0;
        for (const Cell& cell : series->cells) {
            for (std::size_t i = 0; i <= kStatuses; ++i) {
                const std::uint64_t count = read(cell.count[i]);
                if (count == 0) continue;
                const int mark = i < kStatuses ? cell.status[i].load(std::memory_order_relaxed) : 0;
                by_status[i < kStatuses ? std::to_string(mark - 1) : "other"] += count;
            }
            for (std::size_t i = 0; i < buckets.size(); ++i) buckets[i] += read(cell.buckets[i]);
            nanoseconds += read(cell.nanoseconds);
            in += read(cell.bytes_in);
            out += read(cell.bytes_out);
        }
        if (by_status.empty()) continue;
        const std::string labels = label("route", name.first) + "," + label("method", name.second);
        for (const auto& [status, count] : by_status) {
            page.counter("larder_http_requests_total", "Requests answered.",
                         labels + "," + label("status", status), count);
        }
        page.histogram("larder_http_request_duration_seconds",
                       "From a request's first byte to its answer's last.", labels, kBounds,
                       buckets, static_cast<double>(nanoseconds) / 1e9);
        page.counter("larder_http_request_bytes_total", "Body bytes of requests.", labels, in);
        page.counter("larder_http_response_bytes_total", "Body bytes of answers.", labels, out);
    }
}

namespace {

// One series, its cells added up. Buffers are kept from one series to the next.
class Sum {
public:
    RequestSeries of(const RouteSeries& series) {
        by_status_.clear();
        buckets_.fill(0);
        RequestSeries sum;
        sum.route = series.route;
        sum.method = series.method;
        sum.shortest_ns = std::numeric_limits<std::uint64_t>::max();
        for (const Cell& cell : series.cells) add_cell(cell, sum);
        statuses_.clear();
        for (const auto& [status, count] : by_status_) statuses_.push_back({status, count});
        sum.statuses = statuses_;
        sum.buckets = buckets_;
        return sum;
    }

private:
    void add_cell(const Cell& cell, RequestSeries& sum) {
        const Fine* const fine = cell.fine.load(std::memory_order_acquire);
        if (fine == nullptr) return;
        for (std::size_t i = 0; i < buckets_.size(); ++i) buckets_[i] += read(fine->buckets[i]);
        sum.shortest_ns = std::min(sum.shortest_ns, read(fine->shortest));
        sum.longest_ns = std::max(sum.longest_ns, read(fine->longest));
        sum.nanoseconds += read(cell.nanoseconds);
        sum.bytes_in += read(cell.bytes_in);
        sum.bytes_out += read(cell.bytes_out);
        for (std::size_t i = 0; i <= kStatuses; ++i) {
            const std::uint64_t count = read(cell.count[i]);
            if (count == 0) continue;
            // Of the last slot no more is known than that none of the first came.
            const int mark = i < kStatuses ? cell.status[i].load(std::memory_order_relaxed) : 0;
            by_status_[std::max(mark - 1, 0)] += count;
        }
    }

    std::map<int, std::uint64_t> by_status_;
    std::vector<StatusCount> statuses_;
    std::array<std::uint64_t, DurationBuckets::kCount> buckets_{};
};

}  // namespace

void HttpMetrics::visit(const std::function<void(const RequestSeries&)>& take) const {
    Sum sum;
    const std::lock_guard lock(mutex_);
    for (const auto& [name, series] : series_) {
        const RequestSeries told = sum.of(*series);
        if (!told.statuses.empty()) take(told);
    }
}

}  // namespace larder::observe
