// The Host that one plugin sees: its settings, log, workers, services, metrics. Everything it hands
// out hangs on this object, so that a stop withdraws it as one.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <string>
#include <string_view>
#include <vector>

#include "config/configuration.hpp"
#include "jobs/worker_pool.hpp"
#include "larder/host.hpp"
#include "observe/log.hpp"
#include "observe/metrics.hpp"
#include "plugin_host/facilities.hpp"
#include "routing/route_table.hpp"

namespace larder::plugin_host {

// Offers of all plugins, by id.
class ServiceRegistry {
public:
    // Throws Error{conflict} when the id is taken.
    void offer(std::string_view id, void* implementation, routing::Owner& provider);
    void withdraw(const routing::Owner& provider);
    // Null: nobody offers it, or it drains. [any]
    std::shared_ptr<void> lease(std::string_view id, const routing::Owner& holder);
    // The plugins that hold leases of this provider's, each once. [any]
    std::vector<std::string> holders(const routing::Owner& provider) const;

private:
    // Leases under way, by provider. Held by each of them, since one may outlive the registry.
    struct Book {
        std::mutex mutex;
        std::multimap<const routing::Owner*, std::string> held;  // guarded by mutex
    };
    struct Offer {
        void* implementation;
        routing::Owner* provider;
    };
    const std::shared_ptr<Book> book_ = std::make_shared<Book>();
    std::shared_mutex mutex_;
    std::map<std::string, Offer, std::less<>> offers_;  // guarded by mutex_
};

class PluginHost final : public Host, private Workers, private Services {
public:
    using Report = std::function<void(Health, std::string_view)>;

    PluginHost(routing::Owner& owner, const Settings& settings, std::string data_directory,
               jobs::WorkerPool& pool, ServiceRegistry& registry, observe::Registry& metrics,
               Facilities& facilities, Report report);
    ~PluginHost();
    PluginHost(const PluginHost&) = delete;
    PluginHost& operator=(const PluginHost&) = delete;

    void close_start() noexcept { starting_ = false; }  // no more offers [control]
    PluginFacilities& facilities() noexcept { return facilities_; }

    std::uint16_t api_minor() const noexcept override { return kApiMinor; }
    const Settings& settings() const noexcept override { return settings_; }
    std::string_view data_directory() const noexcept override { return data_directory_; }
    Log& log() noexcept override { return *owner_.log; }
    Workers& workers() noexcept override { return *this; }
    Services& services() noexcept override { return *this; }
    Metrics& metrics() noexcept override { return metrics_; }
    void report(Health health, std::string_view reason) noexcept override {
        report_(health, reason);
    }
    Scheduler& scheduler() noexcept override { return facilities_.scheduler(); }
    Events& events() noexcept override { return facilities_.events(); }
    Alerts& alerts() noexcept override { return facilities_.alerts(); }
    Errors& errors() noexcept override { return facilities_.errors(); }
    Audit& audit() noexcept override { return facilities_.audit(); }
    Maintenance& maintenance() noexcept override { return facilities_.maintenance(); }

private:
    bool post(Task task) override;
    void offer(std::string_view id, void* implementation) override;
    std::shared_ptr<void> lease(std::string_view id) override {
        return registry_.lease(id, owner_);
    }

    routing::Owner& owner_;
    const Settings& settings_;
    const std::string data_directory_;
    jobs::WorkerPool& pool_;
    ServiceRegistry& registry_;
    observe::MetricsOwner metrics_;
    const Report report_;
    PluginFacilities facilities_;
    bool starting_ = true;  // only the control thread
};

}  // namespace larder::plugin_host
