// Per-reactor cells and their sum.
#include "observe/http_metrics.hpp"

#include <array>
#include <atomic>

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

struct alignas(64) Cell {
    // slot i counts status[i] - 1; 0 is a free slot; the last slot counts all others
    std::array<std::atomic<std::uint16_t>, kStatuses> status{};
    std::array<Number, kStatuses + 1> count{};
    std::array<Number, kBounds.size() + 1> buckets{};
    Number nanoseconds{0}, bytes_in{0}, bytes_out{0};
};

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
    explicit RouteSeries(std::size_t reactors) : cells(reactors) {}
    std::vector<Cell> cells;  // one a reactor; never resized
};

HttpMetrics::HttpMetrics(std::size_t reactors) : reactors_(reactors) {}
HttpMetrics::~HttpMetrics() = default;

RouteSeries& HttpMetrics::series(std::string_view route_template, std::string_view method) {
    const std::lock_guard lock(mutex_);
    std::unique_ptr<RouteSeries>& found =
        series_[{std::string(route_template), std::string(method)}];
    if (!found) found = std::make_unique<RouteSeries>(reactors_);
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

}  // namespace larder::observe
