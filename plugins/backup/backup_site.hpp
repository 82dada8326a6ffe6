// What all work on backups needs: the daemon, the catalog, the settings in force. Does nothing.
#pragma once

#include <cstdint>
#include <mutex>
#include <string>

#include "backup_catalog.hpp"
#include "backup_retention.hpp"
#include "larder/host.hpp"

namespace larder::backup {

struct Options {
    std::string key_file, second_directory;
    bool verify_after = true, encrypt = false;
    Keep keep, second_keep;
    std::uint64_t max_import = 0;
    std::chrono::milliseconds overdue{};

    static Options of(const Settings& settings) {
        return {settings.text("key_file"),          settings.text("second_directory"),
                settings.text("verify") == "after", settings.flag("encrypt"),
                Keep::of(settings, "keep"),         Keep::of(settings, "second_keep"),
                settings.bytes("max_import"),       settings.duration("overdue")};
    }
};

class Site {
public:
    Site(Host& its_host, Catalog& its_catalog)
        : host(its_host), catalog(its_catalog), options_(Options::of(its_host.settings())) {}

    Host& host;
    Catalog& catalog;

    Options options() const {  // [any]
        const std::scoped_lock lock(mutex_);
        return options_;
    }
    void take(const Settings& settings) {  // [control]
        const std::scoped_lock lock(mutex_);
        options_ = Options::of(settings);
    }

private:
    mutable std::mutex mutex_;
    Options options_;  // guarded by mutex_
};

}  // namespace larder::backup
