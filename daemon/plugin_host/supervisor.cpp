#include "plugin_host/supervisor.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <thread>

namespace larder::plugin_host {
namespace {

// Recovery reads all of a store; this is for a start that hangs, not for one that is slow.
constexpr auto kStartDeadline = std::chrono::minutes(10);

}  // namespace

Supervisor::Supervisor(Surroundings surroundings, LogFor log_for)
    : surroundings_(std::move(surroundings)), log_for_(std::move(log_for)) {}

Supervisor::~Supervisor() = default;

void Supervisor::take(std::vector<Library> libraries) {
    for (Library& library : libraries) {
        Log& log = log_for_(library.name);
        plugins_.push_back(std::make_unique<Lifecycle>(std::move(library), log, surroundings_));
        const Library& taken = plugins_.back()->library();
        if (taken.is_taken()) continue;
        log.write(Level::error, fmt::format("refused {}: {}", taken.path, taken.refusal));
    }
}

void Supervisor::publish_to(Publish publish, std::vector<routing::EndpointPtr> own) {
    publish_ = std::move(publish);
    own_ = std::move(own);
    this->publish();
}

bool Supervisor::is_enabled(const Lifecycle& plugin) const {
    const std::scoped_lock lock(mutex_);
    const auto section = configuration_.find(plugin.name());
    return section != nullptr && section->find("enabled") != nullptr && section->flag("enabled");
}

void Supervisor::publish() const {
    std::vector<routing::EndpointPtr> endpoints = own_;
    std::vector<routing::Unavailable> unavailable;
    for (const auto& plugin : plugins_) {
        const Standing standing = plugin->standing();
        if (serves(standing.state)) {
            const auto theirs = plugin->endpoints();
            endpoints.insert(endpoints.end(), theirs.begin(), theirs.end());
            continue;
        }
        if (!plugin->library().is_taken()) continue;
        const bool off = standing.state == State::disabled || standing.state == State::stopped ||
                         standing.state == State::draining || standing.state == State::starting;
        for (const auto prefix : routing::split_list(plugin->library().entry->path_prefixes)) {
            const std::string why = standing.reason.empty() ? "" : ": " + standing.reason;
            unavailable.push_back({std::string(prefix), off ? "plugin-disabled" : "plugin-failed",
                                   fmt::format("plugin {} is {}{}", plugin->name(),
                                               state_word(standing.state), why)});
        }
    }
    publish_(std::make_shared<routing::RouteTable>(std::move(endpoints), std::move(unavailable)));
}

void Supervisor::start_all(const config::Configuration& configuration) {
    {
        const std::scoped_lock lock(mutex_);
        configuration_ = configuration;
    }
    const auto deadline = std::chrono::steady_clock::now() + kStartDeadline;
    std::vector<std::jthread> starts;
    for (const auto& plugin : plugins_) {
        if (plugin->standing().state == State::refused) continue;
        if (!is_enabled(*plugin)) {
            plugin->disable("its configuration says enabled = false");
            continue;
        }
        starts.emplace_back([&plugin, section = configuration.section(plugin->name()), deadline] {
            plugin->start(section, deadline);
        });
    }
    starts.clear();  // joins
    publish();
}

void Supervisor::stop_all(std::chrono::steady_clock::time_point deadline) {
    std::vector<std::jthread> stops;
    for (const auto& plugin : plugins_) {
        stops.emplace_back([&plugin, deadline] { plugin->stop(deadline); });
    }
    stops.clear();  // joins
}

std::vector<PluginStatus> Supervisor::status() const {
    std::vector<PluginStatus> all;
    for (const auto& plugin : plugins_) {
        all.push_back({&plugin->library(), plugin->name(), plugin->standing(), is_enabled(*plugin),
                       plugin->endpoints()});
    }
    return all;
}

}  // namespace larder::plugin_host
