#include "daemon.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <future>
#include <thread>

#include "larder/time.hpp"
#include "listening.hpp"
#include "plugin_host/claims.hpp"
#include "plugin_host/library.hpp"
#include "plugin_host/route_collector.hpp"
#include "plugin_host/settings_reload.hpp"
#include "storage-kit/file_system.hpp"
#include "system/descriptors.hpp"
#include "system/inherited_sockets.hpp"

namespace larder {
namespace {

namespace fs = std::filesystem;

constexpr auto kLeaveInPeace = std::chrono::milliseconds(1000);
constexpr auto kAfterCut = std::chrono::seconds(2);  // for what a cut connection lets go of

std::vector<std::string> plugin_folders(const config::Section& daemon) {
    const fs::path prefix = fs::read_symlink("/proc/self/exe").parent_path().parent_path();
    fs::path own = prefix / LARDER_PLUGIN_FOLDER;  // where it is installed
    if (!fs::exists(own)) own = prefix / "lib/larder/plugins";
    std::vector<std::string> folders{own.string()};
    for (auto& folder : daemon.list("plugin_dirs")) {
        if (folder != folders.front()) folders.push_back(std::move(folder));
    }
    return folders;
}

std::size_t reactors_of(const config::Section& http) {
    const auto wanted = static_cast<std::size_t>(http.integer("reactors"));
    return wanted > 0 ? wanted : std::max(1U, std::thread::hardware_concurrency());
}

http::Options front_options(const config::Section& http) {
    http::Options options;
    options.reactors = reactors_of(http);
    options.max_connections =
        system::connections_within_limit(static_cast<std::size_t>(http.integer("max_connections")));
    options.head_timeout = http.duration("head_timeout");
    options.body_timeout = http.duration("body_timeout");
    options.idle_timeout = http.duration("idle_timeout");
    return options;
}

observe::Rotation rotation_of(const config::Section& daemon) {
    return {daemon.bytes("log_size"), static_cast<std::size_t>(daemon.integer("log_files"))};
}

// A configuration of these sources, whole and safe to put in force.
config::Configuration read_configuration(config::Loader& loader,
                                         const std::vector<plugin_host::Library>& libraries) {
    auto configuration = loader.with_plugins(plugin_host::declarations_of(libraries));
    require_safe_listeners(configuration);
    notify::Outlets::check(configuration);
    return configuration;
}

std::vector<plugin_host::Library> find_plugins(const config::Loader& loader) {
    auto libraries = plugin_host::load_libraries(plugin_folders(*loader.own().section("daemon")));
    plugin_host::settle_claims(libraries);
    return libraries;
}

}  // namespace

const char* const kVersion = LARDER_VERSION;

Daemon::Checked Daemon::check(const config::Sources& sources) {
    config::Loader loader(sources);
    auto configuration = read_configuration(loader, find_plugins(loader));
    return {std::move(configuration), loader.warnings()};
}

Daemon::Daemon(const config::Sources& sources, bool background)
    : sources_(sources), own_(routing::make_owner("larderd")) {
    const std::size_t descriptors = system::raise_descriptor_limit();
    config::Loader loader(sources_);
    libraries_ = find_plugins(loader);
    configuration_ = read_configuration(loader, libraries_);
    open_data_directory();
    open_logs(background);
    for (const auto& warning : loader.warnings()) log_->write(Level::warning, warning);
    plugin_host::Restorer::settle(storage::FileSystem::real(), data_directory_, *log_);

    const auto http = configuration_.section("http");
    const auto settings = configuration_.section("daemon");
    const auto wanted = static_cast<std::size_t>(http->integer("max_connections"));
    const std::size_t most = system::connections_within_limit(wanted);
    if (most < wanted) {
        log_->write(Level::warning,
                    fmt::format("http.max_connections is {}, but of the {} files that this process "
                                "may open at most {} can be connections; raise LimitNOFILE",
                                wanted, descriptors, most));
    }
    const std::size_t reactors = reactors_of(*http);
    http_metrics_ = std::make_unique<observe::HttpMetrics>(reactors);
    samples_ = std::make_unique<observe::RequestSamples>(reactors);
    unmatched_ = &http_metrics_->series("(no route)", "(any)");
    if (settings->flag("access_log")) open_access_log();
    logs_access_.store(settings->flag("access_log"), std::memory_order_release);
    workers_ = std::make_unique<jobs::WorkerPool>(
        static_cast<std::size_t>(settings->integer("worker_threads")),
        static_cast<std::size_t>(settings->integer("worker_queue")), [this](std::string_view what) {
            log_->write(Level::error, fmt::format("a task on a worker threw: {}", what));
        });
    dispatcher_ = std::make_unique<routing::Dispatcher>(
        reactors, *workers_,
        [this](const http::Ended& ended, const routing::Endpoint* endpoint,
               std::string_view principal) { observe(ended, endpoint, principal); });
    server_ = std::make_unique<http::Server>(
        front_options(*http), *dispatcher_,
        [this](Task task) { return workers_->post(std::move(task)); },
        [log = &log_for("http")](Level level, std::string_view text) { log->write(level, text); });
    make_facilities();
    make_keepers();
    make_supervisor();
    listen();
}

Daemon::~Daemon() = default;

void Daemon::make_facilities() {
    const bool in_utc = configuration_.section("daemon")->text("time_zone") == "utc";
    facilities_ = std::make_unique<plugin_host::Facilities>(plugin_host::FacilitiesOptions{
        data_directory_, log_, in_utc ? &jobs::utc() : &jobs::local_zone(),
        [this](Task task) { return post_own(std::move(task)); },
        [this](std::string_view id) { return services_.lease(id, own_); }});
    own_.errors = &facilities_->own_reports;
    outlets_ = std::make_unique<notify::Outlets>(log_for("alerts"),
                                                 [this] { return this->configuration(); });
    facilities_->alert_out = [this](const observe::Alert& alert) { outlets_->tell(alert); };
    facilities_->add_job(
        {"reactors", "every 60s", false, {}, [this](JobRun&) { look_at_reactors(); }});
    facilities_->add_job({"disk", "every 60s", false, {}, [this](JobRun&) {
                              facilities_->check_disk(static_cast<int>(
                                  configuration().section("alerts")->integer("disk_percent")));
                              facilities_->reports.hand_over();
                              failures_->hand_over();
                          }});
    facilities_->add_job({"plugins", "every 60s", false, {}, [this](JobRun&) {
                              // Not on a worker that a start may itself wait for. Where there is
                              // none beside, the next minute has one.
                              (void)workers_->post_beside([this, pass = own_.gate.enter()] {
                                  if (pass) supervisor_->start_again();
                              });
                          }});
    facilities_->add_job({"storage", "every 1h", false, {}, [this](JobRun&) { look_at_quotas(); }});
    facilities_->add_job(
        {"accounts", "every 5m", false, {}, [this](JobRun&) { accounts_->keep_last_uses(); }});
}

bool Daemon::post_own(Task task) {
    auto pass = own_.gate.enter();
    if (!pass) return false;
    return workers_->post([task = std::move(task), held = std::move(pass)]() mutable {
        task();
        task = Task();
    });
}

void Daemon::make_keepers() {
    accounts_ = std::make_unique<access::Accounts>(storage::FileSystem::real(),
                                                   data_directory_ + "/users.json", *log_);
    const auto post = [this](Task task) { return post_own(std::move(task)); };
    failures_ =
        std::make_unique<access::Failures>(facilities_->own_reports, *log_, post, unix_now_ms);
    logins_ = std::make_unique<access::Logins>(*accounts_, *failures_, post);
    keepers_ = std::make_unique<access::Keepers>(access::Keepers{*accounts_, *logins_, *failures_});
    limit_logins(configuration_);
}

void Daemon::limit_logins(const config::Configuration& configuration) {
    const auto auth = configuration.section("auth");
    logins_->set_limits({{auth->integer("failures_per_user"), auth->integer("failures_per_address"),
                          auth->duration("failure_window")},
                         auth->duration("remember")});
}

std::shared_ptr<const access::Access> Daemon::access_of(
    const config::Configuration& configuration) const {
    const auto http = configuration.section("http");
    access::Policy policy;
    policy.auth_enabled = configuration.section("auth")->flag("enabled");
    policy.own_uid = geteuid();
    std::vector<std::string> hosts = inherited_hosts_;
    for (const auto& address : http->list("listen")) {
        if (!address.starts_with("unix:")) hosts.push_back(access::host_of(address));
    }
    for (const auto& host : hosts) {
        if (host == "0.0.0.0" || host == "::" || host == "*") policy.any_address = true;
        policy.own_hosts.push_back(host);
    }
    policy.allowed_hosts = http->list("allowed_hosts");
    policy.allowed_origins = http->list("allowed_origins");
    return std::make_shared<access::Access>(std::move(policy), keepers_.get());
}

void Daemon::make_supervisor() {
    choices_ = std::make_unique<plugin_host::Choices>(storage::FileSystem::real(),
                                                      data_directory_ + "/plugins.json");
    const auto withdraw = [this](const routing::Owner& owner) {
        server_->visit_exchanges([&owner](http::Exchange& exchange) {
            return routing::Dispatcher::withdraw(exchange, owner);
        });
    };
    supervisor_ = std::make_unique<plugin_host::Supervisor>(
        plugin_host::Surroundings{data_directory_, *workers_, services_, metrics_, *http_metrics_,
                                  withdraw, *facilities_},
        plugin_host::SupervisorHooks{
            [this](const std::string& source) -> Log& { return log_for(source); },
            [this] { return configuration(); },
            [this](const std::string& plugin) { return section_anew(plugin); }},
        *choices_);
    make_own_files();
    restorer_ = std::make_unique<plugin_host::Restorer>(
        *supervisor_, *own_files_, storage::FileSystem::real(), data_directory_, *log_);
    facilities_->maintenance = {
        [this] {
            auto powers = supervisor_->lease_powers(kSnapshotable);
            powers.push_back({"larderd", static_cast<Snapshotable*>(own_files_.get()), {}});
            return plugin_host::take_snapshot(std::move(powers));
        },
        [this](const std::string& caller, const std::vector<SwapItem>& plan) {
            restorer_->carry_out(caller, plan);
        }};
}

void Daemon::make_own_files() {
    auto& files = storage::FileSystem::real();
    auto& jobs = facilities_->jobs;
    own_files_ = std::make_unique<plugin_host::OwnFiles>(
        data_directory_,
        std::vector<plugin_host::OwnFile>{
            {"plugins.json",
             [&files](const std::string& path) { plugin_host::Choices::check(files, path); },
             [this](bool on) { choices_->hold(on); }, [this] { choices_->take_over(); }},
            {"users.json",
             [&files](const std::string& path) { access::Accounts::check(files, path); },
             [this](bool on) { accounts_->hold(on); }, [this] { accounts_->take_over(); }},
            {"jobs.json", [&files](const std::string& path) { jobs::read_job_book(files, path); },
             [&jobs](bool on) { jobs.hold(on); }, [&jobs] { jobs.take_over(); }}});
}

std::shared_ptr<const config::Section> Daemon::section_anew(const std::string& plugin) {
    config::Loader loader(sources_);
    const auto fresh = read_configuration(loader, libraries_);
    const std::scoped_lock lock(mutex_);
    configuration_ = configuration_.with_section(fresh, plugin);
    return configuration_.section(plugin);
}

void Daemon::open_data_directory() {
    data_directory_ = configuration_.section("daemon")->text("data_dir");
    try {
        storage::FileSystem::real().make_directory(data_directory_);
    } catch (const std::system_error& error) {
        throw Error(Errc::unavailable, "data-directory",
                    fmt::format("data directory {} cannot be made: {}; make it, or name another "
                                "with --data-dir",
                                data_directory_, error.code().message()));
    }
    data_directory_ = fs::canonical(data_directory_);
    lock_ = std::make_unique<storage::FolderLock>(data_directory_);
}

void Daemon::open_logs(bool background) {
    const auto settings = configuration_.section("daemon");
    observe::LogOptions options;
    if (background || settings->text("log_target") == "files") {
        options.folder = data_directory_ + "/logs";
    }
    options.level = observe::level_of(settings->text("log_level")).value_or(Level::info);
    options.rotation = rotation_of(*settings);
    log_writer_ = std::make_unique<observe::LogWriter>(options);
    poco_log_ = std::make_unique<observe::PocoLink>(*log_writer_);
    log_ = &log_for("larderd");
    own_.log = log_;
    own_.gate.open();
}

Log& Daemon::log_for(const std::string& source) {
    const std::scoped_lock lock(logs_mutex_);
    auto& log = logs_[source];
    if (!log) log = std::make_unique<observe::NamedLog>(*log_writer_, source);
    return *log;
}

void Daemon::open_access_log() {
    if (access_log_) return;
    access_log_ = std::make_unique<observe::AccessLog>(
        data_directory_ + "/logs/access.log", reactors_of(*configuration().section("http")),
        observe::logger_for(*log_writer_, "access"),
        rotation_of(*configuration().section("daemon")));
}

void Daemon::listen() {
    const auto http = configuration_.section("http");
    const bool tls = has_tls(*http);
    use_certificate(*server_, configuration_);
    const auto inherited = system::inherited_sockets(tls);
    for (const auto& spec : inherited) server_->listen(spec);
    const auto given = addresses();
    if (inherited.empty()) {
        for (const auto& address : http->list("listen")) {
            server_->listen({address, -1, tls && !address.starts_with("unix:")});
        }
    } else {
        judge_inherited(given);
    }
    const std::string own = "unix:" + socket_path(*http, data_directory_);
    if (std::find(given.begin(), given.end(), own) == given.end())
        server_->listen({own, -1, false});
}

// What a .socket unit says is as open to the world as what the configuration says.
void Daemon::judge_inherited(const std::vector<std::string>& addresses) {
    for (const auto& url : addresses) {
        if (url.starts_with("unix:")) continue;
        inherited_hosts_.push_back(access::host_of(url.substr(url.find("//") + 2)));
    }
    require_safe_sockets(configuration_, inherited_hosts_);
    log_->write(Level::notice,
                "the service manager's sockets are used, and http.listen is not; to have it used, "
                "disable larder.socket");
}

void Daemon::start() {
    const auto configuration = this->configuration();
    access_ = access_of(configuration);
    admin_ = std::make_unique<admin::AdminRoutes>(
        admin::Sources{*supervisor_, *server_, *workers_, metrics_, facilities_->own_reports,
                       [this] { return this->configuration(); }, [this] { return reload(); },
                       kVersion, data_directory_, unix_now_ms()});
    plugin_host::RouteCollector routes(own_, {}, *http_metrics_);
    admin_->declare(routes);
    openapi_ = std::make_unique<admin::OpenApiRoute>([this] { return table(); },
                                                     [this] { return tags(); }, kVersion);
    openapi_->declare(routes);
    service_routes_ = std::make_unique<admin::ServiceRoutes>(*facilities_);
    service_routes_->declare(routes);
    storage_routes_ = std::make_unique<admin::StorageRoutes>(*supervisor_, facilities_->own_reports,
                                                             data_directory_);
    storage_routes_->declare(routes);
    account_routes_ = std::make_unique<admin::AccountRoutes>(
        *accounts_, *logins_, facilities_->own_reports,
        [this] { return this->configuration().section("auth")->flag("enabled"); });
    account_routes_->declare(routes);
    token_routes_ = std::make_unique<admin::TokenRoutes>(*accounts_, facilities_->own_reports);
    token_routes_->declare(routes);
    const auto own = routes.take();
    for (const auto& endpoint : own) {
        endpoint->for_any_caller = admin::AccountRoutes::is_for_any_caller(endpoint->route);
    }
    const std::vector<routing::EndpointPtr> own_endpoints(own.begin(), own.end());
    collect_values();
    insight_ = std::make_unique<admin::DaemonInsight>(
        admin::InsightSources{*http_metrics_, *samples_, *server_, *supervisor_,
                              facilities_->alerts, data_directory_, kVersion, unix_now_ms()});
    services_.offer(kInsight, insight_.get(), own_);
    supervisor_->take(libraries_);
    supervisor_->publish_to(
        [this](std::shared_ptr<const routing::RouteTable> table) { set_table(std::move(table)); },
        own_endpoints);
    facilities_->start();
    restorer_->prepare();
    supervisor_->start_all();
    restorer_->conclude();
    facilities_->reports.hand_over();  // what plugins told before there was one to keep it
    server_->start();
    {
        const std::scoped_lock lock(publish_mutex_);
        serving_ = true;
        show();
    }
    for (const auto& address : addresses()) {
        log_->write(Level::info, fmt::format("listening on {}", address));
    }
}

void Daemon::set_table(std::shared_ptr<const routing::RouteTable> table) {
    const std::scoped_lock lock(publish_mutex_);
    table_ = std::move(table);
    show();
}

void Daemon::set_access(const config::Configuration& configuration) {
    auto access = access_of(configuration);
    const std::scoped_lock lock(publish_mutex_);
    access_ = std::move(access);
    show();
}

// Tables and policies of their own, so that no reactor shares a count with another.
void Daemon::show() {
    // Holds what it shows: a reactor that hangs may come to it late.
    // A lease goes with the view: a plugin that is closed is none to lease from, and is shown anew.
    std::shared_ptr<RateLimiter> limiter;
    if (!stopping_)
        limiter = std::static_pointer_cast<RateLimiter>(services_.lease(kRateLimiter, own_));
    const auto set = [this, table = table_, access = access_, limiter](std::size_t reactor) {
        dispatcher_->set_view(reactor, {std::make_shared<routing::RouteTable>(
                                            table->endpoints(), table->all_unavailable()),
                                        std::make_shared<access::Access>(*access), limiter});
    };
    if (serving_) {
        server_->on_each_reactor(set);
    } else {
        for (std::size_t i = 0; i < server_->reactors(); ++i) set(i);
    }
}

std::shared_ptr<const routing::RouteTable> Daemon::table() const {
    const std::scoped_lock lock(publish_mutex_);
    return table_;
}

std::vector<routing::Tag> Daemon::tags() const {
    std::vector<routing::Tag> tags{{own_.name, "The daemon itself: health, plugins, settings."}};
    for (const auto& plugin : supervisor_->status()) {
        if (plugin.library->entry == nullptr) continue;
        tags.push_back({plugin.name, plugin.library->entry->summary});
    }
    return tags;
}

config::Configuration Daemon::configuration() const {
    const std::scoped_lock lock(mutex_);
    return configuration_;
}

std::vector<std::string> Daemon::addresses() const { return server_->addresses(); }

config::Changes Daemon::reload() {
    const std::scoped_lock one_at_a_time(reload_mutex_);
    config::Loader loader(sources_);
    const auto fresh = read_configuration(loader, libraries_);
    require_safe_sockets(fresh, inherited_hosts_);
    for (const auto& warning : loader.warnings()) log_->write(Level::warning, warning);
    plugin_host::SettingsReload plugins(*supervisor_);
    const auto now = configuration();
    config::Changes changes = config::changes(now, fresh);
    plugins.apply(now, fresh, changes);
    apply(changes);
    plugins.commit();
    for (const auto& change : changes.applied) {
        log_->write(Level::notice,
                    fmt::format("{}.{} is now {}", change.section, change.key, change.after));
    }
    for (const auto& change : changes.needs_restart) {
        log_->write(Level::notice, fmt::format("{}.{} will be {} after a restart", change.section,
                                               change.key, change.after));
    }
    return changes;
}

// The daemon's own settings. What can fail comes first; from there on nothing does.
void Daemon::apply(const config::Changes& changes) {
    const auto http = changes.in_force.section("http");
    const auto settings = changes.in_force.section("daemon");
    if (settings->flag("access_log")) open_access_log();
    use_certificate(*server_, changes.in_force);
    {
        const std::scoped_lock lock(mutex_);
        configuration_ = changes.in_force;
    }
    logs_access_.store(settings->flag("access_log"), std::memory_order_release);
    log_writer_->set_level(observe::level_of(settings->text("log_level")).value_or(Level::info));
    server_->update(front_options(*http));
    limit_logins(changes.in_force);
    set_access(changes.in_force);
}

void Daemon::reload_by_signal(const std::function<void()>& over) noexcept {
    log_writer_->reopen();
    if (logs_access_.load(std::memory_order_acquire)) access_log_->reopen();
    // Not here: a plugin's start may take long, and the signal to stop must be heard meanwhile.
    auto reload_here = [this, over, pass = own_.gate.enter()] {
        try {
            reload();
            remember_reload({});
        } catch (const std::exception& error) {
            const auto what = fmt::format("not reloaded, nothing has changed: {}", error.what());
            log_->write(Level::error, what);
            remember_reload(what);
        }
        over();
    };
    if (workers_->post_beside(std::move(reload_here))) return;
    log_->write(Level::error, "not reloaded: too many reloads are under way");
    over();
}

void Daemon::remember_reload(std::string failure) {
    const std::scoped_lock lock(mutex_);
    reload_failure_ = std::move(failure);
}

void Daemon::complain(const std::string& text) { log_->write(Level::error, text); }

void Daemon::keep_last_uses() noexcept {
    try {
        accounts_->keep_last_uses();
    } catch (const std::exception& error) {
        log_->write(Level::warning,
                    fmt::format("tokens' last uses were not kept: {}", error.what()));
    }
}

bool Daemon::stop() {
    const auto timeout = configuration().section("daemon")->duration("drain_timeout");
    const auto deadline = std::chrono::steady_clock::now() + timeout;
    log_->write(Level::info, "stopping: requests under way are finished first");
    {
        const std::scoped_lock lock(publish_mutex_);
        stopping_ = true;
        show();
    }
    auto drained = std::async(std::launch::async, [&] { return server_->drain(deadline); });
    // Only event streams do not end by themselves: their plugins must drain. All else may finish.
    drained.wait_for(std::min<std::chrono::milliseconds>(timeout, kLeaveInPeace));
    bool ended = supervisor_->stop_all(deadline + kAfterCut);
    const std::size_t cut = drained.get();
    own_.gate.close();
    facilities_->stop();
    outlets_->stop();
    keep_last_uses();
    ended = own_.gate.wait_idle(deadline + kAfterCut) && ended;
    if (cut > 0) {
        log_->write(Level::warning, fmt::format("{} connections were cut", cut));
    }
    if (ended) {
        server_->stop();
        if (access_log_) access_log_->flush();
        log_->write(Level::info, "stopped");
    } else {
        log_->write(Level::error, "stopped, but for calls that did not return; ending as it is");
        if (access_log_) access_log_->flush();
    }
    return ended;
}

}  // namespace larder
