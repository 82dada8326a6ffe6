// The measure of ingestion: the bench's rows put into a SQLite file by a program that does nothing
// else, at so many a transaction. Prints rows a second. Compiled by tools/benches/metrics.py.
//
//   bare_sqlite FILE SECONDS BATCH NAMES
#include <sqlite3.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>

namespace {

void require(bool holds, const char* what) {
    if (holds) return;
    std::fprintf(stderr, "bare_sqlite: %s failed\n", what);
    std::exit(1);
}

}  // namespace

int main(int /*count*/, char** words) {
    const double seconds = std::atof(words[2]);
    const int batch = std::atoi(words[3]), names = std::atoi(words[4]);
    sqlite3* base = nullptr;
    require(sqlite3_open(words[1], &base) == SQLITE_OK, "open");
    const char* const schema =
        "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;"
        "CREATE TABLE performance_metrics (id INTEGER PRIMARY KEY AUTOINCREMENT, timestamp "
        "TIMESTAMP "
        "DEFAULT CURRENT_TIMESTAMP, metric_name TEXT NOT NULL, metric_value REAL, metric_unit "
        "TEXT, "
        "tags TEXT);"
        "CREATE INDEX idx_performance_metrics_name ON performance_metrics(metric_name)";
    require(sqlite3_exec(base, schema, nullptr, nullptr, nullptr) == SQLITE_OK, "schema");
    sqlite3_stmt* insert = nullptr;
    sqlite3_prepare_v2(base,
                       "INSERT INTO performance_metrics(timestamp, metric_name, metric_value, "
                       "metric_unit, tags) VALUES(?, ?, ?, ?, ?)",
                       -1, &insert, nullptr);
    using Clock = std::chrono::steady_clock;
    const auto begin = Clock::now();
    long rows = 0;
    std::chrono::duration<double> spent{0};
    for (; spent.count() < seconds; spent = Clock::now() - begin) {
        sqlite3_exec(base, "BEGIN IMMEDIATE", nullptr, nullptr, nullptr);
        for (int i = 0; i < batch; ++i, ++rows) {
            const std::string name = "bench.metric." + std::to_string(rows % names);
            const std::string tags = "{\"host\":\"h" + std::to_string(rows % 7) + "\"}";
            sqlite3_bind_text(insert, 1, "2026-11-22 15:26:28.123", -1, SQLITE_STATIC);
            sqlite3_bind_text(insert, 2, name.c_str(), -1, SQLITE_STATIC);
            sqlite3_bind_double(insert, 3, static_cast<double>(rows) * 0.5);
            sqlite3_bind_text(insert, 4, "ms", -1, SQLITE_STATIC);
            sqlite3_bind_text(insert, 5, tags.c_str(), -1, SQLITE_STATIC);
            require(sqlite3_step(insert) == SQLITE_DONE, "insert");
            sqlite3_reset(insert);
        }
        sqlite3_exec(base, "COMMIT", nullptr, nullptr, nullptr);
    }
    std::printf("%.0f\n", static_cast<double>(rows) / spent.count());
    sqlite3_finalize(insert);
    sqlite3_close(base);
}
