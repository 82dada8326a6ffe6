// What is known of many requests together: counts, sums, and the histogram of their durations,
// which merge without loss. Not where they are kept: http_history.hpp.
#pragma once

#include <cstdint>
#include <limits>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "larder/insight.hpp"

namespace larder::metrics {

struct Rollup {
    std::uint64_t count = 0, errors = 0;  // errors: 5xx
    std::uint64_t nanoseconds = 0;
    std::uint64_t shortest_ns = std::numeric_limits<std::uint64_t>::max(), longest_ns = 0;
    std::uint64_t bytes_in = 0, bytes_out = 0;
    std::vector<std::uint64_t> buckets;  // none, or DurationBuckets::kCount

    void add(const Rollup& other);
    // The duration that a share of `quantile` of all requests did not exceed, in nanoseconds,
    // within 1/64; the exact one where it is the first or the last. 0 where there are none.
    std::uint64_t quantile(double quantile) const;

    // The histogram as bytes: pairs of gap and count, LEB128. add_buckets() throws
    // Error{corrupt, "wrong-histogram"} for what encode_buckets() did not make.
    std::string encode_buckets() const;
    void add_buckets(std::string_view bytes);
    void add_bucket(std::size_t index, std::uint64_t n);
};

// `"request_count":…` to `"bytes_out":…`, as GET /api/metrics/http tells them.
void append_members(std::string& out, const Rollup& rollup);

}  // namespace larder::metrics
