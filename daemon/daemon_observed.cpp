// What the daemon sees and tells of itself: figures for the metrics page, the watchdog's look, the
// looks of its jobs, and what becomes of each request that ended.
#include <fmt/format.h>

#include <algorithm>
#include <ctime>

#include "daemon.hpp"
#include "larder/progress.hpp"
#include "larder/time.hpp"

namespace larder {

void Daemon::collect_values() {
    own_metrics_ = std::make_unique<observe::MetricsOwner>(metrics_);
    own_metrics_->collect(observe::collect_process);
    own_metrics_->collect([this](observe::Exposition& page) { http_metrics_->collect(page); });
    own_metrics_->collect([this](observe::Exposition& page) { facilities_->collect(page); });
    own_metrics_->collect([this](observe::Exposition& page) {
        for (const auto fault : access::kAllFaults) {
            page.counter("larder_auth_failures_total", "Credentials that were not taken.",
                         observe::label("reason", access::fault_word(fault)),
                         failures_->count(fault));
        }
    });
    own_metrics_->collect([this](observe::Exposition& page) {
        page.gauge("larder_build_info", "Constant 1, with what was built.",
                   observe::label("version", kVersion) + "," +
                       observe::label("compiler", "g++ " __VERSION__) + "," +
                       observe::label("api", fmt::format("{}.{}", kApiMajor, kApiMinor)),
                   1);
        for (const auto& plugin : supervisor_->status()) {
            const std::string name = observe::label("plugin", plugin.name);
            const std::string_view state = plugin_host::state_word(plugin.standing.state);
            page.gauge("larder_plugin_up", "Whether the plugin serves.", name,
                       plugin_host::serves(plugin.standing.state) ? 1 : 0);
            page.gauge("larder_plugin_info", "Constant 1, with how the plugin stands.",
                       name + "," + observe::label("state", state) + "," +
                           observe::label("version", plugin.library->entry == nullptr
                                                         ? ""
                                                         : plugin.library->entry->version),
                       1);
            page.gauge("larder_plugin_routes", "Routes that the plugin serves.", name,
                       static_cast<double>(plugin.endpoints.size()));
        }
    });
    own_metrics_->collect([this](observe::Exposition& page) {
        const http::Stats stats = server_->stats();
        page.gauge("larder_connections_open", "Connections open now.", {},
                   static_cast<double>(stats.connections_open));
        page.counter("larder_connections_total", "Connections taken.", {}, stats.connections_total);
        page.counter("larder_connections_refused_total",
                     "Connections refused because too many were open.", {},
                     stats.connections_refused);
        page.gauge("larder_workers_running", "Workers with a task.", {},
                   static_cast<double>(workers_->running()));
        page.gauge("larder_worker_queue", "Tasks that wait for a worker.", {},
                   static_cast<double>(workers_->queued()));
    });
}

// A worker's task may rightly last; that none of many ends while others wait is a hang.
system::Condition Daemon::condition() const {
    struct Sink final : ProgressSink {
        void thread(std::string_view name, std::uint64_t done, bool waiting) override {
            pulses.push_back({std::string(name), done, waiting});
        }
        std::vector<system::Pulse> pulses;
    } sink;
    server_->call_round([&](const std::string& name, std::uint64_t came) {
        sink.pulses.push_back({name, came, true});
    });
    const auto workers = workers_->progress();
    sink.pulses.push_back({"workers", workers.begun, workers.waiting});
    supervisor_->with_each_power(kProgress, [&](const std::string& /*plugin*/, void* power) {
        static_cast<Progress*>(power)->tell(sink);
    });
    std::string status = plugin_host::summary_of(supervisor_->status());
    const std::scoped_lock lock(mutex_);
    // Whoever sent the signal got no answer.
    if (!reload_failure_.empty()) status += "; " + reload_failure_;
    return {std::move(status), std::move(sink.pulses)};
}

void Daemon::look_at_quotas() {
    const auto percent =
        static_cast<int>(configuration().section("alerts")->integer("quota_percent"));
    storage_routes_->each_quota([&](const std::string& section, double used_percent) {
        facilities_->check_quota(section, used_percent, percent);
    });
}

// A handler that waits on an I/O thread cannot be cut off; its author and the admin can be told.
void Daemon::look_at_reactors() {
    const auto holding = dispatcher_->holding();
    if (holding.empty()) return facilities_->own_alerts.resolve("reactor-held");
    for (const routing::Owner* const owner : holding) {
        const std::string text = fmt::format(
            "plugin {} has held up an I/O thread since the last look, and with it that thread's "
            "connections: a prompt handler of its must not wait; disable it and restart the "
            "daemon, "
            "and have the route declared as a blocking one",
            owner->name);
        log_->write(Level::error, text);
        facilities_->own_alerts.raise("reactor-held", Severity::critical, text);
    }
}

void Daemon::publish(const http::Ended& ended, const routing::Endpoint* endpoint,
                     std::string_view principal) {
    RequestEnded fact;
    fact.plugin = endpoint != nullptr ? std::string_view(endpoint->owner->name) : "larderd";
    fact.duration_us =
        std::chrono::duration_cast<std::chrono::microseconds>(ended.duration).count();
    fact.bytes_in = ended.bytes_in;
    fact.bytes_out = ended.bytes_out;
    fact.status = ended.status;
    fact.principal = principal;
    fact.peer = ended.peer->address;
    if (endpoint != nullptr) fact.route = observe::route_of(*endpoint->series);
    if (ended.exchange != nullptr) {
        fact.method = ended.exchange->head().method;
        fact.request_id = ended.exchange->id();
    }
    facilities_->events.publish(fact);
}

void Daemon::keep_sample(const http::Ended& ended, const observe::RouteSeries& series,
                         std::size_t reactor, std::uint64_t weight) {
    RequestSample sample;
    sample.status = ended.status;
    sample.time_ms = unix_now_ms();
    sample.weight = weight;
    sample.nanoseconds =
        static_cast<std::uint64_t>(std::max<std::int64_t>(ended.duration.count(), 0));
    sample.bytes_in = ended.bytes_in;
    sample.bytes_out = ended.bytes_out;
    sample.peer = ended.peer->address;
    if (ended.exchange != nullptr) {
        sample.user_agent = ended.exchange->head().field("User-Agent").value_or("");
    }
    samples_->keep(reactor, series, sample);
}

void Daemon::observe(const http::Ended& ended, const routing::Endpoint* endpoint,
                     std::string_view principal) {
    const http::Exchange* exchange = ended.exchange;
    const std::size_t reactor = exchange != nullptr ? exchange->reactor() : ended.reactor;
    observe::RouteSeries& series = endpoint != nullptr ? *endpoint->series : *unmatched_;
    http_metrics_->record(series, reactor, ended.status, ended.duration, ended.bytes_in,
                          ended.bytes_out);
    const std::time_t now = std::time(nullptr);
    if (const std::uint64_t weight = samples_->draw(reactor, now)) {
        keep_sample(ended, series, reactor, weight);
    }
    if (facilities_->events.wanted(EventKind::request_ended)) {
        publish(ended, endpoint, principal);
    }
    if (!logs_access_.load(std::memory_order_acquire)) return;
    observe::AccessLine line;
    line.address = ended.peer->address;
    line.user = principal;
    line.status = ended.status;
    line.bytes = ended.bytes_out;
    line.duration = ended.duration;
    line.time = now;
    if (exchange != nullptr) {
        const http::Head& head = exchange->head();
        line.method = head.method;
        line.target = head.target;
        line.version = head.version;
        line.referer = head.field("Referer").value_or("");
        line.agent = head.field("User-Agent").value_or("");
        line.request_id = exchange->id();
    }
    access_log_->write(reactor, line);
}

}  // namespace larder
