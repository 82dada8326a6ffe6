// The history of requests: the daemon's counts taken over as they grow, kept as rollups of 10 s, 1
// min and 1 h, and some requests whole. Not the counting, which is the daemon's.
//
// All but the reading is done on the lane of metrics.db.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "larder/insight.hpp"
#include "metrics_rollup.hpp"
#include "storage-kit/sqlite.hpp"

namespace larder::metrics {

// What is asked for; times in Unix seconds.
struct HttpQuery {
    std::optional<std::string> endpoint, method;
    std::int64_t from = 0, to = 0;  // to: behind the last
};

class HttpHistory {
public:
    // Both outlive it.
    HttpHistory(storage::sqlite::Database& database, Insight& insight);

    // What was counted before belongs to no time that is known. [control]
    void begin();
    // Takes over what was counted since, as of `now_ms`, and returns how much that was. Tells of
    // each 5xx that no route answered: those of routes are reported where they happen. [lane]
    using Failed = std::function<void(int status, std::uint64_t count)>;
    struct Fresh {
        std::uint64_t requests = 0, errors = 0;
    };
    Fresh collect(std::int64_t now_ms, const Failed& failed);
    // Writes what was collected. What cannot be written waits for the next time. [lane]
    void flush();
    // Makes longer steps of old ones, a bit at each call. True when there is more to do. [lane]
    bool compact(std::int64_t now_ms);
    // Removes rollups that end before `cutoff` (Unix seconds). Returns how many. [lane]
    std::uint64_t remove_before(std::int64_t cutoff);

    // ---- reading, of what is flushed. [worker]

    // By endpoint; of all methods, or of the one that is asked for.
    std::map<std::string, Rollup> totals(const HttpQuery& query) const;
    // Points of `step` seconds, by their start; a row of a longer step stands at its own start.
    std::map<std::int64_t, Rollup> points(const HttpQuery& query, std::int64_t step) const;

private:
    using Name = std::pair<std::string, std::string>;  // endpoint, method
    struct Series {
        Rollup seen;  // all of it up to the last collect()
        std::map<int, std::uint64_t> statuses;
    };
    using Slot = std::pair<std::int64_t, Name>;  // start

    Rollup difference(Series& series, const RequestSeries& told, const Failed& failed);
    std::int64_t id_of(storage::sqlite::Connection& connection, const Name& name);
    void thin_pending();
    void write_samples();
    bool compact_series(std::int64_t series, std::int64_t from_step, std::int64_t to_step,
                        std::int64_t before);
    using Visit = std::function<void(const std::string& endpoint, std::int64_t start,
                                     const storage::sqlite::Row& row)>;
    void visit(const HttpQuery& query, const Visit& visit) const;

    storage::sqlite::Database& database_;
    Insight& insight_;
    // the lane's alone
    std::map<Name, Series> series_;
    std::map<Name, std::int64_t> ids_;
    std::map<Slot, Rollup> pending_;  // collected and not written
    struct Sample {
        RequestSample facts;  // without texts
        std::string endpoint, method, peer, user_agent;
    };
    std::vector<Sample> samples_;
    std::int64_t compacted_ = 0;  // the series that comes next
};

}  // namespace larder::metrics
