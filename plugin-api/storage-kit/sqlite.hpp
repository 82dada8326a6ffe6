// SQLite databases, opened, bound, read and failed the one way that loses nothing. Poco's session
// holds the connection and binds vectors (session()); single values and rows do not go through
// Poco, which cuts text at NUL, turns text into 0 and keeps the old value where there is no row.
// Not a query language: SQL is written by whoever asks. In a library of its own:
// larder_storage_sqlite.
#pragma once

#include <Poco/Data/Session.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

struct sqlite3;
struct sqlite3_stmt;

namespace larder::storage::sqlite {

struct Bytes {
    std::string_view data;  // stored as a BLOB
};
// What is bound to a `?`. Text must be UTF-8 without NUL: anything else goes as Bytes.
using Value = std::variant<std::nullptr_t, std::int64_t, double, std::string_view, Bytes>;

// A number that SQLite can keep. Throws Error{internal} above INT64_MAX, which Poco stores as -1.
// [any]
std::int64_t checked(std::uint64_t number);

// A row, good inside the callback that got it. Asking for another type than the column holds throws
// Error{corrupt,"wrong-type"}; an integer is taken for a real.
class Row {
public:
    explicit Row(sqlite3_stmt* statement) : statement_(statement) {}
    std::int64_t integer(int column) const;
    double real(int column) const;
    std::string_view text(int column) const;
    std::string_view bytes(int column) const;  // a BLOB's
    bool is_null(int column) const;

private:
    void require(int column, int type) const;
    sqlite3_stmt* statement_;
};

enum class Sync : std::uint8_t {
    full = 1,  // a commit survives a power cut
    normal,    // a power cut may take the last commits; the database stays whole
};
struct Options {
    Sync sync = Sync::full;
    std::chrono::milliseconds busy_timeout{5000};
};

// One connection. Every call throws larder::Error: no_space, io_failed, corrupt, unavailable (busy,
// not to be opened), conflict (a constraint), internal (the SQL is wrong); because() has SQLite's
// words. [worker, one thread at a time]
class Connection {
public:
    enum class Access : std::uint8_t { read_only = 1, read_write };  // read_write makes the file

    // Fails at once where the folder is missing or forbidden, and where the file is no database.
    Connection(const std::string& path, Access access, const Options& options = {});
    ~Connection();
    Connection(const Connection&) = delete;
    Connection& operator=(const Connection&) = delete;

    // One statement without rows; returns how many rows it changed. Statements are kept prepared.
    std::uint64_t run(std::string_view sql, std::initializer_list<Value> values = {});
    // One statement with rows; returns how many there were.
    std::uint64_t query(std::string_view sql, std::initializer_list<Value> values,
                        const std::function<void(const Row&)>& take);
    // The integer of the first row's first column; nothing where there is no row or it is NULL.
    std::optional<std::int64_t> number(std::string_view sql,
                                       std::initializer_list<Value> values = {});
    std::int64_t last_row_id() const;

    // BEGIN IMMEDIATE, `work`, COMMIT; ROLLBACK when it throws. Keep it under 50 ms. Not nested.
    void transaction(const std::function<void()>& work);

    // For vectors, bound in one statement at SQLite's own speed: `session << "INSERT…",
    // use(column), now`, in a transaction. What Poco throws comes out as Error. Never text from a
    // request inside the SQL.
    void with_session(const std::function<void(Poco::Data::Session&)>& work);

    // Pins the database as it is now, for reads and one copy; others write on. [any, as all here]
    void hold_moment();
    // A consistent copy as of one moment, in steps, while others write; synced. The moment is the
    // one that is held, else now; it is let go. [worker]
    void backup_to(const std::string& path);

private:
    struct Finalize {
        void operator()(sqlite3_stmt* statement) const;
    };
    struct Prepared {
        std::string sql;
        std::unique_ptr<sqlite3_stmt, Finalize> statement;
    };
    class Use;

    void use_log(std::chrono::milliseconds timeout);
    sqlite3_stmt* prepare(std::string_view sql);
    void bind(sqlite3_stmt* statement, std::initializer_list<Value> values) const;
    bool step(sqlite3_stmt* statement) const;  // true: a row
    [[noreturn]] void fail(const std::string& doing) const;

    std::string path_;
    std::optional<Poco::Data::Session> session_;
    sqlite3* handle_ = nullptr;  // session_'s
    std::vector<Prepared> prepared_;
};

// A database with one writer and as many readers as ask at once, each with a connection of its own.
// WAL: readers see the last commit and never wait for the writer. [worker]
class Database {
public:
    // `schema` is run in one transaction after the database was opened: CREATE … IF NOT EXISTS.
    Database(std::string path, const Options& options, const std::vector<std::string>& schema);

    // One at a time, in a transaction.
    void write(const std::function<void(Connection&)>& work);
    // The same without a transaction: for PRAGMA, VACUUM and the like.
    void maintain(const std::function<void(Connection&)>& work);
    void read(const std::function<void(Connection&)>& work);
    const std::string& path() const noexcept { return path_; }

private:
    const std::string path_;
    const Options options_;
    std::mutex writer_mutex_;
    Connection writer_;  // guarded by writer_mutex_
    std::mutex readers_mutex_;
    std::vector<std::unique_ptr<Connection>> idle_;  // guarded by readers_mutex_
};

}  // namespace larder::storage::sqlite
