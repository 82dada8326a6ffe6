#include "execution_records.hpp"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "larder/error.hpp"
#include "larder/time.hpp"
#include "storage-kit/sqlite_schema.hpp"
#include "storage-kit/timestamps.hpp"

namespace larder::programs {
namespace {

using storage::sql_time;
using storage::sqlite::Bytes;
using storage::sqlite::Connection;
using storage::sqlite::Database;
using storage::sqlite::Row;
using storage::sqlite::Value;

constexpr std::int64_t kIdempotencyMs = 86'400'000;
constexpr std::int64_t kRowsAtOnce = 5000;

constexpr std::string_view kColumns =
    "id, program_id, command, arguments, state, queued_time, start_time, end_time, execution_time, "
    "return_code, stdout_size, stderr_size, success, error_message, signal, timed_out, limit_hit, "
    "cpu_time, max_rss, truncated, isolation, memory_enforced, trigger_kind, principal, request_id";

void make_tables(Connection& connection) {
    connection.run(R"(CREATE TABLE IF NOT EXISTS program_executions (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        program_id TEXT NOT NULL,
        command TEXT NOT NULL,
        arguments TEXT,
        start_time TIMESTAMP DEFAULT CURRENT_TIMESTAMP,
        end_time TIMESTAMP,
        execution_time REAL,
        return_code INTEGER,
        stdout_size INTEGER,
        stderr_size INTEGER,
        success BOOLEAN,
        error_message TEXT))");
    constexpr std::pair<const char*, const char*> kMore[] = {
        {"state", "TEXT"},        {"queued_time", "TIMESTAMP"},
        {"signal", "TEXT"},       {"timed_out", "BOOLEAN"},
        {"limit_hit", "TEXT"},    {"cpu_time", "REAL"},
        {"max_rss", "INTEGER"},   {"truncated", "BOOLEAN"},
        {"isolation", "TEXT"},    {"memory_enforced", "BOOLEAN"},
        {"trigger_kind", "TEXT"}, {"principal", "TEXT"},
        {"request_id", "TEXT"}};
    for (const auto& [name, type] : kMore) {
        if (storage::sqlite::has_column(connection, "program_executions", name)) continue;
        connection.run(fmt::format("ALTER TABLE program_executions ADD COLUMN {} {}", name, type));
    }
    for (const char* index : {"idx_program_executions_program_id ON program_executions(program_id)",
                              "idx_program_executions_start_time ON program_executions(start_time)",
                              "idx_program_executions_state ON program_executions(state) WHERE "
                              "state IN ('queued', 'running')"}) {
        connection.run(fmt::format("CREATE INDEX IF NOT EXISTS {}", index));
    }
    connection.run(R"(CREATE TABLE program_outputs (
        execution_id INTEGER PRIMARY KEY,
        stdout BLOB NOT NULL,
        stderr BLOB NOT NULL))");
    connection.run(R"(CREATE TABLE program_idempotency (
        program_id TEXT NOT NULL,
        key TEXT NOT NULL,
        body_hash TEXT NOT NULL,
        execution_id INTEGER NOT NULL,
        created_ms INTEGER NOT NULL,
        PRIMARY KEY(program_id, key)) WITHOUT ROWID)");
}

Value text_value(const std::string& text) {
    if (text.empty()) return nullptr;
    return std::string_view(text);
}

std::string text_in(const Row& row, int column) {
    return row.is_null(column) ? std::string() : std::string(row.text(column));
}
std::int64_t time_in(const Row& row, int column) {
    return row.is_null(column) ? 0 : storage::parse_sql_time(row.text(column)).value_or(0);
}
std::uint64_t count_in(const Row& row, int column) {
    return row.is_null(column) ? 0 : static_cast<std::uint64_t>(row.integer(column));
}
double real_in(const Row& row, int column) { return row.is_null(column) ? 0 : row.real(column); }
bool flag_in(const Row& row, int column) {
    return !row.is_null(column) && row.integer(column) != 0;
}

// In the order of kColumns. The origin's rows have no state.
Execution execution_of(const Row& row) {
    Execution execution;
    execution.id = row.integer(0);
    execution.program_id = row.text(1);
    execution.command = row.text(2);
    const std::string arguments = text_in(row, 3);
    execution.arguments = arguments.starts_with('[') ? arguments : arguments_json({arguments});
    if (arguments.empty()) execution.arguments = "[]";
    const bool success = flag_in(row, 12);
    execution.state = row.is_null(4) ? (success ? "succeeded" : "failed") : text_in(row, 4);
    execution.queued_ms = time_in(row, 5);
    execution.start_ms = time_in(row, 6);
    execution.end_ms = time_in(row, 7);
    execution.execution_time = real_in(row, 8);
    if (!row.is_null(9)) execution.return_code = static_cast<int>(row.integer(9));
    execution.stdout_bytes = count_in(row, 10);
    execution.stderr_bytes = count_in(row, 11);
    execution.error_message = text_in(row, 13);
    execution.signal = text_in(row, 14);
    execution.timed_out = flag_in(row, 15);
    execution.limit_hit = text_in(row, 16);
    execution.cpu_time = real_in(row, 17);
    execution.max_rss = count_in(row, 18);
    execution.truncated = flag_in(row, 19);
    execution.isolation = text_in(row, 20);
    execution.memory_enforced = flag_in(row, 21);
    if (!row.is_null(22)) execution.trigger = text_in(row, 22);
    execution.principal = text_in(row, 23);
    execution.request_id = text_in(row, 24);
    return execution;
}

}  // namespace

ExecutionRecords::ExecutionRecords(std::string path) : path_(std::move(path)) {
    const std::scoped_lock lock(mutex_);
    open();
}

void ExecutionRecords::open() {
    auto opened =
        std::make_shared<Database>(path_, storage::sqlite::Options{}, std::vector<std::string>{});
    storage::sqlite::migrate(*opened, "programs", {make_tables});
    struct stat status {};
    if (::stat(path_.c_str(), &status) != 0) {
        throw Error(Errc::io_failed, "storage-failed", "the database of executions is gone");
    }
    device_ = status.st_dev;
    inode_ = status.st_ino;
    // An older file must not give out ids again that somebody knows already.
    if (last_id_ > 0) {
        opened->write([&](Connection& connection) {
            const Value last{last_id_};
            const auto known = connection.number(
                "SELECT seq FROM sqlite_sequence WHERE name = 'program_executions'");
            if (!known) {
                connection.run(
                    "INSERT INTO sqlite_sequence(name, seq) VALUES('program_executions', ?)",
                    {last});
            } else if (*known < last_id_) {
                connection.run(
                    "UPDATE sqlite_sequence SET seq = ? WHERE name = 'program_executions'", {last});
            }
        });
    }
    database_ = std::move(opened);
}

bool ExecutionRecords::is_replaced() const {
    struct stat status {};
    return ::stat(path_.c_str(), &status) != 0 || status.st_dev != device_ ||
           status.st_ino != inode_;
}

std::shared_ptr<Database> ExecutionRecords::database() {
    const std::scoped_lock lock(mutex_);
    if (is_replaced()) open();
    return database_;
}

void ExecutionRecords::write(const Work& work) {
    for (int attempt = 0; attempt < 3; ++attempt) {
        database()->write(work);
        const std::scoped_lock lock(mutex_);
        if (!is_replaced()) return;  // else what was written went with the old file
    }
    throw Error(Errc::unavailable, "restoring", "the database of executions is being replaced");
}

std::optional<std::int64_t> ExecutionRecords::add(Connection& connection,
                                                  const ExecutionRequest& request,
                                                  Execution& execution) {
    const std::int64_t now = unix_now_ms();
    if (!request.idempotency_key.empty()) {
        std::optional<std::int64_t> earlier;
        connection.query(
            "SELECT execution_id, body_hash, created_ms FROM program_idempotency "
            "WHERE program_id = ? AND key = ?",
            {std::string_view(request.program_id), std::string_view(request.idempotency_key)},
            [&](const Row& row) {
                if (row.integer(2) + kIdempotencyMs <= now) return;
                if (row.text(1) != request.body_hash) {
                    throw Error(Errc::unprocessable, "idempotency-mismatch",
                                "this Idempotency-Key was sent with another body before");
                }
                earlier = row.integer(0);
            });
        if (earlier) return earlier;
    }
    connection.run(
        "INSERT INTO program_executions(program_id, command, arguments, start_time, queued_time, "
        "state, trigger_kind, principal, request_id) VALUES(?, ?, ?, ?, ?, 'queued', ?, ?, ?)",
        {std::string_view(execution.program_id), std::string_view(execution.command),
         std::string_view(execution.arguments), std::string_view(sql_time(execution.queued_ms)),
         std::string_view(sql_time(execution.queued_ms)), std::string_view(execution.trigger),
         text_value(execution.principal), text_value(execution.request_id)});
    execution.id = connection.last_row_id();
    if (!request.idempotency_key.empty()) {
        connection.run(
            "INSERT OR REPLACE INTO program_idempotency VALUES(?, ?, ?, ?, ?)",
            {std::string_view(request.program_id), std::string_view(request.idempotency_key),
             std::string_view(request.body_hash), execution.id, now});
    }
    return std::nullopt;
}

void ExecutionRecords::end(Connection& connection, const Execution& execution) {
    const std::string start =
        sql_time(execution.start_ms == 0 ? execution.queued_ms : execution.start_ms);
    const std::string end = sql_time(execution.end_ms);
    const auto flag = [](bool on) { return Value{std::int64_t{on ? 1 : 0}}; };
    connection.run(
        "UPDATE program_executions SET state = ?, start_time = ?, end_time = ?, execution_time = "
        "?, "
        "return_code = ?, stdout_size = ?, stderr_size = ?, success = ?, error_message = ?, "
        "signal = ?, timed_out = ?, limit_hit = ?, cpu_time = ?, max_rss = ?, truncated = ?, "
        "isolation = ?, memory_enforced = ? WHERE id = ?",
        {std::string_view(execution.state), std::string_view(start), std::string_view(end),
         execution.execution_time,
         execution.return_code ? Value{std::int64_t{*execution.return_code}} : Value{nullptr},
         storage::sqlite::checked(execution.stdout_bytes),
         storage::sqlite::checked(execution.stderr_bytes), flag(execution.succeeded()),
         text_value(execution.error_message), text_value(execution.signal),
         flag(execution.timed_out), text_value(execution.limit_hit), execution.cpu_time,
         storage::sqlite::checked(execution.max_rss), flag(execution.truncated),
         text_value(execution.isolation), flag(execution.memory_enforced), execution.id});
    if (execution.out.empty() && execution.err.empty()) return;
    connection.run("INSERT OR REPLACE INTO program_outputs VALUES(?, ?, ?)",
                   {execution.id, Bytes{execution.out}, Bytes{execution.err}});
}

std::optional<Execution> ExecutionRecords::find(std::int64_t id, bool with_output) {
    std::optional<Execution> found;
    database()->read([&](Connection& connection) {
        connection.query(fmt::format("SELECT {} FROM program_executions WHERE id = ?", kColumns),
                         {id}, [&](const Row& row) { found = execution_of(row); });
        if (!found || !with_output) return;
        connection.query("SELECT stdout, stderr FROM program_outputs WHERE execution_id = ?", {id},
                         [&](const Row& row) {
                             found->out = row.bytes(0);
                             found->err = row.bytes(1);
                         });
    });
    return found;
}

std::vector<Execution> ExecutionRecords::list(std::string_view program_id, std::int64_t before,
                                              std::size_t limit) {
    std::vector<Execution> found;
    database()->read([&](Connection& connection) {
        connection.query(fmt::format("SELECT {} FROM program_executions WHERE program_id = ? AND "
                                     "(? = 0 OR id < ?) ORDER BY id DESC LIMIT ?",
                                     kColumns),
                         {program_id, before, before, static_cast<std::int64_t>(limit)},
                         [&](const Row& row) { found.push_back(execution_of(row)); });
    });
    return found;
}

ExecutionStats ExecutionRecords::stats(std::string_view program_id) {
    constexpr std::string_view kEnded =
        "FROM program_executions WHERE program_id = ? AND end_time IS NOT NULL AND execution_time "
        "IS NOT NULL";
    ExecutionStats stats;
    database()->read([&](Connection& connection) {
        connection.query(fmt::format("SELECT COUNT(*), SUM(success), AVG(execution_time), "
                                     "MAX(execution_time) {}",
                                     kEnded),
                         {program_id}, [&](const Row& row) {
                             stats.runs = count_in(row, 0);
                             stats.successes = count_in(row, 1);
                             stats.average = real_in(row, 2);
                             stats.maximum = real_in(row, 3);
                         });
        if (stats.runs == 0) return;
        const auto at = [&](double part) {
            const std::int64_t index = std::llround(part * static_cast<double>(stats.runs - 1));
            double seconds = 0;
            connection.query(fmt::format("SELECT execution_time {} ORDER BY execution_time LIMIT 1 "
                                         "OFFSET ?",
                                         kEnded),
                             {program_id, index},
                             [&](const Row& row) { seconds = real_in(row, 0); });
            return seconds;
        };
        stats.p50 = at(0.50);
        stats.p95 = at(0.95);
    });
    return stats;
}

std::uint64_t ExecutionRecords::lose_unfinished() {
    std::uint64_t lost = 0;
    const std::string now = sql_time(unix_now_ms());
    write([&](Connection& connection) {
        lost = connection.run(
            "UPDATE program_executions SET state = 'lost', success = 0, end_time = ?, "
            "error_message = 'the daemon ended before the run did' "
            "WHERE state IN ('queued', 'running')",
            {std::string_view(now)});
    });
    return lost;
}

std::uint64_t ExecutionRecords::remove_before(std::int64_t cutoff_ms, bool dry_run) {
    const std::string cutoff = sql_time(cutoff_ms);
    if (dry_run) {
        std::uint64_t count = 0;
        database()->read([&](Connection& connection) {
            count = static_cast<std::uint64_t>(
                connection
                    .number("SELECT COUNT(*) FROM program_executions WHERE end_time < ?",
                            {std::string_view(cutoff)})
                    .value_or(0));
        });
        return count;
    }
    std::uint64_t removed = 0, last = 0;
    do {
        write([&](Connection& connection) {
            connection.run(
                "DELETE FROM program_outputs WHERE execution_id IN (SELECT id FROM "
                "program_executions WHERE end_time < ? ORDER BY id LIMIT ?)",
                {std::string_view(cutoff), kRowsAtOnce});
            last = connection.run(
                "DELETE FROM program_executions WHERE id IN (SELECT id FROM program_executions "
                "WHERE end_time < ? ORDER BY id LIMIT ?)",
                {std::string_view(cutoff), kRowsAtOnce});
            connection.run("DELETE FROM program_idempotency WHERE created_ms < ?",
                           {unix_now_ms() - kIdempotencyMs});
        });
        removed += last;
    } while (last == static_cast<std::uint64_t>(kRowsAtOnce));
    return removed;
}

void ExecutionRecords::cut_outputs(std::uint64_t most) {
    for (;;) {
        std::int64_t bytes = 0;
        write([&](Connection& connection) {
            bytes = connection
                        .number("SELECT SUM(LENGTH(stdout) + LENGTH(stderr)) FROM program_outputs")
                        .value_or(0);
            if (static_cast<std::uint64_t>(bytes) <= most) return;
            connection.run(
                "DELETE FROM program_outputs WHERE execution_id IN (SELECT execution_id FROM "
                "program_outputs ORDER BY execution_id LIMIT 100)");
        });
        if (static_cast<std::uint64_t>(bytes) <= most) return;
    }
}

}  // namespace larder::programs
