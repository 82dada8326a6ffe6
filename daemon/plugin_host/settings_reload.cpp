#include "plugin_host/settings_reload.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "config/loader.hpp"

namespace larder::plugin_host {
namespace {

constexpr std::chrono::seconds kPatience{10};  // for a walk that somebody asked for before

// All changes of one section count as applied: nothing runs by its former settings.
void take_whole(config::Changes& changes, const config::Configuration& fresh,
                const std::string& section) {
    const auto theirs = [&](const config::Change& change) { return change.section == section; };
    std::ranges::copy_if(changes.needs_restart, std::back_inserter(changes.applied), theirs);
    std::erase_if(changes.needs_restart, theirs);
    changes.in_force = changes.in_force.with_section(fresh, section);
}

bool is_enabled_in(const config::Configuration& configuration, const std::string& name) {
    const auto section = configuration.find(name);
    return section != nullptr && section->find("enabled") != nullptr && section->flag("enabled");
}

}  // namespace

SettingsReload::SettingsReload(Supervisor& supervisor) : supervisor_(supervisor) {
    const auto deadline = std::chrono::steady_clock::now() + kPatience;
    for (const auto& entry : supervisor_.plugins_) {
        walks_.emplace_back(entry->walk, deadline);
        if (walks_.back().owns_lock()) continue;
        throw Error(Errc::conflict, "busy",
                    fmt::format("plugin {} is being started or stopped; try again when it is over",
                                entry->life->name()));
    }
    if (supervisor_.stopping_) {
        throw Error(Errc::unavailable, "stopping", "the daemon is being stopped");
    }
}

SettingsReload::~SettingsReload() { undo(); }

void SettingsReload::apply(const config::Configuration& now, const config::Configuration& fresh,
                           config::Changes& changes) {
    for (const auto& entry : supervisor_.plugins_) {
        if (entry->life->library().is_taken()) apply_to(*entry, now, fresh, changes);
    }
}

void SettingsReload::apply_to(Entry& entry, const config::Configuration& now,
                              const config::Configuration& fresh, config::Changes& changes) {
    const std::string& name = entry.life->name();
    const auto chosen = supervisor_.choices_.of(name);
    const bool was_on = chosen ? chosen->enabled : is_enabled_in(now, name);
    const bool is_on = chosen ? chosen->enabled : is_enabled_in(fresh, name);
    if (entry.life->is_alive()) {
        hand_over(entry, now, changes);
        if (!is_on) to_stop_.push_back(&entry);
        return;
    }
    take_whole(changes, fresh, name);
    if (is_on && !was_on && !entry.life->standing().stuck) start(entry, fresh);
}

void SettingsReload::hand_over(Entry& entry, const config::Configuration& now,
                               const config::Changes& changes) {
    const std::string& name = entry.life->name();
    const auto first = std::ranges::find_if(changes.applied, [&](const config::Change& change) {
        return change.section == name && change.key != "enabled";
    });
    if (first == changes.applied.end()) return;
    const auto limit = supervisor_.limit("stop_timeout");
    const auto deadline = [limit] { return std::chrono::steady_clock::now() + limit; };
    // Also when it refuses: it may have taken a part.
    undo_.emplace_back([&life = *entry.life, before = now.section(name), deadline] {
        life.take_settings(before, deadline());
    });
    try {
        entry.life->take_settings(changes.in_force.section(name), deadline());
    } catch (const Error& error) {
        throw config::fault_at(
            changes.in_force, name, first->key,
            fmt::format("the plugin refused what was changed: {}", error.detail()));
    }
}

void SettingsReload::start(Entry& entry, const config::Configuration& fresh) {
    const std::string& name = entry.life->name();
    undo_.emplace_back([this, &entry] {
        entry.life->close();
        supervisor_.publish();
        const auto now = std::chrono::steady_clock::now();
        if (entry.life->stop(now + supervisor_.limit("drain_timeout"),
                             supervisor_.limit("stop_timeout"))) {
            entry.life->disable("its configuration says enabled = false");
        }
        supervisor_.publish();
    });
    try {
        supervisor_.start_with(entry, fresh.section(name));
    } catch (const Error& error) {
        throw config::fault_at(fresh, name, "enabled", error.detail());
    }
}

void SettingsReload::commit() noexcept {
    undo_.clear();
    for (Entry* const entry : to_stop_) {
        try {
            supervisor_.stop(*entry, supervisor_.why_off(entry->life->name()));
        } catch (const Error&) {  // its standing tells, and the log did
        }
    }
}

void SettingsReload::undo() noexcept {
    for (auto step = undo_.rbegin(); step != undo_.rend(); ++step) {
        try {
            (*step)();
        } catch (const Error& error) {
            supervisor_.hooks_.log_for("larderd").write(
                Level::error,
                fmt::format("a plugin would not take its former settings back: {}; restart it",
                            error.detail()));
        }
    }
    undo_.clear();
}

}  // namespace larder::plugin_host
