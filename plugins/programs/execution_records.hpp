// Executions as they are kept: rows of program_executions in programs/db/metrics.db, the origin's
// table with more columns, and what was kept of their output. The file has a second owner, the
// metrics plugin; this works without it, and takes a file anew that was replaced under it.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "execution.hpp"
#include "storage-kit/sqlite.hpp"

namespace larder::programs {

struct ExecutionStats {
    std::uint64_t runs = 0, successes = 0;
    double average = 0, maximum = 0, p50 = 0, p95 = 0;  // seconds
};

// All calls throw Error. [worker]
class ExecutionRecords {
public:
    explicit ExecutionRecords(std::string path);

    // One transaction, durable when it returns. `work` may be called a second time, where the file
    // was replaced meanwhile: then nothing of the first time is left.
    using Work = std::function<void(storage::sqlite::Connection&)>;
    void write(const Work& work);

    // Within write(). Gives the execution its id; or the id of the earlier one with this key.
    // Throws Error{unprocessable, "idempotency-mismatch"} where that was of another body.
    static std::optional<std::int64_t> add(storage::sqlite::Connection& connection,
                                           const ExecutionRequest& request, Execution& execution);
    static void end(storage::sqlite::Connection& connection, const Execution& execution);

    std::optional<Execution> find(std::int64_t id, bool with_output);
    // Of one program, the latest first, with ids below `before` (0: all).
    std::vector<Execution> list(std::string_view program_id, std::int64_t before,
                                std::size_t limit);
    ExecutionStats stats(std::string_view program_id);

    std::uint64_t lose_unfinished();  // how many: they were under way when the daemon ended
    // Removes what ended before, at most some thousand; `dry_run` only counts.
    std::uint64_t remove_before(std::int64_t cutoff_ms, bool dry_run);
    // Drops the oldest outputs while all of them are more than `most` bytes.
    void cut_outputs(std::uint64_t most);

private:
    std::shared_ptr<storage::sqlite::Database> database();
    void open();
    bool is_replaced() const;  // with mutex_ held

    const std::string path_;
    std::mutex mutex_;  // guards what follows
    std::shared_ptr<storage::sqlite::Database> database_;
    std::uint64_t device_ = 0, inode_ = 0;
    std::int64_t last_id_ = 0;  // the greatest that was given out
};

}  // namespace larder::programs
