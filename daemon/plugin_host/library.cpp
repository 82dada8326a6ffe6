#include "plugin_host/library.hpp"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <boost/dll/shared_library.hpp>
#include <memory>
#include <regex>
#include <string_view>
#include <vector>

#include "plugin_host/stamp.hpp"

namespace larder::plugin_host {
namespace {

namespace fs = std::filesystem;

bool others_may_write(const struct stat& facts) {
    const bool foreign_owner = facts.st_uid != 0 && facts.st_uid != geteuid();
    return foreign_owner || (facts.st_mode & S_IWOTH) != 0;
}

std::string fault_of(const PluginEntry& entry) {
    static const std::regex kId("[a-z][a-z0-9_]{0,31}");
    if (entry.id == nullptr || !std::regex_match(entry.id, kId)) {
        return "its entry's id must be [a-z][a-z0-9_]{0,31}";
    }
    if (entry.version == nullptr || entry.summary == nullptr || entry.path_prefixes == nullptr ||
        entry.data_claims == nullptr || entry.create == nullptr || entry.destroy == nullptr ||
        (entry.settings == nullptr && entry.setting_count > 0)) {
        return "its entry leaves out version, summary, path_prefixes, data_claims, create or "
               "destroy";
    }
    return {};
}

}  // namespace

Library load_library(const fs::path& path) {
    Library library;
    library.path = fs::absolute(path).lexically_normal();
    library.name = path.stem();
    struct stat facts {};
    if (stat(library.path.c_str(), &facts) == 0 && others_may_write(facts)) {
        library.refusal = "it may be written by others; chown it to root and chmod o-w it";
        return library;
    }
    const Verdict verdict = judge_file(library.path);
    library.stamp = verdict.stamp;
    if (!verdict.taken) {
        library.refusal = verdict.why;
        return library;
    }
    try {
        // Kept to the end of the process: objects and code of a plugin outlive its stop.
        static auto* const all = new std::vector<std::unique_ptr<boost::dll::shared_library>>;
        all->push_back(std::make_unique<boost::dll::shared_library>(
            library.path, boost::dll::load_mode::rtld_now | boost::dll::load_mode::rtld_local));
        boost::dll::shared_library* const loaded = all->back().get();
        if (!loaded->has("larder_plugin")) {
            library.refusal = "it exports no larder_plugin; export its entry with LARDER_PLUGIN";
            return library;
        }
        const auto& entry = loaded->get_alias<const PluginEntry>("larder_plugin");
        library.refusal = fault_of(entry);
        if (!library.refusal.empty()) return library;
        library.name = entry.id;
        library.entry = &entry;
    } catch (const std::exception& error) {
        library.refusal = fmt::format("it cannot be loaded: {}", error.what());
    }
    return library;
}

std::vector<Library> load_libraries(const std::vector<std::string>& folders) {
    std::vector<Library> libraries;
    for (const std::string& folder : folders) {
        struct stat facts {};
        if (stat(folder.c_str(), &facts) != 0) continue;
        if (others_may_write(facts)) {
            throw Error(Errc::forbidden, "plugin-folder",
                        fmt::format("plugin folder {} may be written by others; chown it to root "
                                    "and chmod o-w it",
                                    folder));
        }
        std::vector<fs::path> files;
        for (const auto& file : fs::directory_iterator(folder)) {
            if (file.path().extension() == ".so") files.push_back(file.path());
        }
        std::sort(files.begin(), files.end());
        for (const fs::path& file : files) {
            Library library = load_library(file);
            library.built_in = folder == folders.front();
            libraries.push_back(std::move(library));
        }
    }
    return libraries;
}

}  // namespace larder::plugin_host
