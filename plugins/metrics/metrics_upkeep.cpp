// What is done to the databases by the hour or when asked: old rows removed, sizes kept, files put
// in order. In small transactions on the writers' threads, so that others come between.
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <system_error>

#include "larder/time.hpp"
#include "metrics_core.hpp"
#include "storage-kit/timestamps.hpp"

namespace larder::metrics {
namespace {

using storage::sqlite::Connection;
using storage::sqlite::Database;
using storage::sqlite::Row;
using storage::sqlite::Value;

constexpr std::int64_t kIdsAtOnce = 5000, kPagesAtOnce = 500;
// Of rows beyond max_size, in one tick: small bites, so that not much more goes than must.
constexpr std::int64_t kBite = 1000;
constexpr int kBitesAtOnce = 50;
// Those with a timestamp for each row.
constexpr const char* kRowTables[] = {"http_requests", "performance_metrics", "system_metrics"};
constexpr const char* kDatabases[] = {"metrics.db", "errors.db", "audit.db"};

void ignore(const Row& /*row*/) {}

std::uint64_t size_of(const std::string& path) {
    std::uint64_t bytes = 0;
    for (const char* suffix : {"", "-wal", "-shm"}) {
        std::error_code absent;
        const auto size = std::filesystem::file_size(path + suffix, absent);
        if (!absent) bytes += size;
    }
    return bytes;
}

std::uint64_t bytes_used(Connection& connection) {
    const auto pages = connection.number("PRAGMA page_count").value_or(0) -
                       connection.number("PRAGMA freelist_count").value_or(0);
    return static_cast<std::uint64_t>(pages * connection.number("PRAGMA page_size").value_or(0));
}

// Gives some free pages back to the file system; true when there are more.
bool shrink(Database& database) {
    bool more = false;
    database.maintain([&](Connection& connection) {
        const auto free = connection.number("PRAGMA freelist_count").value_or(0);
        if (free == 0 || connection.number("PRAGMA auto_vacuum") != 2) return;
        connection.query(fmt::format("PRAGMA incremental_vacuum({})", kPagesAtOnce), {}, ignore);
        more = free > kPagesAtOnce;
    });
    return more;
}

std::string oldest_table(Connection& connection, const std::vector<std::string>& tables) {
    std::string found, oldest;
    for (const std::string& table : tables) {
        connection.query(fmt::format("SELECT timestamp FROM {} ORDER BY id LIMIT 1", table), {},
                         [&](const Row& row) {
                             if (row.is_null(0)) return;
                             const std::string time(row.text(0));
                             if (!found.empty() && time >= oldest) return;
                             found = table;
                             oldest = time;
                         });
    }
    return found;
}

}  // namespace

// [lane of the database] The oldest rows go first, whatever table they are in.
void MetricsCore::enforce_size(Database& database, const std::vector<std::string>& tables) const {
    const std::uint64_t most = host_.settings().bytes("max_size");
    bool removed = false;
    for (int bite = 0; bite < kBitesAtOnce; ++bite) {
        std::string table;
        database.maintain([&](Connection& connection) {
            const std::uint64_t used = bytes_used(connection);
            if (&database == metrics_db_.get()) bytes_->set(static_cast<double>(used));
            if (used > most) table = oldest_table(connection, tables);
        });
        if (table.empty()) break;
        removed = true;
        database.write([&](Connection& connection) {
            connection.run(
                fmt::format("DELETE FROM {0} WHERE id IN (SELECT id FROM {0} ORDER BY id LIMIT ?)",
                            table),
                {kBite});
        });
    }
    if (removed) shrink(database);
}

// Ids grow with time, but a record may tell an earlier one: all are looked at, some at a time.
std::uint64_t MetricsCore::remove_rows(const std::string& table, std::int64_t cutoff_ms) {
    const std::string cutoff = storage::sql_time(cutoff_ms);
    std::int64_t at = 0, last = 0;
    metrics_db_->read([&](Connection& connection) {
        at = connection.number(fmt::format("SELECT min(id) FROM {}", table)).value_or(1) - 1;
        last = connection.number(fmt::format("SELECT max(id) FROM {}", table)).value_or(0);
    });
    const std::string sql =
        fmt::format("DELETE FROM {} WHERE id > ? AND id <= ? AND timestamp < ?", table);
    std::uint64_t removed = 0;
    for (; at < last; at += kIdsAtOnce) {
        metrics_lane_->run([&] {
            metrics_db_->write([&](Connection& connection) {
                removed += connection.run(sql, {at, at + kIdsAtOnce, cutoff});
            });
        });
    }
    return removed;
}

std::vector<std::pair<Lane*, Database*>> MetricsCore::databases() {
    return {{metrics_lane_.get(), metrics_db_.get()},
            {errors_lane_.get(), errors_db_.get()},
            {audit_lane_.get(), &audit_->database()}};
}

void MetricsCore::give_pages_back() {
    for (const auto& [lane, database] : databases()) {
        for (bool more = true; more;) {
            lane->run([&, base = database] { more = shrink(*base); });
        }
    }
}

std::vector<MetricsCore::Aged> MetricsCore::aged_metrics(std::int64_t cutoff_ms) {
    std::vector<Aged> all;
    const std::string cutoff = storage::sql_time(cutoff_ms);
    metrics_db_->read([&](Connection& connection) {
        std::uint64_t rows = 0;
        const auto count = [&](const std::string& sql, std::initializer_list<Value> values = {}) {
            return static_cast<std::uint64_t>(connection.number(sql, values).value_or(0));
        };
        for (const char* table : kRowTables) {
            rows += count(fmt::format("SELECT count(*) FROM {}", table));
            all.push_back(
                {table,
                 count(fmt::format("SELECT count(*) FROM {} WHERE timestamp < ?", table), {cutoff}),
                 0});
        }
        rows += count("SELECT count(*) FROM http_rollups");
        all.push_back(
            {"http_rollups",
             count("SELECT count(*) FROM http_rollups WHERE start <= ? - step", {cutoff_ms / 1000}),
             0});
        const double used = static_cast<double>(bytes_used(connection));
        for (Aged& aged : all) {
            if (aged.rows == 0) continue;
            const double share = static_cast<double>(aged.rows) / static_cast<double>(rows);
            aged.bytes = static_cast<std::uint64_t>(used * share);
        }
    });
    return all;
}

void MetricsCore::remove_metrics(std::int64_t cutoff_ms, Removed& removed) {
    for (const char* table : kRowTables) removed[table] = remove_rows(table, cutoff_ms);
    metrics_lane_->run([&] {
        removed["http_rollups"] = http_->remove_before(cutoff_ms / 1000);
        performance_->forget_series(cutoff_ms / 1000);
    });
    give_pages_back();
}

MetricsCore::Removed MetricsCore::clean_up(std::chrono::milliseconds retention,
                                           std::chrono::milliseconds audit_retention) {
    const std::int64_t now = unix_now_ms();
    const std::int64_t cutoff = now - retention.count();
    Removed removed;
    std::uint64_t& errors = removed["errors"];
    for (std::uint64_t some = 1; some > 0; errors += some) {
        errors_lane_->run([&] { some = errors_->remove_before(cutoff); });
    }
    audit_lane_->run(
        [&] { removed["audit"] = audit_->remove_before(now - audit_retention.count()); });
    remove_metrics(cutoff, removed);
    return removed;
}

std::vector<MetricsCore::Optimized> MetricsCore::optimize() {
    std::vector<Optimized> done;
    std::size_t index = 0;
    for (const auto& [lane, database] : databases()) {
        Database& base = *database;
        const std::uint64_t before = size_of(base.path());
        std::vector<std::string> indexes;
        base.read([&](Connection& connection) {
            connection.query(
                "SELECT name FROM sqlite_schema WHERE type = 'index' AND sql IS NOT NULL", {},
                [&](const Row& row) { indexes.emplace_back(row.text(0)); });
        });
        for (const std::string& name : indexes) {
            lane->run([&] {
                base.maintain([&](Connection& connection) {
                    std::string quoted;
                    for (const char c : name)
                        quoted += c == '"' ? std::string("\"\"") : std::string(1, c);
                    connection.run(fmt::format("REINDEX \"{}\"", quoted));
                });
            });
        }
        lane->run(
            [&] { base.maintain([](Connection& connection) { connection.run("ANALYZE"); }); });
        for (bool more = true; more;) lane->run([&] { more = shrink(base); });
        lane->run([&] {
            base.maintain([](Connection& connection) {
                connection.query("PRAGMA wal_checkpoint(TRUNCATE)", {}, ignore);
            });
        });
        done.push_back({kDatabases[index++], before, size_of(base.path())});
    }
    return done;
}

std::vector<MetricsCore::Optimized> MetricsCore::would_optimize() {
    std::vector<Optimized> would;
    std::size_t index = 0;
    for (const auto& [lane, database] : databases()) {
        const std::uint64_t size = size_of(database->path());
        std::uint64_t used = size;
        database->read([&](Connection& connection) { used = bytes_used(connection); });
        would.push_back({kDatabases[index++], size, std::min(size, used)});
    }
    return would;
}

void MetricsCore::run_upkeep() {
    clean_up(host_.settings().duration("retention"), host_.settings().duration("audit_retention"));
    const auto verdict = audit_->verify();
    if (verdict.faults.empty()) return host_.alerts().resolve("audit");
    const AuditFault& first = verdict.faults.front();
    host_.alerts().raise("audit", Severity::critical,
                         fmt::format("the audit's chain is not sound: record {} was {}; larderctl "
                                     "audit verify tells all",
                                     first.seq, kind_word(first.kind)));
}

}  // namespace larder::metrics
