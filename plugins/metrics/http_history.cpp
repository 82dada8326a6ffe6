// Contents: taking over · writing · compaction and retention · reading
#include "http_history.hpp"

#include <Poco/Data/Session.h>
#include <Poco/Data/Statement.h>
#include <fmt/format.h>

#include <algorithm>

#include "larder/error.hpp"
#include "metrics_text.hpp"
#include "storage-kit/timestamps.hpp"

namespace larder::metrics {
namespace {

using storage::sqlite::Bytes;
using storage::sqlite::checked;
using storage::sqlite::Connection;
using storage::sqlite::Row;

constexpr std::string_view kNoRoute = "(no route)";
constexpr std::int64_t kSteps[] = {10, 60, 3600};
// Rows of a step are made into those of the next when they are so old: a day stays exact to the
// minute.
constexpr std::int64_t kFineFor = 3600, kMinutesFor = 25 * kFineFor;
// In memory, while they cannot be written.
constexpr std::size_t kMostSamples = 20'000, kMostPending = 1000;

constexpr const char* kColumns =
    "request_count, error_count, nanoseconds, shortest_ns, longest_ns, bytes_in, bytes_out, "
    "histogram";

// Of a row that begins with kColumns at `at`.
void add_row(Rollup& to, const Row& row, int at = 0) {
    const auto number = [&](int column) {
        return static_cast<std::uint64_t>(row.integer(at + column));
    };
    to.count += number(0);
    to.errors += number(1);
    to.nanoseconds += number(2);
    to.shortest_ns = std::min(to.shortest_ns, number(3));
    to.longest_ns = std::max(to.longest_ns, number(4));
    to.bytes_in += number(5);
    to.bytes_out += number(6);
    to.add_buckets(row.bytes(at + 7));
}

void write_row(Connection& connection, std::int64_t series, std::int64_t step, std::int64_t start,
               const Rollup& rollup) {
    const std::string histogram = rollup.encode_buckets();
    // There may be none yet: a count is seen before its duration.
    const auto shortest = static_cast<std::int64_t>(
        std::min<std::uint64_t>(rollup.shortest_ns, std::numeric_limits<std::int64_t>::max()));
    connection.run(
        "INSERT OR REPLACE INTO http_rollups(series, step, start, request_count, error_count, "
        "nanoseconds, shortest_ns, longest_ns, bytes_in, bytes_out, histogram) "
        "VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        {series, step, start, checked(rollup.count), checked(rollup.errors),
         checked(rollup.nanoseconds), shortest, checked(rollup.longest_ns),
         checked(rollup.bytes_in), checked(rollup.bytes_out), Bytes{histogram}});
}

std::optional<Rollup> read_row(Connection& connection, std::int64_t series, std::int64_t step,
                               std::int64_t start) {
    Rollup rollup;
    const auto rows = connection.query(
        fmt::format("SELECT {} FROM http_rollups WHERE series = ? AND step = ? AND start = ?",
                    kColumns),
        {series, step, start}, [&](const Row& row) { add_row(rollup, row); });
    return rows == 0 ? std::nullopt : std::optional(std::move(rollup));
}

std::int64_t down_to(std::int64_t time, std::int64_t step) { return time - time % step; }

}  // namespace

HttpHistory::HttpHistory(storage::sqlite::Database& database, Insight& insight)
    : database_(database), insight_(insight) {}

// ---- taking over

void HttpHistory::begin() {
    insight_.visit_requests([this](const RequestSeries& told) {
        difference(series_[{std::string(told.route), std::string(told.method)}], told, {});
    });
}

// What is new since the last time. The shortest and the longest of it are known exactly only where
// they are so of all time; else to their buckets.
Rollup HttpHistory::difference(Series& series, const RequestSeries& told, const Failed& failed) {
    Rollup fresh;
    Rollup& seen = series.seen;
    seen.buckets.resize(DurationBuckets::kCount);
    std::size_t first = told.buckets.size(), last = 0;
    for (std::size_t i = 0; i < told.buckets.size(); ++i) {
        const std::uint64_t n = told.buckets[i] - seen.buckets[i];
        if (n == 0) continue;
        fresh.add_bucket(i, n);
        fresh.count += n;
        first = std::min(first, i);
        last = i;
        seen.buckets[i] = told.buckets[i];
    }
    for (const StatusCount& one : told.statuses) {
        std::uint64_t& known = series.statuses[one.status];
        const std::uint64_t n = one.count - known;
        known = one.count;
        if (n == 0 || one.status < 500) continue;
        fresh.errors += n;
        if (failed && told.route == kNoRoute) failed(one.status, n);
    }
    fresh.nanoseconds = told.nanoseconds - seen.nanoseconds;
    fresh.bytes_in = told.bytes_in - seen.bytes_in;
    fresh.bytes_out = told.bytes_out - seen.bytes_out;
    if (fresh.count > 0) {
        const bool shorter = told.shortest_ns < seen.shortest_ns;
        fresh.shortest_ns =
            shorter ? told.shortest_ns : std::max(DurationBuckets::middle(first), seen.shortest_ns);
        const bool longer = told.longest_ns > seen.longest_ns;
        fresh.longest_ns =
            longer ? told.longest_ns : std::min(DurationBuckets::middle(last), seen.longest_ns);
    }
    seen.shortest_ns = told.shortest_ns;
    seen.longest_ns = told.longest_ns;
    seen.nanoseconds = told.nanoseconds;
    seen.bytes_in = told.bytes_in;
    seen.bytes_out = told.bytes_out;
    return fresh;
}

HttpHistory::Fresh HttpHistory::collect(std::int64_t now_ms, const Failed& failed) {
    Fresh all;
    const std::int64_t start = down_to(now_ms / 1000, kSteps[0]);
    insight_.visit_requests([&](const RequestSeries& told) {
        const Name name(told.route, told.method);
        const Rollup fresh = difference(series_[name], told, failed);
        const bool nothing = fresh.count + fresh.errors + fresh.bytes_in + fresh.bytes_out == 0;
        all.requests += fresh.count;
        all.errors += fresh.errors;
        if (!nothing) pending_[{start, name}].add(fresh);
    });
    insight_.take_samples([&](const RequestSample& sample) {
        if (samples_.size() >= kMostSamples) return;
        samples_.push_back({sample, std::string(sample.route), std::string(sample.method),
                            printable(sample.peer), printable(sample.user_agent)});
    });
    if (pending_.size() > kMostPending) thin_pending();
    return all;
}

// The disk takes nothing: exact in number still, in time to the hour alone.
void HttpHistory::thin_pending() {
    std::map<Slot, Rollup> thinned;
    for (const auto& [slot, rollup] : pending_) {
        thinned[{down_to(slot.first, kSteps[2]), slot.second}].add(rollup);
    }
    pending_ = std::move(thinned);
}

// ---- writing

std::int64_t HttpHistory::id_of(Connection& connection, const Name& name) {
    const auto found = ids_.find(name);
    if (found != ids_.end()) return found->second;
    connection.run("INSERT OR IGNORE INTO http_series(endpoint, method) VALUES(?, ?)",
                   {name.first, name.second});
    const auto id = connection.number(
        "SELECT id FROM http_series WHERE endpoint = ? AND method = ?", {name.first, name.second});
    return ids_[name] = id.value_or(0);
}

void HttpHistory::flush() {
    if (!pending_.empty()) {
        try {
            database_.write([&](Connection& connection) {
                for (const auto& [slot, fresh] : pending_) {
                    const std::int64_t id = id_of(connection, slot.second);
                    Rollup row = read_row(connection, id, kSteps[0], slot.first).value_or(Rollup());
                    row.add(fresh);
                    write_row(connection, id, kSteps[0], slot.first, row);
                }
            });
        } catch (const Error&) {
            ids_.clear();  // some may have been rolled back
            throw;
        }
        pending_.clear();
    }
    if (!samples_.empty()) write_samples();
}

void HttpHistory::write_samples() {
    std::vector<std::string> times, methods, endpoints, peers, agents;
    std::vector<int> statuses;
    std::vector<double> durations;
    std::vector<std::int64_t> bytes_in, bytes_out, weights;
    for (const Sample& sample : samples_) {
        times.push_back(storage::sql_time(sample.facts.time_ms));
        endpoints.push_back(sample.endpoint);
        methods.push_back(sample.method);
        statuses.push_back(sample.facts.status);
        durations.push_back(static_cast<double>(sample.facts.nanoseconds) / 1e9);
        bytes_in.push_back(checked(sample.facts.bytes_in));
        bytes_out.push_back(checked(sample.facts.bytes_out));
        weights.push_back(checked(sample.facts.weight));
        peers.push_back(sample.peer);
        agents.push_back(sample.user_agent);
    }
    database_.write([&](Connection& connection) {
        connection.with_session([&](Poco::Data::Session& session) {
            using Poco::Data::Keywords::now;
            using Poco::Data::Keywords::use;
            session << "INSERT INTO http_requests(timestamp, method, endpoint, status_code, "
                       "duration, request_size, response_size, ip_address, user_agent, weight) "
                       "VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                use(times), use(methods), use(endpoints), use(statuses), use(durations),
                use(bytes_in), use(bytes_out), use(peers), use(agents), use(weights), now;
        });
    });
    samples_.clear();
}

// ---- compaction and retention

bool HttpHistory::compact(std::int64_t now_ms) {
    std::int64_t next = 0;
    database_.read([&](Connection& connection) {
        next = connection.number("SELECT min(id) FROM http_series WHERE id > ?", {compacted_})
                   .value_or(0);
    });
    compacted_ = next;
    if (next == 0) return false;
    const std::int64_t now = now_ms / 1000;
    bool more = true;
    while (more)
        more = compact_series(next, kSteps[0], kSteps[1], down_to(now - kFineFor, kSteps[1]));
    more = true;
    while (more) {
        more = compact_series(next, kSteps[1], kSteps[2], down_to(now - kMinutesFor, kSteps[2]));
    }
    return true;
}

// One transaction's worth of a series; true when there may be more.
bool HttpHistory::compact_series(std::int64_t series, std::int64_t from_step, std::int64_t to_step,
                                 std::int64_t before) {
    constexpr std::int64_t kAtOnce = 360;
    std::map<std::int64_t, Rollup> made;
    std::int64_t last = 0;
    std::uint64_t rows = 0;
    database_.write([&](Connection& connection) {
        rows = connection.query(
            fmt::format("SELECT start, {} FROM http_rollups WHERE series = ? AND step = ? AND "
                        "start < ? ORDER BY start LIMIT ?",
                        kColumns),
            {series, from_step, before, kAtOnce}, [&](const Row& row) {
                last = row.integer(0);
                add_row(made[down_to(last, to_step)], row, 1);
            });
        if (rows == 0) return;
        for (auto& [start, rollup] : made) {
            if (const auto there = read_row(connection, series, to_step, start)) rollup.add(*there);
            write_row(connection, series, to_step, start, rollup);
        }
        connection.run(
            "DELETE FROM http_rollups WHERE series = ? AND step = ? AND start < ? AND start <= ?",
            {series, from_step, before, last});
    });
    return rows == static_cast<std::uint64_t>(kAtOnce);
}

std::uint64_t HttpHistory::remove_before(std::int64_t cutoff) {
    std::vector<std::int64_t> all;
    database_.read([&](Connection& connection) {
        connection.query("SELECT id FROM http_series", {},
                         [&](const Row& row) { all.push_back(row.integer(0)); });
    });
    std::uint64_t removed = 0;
    for (const std::int64_t series : all) {
        database_.write([&](Connection& connection) {
            for (const std::int64_t step : kSteps) {
                removed += connection.run(
                    "DELETE FROM http_rollups WHERE series = ? AND step = ? AND start <= ?",
                    {series, step, cutoff - step});
            }
        });
    }
    return removed;
}

// ---- reading

void HttpHistory::visit(const HttpQuery& query, const Visit& visit) const {
    database_.read([&](Connection& connection) {
        std::vector<std::pair<std::int64_t, std::string>> wanted;
        connection.query("SELECT id, endpoint, method FROM http_series", {}, [&](const Row& row) {
            if (query.endpoint && row.text(1) != *query.endpoint) return;
            if (query.method && row.text(2) != *query.method) return;
            wanted.emplace_back(row.integer(0), row.text(1));
        });
        const std::string sql = fmt::format(
            "SELECT {}, start FROM http_rollups WHERE series = ? AND step = ? AND start > ? AND "
            "start < ?",
            kColumns);
        // One read transaction: a row that is being made of others is seen once.
        connection.run("BEGIN");
        try {
            for (const auto& one : wanted) {
                for (const std::int64_t step : kSteps) {
                    connection.query(
                        sql, {one.first, step, query.from - step, query.to},
                        [&](const Row& row) { visit(one.second, row.integer(8), row); });
                }
            }
        } catch (const std::exception&) {
            connection.run("ROLLBACK");
            throw;
        }
        connection.run("COMMIT");
    });
}

std::map<std::string, Rollup> HttpHistory::totals(const HttpQuery& query) const {
    std::map<std::string, Rollup> found;
    visit(query, [&](const std::string& endpoint, std::int64_t /*start*/, const Row& row) {
        add_row(found[endpoint], row);
    });
    return found;
}

std::map<std::int64_t, Rollup> HttpHistory::points(const HttpQuery& query,
                                                   std::int64_t step) const {
    std::map<std::int64_t, Rollup> found;
    visit(query, [&](const std::string& /*endpoint*/, std::int64_t start, const Row& row) {
        add_row(found[down_to(start, step)], row);
    });
    return found;
}

}  // namespace larder::metrics
