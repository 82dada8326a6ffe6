// Contents: opening · writing · retention · reading
#include "audit_store.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <filesystem>
#include <system_error>
#include <utility>

#include "audit_secret.hpp"
#include "larder/error.hpp"
#include "larder/time.hpp"
#include "metrics_schema.hpp"
#include "metrics_text.hpp"
#include "storage-kit/atomic_file.hpp"
#include "storage-kit/json.hpp"
#include "storage-kit/random.hpp"
#include "storage-kit/rotation.hpp"
#include "storage-kit/safe_name.hpp"
#include "storage-kit/timestamps.hpp"

namespace larder::metrics {
namespace {

namespace json = storage::json;
using storage::FileSystem;
using storage::sqlite::Connection;
using storage::sqlite::Row;

constexpr std::size_t kMostKept = 10'000;
constexpr std::int64_t kRemovedAtOnce = 2000;
constexpr std::string_view kHeadTitle = "larder audit head 1 ";

constexpr const char* kColumns =
    "seq, timestamp, actor, action, target, outcome, ip_address, request_id, source, details, "
    "before_seal, seal";

void make_audit(Connection& connection) {
    // `id` is the order in which rows were written, `seq` what the record's seal says.
    connection.run(R"(CREATE TABLE audit_log (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        seq INTEGER NOT NULL,
        timestamp TIMESTAMP NOT NULL,
        actor TEXT NOT NULL,
        action TEXT NOT NULL,
        target TEXT NOT NULL,
        outcome TEXT NOT NULL,
        ip_address TEXT NOT NULL,
        request_id TEXT NOT NULL,
        source TEXT NOT NULL,
        details TEXT NOT NULL,
        before_seal TEXT NOT NULL,
        seal TEXT NOT NULL))");
    connection.run("CREATE INDEX idx_audit_log_seq ON audit_log(seq)");
    connection.run(R"(CREATE TABLE audit_anchor (
        id INTEGER PRIMARY KEY CHECK (id = 1),
        seq INTEGER NOT NULL,
        seal TEXT NOT NULL,
        signature TEXT NOT NULL))");
}

// Whatever somebody put there, so that a row of odd types is a fault of the chain, not of the read.
std::string text_at(const Row& row, int column) {
    try {
        return row.is_null(column) ? std::string() : std::string(row.text(column));
    } catch (const Error&) {
        return "\xEF\xBF\xBD";
    }
}

std::int64_t number_at(const Row& row, int column) {
    try {
        return row.is_null(column) ? 0 : row.integer(column);
    } catch (const Error&) {
        return 0;
    }
}

AuditRow row_of(const Row& row) {
    AuditRow out;
    out.seq = number_at(row, 0);
    int column = 1;
    for (std::string* const member :
         {&out.time, &out.actor, &out.action, &out.target, &out.outcome, &out.ip_address,
          &out.request_id, &out.source, &out.details, &out.before, &out.seal}) {
        *member = text_at(row, column++);
    }
    return out;
}

std::string row_json(const AuditRow& row) {
    const auto text = [](const std::string& value) { return json::quoted(value); };
    std::string details = "null";
    if (!row.details.empty()) {
        try {
            json::check(row.details);
            details = row.details;
        } catch (const json::InvalidJson&) {
            details = json::quoted(row.details);
        }
    }
    return fmt::format(
        R"({{"seq":{},"time":{},"actor":{},"action":{},"target":{},"ip_address":{},"request_id":{},)"
        R"("outcome":{},"source":{},"details":{}}})",
        row.seq, time_or_null(row.time), text(row.actor), text(row.action), text(row.target),
        text_or_null(row.ip_address), text_or_null(row.request_id), text(row.outcome),
        text(row.source), details);
}

}  // namespace

// ---- opening

AuditStore::AuditStore(AuditOptions options, Log& log) : options_(std::move(options)), log_(log) {
    FileSystem::real().make_directory(options_.folder);
    open_key();
    database_ = std::make_unique<storage::sqlite::Database>(
        at("audit.db"), storage::sqlite::Options{}, std::vector<std::string>{});
    storage::sqlite::migrate(*database_, kOwner, {make_audit});
    open_head();
}

AuditStore::~AuditStore() {
    if (log_fd_ >= 0) ::close(log_fd_);
}

void AuditStore::open_key() {
    FileSystem& files = FileSystem::real();
    const std::string path = at("audit.key");
    if (files.exists(path)) {
        struct stat facts {};
        if (::stat(path.c_str(), &facts) == 0 && (facts.st_mode & 077U) != 0) {
            log_.write(Level::warning,
                       "programs/db/audit.key could be read by others than its "
                       "owner; it has mode 0600 now");
            ::chmod(path.c_str(), 0600);
        }
        std::string secret = storage::read_file(files, path);
        if (secret.size() == AuditKey::kBytes) {
            key_ = std::make_unique<AuditKey>(std::move(secret));
            return;
        }
    }
    if (files.exists(at("audit.db"))) lay_aside("its key audit.key is gone or damaged");
    std::string secret = storage::random_bytes(AuditKey::kBytes);
    write_secret(path, secret);
    key_ = std::make_unique<AuditKey>(std::move(secret));
}

// The chain cannot be judged any more, but may be read.
void AuditStore::lay_aside(std::string_view why) {
    FileSystem& files = FileSystem::real();
    const std::string name = fmt::format("audit.unsealed-{}.db", unix_now_ms());
    for (const char* suffix : {"-wal", "-shm", ""}) {
        if (files.exists(at("audit.db") + suffix)) {
            files.rename(at("audit.db") + suffix, at(name) + suffix);
        }
    }
    files.remove(at("audit.head"));
    files.sync_directory(options_.folder);
    log_.write(Level::error, fmt::format("the audit begins anew: {}; what there was is in "
                                         "programs/db/{}",
                                         why, name));
}

void AuditStore::open_head() {
    AuditMark known;
    bool sound = false;
    if (FileSystem::real().exists(at("audit.head"))) {
        const std::string text = storage::read_file(FileSystem::real(), at("audit.head"));
        std::string_view rest = text;
        if (rest.starts_with(kHeadTitle)) rest.remove_prefix(kHeadTitle.size());
        const char* const end = rest.data() + rest.size();
        const auto [after, error] = std::from_chars(rest.data(), end, known.seq);
        // " <seal> <signature>\n"
        if (error == std::errc() && end - after == 131) {
            known.seal = std::string(after + 1, 64);
            sound = key_->sign("head", known) == std::string_view(after + 66, 64);
        }
    }
    std::optional<std::int64_t> last;
    AuditMark from;
    database_->read([&](Connection& connection) {
        last = connection.number("SELECT max(seq) FROM audit_log");
        from = anchor(connection);
    });
    if (sound && known.seq >= from.seq) {
        head_ = known;
        follow_head();
        return note_truncation();
    }
    head_ = from;
    follow_head();
    if (!last && from.seq == 0) return write_head();  // a new chain
    log_.write(Level::error,
               "programs/db/audit.head is gone or damaged: nobody can say whether the "
               "latest audit records are");
    AuditRow row;
    row.action = kTruncated;
    row.target = "?";
    append(row);
}

// Records that were written just before a crash, behind the head that is on disk.
void AuditStore::follow_head() {
    database_->read([this](Connection& connection) {
        for (bool found = true; found;) {
            found = false;
            connection.query(
                fmt::format("SELECT {} FROM audit_log WHERE seq = ? ORDER BY id", kColumns),
                {head_.seq + 1}, [&](const Row& raw) {
                    const AuditRow row = row_of(raw);
                    if (found || key_->seal(row) != row.seal) return;
                    head_ = {row.seq, row.seal};
                    found = true;
                });
        }
    });
}

AuditMark AuditStore::anchor(Connection& connection) const {
    AuditMark mark{0, std::string(kGenesis)};
    connection.query("SELECT seq, seal, signature FROM audit_anchor WHERE id = 1", {},
                     [&](const Row& row) {
                         const AuditMark found{number_at(row, 0), text_at(row, 1)};
                         if (key_->sign("anchor", found) == text_at(row, 2)) mark = found;
                     });
    return mark;
}

// Where the latest records are gone the chain goes on behind them, and says so.
void AuditStore::note_truncation() {
    std::int64_t first = 0;
    database_->read([&](Connection& connection) {
        const std::int64_t begin = anchor(connection).seq;
        if (head_.seq <= begin ||
            connection.number("SELECT count(*) FROM audit_log WHERE seq = ?", {head_.seq}) > 0) {
            return;
        }
        first = connection.number("SELECT max(seq) FROM audit_log WHERE seq < ?", {head_.seq})
                    .value_or(begin) +
                1;
    });
    if (first == 0) return;
    log_.write(Level::error, fmt::format("audit records {} to {} are gone", first, head_.seq));
    AuditRow row;
    row.action = kTruncated;
    row.target = fmt::format("{}-{}", first, head_.seq);
    append(row);
}

// ---- writing

void AuditStore::record(const AuditRow& row, bool may_wait) {
    try {
        if (!kept_.empty() || lost_ > 0) {
            if (!retry()) throw Error(Errc::unavailable, "audit-refused", trouble_);
        }
        note_truncation();
        append(row);
        if (troubled_) retry();
    } catch (const Error& error) {
        enter_trouble(error.internal().empty() ? error.detail() : error.internal());
        if (!may_wait) {
            throw Error(Errc::unavailable, "audit-refused",
                        "this change cannot be recorded in the audit, so it was not made")
                .because(trouble_);
        }
        if (kept_.size() < kMostKept) {
            kept_.push_back(row);
        } else {
            ++lost_;
        }
    }
}

void AuditStore::enter_trouble(const std::string& why) {
    troubled_ = true;
    trouble_ = why;
}

bool AuditStore::retry() {
    if (!troubled_ && !head_is_behind_) return true;
    try {
        if (kept_.empty() && lost_ == 0 && troubled_ && !head_is_behind_) {
            AuditRow row;
            row.action = "audit.resumed";
            append(row);
        }
        while (!kept_.empty()) {
            append(kept_.front());
            kept_.pop_front();
        }
        if (lost_ > 0) {
            AuditRow row;
            row.action = "audit.lost";
            row.outcome = "lost";
            row.details = fmt::format(R"({{"records":{}}})", lost_);
            append(row);
            lost_ = 0;
        }
        if (head_is_behind_) write_head();
    } catch (const Error& error) {
        enter_trouble(error.internal().empty() ? error.detail() : error.internal());
        return false;
    }
    troubled_ = head_is_behind_;
    if (!troubled_) trouble_.clear();
    return !troubled_;
}

void AuditStore::append(AuditRow row) {
    if (row.time.empty()) row.time = storage::sql_time(unix_now_ms());
    if (row.outcome.empty()) row.outcome = "ok";
    if (row.actor.empty()) row.actor = row.ip_address.empty() ? "larderd" : "anonymous";
    if (row.source.empty()) row.source = kOwner;
    for (std::string* const member :
         {&row.actor, &row.action, &row.target, &row.outcome, &row.ip_address, &row.request_id,
          &row.source, &row.details}) {
        *member = printable(*member);
    }
    const AuditMark before = head();
    row.seq = before.seq + 1;
    row.before = before.seal;
    row.seal = key_->seal(row);
    database_->write([&](Connection& connection) {
        connection.run(
            fmt::format("INSERT INTO audit_log({}) VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, "
                        "?, ?)",
                        kColumns),
            {row.seq, row.time, row.actor, row.action, row.target, row.outcome, row.ip_address,
             row.request_id, row.source, row.details, row.before, row.seal});
    });
    {
        const std::scoped_lock lock(head_mutex_);
        head_ = {row.seq, row.seal};
    }
    write_head();
    mirror(row);
}

// The record is safe already: a head that is behind is mended later.
void AuditStore::write_head() {
    const AuditMark mark = head();
    const std::string seal = mark.seq == 0 ? std::string(kGenesis) : mark.seal;
    try {
        storage::write_atomically(FileSystem::real(), at("audit.head"),
                                  fmt::format("{}{} {} {}\n", kHeadTitle, mark.seq, seal,
                                              key_->sign("head", {mark.seq, seal})));
        head_is_behind_ = false;
    } catch (const std::system_error& error) {
        head_is_behind_ = true;
        enter_trouble(error.what());
    }
}

// For people and their tools; the database is what counts, so a full disk costs lines here.
void AuditStore::mirror(const AuditRow& row) {
    struct stat facts {};
    const bool there = log_fd_ >= 0 && ::fstat(log_fd_, &facts) == 0 && facts.st_nlink > 0;
    if (there && static_cast<std::uint64_t>(facts.st_size) >= options_.log_size) {
        storage::rotate_file(options_.log_file, options_.log_keep);
    }
    // Opened anew for each line that comes after a rotation, by us or by others.
    struct stat named {};
    const bool same = there && ::stat(options_.log_file.c_str(), &named) == 0 &&
                      named.st_ino == facts.st_ino && named.st_dev == facts.st_dev;
    if (!same) {
        if (log_fd_ >= 0) ::close(log_fd_);
        const std::string folder = storage::parent_of(options_.log_file);
        ::mkdir(folder.c_str(), 0750);
        log_fd_ =
            ::open(options_.log_file.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0640);
    }
    if (log_fd_ < 0) return;
    const std::string line = row_json(row) + "\n";
    static_cast<void>(::write(log_fd_, line.data(), line.size()) == 0);
}

// ---- retention

std::uint64_t AuditStore::remove_before(std::int64_t cutoff_ms) {
    const std::string cutoff = storage::sql_time(cutoff_ms);
    std::int64_t last = 0;
    std::uint64_t removed = 0;
    database_->read([&](Connection& connection) {
        // In one run from the beginning, and never the latest.
        const auto keep =
            connection.number("SELECT min(seq) FROM audit_log WHERE timestamp >= ?", {cutoff});
        last = std::min(keep.value_or(head_.seq), head_.seq) - 1;
        if (last <= anchor(connection).seq) last = 0;
    });
    if (last == 0) return 0;
    if (!verify().faults.empty()) {
        log_.write(Level::error,
                   "the audit's chain is not sound, so no old record is removed; "
                   "larderctl audit verify tells more");
        return 0;
    }
    for (bool more = true; more;) {
        database_->write([&](Connection& connection) {
            const std::int64_t to = std::min(anchor(connection).seq + kRemovedAtOnce, last);
            AuditMark mark;
            connection.query("SELECT seq, seal FROM audit_log WHERE seq = ?", {to},
                             [&](const Row& row) {
                                 mark = {row.integer(0), std::string(row.text(1))};
                             });
            const std::string signature = key_->sign("anchor", mark);
            connection.run(
                "INSERT OR REPLACE INTO audit_anchor(id, seq, seal, signature) VALUES(1, ?, ?, ?)",
                {mark.seq, mark.seal, signature});
            removed += connection.run("DELETE FROM audit_log WHERE seq <= ?", {to});
            more = to < last;
        });
    }
    return removed;
}

// ---- reading

AuditPage AuditStore::list(const AuditQuery& query) const {
    using storage::sqlite::Value;
    const auto wanted = [](const std::optional<std::string>& text) {
        return text ? Value(std::string_view(*text)) : Value(nullptr);
    };
    const std::string since = query.since_ms ? storage::sql_time(*query.since_ms) : "";
    AuditPage page;
    std::int64_t last = 0;
    bool more = false;
    database_->read([&](Connection& connection) {
        connection.query(
            fmt::format("SELECT {} FROM audit_log WHERE (?1 = 0 OR seq < ?1) AND "
                        "(?2 IS NULL OR actor = ?2) AND (?3 IS NULL OR action = ?3) AND "
                        "timestamp >= ?4 AND seq > ?5 ORDER BY seq DESC LIMIT ?6",
                        kColumns),
            {query.below, wanted(query.actor), wanted(query.action), since, query.since_seq,
             static_cast<std::int64_t>(query.limit + 1)},
            [&](const Row& raw) {
                if (page.items.size() == query.limit) {
                    more = true;
                    return;
                }
                const AuditRow row = row_of(raw);
                page.items.push_back(row_json(row));
                last = row.seq;
            });
    });
    page.next = more ? last : 0;
    return page;
}

AuditStore::Verdict AuditStore::verify() const {
    const AuditMark wanted = head();  // before the rows are read: there may be more of them
    Verdict verdict;
    database_->read([&](Connection& connection) {
        connection.run("BEGIN");
        try {
            AuditJudge judge(*key_, anchor(connection), wanted);
            connection.query(fmt::format("SELECT {} FROM audit_log ORDER BY id", kColumns), {},
                             [&](const Row& row) { judge.take(row_of(row)); });
            verdict.checked = judge.checked();
            verdict.faults = judge.finish();
        } catch (const std::exception&) {
            connection.run("ROLLBACK");
            throw;
        }
        connection.run("COMMIT");
    });
    return verdict;
}

AuditMark AuditStore::head() const {
    const std::scoped_lock lock(head_mutex_);
    return head_;
}

}  // namespace larder::metrics
