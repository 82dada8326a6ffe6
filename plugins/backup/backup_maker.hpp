// A backup made: one moment of all plugins, written as an archive, recorded. Not its verification.
#pragma once

#include <string>
#include <vector>

#include "backup_chain.hpp"
#include "backup_operations.hpp"
#include "backup_record.hpp"
#include "backup_site.hpp"

namespace larder::backup {

struct Wanted {
    bool incremental = false, encrypt = false;
    std::vector<std::string> components;  // none: all
    std::string note;
};

// What an incremental backup with these components would be based on: the newest that has them and
// is whole. Throws Error{conflict, "no-parent"}. [worker]
Record parent_for(const Catalog& catalog, const std::vector<std::string>& components);

// Throws Error, std::system_error; then there is nothing of it. [the operations' thread]
Record make_backup(const Site& site, Operation& operation, const Wanted& wanted);

// What a snapshot would put in, by archived path; `.meta` files left out. For comparing.
FileMap present_state(Host& host, Operation& operation);
// Whose each of them is: plugins by archived paths.
Owners present_owners(Host& host, const Operation& operation);

}  // namespace larder::backup
