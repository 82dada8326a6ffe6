#include "notes_plugin.hpp"

#include <array>
#include <string>

#include "larder/export.hpp"
#include "larder/time.hpp"
#include "storage-kit/store_moment.hpp"
#include "storage-kit/succession.hpp"

namespace notes {

using larder::storage::FileSystem;

namespace {

constexpr const char* kFile = "notes/notes.json";  // in the data directory

}  // namespace

// What the declared ranges cannot say would be judged here.
void NotesPlugin::configure(const larder::Settings& /*settings*/) {}

void NotesPlugin::start(larder::Routes& routes) {
    const std::string data(host_.data_directory());
    FileSystem& files = FileSystem::real();
    files.make_directory(data + "/notes");
    committer_ = std::make_unique<larder::storage::Committer>("notes commits");
    larder::storage::StoreOptions options;
    options.report = [this](const larder::storage::Finding& finding) {
        host_.log().write(larder::Level::warning, finding.text);
    };
    // A disk that is full or fails shows in /readyz and in the plugin's state.
    options.state_changed = [this](larder::storage::StoreState state, const std::string& why) {
        using larder::storage::StoreState;
        host_.report(state == StoreState::open   ? larder::Health::ok
                     : state == StoreState::full ? larder::Health::degraded
                                                 : larder::Health::read_only,
                     why);
    };
    store_ = std::make_unique<larder::storage::DocumentStore>(files, data + "/" + kFile,
                                                              *committer_, std::move(options));
    routes_ = std::make_unique<NotesRoutes>(*store_, host_);
    routes_->declare(routes);
    forgetting_ = host_.scheduler().add({.name = "forget",
                                         .when = "every 1h",
                                         .run = [this](larder::JobRun& run) { forget(run); }});
}

// Notes are in the order of writing, so the old ones stand first.
void NotesPlugin::forget(larder::JobRun& run) {
    constexpr std::size_t kBatch = 1000;
    const auto keep_for = host_.settings().duration("keep_for");  // as it stands now: it is live
    const std::int64_t oldest = larder::unix_now_ms() - keep_for.count();
    for (std::size_t removed = kBatch; removed == kBatch && !run.cancel().cancelled();) {
        removed = 0;
        const auto outcome =
            store_->commit_and_wait([&](larder::storage::Transaction& transaction) {
                for (const auto& note : store_->list({}, {}, kBatch)) {
                    if (note->created_ms >= oldest) return;
                    if (transaction.get(note->key)) transaction.remove(note->key);
                    ++removed;
                }
            });
        if (outcome.refused) throw larder::Error(*outcome.refused);  // the run has failed
    }
}

// From here on nobody new comes; who watches is sent away, so that the host need not wait for it.
void NotesPlugin::drain() noexcept {
    if (routes_) routes_->end_watches();
}

// Follows every start(), also one that threw half-way.
void NotesPlugin::stop() noexcept {
    forgetting_.reset();
    routes_.reset();
    if (store_) {
        try {
            store_->close();
        } catch (const std::exception& error) {  // the journal stays, so nothing is lost
            host_.log().write(larder::Level::error, error.what());
        }
    }
    store_.reset();
    committer_.reset();
}

void* NotesPlugin::extension(std::string_view id) noexcept {
    if (id == larder::kSnapshotable) return static_cast<larder::Snapshotable*>(this);
    return nullptr;
}

void NotesPlugin::hold(bool on) noexcept { committer_->hold(on); }

std::unique_ptr<larder::Moment> NotesPlugin::pin() {
    auto moment = std::make_unique<larder::storage::StoreMoment>(
        std::string(host_.data_directory()), "notes/.moment");
    moment->add(kFile, *store_);
    return moment;
}

void NotesPlugin::adopt(std::string_view previous) {
    larder::storage::succeed_store(FileSystem::real(),
                                   std::string(host_.data_directory()) + "/" + kFile,
                                   std::string(previous) + "/" + kFile);
}

}  // namespace notes

namespace {

constinit const std::array<larder::Setting, 2> kSettings = {{
    {"max_length", "bytes", "4KiB", "16", "64KiB", "The longest note.", true, false},
    {"keep_for", "duration", "365d", "1s", "3650d", "How long a note is kept.", true, false},
}};

constinit const larder::PluginEntry kEntry = {
    "notes",
    NOTES_VERSION,
    "Notes: a plugin to copy",
    "/api/notes",
    "notes/",
    kSettings.data(),
    kSettings.size(),
    [](larder::Host& host) -> larder::Plugin* { return new notes::NotesPlugin(host); },
    [](larder::Plugin* plugin) noexcept { delete static_cast<notes::NotesPlugin*>(plugin); },
};

}  // namespace

LARDER_PLUGIN(kEntry)
