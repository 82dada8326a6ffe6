// "did you mean …": finds the known name nearest to a mistyped one. Not a search: it gives up
// beyond a few slips of the finger.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace larder::config {

// Insertions, deletions, replacements and swaps of neighbours that lead from `a` to `b`. [any]
std::size_t edit_distance(std::string_view a, std::string_view b);

// The first of `known` with the fewest edits; empty when that takes more than a third of the name's
// length (at least one edit is allowed). [any]
std::string nearest(std::string_view name, std::span<const std::string> known);

// "; did you mean 'listen'?", or nothing. [any]
std::string did_you_mean(std::string_view name, std::span<const std::string> known);

}  // namespace larder::config
