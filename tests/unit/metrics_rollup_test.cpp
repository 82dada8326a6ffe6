// Rollups of requests: what their histograms keep of durations that are known, merging, their
// bytes; and the daemon's counts from which they are made.
#include "metrics_rollup.hpp"

#include <algorithm>
#include <cmath>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "larder/error.hpp"
#include "observe/http_metrics.hpp"
#include "observe/request_samples.hpp"
#include "support/suite.hpp"

namespace {

using larder::DurationBuckets;
using larder::RequestSample;
using larder::RequestSeries;
using larder::metrics::Rollup;

Rollup rollup_of(const std::vector<std::uint64_t>& durations) {
    Rollup rollup;
    for (const std::uint64_t ns : durations) {
        rollup.add_bucket(DurationBuckets::index(ns), 1);
        ++rollup.count;
        rollup.nanoseconds += ns;
        rollup.shortest_ns = std::min(rollup.shortest_ns, ns);
        rollup.longest_ns = std::max(rollup.longest_ns, ns);
    }
    return rollup;
}

std::vector<std::uint64_t> some_durations(std::size_t count, unsigned seed) {
    std::mt19937_64 engine(seed);
    std::lognormal_distribution<double> spread(12, 2.5);  // 160 µs, from 1 µs to seconds
    std::vector<std::uint64_t> durations(count);
    for (auto& ns : durations) ns = std::max<std::uint64_t>(1000, std::llround(spread(engine)));
    return durations;
}

class MetricsRollupTest : public CppUnit::TestFixture {
    CPPUNIT_TEST_SUITE(MetricsRollupTest);
    CPPUNIT_TEST(buckets_hold_what_they_say);
    CPPUNIT_TEST(quantiles_are_within_two_percent);
    CPPUNIT_TEST(quantiles_of_few);
    CPPUNIT_TEST(merging_loses_nothing);
    CPPUNIT_TEST(histograms_are_read_back);
    CPPUNIT_TEST(odd_bytes_are_refused);
    CPPUNIT_TEST(the_daemon_counts_all);
    CPPUNIT_TEST(weights_add_up);
    CPPUNIT_TEST(the_rate_is_kept);
    CPPUNIT_TEST_SUITE_END();

public:
    void buckets_hold_what_they_say() {
        std::size_t last = 0;
        for (std::uint64_t ns = 0; ns < 5'000'000'000'000; ns = ns + 1 + ns / 97) {
            const std::size_t index = DurationBuckets::index(ns);
            CPPUNIT_ASSERT(index >= last && index < DurationBuckets::kCount);
            last = index;
            if (index + 1 == DurationBuckets::kCount) continue;
            CPPUNIT_ASSERT(DurationBuckets::least(index) <= ns);
            CPPUNIT_ASSERT(ns < DurationBuckets::least(index + 1));
            const auto middle = static_cast<double>(DurationBuckets::middle(index));
            if (ns >= 1024) CPPUNIT_ASSERT(std::abs(middle / static_cast<double>(ns) - 1) < 0.0162);
        }
        CPPUNIT_ASSERT_EQUAL(DurationBuckets::kCount - 1,
                             DurationBuckets::index(std::uint64_t{1} << 63U));
    }

    void quantiles_are_within_two_percent() {
        for (const unsigned seed : {1U, 2U, 3U}) {
            std::vector<std::uint64_t> durations = some_durations(20'000, seed);
            const Rollup rollup = rollup_of(durations);
            std::sort(durations.begin(), durations.end());
            for (const double quantile : {0.01, 0.5, 0.9, 0.95, 0.99, 0.999, 1.0}) {
                const auto rank = static_cast<std::size_t>(
                    std::ceil(quantile * static_cast<double>(durations.size())));
                const auto exact = static_cast<double>(durations[rank - 1]);
                const auto told = static_cast<double>(rollup.quantile(quantile));
                CPPUNIT_ASSERT_DOUBLES_EQUAL_MESSAGE(std::to_string(quantile), 1, told / exact,
                                                     0.02);
            }
        }
    }

    void quantiles_of_few() {
        CPPUNIT_ASSERT_EQUAL(std::uint64_t{0}, Rollup().quantile(0.5));
        const Rollup one = rollup_of({123'457});
        CPPUNIT_ASSERT_EQUAL(std::uint64_t{123'457}, one.quantile(0.5));
        const Rollup two = rollup_of({1'000'003, 5'000'011});
        CPPUNIT_ASSERT_EQUAL(std::uint64_t{1'000'003}, two.quantile(0.5));
        CPPUNIT_ASSERT_EQUAL(std::uint64_t{5'000'011}, two.quantile(0.99));
    }

    void merging_loses_nothing() {
        const auto first = some_durations(3000, 4), second = some_durations(5000, 5);
        std::vector<std::uint64_t> both = first;
        both.insert(both.end(), second.begin(), second.end());
        Rollup merged = rollup_of(first);
        merged.add(rollup_of(second));
        const Rollup whole = rollup_of(both);
        CPPUNIT_ASSERT(merged.buckets == whole.buckets);
        CPPUNIT_ASSERT_EQUAL(whole.count, merged.count);
        CPPUNIT_ASSERT_EQUAL(whole.nanoseconds, merged.nanoseconds);
        CPPUNIT_ASSERT_EQUAL(whole.shortest_ns, merged.shortest_ns);
        CPPUNIT_ASSERT_EQUAL(whole.longest_ns, merged.longest_ns);
    }

    void histograms_are_read_back() {
        std::vector<std::uint64_t> durations = some_durations(2000, 6);
        durations.push_back(0);
        durations.push_back(std::uint64_t{1} << 62U);  // the last bucket
        const Rollup rollup = rollup_of(durations);
        Rollup read;
        read.add_buckets(rollup.encode_buckets());
        CPPUNIT_ASSERT(read.buckets == rollup.buckets);
        read.add_buckets(rollup.encode_buckets());
        CPPUNIT_ASSERT_EQUAL(2 * rollup.buckets.back(), read.buckets.back());
        CPPUNIT_ASSERT(Rollup().encode_buckets().empty());
    }

    void odd_bytes_are_refused() {
        using namespace std::string_view_literals;
        for (const std::string_view bytes : {"\x01"sv, "\x80"sv, "\xFF\xFF\x7F\x01"sv,
                                             "\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80"sv}) {
            Rollup rollup;
            CPPUNIT_ASSERT_THROW(rollup.add_buckets(bytes), larder::Error);
        }
    }

    void the_daemon_counts_all() {
        constexpr std::size_t kThreads = 3, kEach = 20'000;
        larder::observe::HttpMetrics counts(kThreads);
        auto& series = counts.series("/x/{y}", "GET");
        std::vector<std::thread> threads;
        for (std::size_t t = 0; t < kThreads; ++t) {
            threads.emplace_back([&, t] {
                for (std::size_t i = 0; i < kEach; ++i) {
                    counts.record(series, t, i % 100 == 0 ? 500 : 200,
                                  std::chrono::nanoseconds(1000 + i), 2, 3);
                }
            });
        }
        for (auto& thread : threads) thread.join();
        std::size_t visits = 0;
        counts.visit([&](const RequestSeries& told) {
            ++visits;
            CPPUNIT_ASSERT_EQUAL(std::string("/x/{y} GET"),
                                 std::string(told.route) + " " + std::string(told.method));
            std::uint64_t all = 0;
            for (const std::uint64_t n : told.buckets) all += n;
            CPPUNIT_ASSERT_EQUAL(std::uint64_t{kThreads * kEach}, all);
            CPPUNIT_ASSERT_EQUAL(std::size_t{2}, told.statuses.size());
            CPPUNIT_ASSERT_EQUAL(std::uint64_t{kThreads * kEach / 100}, told.statuses[1].count);
            CPPUNIT_ASSERT_EQUAL(std::uint64_t{1000}, told.shortest_ns);
            CPPUNIT_ASSERT_EQUAL(std::uint64_t{1000 + kEach - 1}, told.longest_ns);
            CPPUNIT_ASSERT_EQUAL(std::uint64_t{3 * kThreads * kEach}, told.bytes_out);
        });
        CPPUNIT_ASSERT_EQUAL(std::size_t{1}, visits);
    }

    // However many come and go, and whether or not anybody takes them.
    void weights_add_up() {
        larder::observe::HttpMetrics counts(1);
        auto& series = counts.series("/x", "GET");
        larder::observe::RequestSamples samples(1);
        CPPUNIT_ASSERT_EQUAL(std::uint64_t{0}, samples.draw(0, 1));
        samples.set_rate(100);
        std::uint64_t drawn = 0, kept = 0;
        const auto take = [&] {
            samples.take([&](const RequestSample& sample) { kept += sample.weight; });
        };
        for (std::int64_t second = 1; second <= 60; ++second) {
            const std::size_t requests = second % 7 == 0 ? 5 : second * 400;
            for (std::size_t i = 0; i < requests; ++i) {
                ++drawn;
                RequestSample sample;
                sample.weight = samples.draw(0, second);
                sample.user_agent = std::string_view("wrk");
                if (sample.weight > 0) samples.keep(0, series, sample);
            }
            if (second % 20 == 0) take();
        }
        // The last of all, for which a second has come that has room.
        for (std::int64_t second = 100; second <= 101; ++second) {
            ++drawn;
            RequestSample sample;
            sample.weight = samples.draw(0, second);
            if (sample.weight > 0) samples.keep(0, series, sample);
        }
        take();
        CPPUNIT_ASSERT_EQUAL(drawn, kept);
    }

    void the_rate_is_kept() {
        larder::observe::RequestSamples samples(2);
        samples.set_rate(200);  // 100 a reactor
        for (std::int64_t second = 1; second <= 5; ++second) {
            std::size_t kept = 0;
            for (int i = 0; i < 100'000; ++i) kept += samples.draw(1, second) > 0 ? 1 : 0;
            CPPUNIT_ASSERT(kept > 10 && kept <= 100);
        }
        std::size_t kept = 0;
        for (int i = 0; i < 40; ++i) kept += samples.draw(0, 1) > 0 ? 1 : 0;
        CPPUNIT_ASSERT_EQUAL(std::size_t{40}, kept);  // few are kept one by one
    }
};

LARDER_TEST_SUITE(MetricsRollupTest);

}  // namespace
