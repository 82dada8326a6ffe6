#include "metrics_schema.hpp"

#include <fmt/format.h>

namespace larder::metrics {
namespace {

using storage::sqlite::Connection;
using storage::sqlite::Migration;

void add_column(Connection& connection, std::string_view table, std::string_view column,
                std::string_view type) {
    if (storage::sqlite::has_column(connection, table, column)) return;
    connection.run(fmt::format("ALTER TABLE {} ADD COLUMN {} {}", table, column, type));
}

void make_metrics(Connection& connection) {
    connection.run(R"(CREATE TABLE IF NOT EXISTS http_requests (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        timestamp TIMESTAMP DEFAULT CURRENT_TIMESTAMP,
        method TEXT NOT NULL,
        endpoint TEXT NOT NULL,
        status_code INTEGER,
        duration REAL,
        request_size INTEGER,
        response_size INTEGER,
        ip_address TEXT,
        user_agent TEXT))");
    add_column(connection, "http_requests", "weight", "INTEGER NOT NULL DEFAULT 1");
    connection.run(R"(CREATE TABLE IF NOT EXISTS system_metrics (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        timestamp TIMESTAMP DEFAULT CURRENT_TIMESTAMP,
        cpu_percent REAL,
        memory_percent REAL,
        memory_mb REAL,
        disk_percent REAL,
        disk_mb REAL,
        active_connections INTEGER))");
    add_column(connection, "system_metrics", "disk_read_bytes", "INTEGER");
    add_column(connection, "system_metrics", "disk_write_bytes", "INTEGER");
    connection.run(R"(CREATE TABLE IF NOT EXISTS performance_metrics (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        timestamp TIMESTAMP DEFAULT CURRENT_TIMESTAMP,
        metric_name TEXT NOT NULL,
        metric_value REAL,
        metric_unit TEXT,
        tags TEXT))");
    for (const char* index : {"idx_http_requests_timestamp ON http_requests(timestamp)",
                              "idx_http_requests_endpoint ON http_requests(endpoint)",
                              "idx_system_metrics_timestamp ON system_metrics(timestamp)",
                              "idx_performance_metrics_name ON performance_metrics(metric_name)"}) {
        connection.run(fmt::format("CREATE INDEX IF NOT EXISTS {}", index));
    }
    connection.run(R"(CREATE TABLE http_series (
        id INTEGER PRIMARY KEY,
        endpoint TEXT NOT NULL,
        method TEXT NOT NULL,
        UNIQUE(endpoint, method)))");
    // step and start in seconds; a request is in one row, whatever its step.
    connection.run(R"(CREATE TABLE http_rollups (
        series INTEGER NOT NULL,
        step INTEGER NOT NULL,
        start INTEGER NOT NULL,
        request_count INTEGER NOT NULL,
        error_count INTEGER NOT NULL,
        nanoseconds INTEGER NOT NULL,
        shortest_ns INTEGER NOT NULL,
        longest_ns INTEGER NOT NULL,
        bytes_in INTEGER NOT NULL,
        bytes_out INTEGER NOT NULL,
        histogram BLOB NOT NULL,
        PRIMARY KEY(series, step, start)) WITHOUT ROWID)");
    // The series that the budget counts, by a hash of name and tags.
    connection.run(R"(CREATE TABLE performance_series (
        id INTEGER PRIMARY KEY,
        last_day INTEGER NOT NULL))");
}

void make_errors(Connection& connection) {
    connection.run(R"(CREATE TABLE IF NOT EXISTS errors (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        timestamp TIMESTAMP DEFAULT CURRENT_TIMESTAMP,
        error_id TEXT UNIQUE,
        category TEXT,
        severity TEXT,
        message TEXT NOT NULL,
        stack_trace TEXT,
        endpoint TEXT,
        method TEXT,
        request_data TEXT,
        user_id TEXT,
        ip_address TEXT,
        resolved BOOLEAN DEFAULT 0,
        resolved_at TIMESTAMP))");
    add_column(connection, "errors", "occurrences", "INTEGER NOT NULL DEFAULT 1");
    add_column(connection, "errors", "last_seen", "TIMESTAMP");
    add_column(connection, "errors", "reopened_at", "TIMESTAMP");
    add_column(connection, "errors", "source", "TEXT");
    add_column(connection, "errors", "grouping", "TEXT");
    connection.run(R"(CREATE TABLE IF NOT EXISTS error_occurrences (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        error_id TEXT NOT NULL,
        timestamp TIMESTAMP DEFAULT CURRENT_TIMESTAMP,
        context TEXT,
        FOREIGN KEY (error_id) REFERENCES errors(error_id)))");
    for (const char* index :
         {"idx_errors_timestamp ON errors(timestamp)", "idx_errors_category ON errors(category)",
          "idx_errors_resolved ON errors(resolved)",
          "idx_error_occurrences_error ON error_occurrences(error_id)",
          "idx_error_occurrences_timestamp ON error_occurrences(timestamp)"}) {
        connection.run(fmt::format("CREATE INDEX IF NOT EXISTS {}", index));
    }
    connection.run("UPDATE errors SET last_seen = timestamp WHERE last_seen IS NULL");
}

}  // namespace

std::vector<Migration> metrics_migrations() { return {make_metrics}; }
std::vector<Migration> errors_migrations() { return {make_errors}; }

}  // namespace larder::metrics
