#include "notes_plugin.hpp"

#include <array>
#include <string>

#include "larder/export.hpp"

namespace notes {

using larder::storage::FileSystem;

// What the declared ranges cannot say would be judged here.
void NotesPlugin::configure(const larder::Settings& /*settings*/) {}

void NotesPlugin::start(larder::Routes& routes) {
    const std::string folder = std::string(host_.data_directory()) + "/notes";
    FileSystem& files = FileSystem::real();
    files.make_directory(folder);
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
    store_ = std::make_unique<larder::storage::DocumentStore>(files, folder + "/notes.json",
                                                              *committer_, std::move(options));
    routes_ = std::make_unique<NotesRoutes>(*store_, host_);
    routes_->declare(routes);
}

// From here on nobody new comes; who watches is sent away, so that the host need not wait for it.
void NotesPlugin::drain() noexcept {
    if (routes_) routes_->end_watches();
}

// Follows every start(), also one that threw half-way.
void NotesPlugin::stop() noexcept {
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

}  // namespace notes

namespace {

constinit const std::array<larder::Setting, 1> kSettings = {{
    {"max_length", "bytes", "4KiB", "16", "64KiB", "The longest note.", false, false},
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
