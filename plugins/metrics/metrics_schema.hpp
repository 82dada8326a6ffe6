// The tables of metrics.db and errors.db: those of the system that Larder replaces under their old
// names and columns, with columns of our own behind them, and tables of our own beside them. The
// table program_executions of metrics.db is the programs plugin's.
#pragma once

#include <vector>

#include "storage-kit/sqlite_schema.hpp"

namespace larder::metrics {

inline constexpr std::string_view kOwner = "metrics";

std::vector<storage::sqlite::Migration> metrics_migrations();
std::vector<storage::sqlite::Migration> errors_migrations();

}  // namespace larder::metrics
