#include "files_plugin.hpp"

#include <array>
#include <string>
#include <system_error>

#include "files_snapshot.hpp"
#include "larder/export.hpp"
#include "larder/time.hpp"
#include "storage-kit/file_system.hpp"
#include "storage-kit/timestamps.hpp"

namespace larder::files {

void FilesPlugin::configure(const Settings& /*settings*/) {}  // the declared ranges say it all

void FilesPlugin::start(Routes& routes) {
    try {
        files_ = std::make_unique<Files>(host_);
        uploads_ = std::make_unique<TusUploads>(*files_);
    } catch (const std::system_error& error) {
        throw disk_error(error);
    }
    upkeep_ = std::make_unique<Upkeep>(*files_, *uploads_);
    upload_routes_ = std::make_unique<UploadRoutes>(*files_);
    upload_routes_->declare(routes);
    download_routes_ = std::make_unique<DownloadRoutes>(*files_);
    download_routes_->declare(routes);
    record_routes_ = std::make_unique<RecordRoutes>(*files_);
    record_routes_->declare(routes);
    tus_routes_ = std::make_unique<TusRoutes>(*files_, *uploads_);
    tus_routes_->declare(routes);
}

void FilesPlugin::drain() noexcept {}  // every request ends by itself, or is cut

void FilesPlugin::stop() noexcept {
    tus_routes_.reset();
    record_routes_.reset();
    download_routes_.reset();
    upload_routes_.reset();
    upkeep_.reset();
    uploads_.reset();
    files_.reset();
}

void* FilesPlugin::extension(std::string_view id) noexcept {
    if (id == kReloadable) return static_cast<Reloadable*>(this);
    if (id == kUsage) return static_cast<Usage*>(this);
    if (id == kProgress) return static_cast<Progress*>(this);
    if (id == kCleanable) return static_cast<Cleanable*>(this);
    if (id == kSnapshotable) return static_cast<Snapshotable*>(this);
    return nullptr;
}

void FilesPlugin::reload(const Settings& now) { files_->take_settings(now); }

void FilesPlugin::measure(UsageSink& sink) {
    const auto figures = files_->quota().figures();
    sink.section("file_store");
    sink.count("size", storage::bytes_below(files_->blobs().folder()));
    sink.count("count", files_->catalog().count());
    const auto limit = static_cast<double>(figures.limit);
    sink.percent("quota_used", limit > 0 ? 100.0 * static_cast<double>(figures.used) / limit : 0.0);
    sink.count("quota", figures.limit);
    sink.count("available", figures.available());
}

void FilesPlugin::clean(const CleanupRequest& request, CleanupSink& sink) {
    if (request.older_than_days < 0) return;
    const std::int64_t before = storage::age_cutoff(unix_now_ms(), request.older_than_days);
    for (const EntryPtr& entry : files_->catalog().all()) {
        const Record record = entry->now();
        const bool is_kept = record.uploaded_ms >= before ||
                             (request.only_never_downloaded && record.download_count > 0);
        if (is_kept) continue;
        try {
            if (!request.dry_run) files_->remove(record.filename, [](const Record&) {});
        } catch (const Error& error) {
            if (error.code() == Errc::not_found) continue;  // somebody else was faster
            throw;
        }
        sink.removed("file", record.filename, record.size);
    }
}

void FilesPlugin::tell(ProgressSink& sink) {
    const auto records = files_->catalog().committer().progress();
    sink.thread("larder-files", records.done, records.waiting);
    const auto uploads = uploads_->progress();
    sink.thread("larder-files-tus", uploads.done, uploads.waiting);
}

void FilesPlugin::hold(bool on) noexcept { files_->catalog().committer().hold(on); }

std::unique_ptr<Moment> FilesPlugin::pin() {
    return files::pin(*files_, std::string(host_.data_directory()));
}

void FilesPlugin::adopt(std::string_view previous) {
    files::adopt(std::string(host_.data_directory()), std::string(previous));
}

}  // namespace larder::files

namespace {

constinit const std::array<larder::Setting, 6> kSettings = {{
    {"max_file_size", "bytes", "100MiB", "1KiB", "16TiB", "The largest file that is taken.", true,
     false},
    {"quota", "bytes", "5GiB", "1KiB", "1024TiB", "How many bytes all files together may have.",
     true, false},
    {"blocked_extensions", "text", ".exe,.com,.bat,.cmd,.vbs,.jar,.msi,.sh,.ps1", nullptr, nullptr,
     "Files whose names end so are not taken.", true, false},
    {"retention", "duration", "0s", "0s", "36500d",
     "How long a file is kept, unless its record says otherwise; 0s keeps files for ever.", true,
     false},
    {"upload_expiry", "duration", "24h", "1s", "366d",
     "How long a resumable upload may rest before what came of it is removed.", true, false},
    {"scrub_rate", "bytes", "16MiB", "0", "16GiB",
     "How many bytes a second the weekly verification reads; 0 as fast as it goes.", true, false},
}};

constinit const larder::PluginEntry kEntry = {
    "files",
    LARDER_PLUGIN_VERSION,
    "uploaded files, whole and verified",
    "/api/files",
    "files/",
    kSettings.data(),
    kSettings.size(),
    [](larder::Host& host) -> larder::Plugin* { return new larder::files::FilesPlugin(host); },
    [](larder::Plugin* plugin) noexcept {
        delete static_cast<larder::files::FilesPlugin*>(plugin);
    },
};

}  // namespace

LARDER_PLUGIN(kEntry)
