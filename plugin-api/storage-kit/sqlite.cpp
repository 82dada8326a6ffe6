// SQLite behind sqlite.hpp. Not for plugins to reach around: what they need of it is in the header.
//
//   errors and opening, rows
//   Connection       statements, transactions, copies
//   Database         a writer and its readers
#include "storage-kit/sqlite.hpp"

#include <Poco/Data/DataException.h>
#include <Poco/Data/SQLite/Connector.h>
#include <Poco/Data/SQLite/Utility.h>
#include <Poco/Exception.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <limits>
#include <system_error>
#include <thread>
#include <utility>

#include "larder/error.hpp"
#include "storage-kit/file_system.hpp"
#include "storage-kit/json.hpp"
#include "storage-kit/safe_name.hpp"

namespace larder::storage::sqlite {
namespace {

constexpr std::size_t kMostPrepared = 64;
constexpr int kBackupPages = 256;

Error error_of(int extended, const std::string& because) {
    const auto make = [&](Errc code, const char* slug, const char* detail) {
        return Error(code, slug, detail).because(because);
    };
    switch (extended & 0xFF) {
        case SQLITE_FULL: return make(Errc::no_space, "disk-full", "the disk is full");
        case SQLITE_IOERR: return make(Errc::io_failed, "storage-failed", "the disk failed");
        case SQLITE_CORRUPT:
        case SQLITE_NOTADB:
            return make(Errc::corrupt, "database-damaged", "the database is damaged");
        case SQLITE_BUSY:
        case SQLITE_LOCKED: return make(Errc::unavailable, "database-busy", "the database is busy");
        case SQLITE_CANTOPEN:
        case SQLITE_PERM:
        case SQLITE_AUTH:
        case SQLITE_READONLY:
            return make(Errc::unavailable, "database-unavailable", "the database cannot be used");
        case SQLITE_CONSTRAINT:
            return make(Errc::conflict, "constraint", "the record contradicts another");
        default: return make(Errc::internal, "internal", "the database refused a statement");
    }
}

[[noreturn]] void fail_with_errno(const std::string& doing) {
    const std::system_error error(errno, std::generic_category(), doing);
    if (is_no_space(error)) throw error_of(SQLITE_FULL, error.what());
    throw error_of(SQLITE_CANTOPEN, error.what());
}

// Poco tries a file that cannot be opened again for a minute: what can be known is asked before. A
// file that is there is not opened for it: to close it would drop the locks of every connection of
// this process (POSIX), and another program could take away the log under them.
void require_openable(const std::string& path, bool writable) {
    struct stat facts {};
    if (::stat(path.c_str(), &facts) != 0) {
        if (errno != ENOENT || !writable) fail_with_errno("open " + path);
        const OwnedFd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0640));
        if (fd.get() < 0 && errno != EEXIST) fail_with_errno("create " + path);
    } else if (!S_ISREG(facts.st_mode)) {
        errno = S_ISDIR(facts.st_mode) ? EISDIR : EINVAL;
        fail_with_errno("open " + path);
    }
    const int wanted = writable ? R_OK | W_OK : R_OK;
    if (::faccessat(AT_FDCWD, path.c_str(), wanted, AT_EACCESS) != 0) {
        fail_with_errno("open " + path);
    }
    if (!writable) return;
    const std::string folder = parent_of(path);
    if (::faccessat(AT_FDCWD, folder.c_str(), W_OK | X_OK, AT_EACCESS) != 0) {
        fail_with_errno("write in " + folder);
    }
}

void register_connector() {
    static std::once_flag once;
    std::call_once(once, [] { Poco::Data::SQLite::Connector::registerConnector(); });
}

const char* type_name(int type) {
    switch (type) {
        case SQLITE_INTEGER: return "integer";
        case SQLITE_FLOAT: return "real";
        case SQLITE_TEXT: return "text";
        case SQLITE_BLOB: return "blob";
        default: return "null";
    }
}

}  // namespace

std::int64_t checked(std::uint64_t number) {
    if (number <= static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) {
        return static_cast<std::int64_t>(number);
    }
    throw Error(Errc::internal, "out-of-range", "a number is too large for the database")
        .because(fmt::format("{} does not fit into 63 bits", number));
}

// ---- rows

void Row::require(int column, int type) const {
    const int found = ::sqlite3_column_type(statement_, column);
    if (column >= 0 && column < ::sqlite3_column_count(statement_) && found == type) return;
    throw Error(Errc::corrupt, "wrong-type", "the database holds something unexpected")
        .because(fmt::format("{}: column {}: expected {}, found {}", ::sqlite3_sql(statement_),
                             column, type_name(type), type_name(found)));
}

std::int64_t Row::integer(int column) const {
    require(column, SQLITE_INTEGER);
    return ::sqlite3_column_int64(statement_, column);
}
double Row::real(int column) const {
    if (::sqlite3_column_type(statement_, column) != SQLITE_INTEGER) require(column, SQLITE_FLOAT);
    return ::sqlite3_column_double(statement_, column);
}
std::string_view Row::text(int column) const {
    require(column, SQLITE_TEXT);
    const auto* const begin =
        reinterpret_cast<const char*>(::sqlite3_column_text(statement_, column));
    return {begin, static_cast<std::size_t>(::sqlite3_column_bytes(statement_, column))};
}
std::string_view Row::bytes(int column) const {
    require(column, SQLITE_BLOB);
    const auto* const begin = static_cast<const char*>(::sqlite3_column_blob(statement_, column));
    return {begin, static_cast<std::size_t>(::sqlite3_column_bytes(statement_, column))};
}
bool Row::is_null(int column) const {
    return ::sqlite3_column_type(statement_, column) == SQLITE_NULL;
}

// ---- a connection

void Connection::Finalize::operator()(sqlite3_stmt* statement) const {
    ::sqlite3_finalize(statement);
}

// A prepared statement while it runs: whatever happens, it is ready for the next run afterwards.
class Connection::Use {
public:
    explicit Use(sqlite3_stmt* statement) : statement_(statement) {}
    ~Use() {
        ::sqlite3_reset(statement_);  // repeats the error of the step, which was thrown already
        ::sqlite3_clear_bindings(statement_);
    }
    Use(const Use&) = delete;
    Use& operator=(const Use&) = delete;
    sqlite3_stmt* get() const noexcept { return statement_; }

private:
    sqlite3_stmt* statement_;
};

Connection::Connection(const std::string& path, Access access, const Options& options)
    : path_(path) {
    const bool writable = access == Access::read_write;
    require_openable(path, writable);
    register_connector();
    try {
        session_.emplace(Poco::Data::SQLite::Connector::KEY, path, 1);
    } catch (const Poco::Exception& error) {
        throw error_of(SQLITE_CANTOPEN, fmt::format("{}: {}", path, error.displayText()));
    }
    handle_ = Poco::Data::SQLite::Utility::dbHandle(*session_);
    ::sqlite3_extended_result_codes(handle_, 1);
    ::sqlite3_busy_timeout(handle_, static_cast<int>(options.busy_timeout.count()));
    number("PRAGMA schema_version");  // the first look at the file: it may be none of SQLite's
    if (writable) {
        use_log(options.busy_timeout);
        run(options.sync == Sync::full ? "PRAGMA synchronous=FULL" : "PRAGMA synchronous=NORMAL");
    } else {
        run("PRAGMA query_only=ON");
    }
    run("PRAGMA foreign_keys=ON");
}

Connection::~Connection() { prepared_.clear(); }  // before the session closes under them

// Two that change a new file to WAL at once: SQLite lets one wait for the other's commit, but not
// while both hold the file for reading, where it says busy at once. Asked again, it is WAL already.
void Connection::use_log(std::chrono::milliseconds timeout) {
    constexpr std::chrono::milliseconds kPause{5};
    const auto deadline = std::chrono::steady_clock::now() + timeout;
    for (;;) {
        try {
            query("PRAGMA journal_mode=WAL", {}, [](const Row&) {});
            return;
        } catch (const Error&) {
            if ((::sqlite3_errcode(handle_) & 0xFF) != SQLITE_BUSY) throw;
            if (std::chrono::steady_clock::now() >= deadline) throw;
        }
        std::this_thread::sleep_for(kPause);
    }
}

void Connection::fail(const std::string& doing) const {
    const int code = ::sqlite3_extended_errcode(handle_);
    const int system = ::sqlite3_system_errno(handle_);
    // The index of the log cannot grow: SQLite tells no errno for it, and it is a matter of room.
    const bool is_full = code == SQLITE_IOERR_SHMSIZE || system == ENOSPC || system == EDQUOT;
    const bool is_fault = (code & 0xFF) == SQLITE_IOERR;
    throw error_of(
        is_fault && is_full ? SQLITE_FULL : code,
        fmt::format("{}: {}: {} (sqlite {})", path_, doing, ::sqlite3_errmsg(handle_), code));
}

sqlite3_stmt* Connection::prepare(std::string_view sql) {
    const auto found = std::find_if(prepared_.begin(), prepared_.end(),
                                    [&](const Prepared& one) { return one.sql == sql; });
    if (found != prepared_.end()) return found->statement.get();
    sqlite3_stmt* made = nullptr;
    const char* tail = nullptr;
    const int code =
        ::sqlite3_prepare_v2(handle_, sql.data(), static_cast<int>(sql.size()), &made, &tail);
    std::unique_ptr<sqlite3_stmt, Finalize> statement(made);
    if (code != SQLITE_OK) fail(std::string(sql));
    const std::string_view rest(tail, static_cast<std::size_t>(sql.data() + sql.size() - tail));
    if (!statement || rest.find_first_not_of(" \t\r\n;") != std::string_view::npos) {
        throw error_of(SQLITE_MISUSE, fmt::format("{}: expected one statement: {}", path_, sql));
    }
    if (prepared_.size() == kMostPrepared) prepared_.erase(prepared_.begin());
    prepared_.push_back({std::string(sql), std::move(statement)});
    return made;
}

void Connection::bind(sqlite3_stmt* statement, std::initializer_list<Value> values) const {
    if (static_cast<int>(values.size()) != ::sqlite3_bind_parameter_count(statement)) {
        throw error_of(SQLITE_MISUSE, fmt::format("{}: expected {} values, got {}: {}", path_,
                                                  ::sqlite3_bind_parameter_count(statement),
                                                  values.size(), ::sqlite3_sql(statement)));
    }
    int at = 0;
    for (const Value& value : values) {
        ++at;
        int code = SQLITE_OK;
        if (std::holds_alternative<std::nullptr_t>(value)) {
            code = ::sqlite3_bind_null(statement, at);
        } else if (const auto* integer = std::get_if<std::int64_t>(&value)) {
            code = ::sqlite3_bind_int64(statement, at, *integer);
        } else if (const auto* real = std::get_if<double>(&value)) {
            code = ::sqlite3_bind_double(statement, at, *real);
        } else if (const auto* bytes = std::get_if<Bytes>(&value)) {
            // Empty is not NULL: the pointer decides that.
            const char* const data = bytes->data.empty() ? "" : bytes->data.data();
            code = ::sqlite3_bind_blob64(statement, at, data, bytes->data.size(), SQLITE_STATIC);
        } else {
            const std::string_view text = std::get<std::string_view>(value);
            if (text.find('\0') != std::string_view::npos ||
                json::invalid_utf8(text) != std::string_view::npos) {
                throw Error(Errc::unprocessable, "invalid-text", "a text must be utf-8 without nul")
                    .because(fmt::format("{}: value {}: bind it as bytes", path_, at));
            }
            const char* const data = text.empty() ? "" : text.data();
            code =
                ::sqlite3_bind_text64(statement, at, data, text.size(), SQLITE_STATIC, SQLITE_UTF8);
        }
        if (code != SQLITE_OK) fail(::sqlite3_sql(statement));
    }
}

bool Connection::step(sqlite3_stmt* statement) const {
    const int code = ::sqlite3_step(statement);
    if (code == SQLITE_ROW) return true;
    if (code != SQLITE_DONE) fail(::sqlite3_sql(statement));
    return false;
}

std::uint64_t Connection::run(std::string_view sql, std::initializer_list<Value> values) {
    const Use use(prepare(sql));
    bind(use.get(), values);
    if (step(use.get())) {
        throw error_of(SQLITE_MISUSE, fmt::format("{}: expected no rows: {}", path_, sql));
    }
    return ::sqlite3_stmt_readonly(use.get()) != 0
               ? 0
               : static_cast<std::uint64_t>(::sqlite3_changes64(handle_));
}

std::uint64_t Connection::query(std::string_view sql, std::initializer_list<Value> values,
                                const std::function<void(const Row&)>& take) {
    const Use use(prepare(sql));
    bind(use.get(), values);
    std::uint64_t rows = 0;
    for (; step(use.get()); ++rows) take(Row(use.get()));
    return rows;
}

std::optional<std::int64_t> Connection::number(std::string_view sql,
                                               std::initializer_list<Value> values) {
    const Use use(prepare(sql));
    bind(use.get(), values);
    const Row row(use.get());
    if (!step(use.get()) || row.is_null(0)) return std::nullopt;
    return row.integer(0);
}

std::int64_t Connection::last_row_id() const { return ::sqlite3_last_insert_rowid(handle_); }

void Connection::transaction(const std::function<void()>& work) {
    // IMMEDIATE: one that reads first and then wants to write could not wait for another writer.
    run("BEGIN IMMEDIATE");
    try {
        work();
        run("COMMIT");
    } catch (const std::exception&) {
        // Some errors have rolled back already.
        if (::sqlite3_get_autocommit(handle_) == 0) run("ROLLBACK");
        throw;
    }
}

void Connection::with_session(const std::function<void(Poco::Data::Session&)>& work) {
    try {
        work(*session_);
    } catch (const Poco::Exception& error) {
        const int code = ::sqlite3_extended_errcode(handle_);
        throw error_of(code, fmt::format("{}: {}", path_, error.displayText()));
    }
}

// In WAL a read transaction keeps its moment, however many write meanwhile.
void Connection::hold_moment() {
    run("BEGIN");
    number("SELECT count(*) FROM sqlite_schema");
}

void Connection::backup_to(const std::string& path) {
    require_openable(path, true);
    sqlite3* opened = nullptr;
    const int code = ::sqlite3_open_v2(path.c_str(), &opened, SQLITE_OPEN_READWRITE, nullptr);
    struct Close {
        void operator()(sqlite3* database) const { ::sqlite3_close(database); }
    };
    const std::unique_ptr<sqlite3, Close> target(opened);
    if (code != SQLITE_OK) throw error_of(code, fmt::format("{}: cannot be opened", path));
    const auto fail_copy = [&](int result) {
        return error_of(result, fmt::format("{} to {}: {}", path_, path, ::sqlite3_errmsg(opened)));
    };
    // Without one each commit of others would start the copy anew.
    if (::sqlite3_get_autocommit(handle_) != 0) hold_moment();
    int result = SQLITE_OK;
    try {
        sqlite3_backup* const backup = ::sqlite3_backup_init(opened, "main", handle_, "main");
        if (backup == nullptr) throw fail_copy(::sqlite3_extended_errcode(opened));
        do {
            result = ::sqlite3_backup_step(backup, kBackupPages);
        } while (result == SQLITE_OK);
        const int finished = ::sqlite3_backup_finish(backup);
        if (result == SQLITE_DONE) result = finished;
    } catch (const Error&) {
        run("ROLLBACK");
        throw;
    }
    run("ROLLBACK");
    if (result != SQLITE_OK) throw fail_copy(result);
}

// ---- a database

Database::Database(std::string path, const Options& options, const std::vector<std::string>& schema)
    : path_(std::move(path)),
      options_(options),
      writer_(path_, Connection::Access::read_write, options) {
    write([&](Connection& connection) {
        for (const std::string& statement : schema) connection.run(statement);
    });
}

void Database::write(const std::function<void(Connection&)>& work) {
    const std::lock_guard lock(writer_mutex_);
    writer_.transaction([&] { work(writer_); });
}

void Database::maintain(const std::function<void(Connection&)>& work) {
    const std::lock_guard lock(writer_mutex_);
    work(writer_);
}

void Database::read(const std::function<void(Connection&)>& work) {
    std::unique_ptr<Connection> connection;
    {
        const std::lock_guard lock(readers_mutex_);
        if (!idle_.empty()) {
            connection = std::move(idle_.back());
            idle_.pop_back();
        }
    }
    if (!connection) {
        connection = std::make_unique<Connection>(path_, Connection::Access::read_only, options_);
    }
    work(*connection);  // one that throws does not come back: it may be in any state
    const std::lock_guard lock(readers_mutex_);
    idle_.push_back(std::move(connection));
}

}  // namespace larder::storage::sqlite
