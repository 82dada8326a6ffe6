#include "backup_chain.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace larder::backup {

std::vector<Record> links_of(const Catalog& catalog, const Record& record) {
    std::vector<Record> links = {record};
    while (links.back().is_incremental()) {
        const auto parent = catalog.find(links.back().parent);
        const bool is_known =
            parent && std::none_of(links.begin(), links.end(), [&](const Record& link) {
                return link.backup_id == parent->backup_id;
            });
        if (!is_known) {
            throw Error(Errc::conflict, "missing-parent",
                        fmt::format("{} is based on {}, which is not there; import that one first",
                                    links.back().backup_id, links.back().parent));
        }
        links.push_back(*parent);
    }
    std::reverse(links.begin(), links.end());
    return links;
}

Chain chain_of(const Catalog& catalog, const Record& record) {
    Chain chain;
    chain.links = links_of(catalog, record);
    for (std::size_t i = 0; i < chain.links.size(); ++i) {
        Manifest manifest = catalog.manifest(chain.links[i]);
        for (const std::string& path : manifest.deleted) chain.state.erase(path);
        for (auto& [path, file] : manifest.files) {
            chain.state.insert_or_assign(path, Chain::Source{std::move(file), i});
        }
        chain.plugins = std::move(manifest.plugins);
    }
    return chain;
}

}  // namespace larder::backup
