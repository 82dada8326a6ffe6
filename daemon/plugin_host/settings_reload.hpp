// What one reload of the configuration means for the plugins: live settings are handed over, those
// newly enabled are started, those newly disabled stopped; all of it or nothing. Not the daemon's
// own settings.
#pragma once

#include <functional>
#include <mutex>
#include <string>
#include <vector>

#include "config/configuration.hpp"
#include "plugin_host/supervisor.hpp"

namespace larder::plugin_host {

// No plugin is walked by anybody else while this lives. [worker, one at a time]
class SettingsReload {
public:
    // Throws Error{conflict} busy when a plugin is walked by somebody else for too long.
    explicit SettingsReload(Supervisor& supervisor);
    ~SettingsReload();  // undoes what was applied, unless it was committed
    SettingsReload(const SettingsReload&) = delete;
    SettingsReload& operator=(const SettingsReload&) = delete;

    // `changes` are those from `now` to `fresh`. Where a plugin does not run, or is started here,
    // it gets all of its fresh settings, and `changes` tell so. Throws config::ConfigError with the
    // setting that a plugin refused, or the `enabled` of one that would not start.
    void apply(const config::Configuration& now, const config::Configuration& fresh,
               config::Changes& changes);
    // The configuration is in force: stops what it turned off. A plugin that does not stop is
    // stuck, which is told in its standing and in the log.
    void commit() noexcept;

private:
    using Entry = Supervisor::Entry;

    void apply_to(Entry& entry, const config::Configuration& now,
                  const config::Configuration& fresh, config::Changes& changes);
    void start(Entry& entry, const config::Configuration& fresh);
    void hand_over(Entry& entry, const config::Configuration& now, const config::Changes& changes);
    void undo() noexcept;

    Supervisor& supervisor_;
    std::vector<std::unique_lock<Turn>> walks_;
    std::vector<std::function<void()>> undo_;
    std::vector<Entry*> to_stop_;
};

}  // namespace larder::plugin_host
