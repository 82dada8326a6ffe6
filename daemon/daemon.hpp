// The daemon, put together: configuration, logs, workers, front, dispatcher, plugins, admin routes;
// and how it starts, reloads and stops. Each of them lives in a folder of its own.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "access/access.hpp"
#include "access/accounts.hpp"
#include "access/failures.hpp"
#include "access/logins.hpp"
#include "admin/account_routes.hpp"
#include "admin/admin_routes.hpp"
#include "admin/daemon_insight.hpp"
#include "admin/openapi_route.hpp"
#include "admin/service_routes.hpp"
#include "admin/storage_routes.hpp"
#include "admin/token_routes.hpp"
#include "config/configuration.hpp"
#include "config/loader.hpp"
#include "http/http.hpp"
#include "jobs/worker_pool.hpp"
#include "notify/outlets.hpp"
#include "observe/access_log.hpp"
#include "observe/http_metrics.hpp"
#include "observe/log.hpp"
#include "observe/metrics.hpp"
#include "observe/request_samples.hpp"
#include "plugin_host/facilities.hpp"
#include "plugin_host/own_files.hpp"
#include "plugin_host/restorer.hpp"
#include "plugin_host/supervisor.hpp"
#include "routing/dispatcher.hpp"
#include "storage-kit/folder_lock.hpp"
#include "system/heartbeat.hpp"

namespace larder {

extern const char* const kVersion;

class Daemon {
public:
    // Reads and judges everything that could be wrong, takes the data directory. Throws
    // config::ConfigError, Error. `background`: there is no stderr to log to.
    Daemon(const config::Sources& sources, bool background);
    ~Daemon();
    Daemon(const Daemon&) = delete;
    Daemon& operator=(const Daemon&) = delete;

    struct Checked {
        config::Configuration configuration;
        std::vector<std::string> warnings;
    };
    // Judges the configuration alone and touches no data. Throws config::ConfigError, Error.
    static Checked check(const config::Sources& sources);

    config::Configuration configuration() const;  // in force [any]
    std::vector<std::string> addresses() const;   // after start()
    void start();                                 // serves when it returns [control]
    // Reads the sources anew and applies what may change while running, all or nothing. Throws
    // config::ConfigError, Error: then nothing has changed. [worker]
    config::Changes reload();
    // On a worker; what came of it is logged, and a failure is part of condition() until one
    // succeeds. `over` is called when it has ended. [control]
    void reload_by_signal(const std::function<void()>& over) noexcept;
    // Drains and stops. False when a plugin or a request hangs: then nothing of this may be
    // destroyed, and the process is to end as it is. [control]
    bool stop();

    void complain(const std::string& text);  // into the log, as an error [any]
    system::Condition condition() const;     // between start() and stop() [any, one at a time]

private:
    void make_facilities();
    void make_keepers();
    std::shared_ptr<const access::Access> access_of(
        const config::Configuration& configuration) const;
    void keep_last_uses() noexcept;
    void limit_logins(const config::Configuration& configuration);
    bool post_own(Task task);  // on a worker, under the daemon's own gate [any]
    void look_at_quotas();     // [worker]
    void look_at_reactors();   // [worker]
    void make_supervisor();
    void make_own_files();
    void apply(const config::Changes& changes);
    void remember_reload(std::string failure);  // empty: it succeeded
    std::shared_ptr<const config::Section> section_anew(const std::string& plugin);
    void open_data_directory();
    void open_logs(bool background);
    void open_access_log();
    void listen();
    void judge_inherited(const std::vector<std::string>& addresses);
    void collect_values();
    void set_table(std::shared_ptr<const routing::RouteTable> table);  // and shows it
    void set_access(const config::Configuration& configuration);       // likewise
    void show();  // gives each reactor a view of its own; with publish_mutex_ held
    std::shared_ptr<const routing::RouteTable> table() const;  // in force [any]
    std::vector<routing::Tag> tags() const;                    // of the OpenAPI document [any]
    void publish(const http::Ended& ended, const routing::Endpoint* endpoint,
                 std::string_view principal);
    void observe(const http::Ended& ended, const routing::Endpoint* endpoint,
                 std::string_view principal);
    void keep_sample(const http::Ended& ended, const observe::RouteSeries& series,
                     std::size_t reactor, std::uint64_t weight);
    Log& log_for(const std::string& source);

    const config::Sources sources_;
    std::vector<plugin_host::Library> libraries_;  // fixed after construction
    std::string data_directory_;                   // likewise
    std::vector<std::string> inherited_hosts_;     // of the service manager's sockets, likewise

    std::mutex reload_mutex_;  // one reload at a time
    mutable std::mutex mutex_;
    config::Configuration configuration_;  // guarded by mutex_
    std::string reload_failure_;           // of the last by a signal; likewise
    mutable std::mutex publish_mutex_;
    std::shared_ptr<const routing::RouteTable> table_;  // guarded by publish_mutex_
    std::shared_ptr<const access::Access> access_;      // likewise
    bool serving_ = false;                              // likewise
    bool stopping_ = false;                             // likewise

    // In the order in which they need each other; gone in the opposite one.
    std::unique_ptr<storage::FolderLock> lock_;
    std::unique_ptr<observe::LogWriter> log_writer_;
    std::unique_ptr<observe::PocoLink> poco_log_;
    std::mutex logs_mutex_;
    std::map<std::string, std::unique_ptr<observe::NamedLog>> logs_;  // guarded by logs_mutex_
    Log* log_ = nullptr;
    observe::Registry metrics_;
    std::unique_ptr<observe::HttpMetrics> http_metrics_;
    std::unique_ptr<observe::RequestSamples> samples_;
    observe::RouteSeries* unmatched_ = nullptr;
    std::unique_ptr<observe::AccessLog> access_log_;  // made when first wanted, then kept
    std::atomic<bool> logs_access_{false};
    std::unique_ptr<jobs::WorkerPool> workers_;
    plugin_host::ServiceRegistry services_;
    std::unique_ptr<notify::Outlets> outlets_;
    std::unique_ptr<plugin_host::Facilities> facilities_;
    std::unique_ptr<access::Accounts> accounts_;
    std::unique_ptr<access::Failures> failures_;
    std::unique_ptr<access::Logins> logins_;
    std::unique_ptr<access::Keepers> keepers_;
    std::unique_ptr<plugin_host::Choices> choices_;
    std::unique_ptr<routing::Dispatcher> dispatcher_;
    std::unique_ptr<plugin_host::Supervisor> supervisor_;
    std::unique_ptr<plugin_host::OwnFiles> own_files_;
    std::unique_ptr<plugin_host::Restorer> restorer_;
    std::unique_ptr<http::Server> server_;
    std::unique_ptr<admin::DaemonInsight> insight_;
    std::unique_ptr<observe::MetricsOwner> own_metrics_;
    std::unique_ptr<admin::AdminRoutes> admin_;
    std::unique_ptr<admin::AccountRoutes> account_routes_;
    std::unique_ptr<admin::TokenRoutes> token_routes_;
    std::unique_ptr<admin::OpenApiRoute> openapi_;
    std::unique_ptr<admin::ServiceRoutes> service_routes_;
    std::unique_ptr<admin::StorageRoutes> storage_routes_;
    routing::Owner& own_;  // outlives this: late answers still look at it
};

}  // namespace larder
