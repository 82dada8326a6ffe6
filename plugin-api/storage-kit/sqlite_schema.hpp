// What a database holds, brought up to date step by step, and who brought what: a file may have
// several owners, each with tables of its own. Not the opening: sqlite.hpp.
//
// The table larder_schema(owner, version) says how far each owner has come.
#pragma once

#include <functional>
#include <string_view>
#include <vector>

#include "storage-kit/sqlite.hpp"

namespace larder::storage::sqlite {

// One step; its version is its place in the list, from 1. It may find the tables there already,
// made by the system that Larder replaces.
using Migration = std::function<void(Connection&)>;

// Carries out what `owner` has not done yet, each step with its record in one transaction. Throws
// Error{unprocessable, "schema-too-new"} where a newer Larder was here, and what the steps throw.
// [control]
void migrate(Database& database, std::string_view owner, const std::vector<Migration>& steps);

bool has_column(Connection& connection, std::string_view table, std::string_view column);

// Makes room that is freed go back to the file system by PRAGMA incremental_vacuum. For a file that
// holds tables already this copies it, so it is done up to `most_bytes` only. Before migrate().
// [control]
void prefer_incremental_vacuum(Database& database, std::uint64_t most_bytes);

}  // namespace larder::storage::sqlite
