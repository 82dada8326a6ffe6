// The plugin's part in backups: its databases as of one moment, copied by SQLite, and what is done
// when restored ones have been put in their place. The audit is never replaced: a restored one is
// laid beside it.
#pragma once

#include <memory>
#include <string>

#include "larder/snapshot.hpp"
#include "metrics_core.hpp"

namespace larder::metrics {

// While the writers are held. [any]
std::unique_ptr<Moment> pin(MetricsCore& core, std::string data_directory);

// As Snapshotable::adopt(); no database is open. Returns which databases were restored, for the
// audit: "metrics.db, errors.db". [control]
std::string adopt(const std::string& data_directory, const std::string& previous);

}  // namespace larder::metrics
