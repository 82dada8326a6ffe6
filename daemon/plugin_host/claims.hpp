// Judges plugins against each other: ids, path prefixes and data that two of them claim. Not their
// files, which stamp.hpp judges one by one.
#pragma once

#include <string_view>
#include <vector>

#include "config/declarations.hpp"
#include "plugin_host/library.hpp"

namespace larder::plugin_host {

// Refuses, of two that claim the same, the later; and who claims what is the daemon's own.
// [control]
void settle_claims(std::vector<Library>& libraries);

// Whether a path below the data directory is this plugin's, by its entry. [any]
bool claims(const Library& library, std::string_view path);

// The settings sections of all that were loaded; those refused before that are not known. [control]
std::vector<config::Declaration> declarations_of(const std::vector<Library>& libraries);

}  // namespace larder::plugin_host
