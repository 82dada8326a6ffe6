// The problem codes that the host itself answers with, and which routes they concern. Those of
// plugins stand in their routes' declarations.
#pragma once

#include <vector>

#include "routing/route_text.hpp"

namespace larder::routing {

// What any request may be answered, whatever it asks for. [any]
const std::vector<ProblemText>& common_problems();

// What the declaration lets the host answer on this route besides: credentials, conditions,
// cursors, bodies, the disk under a plugin's change. `of_plugin`: it is not the daemon's own. [any]
std::vector<ProblemText> host_problems(const Route& route, bool of_plugin);

// All that this file knows, for the table of codes. [any]
std::vector<ProblemText> all_host_problems();

}  // namespace larder::routing
