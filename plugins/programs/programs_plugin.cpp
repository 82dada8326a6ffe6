#include "programs_plugin.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string>
#include <system_error>

#include "larder/export.hpp"
#include "larder/time.hpp"
#include "programs_snapshot.hpp"
#include "storage-kit/file_system.hpp"
#include "storage-kit/timestamps.hpp"

namespace larder::programs {

void ProgramsPlugin::configure(const Settings& settings) {
    if (settings.duration("timeout") <= settings.duration("max_timeout")) return;
    throw Error(Errc::unprocessable, "invalid-settings",
                "programs.timeout is greater than programs.max_timeout");
}

void ProgramsPlugin::start(Routes& routes) {
    const std::string folder = fmt::format("{}/programs", host_.data_directory());
    try {
        store_ = std::make_unique<ProgramStore>(host_, folder);
        storage::FileSystem::real().make_directory(folder + "/db");
    } catch (const std::system_error& error) {
        throw disk_error(error);
    }
    store_->set_quota(host_.settings().bytes("quota"));
    records_ = std::make_unique<ExecutionRecords>(folder + "/db/metrics.db");
    if (const std::uint64_t lost = records_->lose_unfinished(); lost > 0) {
        host_.log().write(Level::warning,
                          fmt::format("{} executions were under way when the daemon ended: their "
                                      "state is lost",
                                      lost));
    }
    sandbox_ = std::make_unique<Sandbox>(host_);
    if (sandbox_->tier() == Tier::none &&
        store_->documents().state() == storage::StoreState::open) {
        host_.report(Health::degraded,
                     fmt::format("programs cannot be run: {}", sandbox_->reason()));
    }
    runner_ = std::make_unique<Runner>(host_, *store_, *records_, *sandbox_);
    schedules_ = std::make_unique<Schedules>(*store_, *runner_);
    Job retention;
    retention.name = "retention";
    retention.when = "daily 03:30";
    retention.catch_up = true;
    retention.run = [this](JobRun&) {
        const std::int64_t keep = host_.settings().duration("history").count();
        records_->remove_before(unix_now_ms() - keep, false);
        records_->cut_outputs(host_.settings().bytes("output_history"));
    };
    retention_ = host_.scheduler().add(retention);
    Job checkpoint;
    checkpoint.name = "checkpoint";
    checkpoint.when = "every 10m";
    checkpoint.run = [this](JobRun&) {
        if (store_->documents().journal_bytes() > 0) store_->documents().checkpoint();
    };
    checkpoint_ = host_.scheduler().add(checkpoint);
    upload_routes_ = std::make_unique<UploadRoutes>(*store_);
    upload_routes_->declare(routes);
    program_routes_ = std::make_unique<ProgramRoutes>(*store_, *runner_, *schedules_, *sandbox_);
    program_routes_->declare(routes);
    execution_routes_ =
        std::make_unique<ExecutionRoutes>(*store_, *records_, *runner_, *schedules_, *sandbox_);
    execution_routes_->declare(routes);
    host_.services().offer(kWarmFromPrograms, static_cast<WarmSource*>(this));
}

void ProgramsPlugin::drain() noexcept {
    if (schedules_) schedules_->stop();
    if (runner_) runner_->drain();
}

void ProgramsPlugin::stop() noexcept {
    checkpoint_.reset();
    retention_.reset();
    execution_routes_.reset();
    program_routes_.reset();
    upload_routes_.reset();
    schedules_.reset();
    runner_.reset();
    sandbox_.reset();
    records_.reset();
    store_.reset();
}

void* ProgramsPlugin::extension(std::string_view id) noexcept {
    if (id == kReloadable) return static_cast<Reloadable*>(this);
    if (id == kUsage) return static_cast<Usage*>(this);
    if (id == kProgress) return static_cast<Progress*>(this);
    if (id == kCleanable) return static_cast<Cleanable*>(this);
    if (id == kSnapshotable) return static_cast<Snapshotable*>(this);
    return nullptr;
}

void ProgramsPlugin::reload(const Settings& now) {
    configure(now);
    store_->set_quota(now.bytes("quota"));
}

void ProgramsPlugin::measure(UsageSink& sink) {
    const auto figures = store_->figures();
    const std::uint64_t all = storage::bytes_below(store_->folder());
    const std::uint64_t databases = storage::bytes_below(store_->folder() + "/db");
    sink.section("program_store");
    sink.count("size", all - std::min(all, databases));  // those are a section of their own
    sink.count("programs", figures.programs);
    sink.count("projects", figures.projects);
    sink.count("quota", figures.quota);
}

void ProgramsPlugin::clean(const CleanupRequest& request, CleanupSink& sink) {
    if (request.metrics_older_than_days < 0) return;
    const std::int64_t before = storage::age_cutoff(unix_now_ms(), request.metrics_older_than_days);
    const std::uint64_t removed = records_->remove_before(before, request.dry_run);
    // Rows of a database: the room they leave is its own.
    if (removed > 0) sink.removed("executions", fmt::format("{} records", removed), 0);
}

void ProgramsPlugin::tell(ProgressSink& sink) {
    const auto programs = store_->committer().progress();
    sink.thread("larder-programs", programs.done, programs.waiting);
    const auto executions = runner_->recorder().progress();
    sink.thread("programs-record", executions.done, executions.waiting);
}

void ProgramsPlugin::give(std::string_view /*what*/, std::size_t most, WarmSink& sink) {
    const auto last_use = [](const Record& record) {
        return std::max(record.last_executed_ms, record.uploaded_ms);
    };
    auto records = store_->list({}, SIZE_MAX);
    const std::size_t count = std::min(most, records.size());
    std::partial_sort(records.begin(), records.begin() + static_cast<std::ptrdiff_t>(count),
                      records.end(),
                      [&](const Record& a, const Record& b) { return last_use(a) > last_use(b); });
    records.resize(count);
    for (const Record& record : records) sink.take(record.id, record_json(record));
}

void ProgramsPlugin::hold(bool on) noexcept {
    if (on) runner_->hold(true);
    store_->committer().hold(on);
    if (!on) runner_->hold(false);
}

std::unique_ptr<Moment> ProgramsPlugin::pin() {
    return programs::pin(*store_, std::string(host_.data_directory()));
}

void ProgramsPlugin::adopt(std::string_view previous) {
    programs::adopt(std::string(host_.data_directory()), std::string(previous));
}

}  // namespace larder::programs

namespace {

constinit const std::array<larder::Setting, 17> kSettings = {{
    {"timeout", "duration", "30s", "1s", "7d",
     "How long a run may take that asks for nothing else.", true, false},
    {"max_timeout", "duration", "1h", "1s", "7d", "The longest that a run may ask for.", true,
     false},
    {"cpu_time", "duration", "0s", "0s", "7d",
     "Processor time of all processes of a run together; 0s: a second more than it may take.", true,
     false},
    {"memory", "bytes", "512MiB", "16MiB", "1TiB",
     "Memory of all processes of a run together, temporary files included.", true, false},
    {"processes", "integer", "64", "4", "4096", "Processes and threads of a run.", false, false},
    {"output", "bytes", "512KiB", "1KiB", "1MiB",
     "How much of each output stream of a run is kept, half from its beginning and half from its "
     "end.",
     true, false},
    {"data_quota", "bytes", "64MiB", "64KiB", "1TiB",
     "What a program may keep in its data/ folder, and the largest file it may write.", true,
     false},
    {"quota", "bytes", "1GiB", "1MiB", "1024TiB", "What all uploaded programs together may have.",
     true, false},
    {"concurrency", "integer", "0", "0", "1024",
     "How many programs run at once; 0: as many as there are processors.", true, false},
    {"program_concurrency", "integer", "0", "0", "1024",
     "How many runs of one program there are at once; 0: as many as of all.", true, false},
    {"queue", "integer", "256", "0", "100000",
     "How many runs may wait; the next one is answered 429.", true, false},
    {"history", "duration", "90d", "1h", "36500d", "How long the records of runs are kept.", true,
     false},
    {"output_history", "bytes", "128MiB", "1MiB", "1TiB",
     "How much output of earlier runs is kept; the oldest goes first.", true, false},
    {"isolation", "choice:required|none", "required", nullptr, nullptr,
     "required: programs run in a sandbox or not at all; none: they may do all that the daemon "
     "may.",
     false, false},
    {"require", "choice:namespaces|full", "namespaces", nullptr, nullptr,
     "full: nothing runs where no control group can be had.", false, false},
    {"first_uid", "integer", "61000", "1000", "4294967000",
     "The first of 64 user ids, used by nobody else, that programs of a daemon run by root get.",
     false, false},
    {"helper", "path", "", nullptr, nullptr,
     "Where larder-run is; empty: beside larderd, or in ../libexec/larder.", false, false},
}};

constinit const larder::PluginEntry kEntry = {
    "programs",
    LARDER_PLUGIN_VERSION,
    "uploaded programs, run in a sandbox",
    "/api/programs,/api/executions",
    "programs/programs.json,programs/logs/,programs/program_*,programs/project_*,"
    "programs/.staging/,programs/.trash/,programs/.moment/",
    kSettings.data(),
    kSettings.size(),
    [](larder::Host& host) -> larder::Plugin* {
        return new larder::programs::ProgramsPlugin(host);
    },
    [](larder::Plugin* plugin) noexcept {
        delete static_cast<larder::programs::ProgramsPlugin*>(plugin);
    },
};

}  // namespace

LARDER_PLUGIN(kEntry)
