// What the daemon does for its plugins besides serving their routes: jobs, events, alerts, errors,
// audit; and one plugin's share of it, which is withdrawn as one. Not the Host itself, which hands
// it out.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "jobs/job_scheduler.hpp"
#include "larder/alerts.hpp"
#include "larder/events.hpp"
#include "larder/maintenance.hpp"
#include "larder/scheduler.hpp"
#include "observe/alert_board.hpp"
#include "observe/event_bus.hpp"
#include "observe/exposition.hpp"
#include "observe/report_desk.hpp"

namespace larder::plugin_host {

struct FacilitiesOptions {
    std::string data_directory;
    Log* log;  // outlives it
    const jobs::TimeZone* zone;
    std::function<bool(Task)> post;                                   // for the daemon's own jobs
    std::function<std::shared_ptr<void>(std::string_view id)> lease;  // for the sinks
};

// What leads to the supervisor, which is made later than the facilities.
struct MaintenanceHooks {
    std::function<std::unique_ptr<Snapshot>()> snapshot;
    std::function<void(const std::string& caller, const std::vector<SwapItem>&)> swap;
};

class Facilities {
public:
    MaintenanceHooks maintenance;  // set before the first plugin starts
    // Hears of each alert that is raised, changes or ends; must not wait. Likewise. [any]
    std::function<void(const observe::Alert&)> alert_out;

    explicit Facilities(FacilitiesOptions options);
    Facilities(const Facilities&) = delete;
    Facilities& operator=(const Facilities&) = delete;

    void start();  // before the plugins [control]
    void stop();   // after them [control]
    // A job of the daemon's own, "larderd.<name>", until stop(). [control]
    void add_job(const Job& job);
    // How a plugin stands now: an event, and while `trouble` has a value an alert. [any]
    void plugin_stands(const std::string& plugin, std::string_view state, std::string_view reason,
                       std::optional<Severity> trouble);
    // Raises an alert while the file system with the data is filled by that much, or cannot be
    // asked; resolves it when it is some percent less, so that it does not come and go. [worker]
    void check_disk(int percent);
    // The same of a quota of which so much is used; `what` names it. [worker]
    void check_quota(std::string_view what, double used_percent, int percent);
    const jobs::TimeZone& zone() const noexcept { return *options_.zone; }
    void collect(observe::Exposition& page) const;  // [any]

private:
    const FacilitiesOptions options_;

public:
    observe::EventBus events;
    observe::AlertBoard alerts;
    observe::ReportDesk reports;
    observe::OwnedAlerts own_alerts;  // those of source "larderd"
    observe::OwnedReports own_reports;
    jobs::JobScheduler jobs;

private:
    std::vector<std::unique_ptr<Ticket>> own_jobs_;
};

class PluginFacilities final : private Maintenance {
public:
    // `post` runs a task on a worker under the plugin's gate. All of it outlives this.
    PluginFacilities(Facilities& facilities, const std::string& plugin, Log& log,
                     std::function<bool(Task)> post);
    ~PluginFacilities();  // withdraws what is left, waiting for nothing
    PluginFacilities(const PluginFacilities&) = delete;
    PluginFacilities& operator=(const PluginFacilities&) = delete;

    // In this order, each once. [control]
    void open();      // start() has returned: events are delivered
    void drain();     // jobs are cancelled, none begins any more
    void withdraw();  // before stop(): jobs and subscriptions end, alerts are resolved

    Scheduler& scheduler() noexcept { return scheduler_; }
    Events& events() noexcept { return events_; }
    Alerts& alerts() noexcept { return alerts_; }
    Errors& errors() noexcept { return reports_; }
    Audit& audit() noexcept { return reports_; }
    Maintenance& maintenance() noexcept { return *this; }

private:
    std::unique_ptr<Snapshot> snapshot() override { return facilities_.maintenance.snapshot(); }
    void swap(const std::vector<SwapItem>& plan) override {
        facilities_.maintenance.swap(plugin_, plan);
    }

    Facilities& facilities_;
    const std::string plugin_;
    jobs::OwnedScheduler scheduler_;
    observe::OwnedEvents events_;
    observe::OwnedAlerts alerts_;
    observe::OwnedReports reports_;
};

}  // namespace larder::plugin_host
