// What a table serves, as OpenAPI's paths and operations. Not the document around them.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "routing/openapi_json.hpp"
#include "routing/route_table.hpp"

namespace larder::routing::openapi {

// What operations refer to and the document must hold: parameters by name, and answers with
// problems, one for each set of codes under a status.
class Shared {
public:
    Object parameter(const std::string& name);
    Object problem(int status, const std::set<std::string>& codes);
    const std::set<std::string>& parameters() const noexcept { return parameters_; }
    Object responses() const;

private:
    std::set<std::string> parameters_;
    std::map<int, std::vector<std::set<std::string>>> by_status_;
};

// Throws Error{internal} for a declaration that read_route_text() refuses.
Object paths(const RouteTable& table, Shared& shared);

}  // namespace larder::routing::openapi
