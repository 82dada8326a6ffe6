// The traps of SQLite and of Poco's way to it, each one sprung and found closed.
#include "storage-kit/sqlite.hpp"

#include <Poco/Data/Session.h>
#include <Poco/Data/Statement.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <limits>
#include <string>
#include <thread>
#include <vector>

#include "larder/error.hpp"
#include "storage-kit/sqlite_schema.hpp"
#include "support/command.hpp"
#include "support/small_disk.hpp"
#include "support/suite.hpp"
#include "support/temporary_folder.hpp"

namespace {

using larder::Errc;
using larder::Error;
using larder::storage::sqlite::Bytes;
using larder::storage::sqlite::checked;
using larder::storage::sqlite::Connection;
using larder::storage::sqlite::Database;
using larder::storage::sqlite::Row;
using larder::storage::sqlite::Sync;
using namespace std::string_view_literals;

class SqliteTest : public CppUnit::TestFixture {
    CPPUNIT_TEST_SUITE(SqliteTest);
    CPPUNIT_TEST(keeps_every_kind_of_value);
    CPPUNIT_TEST(text_is_not_cut);
    CPPUNIT_TEST(numbers_are_checked);
    CPPUNIT_TEST(types_are_not_guessed);
    CPPUNIT_TEST(no_row_is_no_value);
    CPPUNIT_TEST(one_statement_at_a_time);
    CPPUNIT_TEST(counts_of_values_must_fit);
    CPPUNIT_TEST(opening_fails_at_once);
    CPPUNIT_TEST(no_database_is_found_out_at_open);
    CPPUNIT_TEST(is_in_wal_and_synced_as_asked);
    CPPUNIT_TEST(transactions_are_all_or_nothing);
    CPPUNIT_TEST(a_second_writer_is_told_busy);
    CPPUNIT_TEST(two_that_open_a_new_file_wait_for_each_other);
    CPPUNIT_TEST(constraints_are_conflicts);
    CPPUNIT_TEST(a_full_disk_is_no_space);
    CPPUNIT_TEST(a_disk_too_full_to_open_is_no_space);
    CPPUNIT_TEST(damage_is_corrupt);
    CPPUNIT_TEST(vectors_go_through_the_session);
    CPPUNIT_TEST(statements_are_usable_after_an_error);
    CPPUNIT_TEST(readers_do_not_write);
    CPPUNIT_TEST(readers_see_commits_only);
    CPPUNIT_TEST(copies_while_others_write);
    CPPUNIT_TEST(a_moment_is_held);
    CPPUNIT_TEST(other_programs_take_no_log_away);
    CPPUNIT_TEST(migrates_by_owner);
    CPPUNIT_TEST_SUITE_END();

public:
    void keeps_every_kind_of_value() {
        Connection connection(path_, Connection::Access::read_write);
        connection.run("CREATE TABLE t(i INTEGER, r REAL, t TEXT, b BLOB, n TEXT)");
        const std::int64_t least = std::numeric_limits<std::int64_t>::min();
        CPPUNIT_ASSERT_EQUAL(std::uint64_t{1}, connection.run("INSERT INTO t VALUES(?,?,?,?,?)",
                                                              {least, 0.1, "\xC3\xA9'\""sv,
                                                               Bytes{"\0\xFF\0"sv}, nullptr}));
        CPPUNIT_ASSERT_EQUAL(std::int64_t{1}, connection.last_row_id());
        const auto rows = connection.query("SELECT * FROM t", {}, [&](const Row& row) {
            CPPUNIT_ASSERT_EQUAL(least, row.integer(0));
            CPPUNIT_ASSERT_EQUAL(0.1, row.real(1));
            CPPUNIT_ASSERT_EQUAL(static_cast<double>(least), row.real(0));
            CPPUNIT_ASSERT(row.text(2) == "\xC3\xA9'\""sv);
            CPPUNIT_ASSERT(row.bytes(3) == "\0\xFF\0"sv);
            CPPUNIT_ASSERT(row.is_null(4));
            CPPUNIT_ASSERT(!row.is_null(0));
        });
        CPPUNIT_ASSERT_EQUAL(std::uint64_t{1}, rows);
        connection.run("UPDATE t SET t=?, b=?", {""sv, Bytes{""sv}});
        connection.query("SELECT t, b FROM t", {}, [](const Row& row) {
            CPPUNIT_ASSERT(row.text(0).empty());
            CPPUNIT_ASSERT(row.bytes(1).empty());
        });
    }

    void text_is_not_cut() {
        Connection connection(path_, Connection::Access::read_write);
        connection.run("CREATE TABLE t(t TEXT)");
        CPPUNIT_ASSERT(refusal([&] { connection.run("INSERT INTO t VALUES(?)", {"a\0b"sv}); }) ==
                       Errc::unprocessable);
        CPPUNIT_ASSERT(refusal([&] { connection.run("INSERT INTO t VALUES(?)", {"\xFF"sv}); }) ==
                       Errc::unprocessable);
        connection.run("INSERT INTO t VALUES('a' || char(0) || 'b')");
        connection.query("SELECT t FROM t", {},
                         [](const Row& row) { CPPUNIT_ASSERT(row.text(0) == "a\0b"sv); });
    }

    void numbers_are_checked() {
        CPPUNIT_ASSERT_EQUAL(std::numeric_limits<std::int64_t>::max(),
                             checked(0x7FFFFFFFFFFFFFFFU));
        CPPUNIT_ASSERT(refusal([] { checked(0x8000000000000000U); }) == Errc::internal);
    }

    void types_are_not_guessed() {
        Connection connection(path_, Connection::Access::read_write);
        connection.query("SELECT 'x', 1, NULL, x'00', 1.5", {}, [](const Row& row) {
            CPPUNIT_ASSERT(refusal([&] { row.integer(0); }) == Errc::corrupt);
            CPPUNIT_ASSERT(refusal([&] { row.text(1); }) == Errc::corrupt);
            CPPUNIT_ASSERT(refusal([&] { row.text(2); }) == Errc::corrupt);
            CPPUNIT_ASSERT(refusal([&] { row.text(3); }) == Errc::corrupt);
            CPPUNIT_ASSERT(refusal([&] { row.integer(4); }) == Errc::corrupt);
            CPPUNIT_ASSERT(refusal([&] { row.real(0); }) == Errc::corrupt);
            CPPUNIT_ASSERT(refusal([&] { row.bytes(0); }) == Errc::corrupt);
            CPPUNIT_ASSERT(refusal([&] { row.integer(9); }) == Errc::corrupt);
        });
    }

    void no_row_is_no_value() {
        Connection connection(path_, Connection::Access::read_write);
        connection.run("CREATE TABLE t(i INTEGER)");
        CPPUNIT_ASSERT(!connection.number("SELECT i FROM t"));
        CPPUNIT_ASSERT(!connection.number("SELECT max(i) FROM t"));
        CPPUNIT_ASSERT_EQUAL(std::int64_t{0}, connection.number("SELECT count(*) FROM t").value());
        CPPUNIT_ASSERT_EQUAL(std::uint64_t{0},
                             connection.query("SELECT i FROM t", {}, [](const Row&) {}));
    }

    void one_statement_at_a_time() {
        Connection connection(path_, Connection::Access::read_write);
        connection.run("CREATE TABLE t(i INTEGER) ; ");
        CPPUNIT_ASSERT(refusal([&] { connection.run("DELETE FROM t; DROP TABLE t"); }) ==
                       Errc::internal);
        CPPUNIT_ASSERT(refusal([&] { connection.run(""); }) == Errc::internal);
        CPPUNIT_ASSERT(refusal([&] { connection.run("SELECT 1"); }) == Errc::internal);
        CPPUNIT_ASSERT(refusal([&] { connection.run("NONSENSE"); }) == Errc::internal);
        CPPUNIT_ASSERT_EQUAL(std::int64_t{0}, connection.number("SELECT count(*) FROM t").value());
    }

    void counts_of_values_must_fit() {
        Connection connection(path_, Connection::Access::read_write);
        connection.run("CREATE TABLE t(i INTEGER)");
        CPPUNIT_ASSERT(refusal([&] { connection.run("INSERT INTO t VALUES(?)"); }) ==
                       Errc::internal);
        CPPUNIT_ASSERT(
            refusal([&] {
                connection.run("INSERT INTO t VALUES(?)", {std::int64_t{1}, std::int64_t{2}});
            }) == Errc::internal);
    }

    // Poco by itself tries again for a minute; the suite's deadline would tell.
    void opening_fails_at_once() {
        const auto open = [&](const std::string& path, Connection::Access access) {
            return refusal([&] { Connection(path, access); });
        };
        CPPUNIT_ASSERT(open(folder_ / "none/x.db", Connection::Access::read_write) ==
                       Errc::unavailable);
        CPPUNIT_ASSERT(open(folder_ / "none.db", Connection::Access::read_only) ==
                       Errc::unavailable);
        CPPUNIT_ASSERT(open(folder_.path(), Connection::Access::read_write) == Errc::unavailable);
        CPPUNIT_ASSERT(::access((folder_ / "none.db").c_str(), F_OK) != 0);
    }

    void no_database_is_found_out_at_open() {
        std::ofstream(path_) << std::string(5000, 'x');
        CPPUNIT_ASSERT(refusal([&] { Connection(path_, Connection::Access::read_write); }) ==
                       Errc::corrupt);
        CPPUNIT_ASSERT(refusal([&] { Connection(path_, Connection::Access::read_only); }) ==
                       Errc::corrupt);
    }

    void is_in_wal_and_synced_as_asked() {
        Connection full(path_, Connection::Access::read_write);
        CPPUNIT_ASSERT_EQUAL(std::int64_t{2}, full.number("PRAGMA synchronous").value());
        CPPUNIT_ASSERT_EQUAL(std::int64_t{5000}, full.number("PRAGMA busy_timeout").value());
        full.query("PRAGMA journal_mode", {},
                   [](const Row& row) { CPPUNIT_ASSERT(row.text(0) == "wal"sv); });
        Connection normal(path_, Connection::Access::read_write, {.sync = Sync::normal});
        CPPUNIT_ASSERT_EQUAL(std::int64_t{1}, normal.number("PRAGMA synchronous").value());
        struct stat status {};
        CPPUNIT_ASSERT_EQUAL(0, ::stat(path_.c_str(), &status));
        CPPUNIT_ASSERT_EQUAL(0U, status.st_mode & 07137U);
    }

    void transactions_are_all_or_nothing() {
        Connection connection(path_, Connection::Access::read_write);
        connection.run("CREATE TABLE t(i INTEGER)");
        CPPUNIT_ASSERT_THROW(connection.transaction([&] {
            connection.run("INSERT INTO t VALUES(1)");
            throw Error(Errc::conflict, "no", "no");
        }),
                             Error);
        CPPUNIT_ASSERT_EQUAL(std::int64_t{0}, connection.number("SELECT count(*) FROM t").value());
        connection.transaction([&] { connection.run("INSERT INTO t VALUES(1)"); });
        CPPUNIT_ASSERT_EQUAL(std::int64_t{1}, connection.number("SELECT count(*) FROM t").value());
        CPPUNIT_ASSERT(refusal([&] {
                           connection.transaction([&] { connection.transaction([] {}); });
                       }) == Errc::internal);
        connection.transaction([&] { connection.run("INSERT INTO t VALUES(1)"); });
    }

    void a_second_writer_is_told_busy() {
        Connection first(path_, Connection::Access::read_write);
        first.run("CREATE TABLE t(i INTEGER)");
        Connection second(path_, Connection::Access::read_write,
                          {.busy_timeout = std::chrono::milliseconds(20)});
        first.transaction([&] {
            CPPUNIT_ASSERT(refusal([&] { second.transaction([] {}); }) == Errc::unavailable);
            CPPUNIT_ASSERT_EQUAL(std::int64_t{0}, second.number("SELECT count(*) FROM t").value());
        });
        second.transaction([&] { second.run("INSERT INTO t VALUES(1)"); });
    }

    // As two plugins do that start at once, each with tables in one database.
    void two_that_open_a_new_file_wait_for_each_other() {
        for (int round = 0; round < 100; ++round) {
            const std::string path = path_ + std::to_string(round);
            std::atomic<int> waiting{2};
            std::array<std::string, 2> refusals;
            const auto open = [&](std::size_t which) {
                const std::string table = which == 0 ? "a" : "b";
                --waiting;
                while (waiting > 0) std::this_thread::yield();
                try {
                    Database database(path, {}, {"CREATE TABLE " + table + "(i INTEGER)"});
                } catch (const Error& error) {
                    refusals.at(which) = error.internal();
                }
            };
            std::thread other(open, 1);
            open(0);
            other.join();
            CPPUNIT_ASSERT_EQUAL(std::string(), refusals[0]);
            CPPUNIT_ASSERT_EQUAL(std::string(), refusals[1]);
        }
    }

    void constraints_are_conflicts() {
        Connection connection(path_, Connection::Access::read_write);
        connection.run("CREATE TABLE t(i INTEGER PRIMARY KEY)");
        connection.run("INSERT INTO t VALUES(1)");
        CPPUNIT_ASSERT(refusal([&] { connection.run("INSERT INTO t VALUES(1)"); }) ==
                       Errc::conflict);
    }

    void a_disk_too_full_to_open_is_no_space() {
        const larder::test::SmallDisk disk(512);
        if (!disk.why_not().empty()) {
            std::cerr << "SKIPPED: " << disk.why_not() << '\n';
            return;
        }
        const std::string path = disk.path() + "/a.db";
        { const Database made(path, {}, {"CREATE TABLE t(a)"}); }
        disk.fill();
        try {
            const Database opened(path, {}, {});
            CPPUNIT_FAIL("there is no room for its log's index");
        } catch (const Error& error) {
            CPPUNIT_ASSERT_EQUAL_MESSAGE(error.internal(), std::string("disk-full"), error.slug());
        }
        std::filesystem::remove(disk.ballast());
        const Database opened(path, {}, {});
    }

    void a_full_disk_is_no_space() {
        Connection connection(path_, Connection::Access::read_write);
        connection.run("CREATE TABLE t(b BLOB)");
        // As SQLite sees it, a database at its limit of pages is a full disk.
        connection.query("PRAGMA max_page_count=3", {}, [](const Row&) {});
        const std::string large(100'000, 'x');
        CPPUNIT_ASSERT(refusal([&] {
                           connection.transaction(
                               [&] { connection.run("INSERT INTO t VALUES(?)", {Bytes{large}}); });
                       }) == Errc::no_space);
        CPPUNIT_ASSERT_EQUAL(std::int64_t{0}, connection.number("SELECT count(*) FROM t").value());
    }

    void damage_is_corrupt() {
        {
            Connection connection(path_, Connection::Access::read_write);
            connection.run("CREATE TABLE t(b BLOB)");
            const std::string large(100'000, 'x');
            connection.run("INSERT INTO t VALUES(?)", {Bytes{large}});
        }
        std::fstream file(path_, std::ios::in | std::ios::out | std::ios::binary);
        file.seekp(4096);
        file << std::string(8192, '\x7F');
        file.close();
        Connection connection(path_, Connection::Access::read_only);
        CPPUNIT_ASSERT(refusal([&] {
                           connection.query("SELECT b FROM t", {},
                                            [](const Row& row) { row.bytes(0); });
                       }) == Errc::corrupt);
    }

    void vectors_go_through_the_session() {
        Connection connection(path_, Connection::Access::read_write);
        connection.run("CREATE TABLE t(i INTEGER, s TEXT)");
        std::vector<std::int64_t> numbers(1000);
        std::vector<std::string> texts(1000);
        for (std::size_t i = 0; i < numbers.size(); ++i) {
            numbers[i] = static_cast<std::int64_t>(i);
            texts[i] = std::to_string(i);
        }
        connection.transaction([&] {
            connection.with_session([&](Poco::Data::Session& session) {
                using Poco::Data::Keywords::now;
                using Poco::Data::Keywords::use;
                session << "INSERT INTO t VALUES(?,?)", use(numbers), use(texts), now;
            });
        });
        CPPUNIT_ASSERT_EQUAL(std::int64_t{499500},
                             connection.number("SELECT sum(i) FROM t WHERE s = i").value());
        CPPUNIT_ASSERT(refusal([&] {
                           connection.with_session([](Poco::Data::Session& session) {
                               using Poco::Data::Keywords::now;
                               session << "INSERT INTO none VALUES(1)", now;
                           });
                       }) == Errc::internal);
    }

    void statements_are_usable_after_an_error() {
        Connection connection(path_, Connection::Access::read_write);
        connection.run("CREATE TABLE t(i INTEGER PRIMARY KEY)");
        const auto insert = [&](std::int64_t i) { connection.run("INSERT INTO t VALUES(?)", {i}); };
        insert(1);
        CPPUNIT_ASSERT_THROW(insert(1), Error);
        insert(2);
        CPPUNIT_ASSERT_THROW(
            connection.query("SELECT i FROM t", {},
                             [](const Row&) { throw Error(Errc::gone, "stop", "enough"); }),
            Error);
        CPPUNIT_ASSERT_EQUAL(std::uint64_t{2},
                             connection.query("SELECT i FROM t", {}, [](const Row&) {}));
        for (int i = 0; i < 200; ++i) {  // more than are kept prepared
            CPPUNIT_ASSERT_EQUAL(std::int64_t{i},
                                 connection.number("SELECT " + std::to_string(i)).value());
        }
        insert(3);
    }

    void readers_do_not_write() {
        Database database(path_, {}, {"CREATE TABLE IF NOT EXISTS t(i INTEGER)"});
        database.read([](Connection& connection) {
            CPPUNIT_ASSERT(refusal([&] { connection.run("INSERT INTO t VALUES(1)"); }) ==
                           Errc::unavailable);
        });
    }

    void readers_see_commits_only() {
        Database database(path_, {.sync = Sync::normal}, {"CREATE TABLE t(i INTEGER)"});
        std::atomic<bool> ending = false;
        std::vector<std::thread> readers;
        readers.reserve(3);
        std::atomic<int> odd = 0;
        for (int i = 0; i < 3; ++i) {
            readers.emplace_back([&] {
                while (!ending) {
                    database.read([&](Connection& connection) {
                        if (connection.number("SELECT count(*) % 2 FROM t").value() != 0) ++odd;
                    });
                }
            });
        }
        for (int i = 0; i < 200; ++i) {
            database.write([](Connection& connection) {
                connection.run("INSERT INTO t VALUES(1)");
                connection.run("INSERT INTO t VALUES(2)");
            });
        }
        ending = true;
        for (auto& reader : readers) reader.join();
        CPPUNIT_ASSERT_EQUAL(0, odd.load());
        database.maintain([](Connection& connection) { connection.run("VACUUM"); });
        database.read([](Connection& connection) {
            CPPUNIT_ASSERT_EQUAL(std::int64_t{400},
                                 connection.number("SELECT count(*) FROM t").value());
        });
    }

    void a_moment_is_held() {
        Connection writer(path_, Connection::Access::read_write);
        writer.run("CREATE TABLE t(i INTEGER)");
        writer.run("INSERT INTO t VALUES(1)");
        Connection held(path_, Connection::Access::read_only);
        held.hold_moment();
        writer.run("INSERT INTO t VALUES(2)");
        CPPUNIT_ASSERT_EQUAL(std::int64_t{1}, held.number("SELECT count(*) FROM t").value());
        const std::string copy = path_ + ".copy";
        held.backup_to(copy);
        Connection copied(copy, Connection::Access::read_only);
        CPPUNIT_ASSERT_EQUAL(std::int64_t{1}, copied.number("SELECT count(*) FROM t").value());
        CPPUNIT_ASSERT_EQUAL(std::int64_t{2}, held.number("SELECT count(*) FROM t").value());
    }

    // To open a file once more and close it drops all locks of the process on it. Then another
    // program that closes it last would fold and remove the log that we go on writing.
    void other_programs_take_no_log_away() {
        Connection first(path_, Connection::Access::read_write);
        first.run("CREATE TABLE t(i INTEGER)");
        Connection(path_, Connection::Access::read_only).number("SELECT 1");
        CPPUNIT_ASSERT_EQUAL(0,
                             larder::test::run({"sqlite3", path_, "INSERT INTO t VALUES(1)"}).exit);
        struct stat facts {};
        CPPUNIT_ASSERT_EQUAL(0, ::stat((path_ + "-wal").c_str(), &facts));
        CPPUNIT_ASSERT(facts.st_size > 0);
        first.run("INSERT INTO t VALUES(2)");
        const auto ran =
            larder::test::run({"sqlite3", "-readonly", path_, "SELECT count(*) FROM t"});
        CPPUNIT_ASSERT_EQUAL(std::string("2\n"), ran.out);
    }

    void migrates_by_owner() {
        using larder::storage::sqlite::migrate;
        using larder::storage::sqlite::Migration;
        Database database(path_, {}, {});
        int steps = 0;
        const Migration step = [&](Connection& connection) {
            ++steps;
            connection.run("CREATE TABLE t" + std::to_string(steps) + "(i INTEGER)");
        };
        migrate(database, "ann", {step});
        migrate(database, "ann", {step});
        CPPUNIT_ASSERT_EQUAL(1, steps);
        migrate(database, "ann", {step, step});
        migrate(database, "bob", {step});
        CPPUNIT_ASSERT_EQUAL(3, steps);
        CPPUNIT_ASSERT_THROW(migrate(database, "ann", {step}), Error);
        // A step that fails leaves nothing of it, and is done again.
        const Migration failing = [](Connection& connection) {
            connection.run("CREATE TABLE half(i INTEGER)");
            connection.run("CREATE TABLE half(i INTEGER)");
        };
        CPPUNIT_ASSERT_THROW(migrate(database, "bob", {step, failing}), Error);
        database.read([](Connection& connection) {
            CPPUNIT_ASSERT_EQUAL(
                std::int64_t{1},
                connection.number("SELECT version FROM larder_schema WHERE owner = 'bob'").value());
            CPPUNIT_ASSERT(!larder::storage::sqlite::has_column(connection, "half", "i"));
            CPPUNIT_ASSERT(larder::storage::sqlite::has_column(connection, "t1", "i"));
        });
    }

    void copies_while_others_write() {
        Database database(path_, {.sync = Sync::normal}, {"CREATE TABLE t(b BLOB)"});
        const std::string row(1000, 'x');
        const auto add = [&] {
            database.write([&](Connection& connection) {
                for (int i = 0; i < 50; ++i)
                    connection.run("INSERT INTO t VALUES(?)", {Bytes{row}});
            });
        };
        for (int i = 0; i < 40; ++i) add();
        std::atomic<bool> ending = false;
        std::thread writer([&] {
            while (!ending) add();
        });
        database.read([&](Connection& connection) { connection.backup_to(folder_ / "copy.db"); });
        ending = true;
        writer.join();
        Connection copy(folder_ / "copy.db", Connection::Access::read_only);
        const std::int64_t count = copy.number("SELECT count(*) FROM t").value();
        CPPUNIT_ASSERT(count >= 2000);
        CPPUNIT_ASSERT_EQUAL(std::int64_t{0}, count % 50);
        copy.query("PRAGMA integrity_check", {},
                   [](const Row& found) { CPPUNIT_ASSERT(found.text(0) == "ok"sv); });
        CPPUNIT_ASSERT(refusal([&] {
                           database.read([&](Connection& connection) {
                               connection.backup_to(folder_ / "none/copy.db");
                           });
                       }) == Errc::unavailable);
    }

private:
    template <typename Work> static Errc refusal(Work work) {
        try {
            work();
        } catch (const Error& error) {
            CPPUNIT_ASSERT(!error.internal().empty());
            return error.code();
        }
        CPPUNIT_FAIL("was not refused");
        return Errc::internal;
    }

    larder::test::TemporaryFolder folder_;
    std::string path_ = folder_ / "t.db";
};

LARDER_TEST_SUITE(SqliteTest);

}  // namespace
