// The audit: records in audit.db, each sealed and synced before it is acknowledged; the chain's
// head beside it; a readable copy in logs/audit.log. What a chain is: audit_chain.hpp.
//
// When a record cannot be written: `block` refuses it, so that what it tells of must not happen;
// `degrade` keeps it in memory and goes on. Either is told by the plugin's health.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "audit_chain.hpp"
#include "larder/alerts.hpp"
#include "larder/host.hpp"
#include "storage-kit/sqlite.hpp"

namespace larder::metrics {

struct AuditOptions {
    std::string folder;    // with audit.db, audit.key, audit.head
    std::string log_file;  // logs/audit.log
    std::uint64_t log_size = 64U << 20U;
    std::size_t log_keep = 5;
};

struct AuditQuery {
    std::optional<std::string> actor, action;
    std::optional<std::int64_t> since_ms;
    std::int64_t since_seq = 0;
    std::int64_t below = 0;  // the cursor: numbers below it; 0: from the latest
    std::size_t limit = 100;
};

struct AuditPage {
    std::vector<std::string> items;  // JSON
    std::int64_t next = 0;           // 0: there are no more
};

// All but the constructor, list() and verify() on the lane of audit.db.
class AuditStore {
public:
    // Makes key, database and head where there are none. A database whose key is gone is laid
    // aside. Throws Error. [control]
    AuditStore(AuditOptions options, Log& log);
    ~AuditStore();
    AuditStore(const AuditStore&) = delete;
    AuditStore& operator=(const AuditStore&) = delete;

    // Throws when it cannot be written, unless `may_wait`: then it is kept for retry().
    void record(const AuditRow& row, bool may_wait);
    // Writes what is kept. In trouble with nothing kept, tries with a record of its own. True: all
    // is well.
    bool retry();
    bool troubled() const noexcept { return troubled_; }
    const std::string& trouble() const noexcept { return trouble_; }

    // Removes records before `cutoff_ms`, and leaves a signed anchor; nothing of a chain that is
    // not sound. Returns how many.
    std::uint64_t remove_before(std::int64_t cutoff_ms);

    AuditPage list(const AuditQuery& query) const;  // [worker]
    struct Verdict {
        std::uint64_t checked = 0;
        std::vector<AuditFault> faults;
    };
    Verdict verify() const;  // [worker]
    AuditMark head() const;  // [any]

    storage::sqlite::Database& database() noexcept { return *database_; }

private:
    void open_key();
    void lay_aside(std::string_view why);
    void open_head();
    void follow_head();
    void note_truncation();
    void append(AuditRow row);
    void write_head();
    void mirror(const AuditRow& row);
    void enter_trouble(const std::string& why);
    AuditMark anchor(storage::sqlite::Connection& connection) const;
    std::string at(std::string_view name) const {
        return options_.folder + "/" + std::string(name);
    }

    const AuditOptions options_;
    Log& log_;
    std::unique_ptr<AuditKey> key_;
    std::unique_ptr<storage::sqlite::Database> database_;
    mutable std::mutex head_mutex_;
    AuditMark head_;  // guarded by head_mutex_
    // the lane's alone
    std::deque<AuditRow> kept_;
    std::uint64_t lost_ = 0;
    bool head_is_behind_ = false;
    bool troubled_ = false;
    std::string trouble_;
    int log_fd_ = -1;
};

}  // namespace larder::metrics
