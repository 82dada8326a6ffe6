// Programs in backups: their records and folders as of one moment. Not their executions, which
// stand in metrics.db and go with that.
#pragma once

#include <memory>
#include <string>

#include "larder/snapshot.hpp"
#include "programs_store.hpp"

namespace larder::programs {

std::unique_ptr<Moment> pin(ProgramStore& store, const std::string& data_directory);
void adopt(const std::string& data_directory, const std::string& previous);

}  // namespace larder::programs
