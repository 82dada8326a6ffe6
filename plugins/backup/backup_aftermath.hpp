// What is left to do once a restore's files are in place: the archived audit laid beside the one in
// use, the audit told, the staging cleared. Done by the next start where a kill came between.
#pragma once

#include <string>
#include <vector>

#include "backup_operations.hpp"
#include "backup_restore.hpp"
#include "backup_site.hpp"

namespace larder::backup {

inline constexpr std::string_view kRestoring = "backups/.restore";  // a folder for each restore
inline constexpr std::string_view kAuditBeside = "audit-beside";    // in it

// Written down in `staging` (absolute) before the swap; the caller syncs. Throws
// std::system_error. [worker]
void note_restore(const std::string& staging, const Record& record, const Asked& asked,
                  const Plan& plan);

// After the swap. Throws std::system_error. [worker]
void finish_restore(const Site& site, const std::string& staging);

// Ends what a former life left, as soon as the host has ended its swap. Begins nothing where there
// is nothing. [control]
void finish_cut_restores(const Site& site, Operations& operations);

}  // namespace larder::backup
