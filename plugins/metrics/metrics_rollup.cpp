#include "metrics_rollup.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "larder/error.hpp"

namespace larder::metrics {
namespace {

void put_number(std::string& out, std::uint64_t value) {
    for (; value >= 0x80; value >>= 7U) out += static_cast<char>((value & 0x7FU) | 0x80U);
    out += static_cast<char>(value);
}

Error wrong_histogram() {
    return Error(Errc::corrupt, "wrong-histogram", "a stored histogram cannot be read");
}

std::uint64_t take_number(std::string_view& bytes) {
    std::uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        if (bytes.empty()) throw wrong_histogram();
        const auto byte = static_cast<unsigned char>(bytes.front());
        bytes.remove_prefix(1);
        value |= std::uint64_t{byte & 0x7FU} << shift;
        if (byte < 0x80) return value;
    }
    throw wrong_histogram();
}

std::string seconds(bool known, double nanoseconds) {
    return known ? fmt::format("{}", nanoseconds / 1e9) : "null";
}

}  // namespace

void Rollup::add(const Rollup& other) {
    count += other.count;
    errors += other.errors;
    nanoseconds += other.nanoseconds;
    shortest_ns = std::min(shortest_ns, other.shortest_ns);
    longest_ns = std::max(longest_ns, other.longest_ns);
    bytes_in += other.bytes_in;
    bytes_out += other.bytes_out;
    for (std::size_t i = 0; i < other.buckets.size(); ++i) {
        if (other.buckets[i] != 0) add_bucket(i, other.buckets[i]);
    }
}

void Rollup::add_bucket(std::size_t index, std::uint64_t n) {
    if (buckets.empty()) buckets.resize(DurationBuckets::kCount);
    buckets[index] += n;
}

std::uint64_t Rollup::quantile(double quantile) const {
    std::uint64_t all = 0;
    for (const std::uint64_t n : buckets) all += n;
    if (all == 0) return 0;
    const auto rank = std::clamp<std::uint64_t>(
        static_cast<std::uint64_t>(std::ceil(quantile * static_cast<double>(all))), 1, all);
    if (rank == 1) return shortest_ns;
    if (rank == all) return longest_ns;
    std::uint64_t below = 0;
    for (std::size_t i = 0; i < buckets.size(); ++i) {
        below += buckets[i];
        if (below < rank) continue;
        return std::clamp(DurationBuckets::middle(i), shortest_ns,
                          std::max(shortest_ns, longest_ns));
    }
    return longest_ns;
}

std::string Rollup::encode_buckets() const {
    std::string bytes;
    std::size_t next = 0;
    for (std::size_t i = 0; i < buckets.size(); ++i) {
        if (buckets[i] == 0) continue;
        put_number(bytes, i - next);
        put_number(bytes, buckets[i]);
        next = i + 1;
    }
    return bytes;
}

void Rollup::add_buckets(std::string_view bytes) {
    std::size_t next = 0;
    while (!bytes.empty()) {
        const std::uint64_t gap = take_number(bytes);
        const std::uint64_t n = take_number(bytes);
        if (gap >= DurationBuckets::kCount - next) throw wrong_histogram();
        next += gap;
        add_bucket(next++, n);
        if (next == DurationBuckets::kCount && !bytes.empty()) throw wrong_histogram();
    }
}

void append_members(std::string& out, const Rollup& rollup) {
    const bool some = rollup.count > 0;
    const auto sum = static_cast<double>(rollup.nanoseconds);
    out += fmt::format(
        R"("request_count":{},"avg_duration":{},"min_duration":{},"max_duration":{},"error_count":{},)",
        rollup.count, seconds(some, some ? sum / static_cast<double>(rollup.count) : 0),
        seconds(some, static_cast<double>(rollup.shortest_ns)),
        seconds(some, static_cast<double>(rollup.longest_ns)), rollup.errors);
    out += fmt::format(R"("p50":{},"p95":{},"p99":{},"bytes_in":{},"bytes_out":{})",
                       seconds(some, static_cast<double>(rollup.quantile(0.50))),
                       seconds(some, static_cast<double>(rollup.quantile(0.95))),
                       seconds(some, static_cast<double>(rollup.quantile(0.99))), rollup.bytes_in,
                       rollup.bytes_out);
}

}  // namespace larder::metrics
