#include "plugin_host/facilities.hpp"

#include <fmt/format.h>
#include <sys/statvfs.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <random>
#include <system_error>
#include <utility>

#include "larder/time.hpp"
#include "storage-kit/file_system.hpp"

namespace larder::plugin_host {
namespace {

constexpr int kSlackPercent = 3;  // below its threshold before a trouble counts as over

std::function<double()> dice() {
    return [engine = std::mt19937_64(std::random_device{}())]() mutable {
        return std::uniform_real_distribution<double>(0, 1)(engine);
    };
}

}  // namespace

Facilities::Facilities(FacilitiesOptions options)
    : options_(std::move(options)),
      events(*options_.log),
      alerts(*options_.log, unix_now_ms,
             [this](const observe::Alert& alert) {
                 AlertChanged fact;
                 fact.key = alert.key;
                 fact.source = alert.source;
                 fact.severity = severity_word(alert.severity);
                 fact.text = alert.text;
                 fact.raised = alert.resolved_ms == 0;
                 events.publish(fact);
                 if (alert_out) alert_out(alert);
             }),
      reports(*options_.log, options_.lease, unix_now_ms),
      own_alerts(alerts, "larderd"),
      own_reports(reports, "larderd"),
      jobs({&storage::FileSystem::real(), options_.data_directory + "/jobs.json", options_.zone,
            unix_now_ms, dice(), options_.log, &own_alerts,
            [this](const std::string& owner, const ErrorReport& report) {
                reports.report(owner, report);
            }}) {}

void Facilities::start() {
    events.start();
    jobs.start();
}

void Facilities::stop() {
    own_jobs_.clear();
    jobs.stop();
    events.stop();
}

void Facilities::add_job(const Job& job) {
    own_jobs_.push_back(jobs.add({"larderd", options_.log, options_.post}, job));
}

void Facilities::plugin_stands(const std::string& plugin, std::string_view state,
                               std::string_view reason, std::optional<Severity> trouble) {
    PluginChanged fact;
    fact.plugin = plugin;
    fact.state = state;
    fact.reason = reason;
    events.publish(fact);
    const std::string key = "plugin:" + plugin;
    if (!trouble) return own_alerts.resolve(key);
    own_alerts.raise(key, *trouble, fmt::format("plugin {} is {}: {}", plugin, state, reason));
}

void Facilities::check_disk(int percent) {
    struct statvfs facts {};
    if (statvfs(options_.data_directory.c_str(), &facts) != 0) {
        return own_alerts.raise("disk", Severity::error,
                                fmt::format("the file system with the data cannot be asked for its "
                                            "size: {}",
                                            std::generic_category().message(errno)));
    }
    // As df counts: what only root may use is not there for others.
    const std::uint64_t used = facts.f_blocks - facts.f_bfree;
    const std::uint64_t all = used + facts.f_bavail;
    const auto filled_by = [&](int limit) {
        return all > 0 && used * 100 >= all * static_cast<std::uint64_t>(std::max(limit, 0));
    };
    if (!filled_by(percent - kSlackPercent)) return own_alerts.resolve("disk");
    if (!filled_by(percent)) return;
    own_alerts.raise("disk", facts.f_bavail == 0 ? Severity::critical : Severity::warning,
                     fmt::format("the file system with the data is filled by {} %, {} MiB are "
                                 "left; remove data or make it larger",
                                 used * 100 / all, facts.f_bavail * facts.f_frsize >> 20U));
}

void Facilities::check_quota(std::string_view what, double used_percent, int percent) {
    const std::string key = fmt::format("quota:{}", what);
    if (used_percent < percent - kSlackPercent) return own_alerts.resolve(key);
    if (used_percent < percent) return;
    own_alerts.raise(key, used_percent >= 100 ? Severity::error : Severity::warning,
                     fmt::format("{:.1f} % of the quota of {} are used; remove data, clean up "
                                 "(larderctl storage cleanup), or raise the quota",
                                 used_percent, what));
}

void Facilities::collect(observe::Exposition& page) const {
    jobs.collect(page);
    events.collect(page);
}

PluginFacilities::PluginFacilities(Facilities& facilities, const std::string& plugin, Log& log,
                                   std::function<bool(Task)> post)
    : facilities_(facilities),
      plugin_(plugin),
      scheduler_(facilities.jobs, {plugin, &log, std::move(post)}),
      events_(facilities.events, plugin),
      alerts_(facilities.alerts, plugin),
      reports_(facilities.reports, plugin) {}

PluginFacilities::~PluginFacilities() {
    facilities_.jobs.withdraw(plugin_);
    facilities_.events.abandon(plugin_);
    alerts_.resolve_all();
}

void PluginFacilities::open() { facilities_.events.open(plugin_); }

void PluginFacilities::drain() { facilities_.jobs.cancel(plugin_); }

void PluginFacilities::withdraw() {
    facilities_.jobs.withdraw(plugin_);
    facilities_.events.close(plugin_);
    alerts_.resolve_all();
}

}  // namespace larder::plugin_host
