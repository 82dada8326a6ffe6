// An incremental backup with all that it is based on, and the files that they stand for together.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "backup_catalog.hpp"

namespace larder::backup {

using Owners = std::map<std::string, std::string, std::less<>>;  // plugins by archived path

struct Chain {
    std::vector<Record> links;  // the full one first, the one in question last
    struct Source {
        FileEntry file;
        std::size_t link = 0;  // whose archive has it
    };
    std::map<std::string, Source, std::less<>> state;
    std::vector<std::string> plugins;  // who took part in the last one
};

// Throws Error{conflict, "missing-parent"}, what Catalog::manifest() throws. [worker]
Chain chain_of(const Catalog& catalog, const Record& record);
// The records alone.
std::vector<Record> links_of(const Catalog& catalog, const Record& record);

}  // namespace larder::backup
