// The files plugin's life: settings in, files recovered, routes declared. What files are is
// files_store.hpp's.
#pragma once

#include <memory>

#include "files_downloads.hpp"
#include "files_routes.hpp"
#include "files_store.hpp"
#include "files_tus.hpp"
#include "files_tus_uploads.hpp"
#include "files_upkeep.hpp"
#include "files_uploads.hpp"
#include "larder/cleanup.hpp"
#include "larder/plugin.hpp"
#include "larder/progress.hpp"
#include "larder/snapshot.hpp"
#include "larder/usage.hpp"

namespace larder::files {

class FilesPlugin final : public Plugin,
                          public Reloadable,
                          public Usage,
                          public Progress,
                          public Cleanable,
                          public Snapshotable {
public:
    explicit FilesPlugin(Host& host) : host_(host) {}

    void configure(const Settings& settings) override;
    void start(Routes& routes) override;
    void drain() noexcept override;
    void stop() noexcept override;
    void* extension(std::string_view id) noexcept override;

    void reload(const Settings& now) override;

    void measure(UsageSink& sink) override;

    void tell(ProgressSink& sink) override;

    void clean(const CleanupRequest& request, CleanupSink& sink) override;

    void hold(bool on) noexcept override;
    std::unique_ptr<Moment> pin() override;
    void adopt(std::string_view previous) override;

private:
    Host& host_;
    std::unique_ptr<Files> files_;
    std::unique_ptr<TusUploads> uploads_;
    std::unique_ptr<Upkeep> upkeep_;
    std::unique_ptr<UploadRoutes> upload_routes_;
    std::unique_ptr<DownloadRoutes> download_routes_;
    std::unique_ptr<RecordRoutes> record_routes_;
    std::unique_ptr<TusRoutes> tus_routes_;
};

}  // namespace larder::files
