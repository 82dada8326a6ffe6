// One moment of all plugins: held together, pinned, released. Not what is written of it.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "larder/maintenance.hpp"
#include "routing/gate.hpp"

namespace larder::plugin_host {

// A power of a plugin (Plugin::extension), which does not stop while this lives.
struct LeasedPower {
    std::string plugin;
    void* power = nullptr;
    routing::Gate::Pass pass;
};

inline constexpr std::chrono::milliseconds kHoldLimit{200};

// As Maintenance::snapshot(), of these; each power is a Snapshotable. [worker]
std::unique_ptr<Snapshot> take_snapshot(std::vector<LeasedPower> plugins,
                                        std::chrono::milliseconds limit = kHoldLimit);

}  // namespace larder::plugin_host
