// Contents: taking · what is said of each · start and stop of all · one plugin's walks · the table.
#include "plugin_host/supervisor.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <thread>

#include "http/problem.hpp"

namespace larder::plugin_host {
namespace {

Error refusal(const char* slug, const std::string& name, const Standing& standing) {
    return Error(Errc::conflict, slug,
                 fmt::format("plugin {} is {}{}{}", name, state_word(standing.state),
                             standing.reason.empty() ? "" : ": ", standing.reason))
        .with("reason", http::json_quoted(standing.reason));
}

}  // namespace

Error no_such_plugin() {
    return Error(Errc::not_found, "plugin-not-found",
                 "no file in the plugin folders is a plugin of this name");
}

std::string summary_of(const std::vector<PluginStatus>& plugins) {
    std::string wrong, serving;
    for (const PluginStatus& plugin : plugins) {
        const Standing& standing = plugin.standing;
        if (standing.state == State::disabled) continue;
        if (standing.state == State::running) {
            serving += (serving.empty() ? "" : ", ") + plugin.name;
            continue;
        }
        wrong += fmt::format("{}{} is {}{}{}", wrong.empty() ? "" : "; ", plugin.name,
                             state_word(standing.state), standing.reason.empty() ? "" : ": ",
                             standing.reason);
    }
    if (!wrong.empty()) return wrong;
    return serving.empty() ? "serving, without plugins" : "serving " + serving;
}

Supervisor::Supervisor(Surroundings surroundings, SupervisorHooks hooks, Choices& choices)
    : surroundings_(std::move(surroundings)), hooks_(std::move(hooks)), choices_(choices) {}

Supervisor::~Supervisor() = default;

void Supervisor::take(std::vector<Library> libraries) {
    for (Library& library : libraries) {
        Log& log = hooks_.log_for(library.name);
        auto entry = std::make_unique<Entry>();
        entry->life = std::make_unique<Lifecycle>(std::move(library), log, surroundings_);
        plugins_.push_back(std::move(entry));
        const Library& taken = plugins_.back()->life->library();
        if (taken.is_taken()) continue;
        log.write(Level::error, fmt::format("refused {}: {}", taken.path, taken.refusal));
    }
}

// ---- what is said of each

bool Supervisor::configured(const std::string& name) const {
    const auto section = hooks_.configuration().find(name);
    return section != nullptr && section->find("enabled") != nullptr && section->flag("enabled");
}

bool Supervisor::enabled(const std::string& name) const {
    const auto chosen = choices_.of(name);
    return chosen ? chosen->enabled : configured(name);
}

std::string Supervisor::why_off(const std::string& name) const {
    const auto chosen = choices_.of(name);
    if (!chosen) return "its configuration says enabled = false";
    return fmt::format("it was turned off over the interface at {}", chosen->chosen_at);
}

std::chrono::milliseconds Supervisor::limit(std::string_view key) const {
    return hooks_.configuration().section("daemon")->duration(key);
}

std::vector<PluginStatus> Supervisor::status() const {
    std::vector<PluginStatus> all;
    for (const auto& entry : plugins_) {
        const Lifecycle& life = *entry->life;
        all.push_back({&life.library(), life.name(), life.standing(), configured(life.name()),
                       choices_.of(life.name()), life.endpoints()});
    }
    return all;
}

std::vector<LeasedPower> Supervisor::lease_powers(std::string_view id) const {
    std::vector<LeasedPower> powers;
    for (const auto& entry : plugins_) {
        LeasedPower leased = entry->life->lease_power(id);
        if (leased.power != nullptr) powers.push_back(std::move(leased));
    }
    return powers;
}

void Supervisor::with_each_power(
    std::string_view id,
    const std::function<void(const std::string& plugin, void* power)>& use) const {
    for (const auto& [name, power, pass] : lease_powers(id)) {
        std::string fault;
        try {
            use(name, power);
            continue;
        } catch (const std::exception& error) {
            fault = error.what();
        } catch (...) {
            fault = "what is no std::exception";
        }
        hooks_.log_for(name).write(Level::error, fmt::format("{} threw: {}", id, fault));
    }
}

// ---- start and stop of all

void Supervisor::publish_to(Publish publish, std::vector<routing::EndpointPtr> own) {
    publish_ = std::move(publish);
    own_ = std::move(own);
    this->publish();
}

void Supervisor::start_all() {
    const auto configuration = hooks_.configuration();
    const auto deadline = std::chrono::steady_clock::now() + limit("start_timeout");
    std::vector<std::jthread> starts;
    for (const auto& entry : plugins_) {
        Lifecycle& life = *entry->life;
        if (life.standing().state == State::refused) continue;
        if (!enabled(life.name())) {
            life.disable(why_off(life.name()));
            continue;
        }
        starts.emplace_back([&life, section = configuration.section(life.name()), deadline] {
            life.start(section, deadline);
        });
    }
    starts.clear();  // joins
    publish();
}

bool Supervisor::stop_all(TimePoint deadline) {
    stopping_ = true;
    const auto grace = limit("stop_timeout");
    std::vector<std::jthread> stops;
    for (const auto& entry : plugins_) {
        stops.emplace_back([&entry, deadline, grace] {
            // Who walks it still, hangs in it.
            const std::unique_lock lock(entry->walk, deadline);
            if (lock.owns_lock()) entry->life->stop(deadline, grace);
        });
    }
    stops.clear();  // joins
    return std::none_of(plugins_.begin(), plugins_.end(), [](const auto& entry) {
        return entry->life->standing().stuck || entry->life->is_alive();
    });
}

// ---- one plugin's walks

Supervisor::Entry& Supervisor::entry_of(std::string_view name) const {
    Entry* found = nullptr;
    for (const auto& entry : plugins_) {
        if (entry->life->name() != name) continue;
        // Of two of one name one is refused, and can't be meant.
        if (found == nullptr || entry->life->library().is_taken()) found = entry.get();
    }
    if (found != nullptr) return *found;
    throw no_such_plugin();
}

void Supervisor::act(std::string_view name, Action action) {
    Entry& entry = entry_of(name);
    Lifecycle& life = *entry.life;
    const std::scoped_lock lock(entry.walk);
    if (stopping_) {
        throw Error(Errc::unavailable, "stopping", "the daemon is being stopped");
    }
    const Standing standing = life.standing();
    const bool refused = standing.state == State::refused;
    if (standing.stuck) throw refusal("plugin-stuck", life.name(), standing);
    switch (action) {
        case Action::enable:
            if (refused) throw refusal("plugin-refused", life.name(), standing);
            if (enabled(life.name()) && serves(standing.state)) return;
            if (!enabled(life.name())) choices_.choose(life.name(), true);
            return start(entry);
        case Action::disable:
            if (enabled(life.name())) choices_.choose(life.name(), false);
            if (standing.state == State::disabled || refused) return;
            return stop(entry, why_off(life.name()));
        case Action::reload: {
            if (refused) throw refusal("plugin-refused", life.name(), standing);
            if (!enabled(life.name())) throw refusal("plugin-disabled", life.name(), standing);
            // What is wrong with the configuration comes to light while it still serves.
            auto section = hooks_.section_anew(life.name());
            stop(entry, "it is being restarted");
            return start_with(entry, std::move(section));
        }
        case Action::reset:
            choices_.forget(life.name());
            if (refused) return;
            if (!configured(life.name())) {
                if (standing.state == State::disabled) return life.disable(why_off(life.name()));
                return stop(entry, why_off(life.name()));
            }
            if (!serves(standing.state)) start(entry);
            return;
    }
}

void Supervisor::start_again() {
    for (const auto& entry : plugins_) {
        const std::scoped_lock lock(entry->walk);
        const Standing standing = entry->life->standing();
        if (stopping_ || standing.stuck || standing.state != State::failed || !standing.passing ||
            !enabled(entry->life->name())) {
            continue;
        }
        try {
            start(*entry);
        } catch (const std::exception& error) {
            // How it stands is shown already; what is wrong with its section is not.
            hooks_.log_for(entry->life->name())
                .write(Level::warning, fmt::format("not started again: {}", error.what()));
        }
    }
}

void Supervisor::start(Entry& entry) {
    // Drained, but held by another plugin's lease: it has to come to its end first.
    if (entry.life->is_alive()) stop(entry, "it is being restarted");
    start_with(entry, hooks_.section_anew(entry.life->name()));
}

void Supervisor::start_with(Entry& entry, std::shared_ptr<const config::Section> section) {
    Lifecycle& life = *entry.life;
    const bool runs =
        life.start(std::move(section), std::chrono::steady_clock::now() + limit("start_timeout"));
    publish();
    const Standing standing = life.standing();
    if (!runs)
        throw refusal(standing.stuck ? "plugin-stuck" : "plugin-failed", life.name(), standing);
}

void Supervisor::stop(Entry& entry, std::string why) {
    Lifecycle& life = *entry.life;
    life.close();
    publish();
    const bool stopped =
        life.stop(std::chrono::steady_clock::now() + limit("drain_timeout"), limit("stop_timeout"));
    if (stopped) life.disable(std::move(why));
    publish();
    const Standing standing = life.standing();
    if (stopped) return;
    throw refusal(standing.stuck ? "plugin-stuck" : "plugin-in-use", life.name(), standing);
}

// ---- the table

void Supervisor::publish() const {
    const std::scoped_lock lock(publish_mutex_);
    std::vector<routing::EndpointPtr> endpoints = own_;
    std::vector<routing::Unavailable> unavailable;
    for (const auto& entry : plugins_) {
        const Lifecycle& life = *entry->life;
        const Standing standing = life.standing();
        if (serves(standing.state)) {
            const auto theirs = life.endpoints();
            endpoints.insert(endpoints.end(), theirs.begin(), theirs.end());
            continue;
        }
        const bool failed = standing.state == State::failed || standing.state == State::refused;
        const std::string why = standing.reason.empty() ? "" : ": " + standing.reason;
        const char* const slug = entry->restoring ? "restoring"
                                 : failed         ? "plugin-failed"
                                                  : "plugin-disabled";
        for (const std::string& prefix : life.library().prefixes) {
            unavailable.push_back(
                {prefix, slug,
                 fmt::format("plugin {} is {}{}", life.name(), state_word(standing.state), why)});
        }
    }
    publish_(std::make_shared<routing::RouteTable>(std::move(endpoints), std::move(unavailable)));
}

}  // namespace larder::plugin_host
