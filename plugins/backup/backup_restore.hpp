// What was backed up put back: unpacked and verified beside what there is, then swapped by the
// host. Not the swap itself.
#pragma once

#include <string>
#include <vector>

#include "backup_chain.hpp"
#include "backup_operations.hpp"
#include "backup_site.hpp"
#include "larder/maintenance.hpp"

namespace larder::backup {

struct Asked {
    std::vector<std::string> components;  // top-level names; none: all
    bool dry_run = false;
    std::string actor, ip_address, request_id;
};

// Names of components as a request gives them: "config/" is "config". Throws invalid_field().
std::vector<std::string> component_names(const std::vector<std::string>& asked);

// As far as the record tells, without reading anything. Throws invalid_field(). [any]
void check_components(const Record& record, const std::vector<std::string>& asked);

// What goes where, for a chain whose files are unpacked below `staging` (relative to the data
// directory). What a plugin that took part in the backup has now and had not then, as `present`
// tells, goes without a successor. [worker]
struct Plan {
    std::vector<SwapItem> swaps;
    std::vector<std::string> components, kept;  // what is put in place; never replaced
};
Plan plan_of(const Chain& chain, const std::vector<std::string>& components, const Owners& present,
             const std::string& data_directory, const std::string& staging);

// Answers with what was done, or would be. Throws not_whole(), what Maintenance::swap() throws: and
// then nothing was changed. [the operations' thread]
Answered restore_backup(const Site& site, Operation& operation, const Record& record,
                        const Asked& asked);

}  // namespace larder::backup
