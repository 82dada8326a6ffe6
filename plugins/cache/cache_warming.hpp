// Fills the cache with what will be asked for: whole kv buckets by their names, and the latest
// programs as `program:<id>`. The data come from other plugins' services; one that is off is passed
// over.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "cache_tiers.hpp"
#include "larder/host.hpp"

namespace larder::cache {

struct Warmed {
    std::size_t count = 0;
    std::vector<std::string> missing;  // sources that are off
};

class Warming {
public:
    Warming(Tiers& tiers, Host& host) : tiers_(tiers), host_(host) {}
    // A dry run counts, and stores nothing. [worker]
    Warmed run(bool is_dry);

private:
    Tiers& tiers_;
    Host& host_;
};

}  // namespace larder::cache
