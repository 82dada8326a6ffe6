// Performance records: taken in batches, kept in memory until the next write, read as series. The
// rows stand in performance_metrics of metrics.db.
//
// A series is a name with its tags. Of those there may be so many as the budget allows; the records
// of further ones go, without tags, into the series kOverflow.
#pragma once

#include <Poco/Nullable.h>

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "storage-kit/sqlite.hpp"

namespace larder::metrics {

inline constexpr std::string_view kOverflow = "larder.overflow";

struct PerformanceRecord {
    std::string name;
    double value = 0;
    std::string unit;  // or empty
    std::string tags;  // a JSON object whose names are in order, or empty
    std::int64_t time_ms = 0;
};

// A JSON array of records, or one. `now_ms` for those without a time. Throws Error with
// "invalid-json", "invalid-field". [any]
std::vector<PerformanceRecord> read_performance_records(std::string_view body, std::int64_t now_ms);

enum class Aggregate : std::uint8_t { avg = 1, sum, min, max, count, p95 };
std::optional<Aggregate> aggregate_of(std::string_view word);

struct PerformanceQuery {
    std::string name;
    std::vector<std::pair<std::string, std::string>> tags;  // all of them
    std::int64_t from_ms = 0, to_ms = 0;
    std::int64_t step = 60;  // seconds
    Aggregate aggregate = Aggregate::avg;
};

class PerformanceStore {
public:
    // `poke` asks for a flush() soon. The database outlives it.
    PerformanceStore(storage::sqlite::Database& database, std::size_t most_series,
                     std::function<void()> poke);

    void load();  // the series that are known [control]
    // Waits a while where much is waiting to be written; then Error{unavailable, "overloaded"}.
    // [worker]
    void take(std::vector<PerformanceRecord> records);
    // Writes what waits. [lane]
    void flush();
    // Forgets series that had no record since `cutoff` (Unix seconds). [lane]
    void forget_series(std::int64_t cutoff);
    void drain() noexcept;  // who waits in take() is let go

    std::map<std::int64_t, double> points(const PerformanceQuery& query) const;  // [worker]
    std::vector<std::string> names(std::string_view after, std::size_t limit) const;

    std::size_t series() const;  // [any]
    std::uint64_t overflowed() const noexcept { return overflowed_; }

private:
    // Columns as they are bound.
    struct Rows {
        std::vector<std::string> times, names;
        std::vector<double> values;
        std::vector<Poco::Nullable<std::string>> units, tags;
        std::vector<std::int64_t> fresh_series;  // seen the first time today
        std::int64_t day = 0;
    };
    bool admit(Rows& rows, const PerformanceRecord& record);
    void write(Rows& rows);

    storage::sqlite::Database& database_;
    const std::size_t most_series_;
    const std::function<void()> poke_;
    std::atomic<std::uint64_t> overflowed_{0};
    mutable std::mutex mutex_;
    std::condition_variable written_;
    std::deque<Rows> waiting_;  // guarded by mutex_, as are those below
    std::size_t waiting_rows_ = 0, waiting_callers_ = 0;
    bool draining_ = false;
    std::unordered_map<std::int64_t, std::int32_t> known_;  // series, the last day it was seen
};

}  // namespace larder::metrics
