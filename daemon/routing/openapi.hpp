// The OpenAPI 3.1 document of what a table serves, made of the routes' declarations alone. Not
// their judge: the dispatcher works by the same declarations, and the tests compare.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "routing/route_table.hpp"

namespace larder::routing {

// Whose routes stand together: an owner's name and what it is for.
struct Tag {
    std::string name, description;
};

// The same text for the same table, tags and version. Throws Error{internal} for a declaration that
// read_route_text() refuses. [any]
std::string openapi_text(const RouteTable& table, std::span<const Tag> tags,
                         std::string_view version);

}  // namespace larder::routing
