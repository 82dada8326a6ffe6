// One scrape's worth of metrics, and its text: Prometheus text format 0.0.4 or OpenMetrics 1.0. Not
// where the numbers are counted: that is metrics.hpp.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace larder::observe {

enum class Format : std::uint8_t { prometheus = 1, openmetrics };

// By the Accept header: OpenMetrics when it is asked for at least as much as plain text. [any]
Format format_for(std::string_view accept);
// With version and charset. [any]
std::string_view content_type(Format format) noexcept;

enum class MetricType : std::uint8_t { counter = 1, gauge, histogram };

// `name="value"` with the value escaped; joined by commas they make the labels of a sample. [any]
std::string label(std::string_view name, std::string_view value);

// Throw Error{internal}: names are lower case, of a-z 0-9 and _, counters end in _total and nothing
// else does, nor in _count, _sum or _bucket; help is one or more characters of UTF-8; labels are
// name="value",… without a name twice or reserved (`le` of histograms, __x). [any]
void check_metric(MetricType type, std::string_view name, std::string_view help);
void check_labels(MetricType type, std::string_view labels);

// Families by name. A sample that contradicts what is there (another type, the same labels again)
// is left out and counted in refused(), so that one mistaken plugin does not spoil the page. Names
// and labels that are malformed throw Error{internal}. [one thread]
class Exposition {
public:
    void counter(std::string_view name, std::string_view help, std::string_view labels,
                 std::uint64_t value);
    void counter_seconds(std::string_view name, std::string_view help, std::string_view labels,
                         double value);  // for CPU time, which is no whole number
    void gauge(std::string_view name, std::string_view help, std::string_view labels, double value);
    // `counts` has one number a bound and one more for what is over the last, not yet summed up.
    void histogram(std::string_view name, std::string_view help, std::string_view labels,
                   std::span<const double> bounds, std::span<const std::uint64_t> counts,
                   double sum);

    std::uint64_t refused() const noexcept { return refused_; }
    std::string text(Format format) const;

private:
    struct Sample {
        std::string suffix, labels, value;  // suffix: "_bucket", "_sum", "_count" or none
    };
    struct Family {
        MetricType type;
        std::string help;
        std::set<std::string, std::less<>> seen;  // labels
        std::vector<Sample> samples;
    };

    Family* family(MetricType type, std::string_view name, std::string_view help,
                   std::string_view labels);

    std::map<std::string, Family, std::less<>> families_;
    std::uint64_t refused_ = 0;
};

}  // namespace larder::observe
