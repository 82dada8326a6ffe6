// The routes that a running daemon declares in its OpenAPI document, ready to be asked for. Not
// their schemas: tests/clients/openapi judges answers by those.
#pragma once

#include <cctype>
#include <string>
#include <string_view>
#include <vector>

#include "support/json_view.hpp"

namespace larder::test {

struct DocumentRoute {
    std::string method;
    std::string target;      // each parameter is "zz"
    std::string permission;  // "read" ... "admin", "open", "any"
    std::string area;        // the plugin's name, "daemon" for the daemon's own
};

inline std::string target_of(std::string_view path) {
    std::string target;
    bool within = false;
    for (const char c : path) {
        if (c == '{') target += "zz";
        within = c == '{' || (within && c != '}');
        if (!within && c != '}') target += c;
    }
    return target;
}

inline std::vector<DocumentRoute> routes_of_document(const std::string& document) {
    std::vector<DocumentRoute> routes;
    const auto paths = object_of(document)->getObject("paths");
    for (const auto& path : paths->getNames()) {
        const auto operations = paths->getObject(path);
        for (const auto& method : operations->getNames()) {
            const auto operation = operations->getObject(method);
            if (operation.isNull() || !operation->has("x-larder-permission")) continue;
            std::string verb;
            for (const char c : method) verb += static_cast<char>(std::toupper(c));
            const auto area = operation->getArray("tags")->getElement<std::string>(0);
            routes.push_back({verb, target_of(path),
                              operation->getValue<std::string>("x-larder-permission"),
                              area == "larderd" ? "daemon" : area});
        }
    }
    return routes;
}

}  // namespace larder::test
