#include "error_store.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <new>
#include <utility>

#include "error_fingerprint.hpp"
#include "error_scrub.hpp"
#include "larder/error.hpp"
#include "metrics_text.hpp"
#include "storage-kit/json.hpp"
#include "storage-kit/timestamps.hpp"

namespace larder::metrics {
namespace {

namespace json = storage::json;
using storage::sqlite::Connection;
using storage::sqlite::Row;

constexpr std::size_t kMostQueued = 5000, kWrittenAtOnce = 200;
constexpr std::uint64_t kMostRowsOfOne = 100;  // for an entry that stands for many
constexpr std::int64_t kRemovedAtOnce = 1000;
constexpr std::size_t kLatest = 20;

constexpr const char* kColumns =
    "id, error_id, timestamp, last_seen, category, severity, message, stack_trace, endpoint, "
    "method, request_data, user_id, ip_address, resolved, resolved_at, reopened_at, occurrences, "
    "source, grouping";

std::string_view text_at(const Row& row, int column) {
    return row.is_null(column) ? std::string_view{} : row.text(column);
}

// JSON as it is kept; what others wrote and is none becomes a text.
std::string json_at(const Row& row, int column) {
    const std::string_view text = text_at(row, column);
    if (text.empty()) return "null";
    try {
        json::check(text);
        return std::string(text);
    } catch (const json::InvalidJson&) {
        return json::quoted(text);
    }
}

std::string error_json(const Row& row) {
    const auto text = [&](int column) { return text_or_null(text_at(row, column)); };
    const auto time = [&](int column) { return time_or_null(text_at(row, column)); };
    std::string out = fmt::format(R"({{"error_id":{},"timestamp":{},"last_seen":{},)", text(1),
                                  time(2), time(row.is_null(3) ? 2 : 3));
    out += fmt::format(R"("category":{},"severity":{},"message":{},"stack_trace":{},)", text(4),
                       text(5), text(6), text(7));
    out += fmt::format(R"("endpoint":{},"method":{},"request_data":{},"user_id":{},)", text(8),
                       text(9), json_at(row, 10), text(11));
    const bool resolved = !row.is_null(13) && row.integer(13) != 0;
    out += fmt::format(R"("ip_address":{},"resolved":{},"resolved_at":{},"reopened_at":{},)",
                       text(12), resolved, time(14), time(15));
    out += fmt::format(R"("occurrences":{},"source":{},"grouping":{})", row.integer(16), text(17),
                       json_at(row, 18));
    return out;
}

void scrub(ErrorEntry& entry) {
    for (std::string* const text : {&entry.message, &entry.stack_trace}) {
        *text = printable(scrub_text(*text));
    }
    for (std::string* const text :
         {&entry.category, &entry.severity, &entry.endpoint, &entry.method, &entry.source,
          &entry.request_id, &entry.user_id, &entry.ip_address}) {
        *text = printable(*text, 1024);
    }
    for (std::string* const text : {&entry.request_data, &entry.context}) {
        if (text->empty()) continue;
        try {
            json::check(*text);
            *text = scrub_json(*text);
        } catch (const json::InvalidJson&) {
            *text = json::quoted(printable(scrub_text(*text)));
        }
    }
    if (entry.severity.empty()) entry.severity = "error";
    if (entry.category.empty()) entry.category = "general";
}

// What tells one time from another, beside its moment.
std::string occurrence_context(const ErrorEntry& entry) {
    std::string out = "{";
    const auto add = [&out](std::string_view name, const std::string& value) {
        out += fmt::format(R"({}"{}":{})", out.size() > 1 ? "," : "", name, value);
    };
    if (!entry.request_id.empty()) add("request_id", json::quoted(entry.request_id));
    if (!entry.user_id.empty()) add("user_id", json::quoted(entry.user_id));
    if (!entry.ip_address.empty()) add("ip_address", json::quoted(entry.ip_address));
    if (!entry.context.empty()) add("context", entry.context);
    if (entry.count > kMostRowsOfOne) add("standing_for", std::to_string(entry.count));
    return out + "}";
}

}  // namespace

ErrorStore::ErrorStore(storage::sqlite::Database& database, std::function<void()> poke)
    : database_(database), poke_(std::move(poke)) {}

void ErrorStore::queue(ErrorEntry entry) noexcept {
    try {
        const std::scoped_lock lock(mutex_);
        if (queue_.size() >= kMostQueued) {
            ++lost_;
            return;
        }
        queue_.push_back(std::move(entry));
    } catch (const std::bad_alloc&) {
        return;  // there is no memory for reports either
    }
    poke_();
}

void ErrorStore::flush() {
    for (;;) {
        std::vector<ErrorEntry> batch;
        {
            const std::scoped_lock lock(mutex_);
            const std::size_t count = std::min(queue_.size(), kWrittenAtOnce);
            batch.assign(
                std::make_move_iterator(queue_.begin()),
                std::make_move_iterator(queue_.begin() + static_cast<std::ptrdiff_t>(count)));
            queue_.erase(queue_.begin(), queue_.begin() + static_cast<std::ptrdiff_t>(count));
        }
        if (batch.empty()) return;
        for (ErrorEntry& entry : batch) scrub(entry);
        try {
            database_.write([&](Connection& connection) {
                for (const ErrorEntry& entry : batch) write(connection, entry);
            });
        } catch (const Error&) {
            const std::scoped_lock lock(mutex_);  // scrubbing once more changes nothing
            queue_.insert(queue_.begin(), std::make_move_iterator(batch.begin()),
                          std::make_move_iterator(batch.end()));
            throw;
        }
    }
}

std::string ErrorStore::record(ErrorEntry entry) {
    scrub(entry);
    std::string error_id;
    database_.write([&](Connection& connection) { error_id = write(connection, entry); });
    return error_id;
}

std::string ErrorStore::write(Connection& connection, const ErrorEntry& entry) {
    using storage::sqlite::checked;
    using storage::sqlite::Value;
    const Fingerprint print = fingerprint_of(entry.category, entry.endpoint, entry.method,
                                             entry.message, entry.stack_trace);
    const std::string time = storage::sql_time(entry.time_ms);
    const auto or_null = [](const std::string& text) {
        return text.empty() ? Value(nullptr) : Value(std::string_view(text));
    };
    // One that was resolved is open again.
    connection.run(
        "INSERT INTO errors(timestamp, error_id, category, severity, message, stack_trace, "
        "endpoint, method, request_data, user_id, ip_address, resolved, occurrences, last_seen, "
        "source, grouping) VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, ?, ?, ?, ?) "
        "ON CONFLICT(error_id) DO UPDATE SET occurrences = occurrences + excluded.occurrences, "
        "last_seen = max(coalesce(last_seen, ''), excluded.last_seen), "
        "severity = excluded.severity, message = excluded.message, "
        "stack_trace = coalesce(excluded.stack_trace, stack_trace), "
        "request_data = coalesce(excluded.request_data, request_data), "
        "user_id = coalesce(excluded.user_id, user_id), "
        "ip_address = coalesce(excluded.ip_address, ip_address), "
        "reopened_at = CASE WHEN resolved THEN excluded.last_seen ELSE reopened_at END, "
        "resolved_at = CASE WHEN resolved THEN NULL ELSE resolved_at END, resolved = 0",
        {time, print.error_id, entry.category, entry.severity, entry.message,
         or_null(entry.stack_trace), or_null(entry.endpoint), or_null(entry.method),
         or_null(entry.request_data), or_null(entry.user_id), or_null(entry.ip_address),
         checked(entry.count), time, or_null(entry.source), print.grouping});
    const std::string context = occurrence_context(entry);
    for (std::uint64_t i = 0; i < std::min(entry.count, kMostRowsOfOne); ++i) {
        connection.run(
            "INSERT INTO error_occurrences(error_id, timestamp, context) VALUES(?, ?, ?)",
            {print.error_id, time, context});
    }
    return print.error_id;
}

bool ErrorStore::resolve(const std::string& error_id, std::int64_t now_ms) {
    const std::string time = storage::sql_time(now_ms);
    std::uint64_t found = 0;
    database_.write([&](Connection& connection) {
        found = connection.run(
            "UPDATE errors SET resolved_at = CASE WHEN resolved THEN resolved_at ELSE ? END, "
            "resolved = 1 WHERE error_id = ?",
            {time, error_id});
    });
    return found > 0;
}

std::uint64_t ErrorStore::remove_before(std::int64_t cutoff_ms) {
    const std::string cutoff = storage::sql_time(cutoff_ms);
    std::uint64_t removed = 0;
    database_.write([&](Connection& connection) {
        removed = connection.run(
            "DELETE FROM error_occurrences WHERE id IN (SELECT id FROM error_occurrences WHERE "
            "timestamp < ? ORDER BY id LIMIT ?)",
            {cutoff, kRemovedAtOnce});
        if (removed > 0) return;
        removed = connection.run(
            "DELETE FROM errors WHERE coalesce(last_seen, timestamp) < ? AND NOT EXISTS (SELECT 1 "
            "FROM error_occurrences o WHERE o.error_id = errors.error_id)",
            {cutoff});
    });
    return removed;
}

std::optional<std::string> ErrorStore::find(const std::string& error_id, bool latest) const {
    std::optional<std::string> found;
    database_.read([&](Connection& connection) {
        connection.query(fmt::format("SELECT {} FROM errors WHERE error_id = ?", kColumns),
                         {error_id}, [&](const Row& row) { found = error_json(row); });
        if (!found) return;
        if (latest) {
            *found += R"(,"latest":[)";
            const char* comma = "";
            connection.query(
                "SELECT timestamp, context FROM error_occurrences WHERE error_id = ? "
                "ORDER BY id DESC LIMIT ?",
                {error_id, static_cast<std::int64_t>(kLatest)}, [&](const Row& row) {
                    *found += fmt::format(R"({}{{"time":{},"context":{}}})", comma,
                                          time_or_null(text_at(row, 0)), json_at(row, 1));
                    comma = ",";
                });
            *found += "]";
        }
        *found += "}";
    });
    return found;
}

ErrorPage ErrorStore::list(const ErrorQuery& query) const {
    using storage::sqlite::Value;
    const auto wanted = [](const std::optional<std::string>& text) {
        return text ? Value(std::string_view(*text)) : Value(nullptr);
    };
    const Value resolved = query.resolved ? Value(std::int64_t{*query.resolved}) : Value(nullptr);
    ErrorPage page;
    std::int64_t last = 0;
    bool more = false;
    database_.read([&](Connection& connection) {
        connection.query(
            fmt::format("SELECT {} FROM errors WHERE (?1 = 0 OR id < ?1) AND "
                        "(?2 IS NULL OR category = ?2) AND (?3 IS NULL OR severity = ?3) AND "
                        "(?4 IS NULL OR coalesce(resolved, 0) = ?4) ORDER BY id DESC LIMIT ?5",
                        kColumns),
            {query.below, wanted(query.category), wanted(query.severity), resolved,
             static_cast<std::int64_t>(query.limit + 1)},
            [&](const Row& row) {
                if (page.items.size() == query.limit) {
                    more = true;
                    return;
                }
                page.items.push_back(error_json(row) + "}");
                last = row.integer(0);
            });
    });
    page.next = more ? last : 0;
    return page;
}

std::uint64_t ErrorStore::unresolved() const {
    std::optional<std::int64_t> count;
    database_.read([&](Connection& connection) {
        count = connection.number("SELECT count(*) FROM errors WHERE coalesce(resolved, 0) = 0");
    });
    return static_cast<std::uint64_t>(count.value_or(0));
}

std::uint64_t ErrorStore::seen_since(std::int64_t since_ms) const {
    const std::string since = storage::sql_time(since_ms);
    std::optional<std::int64_t> count;
    database_.read([&](Connection& connection) {
        count = connection.number("SELECT count(*) FROM error_occurrences WHERE timestamp >= ?",
                                  {since});
    });
    return static_cast<std::uint64_t>(count.value_or(0));
}

std::uint64_t ErrorStore::lost() const {
    const std::scoped_lock lock(mutex_);
    return lost_;
}

}  // namespace larder::metrics
