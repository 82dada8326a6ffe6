// The backup plugin's life: settings in, index opened, routes declared. What backups are is told by
// README.md.
#pragma once

#include <memory>

#include "backup_catalog.hpp"
#include "backup_operations.hpp"
#include "backup_routes.hpp"
#include "backup_site.hpp"
#include "backup_upkeep.hpp"
#include "larder/cleanup.hpp"
#include "larder/plugin.hpp"
#include "larder/usage.hpp"

namespace larder::backup {

class BackupPlugin final : public Plugin, public Reloadable, public Usage, public Cleanable {
public:
    explicit BackupPlugin(Host& host) : host_(host) {}

    void configure(const Settings& settings) override;
    void start(Routes& routes) override;
    void drain() noexcept override;
    void stop() noexcept override;
    void* extension(std::string_view id) noexcept override;

    void reload(const Settings& now) override;

    void measure(UsageSink& sink) override;

    void clean(const CleanupRequest& request, CleanupSink& sink) override;

private:
    Host& host_;
    std::unique_ptr<Catalog> catalog_;
    std::unique_ptr<Site> site_;
    std::unique_ptr<Operations> operations_;
    std::unique_ptr<BackupRoutes> routes_;
    std::unique_ptr<Upkeep> upkeep_;
};

}  // namespace larder::backup
