#include "admin/daemon_insight.hpp"

#include <algorithm>

#include "larder/usage.hpp"
#include "storage-kit/file_system.hpp"

namespace larder::admin {

// A reactor counts a request when its answer is out, a moment after the client may have read it: so
// each is let come to its next errand first.
void DaemonInsight::visit_requests(const std::function<void(const RequestSeries&)>& take) {
    sources_.server.on_each_reactor([](std::size_t) {});
    sources_.requests.visit(take);
}

DaemonFacts DaemonInsight::facts() const {
    DaemonFacts facts;
    const auto alerts = sources_.alerts.all();
    facts.alerts = static_cast<std::uint32_t>(
        std::count_if(alerts.begin(), alerts.end(),
                      [](const observe::Alert& alert) { return alert.resolved_ms == 0; }));
    facts.connections = sources_.server.stats().connections_open;
    facts.started_ms = sources_.started_ms;
    facts.version = sources_.version;
    return facts;
}

void DaemonInsight::storage(UsageSink& sink) {
    sources_.plugins.with_each_power(kUsage, [&](const std::string& /*plugin*/, void* power) {
        static_cast<Usage*>(power)->measure(sink);
    });
    sink.section("total");
    sink.count("size", storage::bytes_below(sources_.data_directory));
}

}  // namespace larder::admin
