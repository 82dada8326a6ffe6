// The routes of /api/backups: what is asked is read here, and done elsewhere.
#pragma once

#include <string>

#include "backup_operations.hpp"
#include "backup_site.hpp"
#include "larder/http.hpp"

namespace larder::backup {

class BackupRoutes {
public:
    // Both outlive it.
    BackupRoutes(const Site& site, Operations& operations) : site_(site), operations_(operations) {}
    void declare(Routes& routes);

private:
    void declare_reads(Routes& routes);
    void create(const Request& request, Reply reply);
    Response list(const Request& request);
    Response get(const Request& request);
    Response archive(const Request& request);
    void progress(const Request& request, Reply reply);
    void verify(const Request& request, Reply reply);
    void restore(const Request& request, Reply reply);
    Response remove(const Request& request);
    Response cleanup(const Request& request);

    const Site& site_;
    Operations& operations_;
};

}  // namespace larder::backup
