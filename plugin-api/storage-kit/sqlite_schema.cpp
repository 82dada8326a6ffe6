#include "storage-kit/sqlite_schema.hpp"

#include <fmt/format.h>

#include "larder/error.hpp"

namespace larder::storage::sqlite {

void migrate(Database& database, std::string_view owner, const std::vector<Migration>& steps) {
    database.write([](Connection& connection) {
        connection.run(
            "CREATE TABLE IF NOT EXISTS larder_schema("
            "owner TEXT PRIMARY KEY, version INTEGER NOT NULL)");
    });
    std::int64_t version = 0;
    database.read([&](Connection& connection) {
        version = connection.number("SELECT version FROM larder_schema WHERE owner = ?", {owner})
                      .value_or(0);
    });
    const auto known = static_cast<std::int64_t>(steps.size());
    if (version > known) {
        throw Error(Errc::unprocessable, "schema-too-new",
                    fmt::format("a database has version {} of {}'s tables, expected at most {}: a "
                                "newer larder wrote it; use that one, or restore an older backup",
                                version, owner, known));
    }
    for (std::int64_t step = version; step < known; ++step) {
        database.write([&](Connection& connection) {
            steps[static_cast<std::size_t>(step)](connection);
            connection.run(
                "INSERT INTO larder_schema(owner, version) VALUES(?, ?) "
                "ON CONFLICT(owner) DO UPDATE SET version = excluded.version",
                {owner, step + 1});
        });
    }
}

bool has_column(Connection& connection, std::string_view table, std::string_view column) {
    return connection.number("SELECT count(*) FROM pragma_table_info(?) WHERE name = ?",
                             {table, column}) == 1;
}

void prefer_incremental_vacuum(Database& database, std::uint64_t most_bytes) {
    database.maintain([&](Connection& connection) {
        if (connection.number("PRAGMA auto_vacuum") == 2) return;
        const auto bytes = connection.number("PRAGMA page_count").value_or(0) *
                           connection.number("PRAGMA page_size").value_or(0);
        if (bytes > checked(most_bytes)) return;
        connection.run("PRAGMA auto_vacuum=INCREMENTAL");
        connection.run("VACUUM");
    });
}

}  // namespace larder::storage::sqlite
