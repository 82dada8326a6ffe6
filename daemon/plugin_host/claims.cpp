#include "plugin_host/claims.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <filesystem>

#include "routing/route_table.hpp"

namespace larder::plugin_host {
namespace {

// What the daemon serves itself.
constexpr std::array<std::string_view, 11> kOwnPrefixes = {
    "/api/status", "/api/plugins", "/api/limits",    "/api/config", "/api/reload", "/api/storage",
    "/api/alerts", "/api/users",   "/api/scheduler", "/api/tokens", "/api/whoami"};

// What the daemon keeps itself.
constexpr std::array<std::string_view, 6> kOwnData = {"plugins.json", "users.json", "jobs.json",
                                                      ".swap.json",   ".lock",      "larder.sock"};

// "config/" claims all below it, "jobs/job_*" all whose names begin so, with all below; and
// "storage.json" only itself. No file may stand where another's folder does.
bool overlaps(std::string_view a, std::string_view b) {
    const auto bare = [](std::string_view path) {
        return path.substr(0, path.size() - (path.ends_with('/') ? 1 : 0));
    };
    const auto covers = [](std::string_view claim, std::string_view path) {
        if (claim.ends_with('*')) return path.starts_with(claim.substr(0, claim.size() - 1));
        return claim.ends_with('/') && path.starts_with(claim);
    };
    return bare(a) == bare(b) || covers(a, b) || covers(b, a);
}

bool prefix_overlaps(std::string_view a, std::string_view b) {
    const auto under = [](std::string_view path, std::string_view prefix) {
        return path.starts_with(prefix) &&
               (path.size() == prefix.size() || path[prefix.size()] == '/');
    };
    return under(a, b) || under(b, a);
}

std::string clash(const Library& library, const Library& earlier) {
    if (earlier.name == library.name) {
        return fmt::format("{} is a plugin '{}' already; remove one of the two files",
                           std::filesystem::path(earlier.path).filename().string(), library.name);
    }
    for (const auto mine : routing::split_list(library.entry->path_prefixes)) {
        for (const auto theirs : routing::split_list(earlier.entry->path_prefixes)) {
            if (!prefix_overlaps(mine, theirs)) continue;
            return fmt::format("its path prefix {} meets {} of plugin {}; remove one of the two",
                               mine, theirs, earlier.name);
        }
    }
    for (const auto mine : routing::split_list(library.entry->data_claims)) {
        for (const auto theirs : routing::split_list(earlier.entry->data_claims)) {
            if (!overlaps(mine, theirs)) continue;
            return fmt::format("its data {} meets {} of plugin {}; remove one of the two", mine,
                               theirs, earlier.name);
        }
    }
    return {};
}

bool may_claim(std::string_view prefix) {
    const bool ours = std::any_of(kOwnPrefixes.begin(), kOwnPrefixes.end(),
                                  [&](auto own) { return prefix_overlaps(prefix, own); });
    return !ours && prefix.starts_with("/api/");
}

std::string fault_of_claims(const Library& library) {
    for (const auto prefix : routing::split_list(library.entry->path_prefixes)) {
        if (may_claim(prefix)) continue;
        return fmt::format(
            "its path prefix {} is not its to claim; choose one below /api/ that the "
            "daemon does not serve itself",
            prefix);
    }
    for (const auto data : routing::split_list(library.entry->data_claims)) {
        const bool ours = std::any_of(kOwnData.begin(), kOwnData.end(),
                                      [&](auto own) { return overlaps(data, own); });
        if (!ours) continue;
        return fmt::format("its data {} is the daemon's own; choose another name", data);
    }
    return {};
}

bool is_anothers(std::string_view prefix, const std::vector<Library>& libraries) {
    return std::any_of(libraries.begin(), libraries.end(), [&](const Library& library) {
        if (!library.is_taken()) return false;
        const auto theirs = routing::split_list(library.entry->path_prefixes);
        return std::any_of(theirs.begin(), theirs.end(),
                           [&](auto their) { return prefix_overlaps(prefix, their); });
    });
}

}  // namespace

bool claims(const Library& library, std::string_view path) {
    const auto data = routing::split_list(library.entry->data_claims);
    return std::any_of(data.begin(), data.end(), [&](std::string_view claim) {
        return overlaps(claim, path) && claim.size() <= path.size() + 1;
    });
}

void settle_claims(std::vector<Library>& libraries) {
    for (std::size_t i = 0; i < libraries.size(); ++i) {
        if (!libraries[i].is_taken()) continue;
        libraries[i].refusal = fault_of_claims(libraries[i]);
        for (std::size_t j = 0; j < i && libraries[i].refusal.empty(); ++j) {
            if (libraries[j].is_taken()) libraries[i].refusal = clash(libraries[i], libraries[j]);
        }
    }
    for (Library& library : libraries) {
        if (library.entry == nullptr) continue;
        for (const auto prefix : routing::split_list(library.entry->path_prefixes)) {
            const bool its_own = may_claim(prefix) && !is_anothers(prefix, libraries);
            if (library.is_taken() || its_own) library.prefixes.emplace_back(prefix);
        }
    }
}

std::vector<config::Declaration> declarations_of(const std::vector<Library>& libraries) {
    std::vector<config::Declaration> declarations;
    for (const Library& library : libraries) {
        const bool repeated =
            std::any_of(declarations.begin(), declarations.end(),
                        [&](const auto& earlier) { return earlier.section == library.name; });
        if (repeated) continue;
        config::Declaration declaration;
        declaration.section = library.name;
        if (library.entry != nullptr) {
            declaration.settings = {library.entry->settings, library.entry->setting_count};
        }
        declaration.enabled_by_default = library.built_in;
        declaration.known = library.entry != nullptr;
        declarations.push_back(std::move(declaration));
    }
    return declarations;
}

}  // namespace larder::plugin_host
