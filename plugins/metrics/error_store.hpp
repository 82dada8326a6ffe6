// Errors, grouped by fingerprint, and each time they happened: errors.db. Scrubbing and grouping
// are done here, so that nothing comes into the file without.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "storage-kit/sqlite.hpp"

namespace larder::metrics {

// As it was reported; all but the message may be empty.
struct ErrorEntry {
    std::string message, category, severity, stack_trace, endpoint, method, source;
    std::string request_id, user_id, ip_address;
    std::string request_data, context;  // JSON that passed check()
    std::int64_t time_ms = 0;
    std::uint64_t count = 1;  // so many times
};

struct ErrorQuery {
    std::optional<std::string> category, severity;
    std::optional<bool> resolved;
    std::int64_t below = 0;  // the cursor: ids below it; 0: from the latest
    std::size_t limit = 100;
};

struct ErrorPage {
    std::vector<std::string> items;  // JSON
    std::int64_t next = 0;           // 0: there are no more
};

class ErrorStore {
public:
    // `poke` asks for a flush() soon. The database outlives it.
    ErrorStore(storage::sqlite::Database& database, std::function<void()> poke);

    // Queues it; beyond some thousand it is counted as lost. [any]
    void queue(ErrorEntry entry) noexcept;
    void flush();  // writes what is queued [lane]
    // Writes it and returns its error_id. [lane]
    std::string record(ErrorEntry entry);
    // False: there is none. [lane]
    bool resolve(const std::string& error_id, std::int64_t now_ms);
    // Removes occurrences and then errors that were last seen before `cutoff_ms`, a bit at each
    // call; returns how many rows. [lane]
    std::uint64_t remove_before(std::int64_t cutoff_ms);

    // JSON; `latest` adds the latest occurrences. Nothing where there is none. [worker]
    std::optional<std::string> find(const std::string& error_id, bool latest) const;
    ErrorPage list(const ErrorQuery& query) const;
    std::uint64_t unresolved() const;
    std::uint64_t seen_since(std::int64_t since_ms) const;  // occurrences

    std::uint64_t lost() const;  // [any]

private:
    std::string write(storage::sqlite::Connection& connection, const ErrorEntry& entry);

    storage::sqlite::Database& database_;
    const std::function<void()> poke_;
    mutable std::mutex mutex_;
    std::deque<ErrorEntry> queue_;  // guarded by mutex_
    std::uint64_t lost_ = 0;        // likewise
};

}  // namespace larder::metrics
