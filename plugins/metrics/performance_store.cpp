// Contents: records as clients write them · taking and writing · reading
#include "performance_store.hpp"

#include <Poco/Data/Session.h>
#include <Poco/Data/Statement.h>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>

#include "larder/error.hpp"
#include "larder/time.hpp"
#include "storage-kit/json.hpp"
#include "storage-kit/json_members.hpp"
#include "storage-kit/timestamps.hpp"

namespace larder::metrics {
namespace {

namespace json = storage::json;
using storage::sqlite::Connection;
using storage::sqlite::Row;

constexpr std::size_t kLongestName = 200, kLongestUnit = 32, kLongestTags = 2048, kMostTags = 16;
constexpr std::size_t kMostRecords = 100'000;  // of one request
constexpr std::size_t kRowsAtOnce = 4096;      // in one transaction
constexpr std::size_t kMostWaiting = 16 * kRowsAtOnce, kMostCallers = 4;
constexpr std::chrono::seconds kPatience{5};
constexpr std::int64_t kDay = 86'400'000;

// A member of `tags` as it is compared: a text without quotes, anything else as it stands.
std::string tag_text(std::string_view literal) {
    return literal.starts_with('"') ? json::unquoted(literal) : std::string(literal);
}

std::string read_tags(const json::Members& members) {
    const auto object = members.object("tags");
    if (!object) return {};
    std::map<std::string, std::string_view> sorted;
    for (json::Walk walk(*object); walk.next();) {
        const std::string_view value = walk.value();
        if (value.starts_with('{') || value.starts_with('[')) {
            throw json::invalid_field(members.pointer_of("tags"),
                                      "a tag is a text, a number, true, false or null");
        }
        sorted.emplace(json::unquoted(walk.name()), value);
    }
    if (sorted.size() > kMostTags) {
        throw std::move(json::invalid_field(members.pointer_of("tags"),
                                            fmt::format("a record has at most {} tags", kMostTags))
                            .with("limit", std::to_string(kMostTags)));
    }
    if (sorted.empty()) return {};
    std::string text;
    for (const auto& [name, value] : sorted) {
        text += text.empty() ? '{' : ',';
        json::append_quoted(text, name);
        text.append(":").append(value);
    }
    text += '}';
    if (text.size() <= kLongestTags) return text;
    throw std::move(json::invalid_field(members.pointer_of("tags"),
                                        fmt::format("tags have at most {} bytes", kLongestTags))
                        .with("limit", std::to_string(kLongestTags)));
}

PerformanceRecord read_record(std::string_view object, std::string pointer, std::int64_t now_ms) {
    const json::Members members(object, std::move(pointer));
    PerformanceRecord record;
    record.name = members.required_text("metric_name", kLongestName);
    const auto value = members.number("metric_value");
    if (!value) {
        throw json::invalid_field(members.pointer_of("metric_value"), "metric_value is missing");
    }
    record.value = *value;
    record.unit = members.text("metric_unit", kLongestUnit).value_or("");
    record.tags = read_tags(members);
    record.time_ms = now_ms;
    if (const auto time = members.text("timestamp", 64)) {
        auto ms = storage::parse_rfc3339(*time);
        if (!ms) ms = storage::parse_sql_time(*time);
        if (!ms) {
            throw json::invalid_field(members.pointer_of("timestamp"),
                                      "timestamp is a time as 2026-11-22T15:26:28.123Z");
        }
        record.time_ms = *ms;
    }
    members.end();
    for (const std::string* text : {&record.name, &record.unit}) {
        if (text->find('\0') == std::string::npos) continue;
        throw json::invalid_field(members.pointer_of("metric_name"), "a text holds a NUL");
    }
    return record;
}

// FNV-1a, since it is kept: the same in every build.
std::int64_t id_of(const PerformanceRecord& record) {
    std::uint64_t hash = 0xcbf29ce484222325ULL;
    const auto add = [&hash](std::string_view text) {
        for (const char c : text) {
            hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3ULL;
        }
    };
    add(record.name);
    add({"\0", 1});
    add(record.tags);
    return static_cast<std::int64_t>(hash);
}

}  // namespace

std::vector<PerformanceRecord> read_performance_records(std::string_view body,
                                                        std::int64_t now_ms) {
    json::check_body(body);
    std::vector<PerformanceRecord> records;
    const std::size_t first = body.find_first_not_of(" \t\r\n");
    if (body[first] != '[') {
        records.push_back(read_record(body, "", now_ms));
        return records;
    }
    for (json::Walk walk(body); walk.next();) {
        if (records.size() == kMostRecords) {
            throw std::move(
                json::invalid_field("", fmt::format("at most {} records at once", kMostRecords))
                    .with("limit", std::to_string(kMostRecords)));
        }
        records.push_back(read_record(walk.value(), fmt::format("/{}", records.size()), now_ms));
    }
    return records;
}

std::optional<Aggregate> aggregate_of(std::string_view word) {
    if (word == "avg") return Aggregate::avg;
    if (word == "sum") return Aggregate::sum;
    if (word == "min") return Aggregate::min;
    if (word == "max") return Aggregate::max;
    if (word == "count") return Aggregate::count;
    if (word == "p95") return Aggregate::p95;
    return std::nullopt;
}

// ---- taking and writing

PerformanceStore::PerformanceStore(storage::sqlite::Database& database, std::size_t most_series,
                                   std::function<void()> poke)
    : database_(database), most_series_(most_series), poke_(std::move(poke)) {}

void PerformanceStore::load() {
    const std::scoped_lock lock(mutex_);
    database_.read([this](Connection& connection) {
        connection.query("SELECT id, last_day FROM performance_series", {}, [this](const Row& row) {
            known_[row.integer(0)] = static_cast<std::int32_t>(row.integer(1));
        });
    });
}

// With mutex_ held. False: its series is one too many.
bool PerformanceStore::admit(Rows& rows, const PerformanceRecord& record) {
    const std::int64_t id = id_of(record);
    const auto day = static_cast<std::int32_t>(rows.day);
    const auto found = known_.find(id);
    if (found == known_.end() && known_.size() >= most_series_) return false;
    if (found != known_.end() && found->second == day) return true;
    known_[id] = day;
    rows.fresh_series.push_back(id);
    return true;
}

void PerformanceStore::take(std::vector<PerformanceRecord> records) {
    const auto overloaded = [] {
        return std::move(
            Error(Errc::unavailable, "overloaded", "more records come than can be written")
                .with_header("Retry-After", "1"));
    };
    std::unique_lock lock(mutex_);
    if (waiting_rows_ >= kMostWaiting) {
        if (waiting_callers_ >= kMostCallers || draining_) throw overloaded();
        ++waiting_callers_;
        const bool room = written_.wait_for(
            lock, kPatience, [this] { return waiting_rows_ < kMostWaiting || draining_; });
        --waiting_callers_;
        if (!room || draining_) throw overloaded();
    }
    for (PerformanceRecord& record : records) {
        if (waiting_.empty() || waiting_.back().names.size() >= kRowsAtOnce) {
            waiting_.emplace_back();
            waiting_.back().day = unix_now_ms() / kDay;
        }
        Rows& rows = waiting_.back();
        if (!admit(rows, record)) {
            ++overflowed_;
            record.name = kOverflow;
            record.unit.clear();
            record.tags.clear();
        }
        const auto nullable = [](std::string& text) {
            return text.empty() ? Poco::Nullable<std::string>()
                                : Poco::Nullable<std::string>(std::move(text));
        };
        rows.times.push_back(storage::sql_time(record.time_ms));
        rows.names.push_back(std::move(record.name));
        rows.values.push_back(record.value);
        rows.units.push_back(nullable(record.unit));
        rows.tags.push_back(nullable(record.tags));
    }
    waiting_rows_ += records.size();
    if (waiting_rows_ >= kRowsAtOnce) poke_();
}

// What was there when it was called: more may come as fast as it is written.
void PerformanceStore::flush() {
    std::size_t batches = 0;
    {
        const std::scoped_lock lock(mutex_);
        batches = waiting_.size();
    }
    for (; batches > 0; --batches) {
        Rows rows;
        {
            const std::scoped_lock lock(mutex_);
            rows = std::move(waiting_.front());
            waiting_.pop_front();
        }
        const std::size_t count = rows.names.size();
        try {
            write(rows);
        } catch (const Error&) {
            const std::scoped_lock lock(mutex_);
            waiting_.push_front(std::move(rows));
            throw;
        }
        {
            const std::scoped_lock lock(mutex_);
            waiting_rows_ -= count;
        }
        written_.notify_all();
    }
}

void PerformanceStore::write(Rows& rows) {
    using Poco::Data::Keywords::now;
    using Poco::Data::Keywords::use;
    database_.write([&](Connection& connection) {
        for (const std::int64_t id : rows.fresh_series) {
            connection.run("INSERT OR REPLACE INTO performance_series(id, last_day) VALUES(?, ?)",
                           {id, rows.day});
        }
        connection.with_session([&](Poco::Data::Session& session) {
            session << "INSERT INTO performance_metrics(timestamp, metric_name, metric_value, "
                       "metric_unit, tags) VALUES(?, ?, ?, ?, ?)",
                use(rows.times), use(rows.names), use(rows.values), use(rows.units), use(rows.tags),
                now;
        });
    });
}

void PerformanceStore::forget_series(std::int64_t cutoff) {
    const std::int64_t day = cutoff / (kDay / 1000);
    database_.write([&](Connection& connection) {
        connection.run("DELETE FROM performance_series WHERE last_day < ?", {day});
    });
    const std::scoped_lock lock(mutex_);
    std::erase_if(known_, [&](const auto& entry) { return entry.second < day; });
}

void PerformanceStore::drain() noexcept {
    const std::scoped_lock lock(mutex_);
    draining_ = true;
    written_.notify_all();
}

std::size_t PerformanceStore::series() const {
    const std::scoped_lock lock(mutex_);
    return known_.size();
}

// ---- reading

namespace {

bool has_tags(const Row& row, int column,
              const std::vector<std::pair<std::string, std::string>>& wanted) {
    if (wanted.empty()) return true;
    if (row.is_null(column)) return false;
    try {
        json::check(row.text(column));  // not all of them are ours
    } catch (const json::InvalidJson&) {
        return false;
    }
    std::size_t met = 0;
    for (json::Walk walk(row.text(column)); walk.next();) {
        const std::string name = json::unquoted(walk.name());
        for (const auto& [key, value] : wanted) {
            if (name == key && tag_text(walk.value()) == value) ++met;
        }
    }
    return met == wanted.size();
}

// The values of one point.
class Gathered {
public:
    void add(double value, bool keep) {
        ++count_;
        sum_ += value;
        least_ = std::min(least_, value);
        most_ = std::max(most_, value);
        if (keep) values_.push_back(value);
    }
    double told(Aggregate aggregate) {
        switch (aggregate) {
            case Aggregate::avg: return sum_ / static_cast<double>(count_);
            case Aggregate::sum: return sum_;
            case Aggregate::min: return least_;
            case Aggregate::max: return most_;
            case Aggregate::count: return static_cast<double>(count_);
            case Aggregate::p95: break;
        }
        // The nearest rank: the least value that 95 % do not exceed.
        const auto rank =
            static_cast<std::size_t>(std::ceil(0.95 * static_cast<double>(values_.size())));
        const auto place =
            values_.begin() + static_cast<std::ptrdiff_t>(std::max<std::size_t>(rank, 1) - 1);
        std::nth_element(values_.begin(), place, values_.end());
        return *place;
    }

private:
    std::size_t count_ = 0;
    double sum_ = 0;
    double least_ = std::numeric_limits<double>::infinity();
    double most_ = -std::numeric_limits<double>::infinity();
    std::vector<double> values_;
};

}  // namespace

std::map<std::int64_t, double> PerformanceStore::points(const PerformanceQuery& query) const {
    std::map<std::int64_t, Gathered> gathered;
    const std::string from = storage::sql_time(query.from_ms);
    const std::string to = storage::sql_time(query.to_ms);
    database_.read([&](Connection& connection) {
        connection.query(
            "SELECT timestamp, metric_value, tags FROM performance_metrics WHERE metric_name = ? "
            "AND timestamp >= ? AND timestamp < ? AND metric_value IS NOT NULL",
            {query.name, from, to}, [&](const Row& row) {
                if (!has_tags(row, 2, query.tags)) return;
                const auto ms = storage::parse_sql_time(row.text(0));
                if (!ms) return;
                const std::int64_t second = *ms / 1000;
                gathered[second - second % query.step].add(row.real(1),
                                                           query.aggregate == Aggregate::p95);
            });
    });
    std::map<std::int64_t, double> points;
    for (auto& [start, values] : gathered) points[start] = values.told(query.aggregate);
    return points;
}

// Step by step along the index: as many look-ups as there are names, not rows.
std::vector<std::string> PerformanceStore::names(std::string_view after, std::size_t limit) const {
    std::vector<std::string> names;
    std::string last(after);
    database_.read([&](Connection& connection) {
        while (names.size() < limit) {
            const auto rows = connection.query(
                "SELECT metric_name FROM performance_metrics WHERE metric_name > ? "
                "ORDER BY metric_name LIMIT 1",
                {last}, [&](const Row& row) { last = row.text(0); });
            if (rows == 0) break;
            names.push_back(last);
        }
    });
    return names;
}

}  // namespace larder::metrics
