#include "backup_plugin.hpp"

#include <array>
#include <system_error>

#include "backup_aftermath.hpp"
#include "larder/export.hpp"

namespace larder::backup {

void BackupPlugin::configure(const Settings& settings) {
    if (!settings.flag("encrypt") || !settings.text("key_file").empty()) return;
    throw Error(Errc::unprocessable, "invalid-settings",
                "backup.encrypt is on, but backup.key_file names no key; set it");
}

void BackupPlugin::start(Routes& routes) {
    try {
        catalog_ = std::make_unique<Catalog>(host_, host_.settings().text("key_file"));
    } catch (const std::system_error& error) {
        throw disk_error(error);
    }
    site_ = std::make_unique<Site>(host_, *catalog_);
    operations_ = std::make_unique<Operations>(host_);
    routes_ = std::make_unique<BackupRoutes>(*site_, *operations_);
    routes_->declare(routes);
    finish_cut_restores(*site_, *operations_);
    upkeep_ = std::make_unique<Upkeep>(*site_, *operations_, host_.settings().text("schedule"));
}

void BackupPlugin::drain() noexcept {
    if (operations_) operations_->drain();
}

void BackupPlugin::stop() noexcept {
    upkeep_.reset();
    routes_.reset();
    operations_.reset();
    site_.reset();
    catalog_.reset();
}

void* BackupPlugin::extension(std::string_view id) noexcept {
    if (id == kReloadable) return static_cast<Reloadable*>(this);
    if (id == kUsage) return static_cast<Usage*>(this);
    if (id == kCleanable) return static_cast<Cleanable*>(this);
    return nullptr;
}

void BackupPlugin::reload(const Settings& now) {
    configure(now);
    site_->take(now);
}

void BackupPlugin::measure(UsageSink& sink) {
    std::uint64_t size = 0, count = 0;
    for (const Record& record : catalog_->all()) {
        size += record.size;
        ++count;
    }
    sink.section("backups");
    sink.count("size", size);
    sink.count("count", count);
}

void BackupPlugin::clean(const CleanupRequest& request, CleanupSink& sink) {
    if (request.keep_backups < 0) return;
    Keep keep;
    keep.count = static_cast<std::uint64_t>(request.keep_backups);
    auto decisions = decide(catalog_->all(), keep);
    try {
        if (!request.dry_run) carry_out(*catalog_, decisions);
    } catch (const std::system_error& error) {
        throw disk_error(error);
    }
    for (const Decision& decision : decisions) {
        if (!decision.keep) sink.removed("backup", decision.backup_id, decision.size);
    }
}

}  // namespace larder::backup

namespace {

constinit const std::array<larder::Setting, 15> kSettings = {{
    {"schedule", "text", "daily 02:00", nullptr, nullptr,
     "When a full backup is made by itself: every 6h, daily 02:00, a cron line, or off.", false,
     false},
    {"keep", "integer", "7", "0", "100000",
     "How many of the newest backups stay after a scheduled one. One that any of the four rules "
     "keeps stays; where all four are 0, none goes.",
     true, false},
    {"keep_daily", "integer", "0", "0", "100000",
     "Of how many days (UTC) that have backups the newest one stays.", true, false},
    {"keep_weekly", "integer", "0", "0", "100000",
     "Of how many weeks, from Mondays on, the newest one stays.", true, false},
    {"keep_monthly", "integer", "0", "0", "100000", "Of how many months the newest one stays.",
     true, false},
    {"verify", "choice:after|off", "after", nullptr, nullptr,
     "Whether each new backup is verified at once.", true, false},
    {"key_file", "path", "", nullptr, nullptr,
     "A file with 32 bytes or 64 hexadecimal digits, or else a passphrase, to encrypt with.", false,
     false},
    {"encrypt", "flag", "false", nullptr, nullptr, "Whether scheduled backups are encrypted.", true,
     false},
    {"second_directory", "path", "", nullptr, nullptr,
     "Another folder, best on another disk, that all backups are copied to. It is never made: name "
     "one that is away while the disk is not mounted.",
     true, false},
    {"second_keep", "integer", "7", "0", "100000",
     "What stays in second_directory goes by these four as by keep to keep_monthly, each time "
     "something is copied there.",
     true, false},
    {"second_keep_daily", "integer", "0", "0", "100000", "The newest of each of so many days.",
     true, false},
    {"second_keep_weekly", "integer", "0", "0", "100000", "The newest of each of so many weeks.",
     true, false},
    {"second_keep_monthly", "integer", "0", "0", "100000", "The newest of each of so many months.",
     true, false},
    {"overdue", "duration", "26h", "0s", "366d",
     "An alert is raised when the newest backup is older; 0s never.", true, false},
    {"max_import", "bytes", "64GiB", "1KiB", "1024TiB", "The largest archive that is taken in.",
     true, false},
}};

constinit const larder::PluginEntry kEntry = {
    "backup",
    LARDER_PLUGIN_VERSION,
    "backups of one moment, verified, and their restore",
    "/api/backups",
    "backups/",
    kSettings.data(),
    kSettings.size(),
    [](larder::Host& host) -> larder::Plugin* { return new larder::backup::BackupPlugin(host); },
    [](larder::Plugin* plugin) noexcept {
        delete static_cast<larder::backup::BackupPlugin*>(plugin);
    },
};

}  // namespace

LARDER_PLUGIN(kEntry)
