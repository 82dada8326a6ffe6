// The small change of the OpenAPI document: objects in order, references, schemas that are declared
// as text. Not for answers.
#pragma once

#include <Poco/JSON/Array.h>
#include <Poco/JSON/Object.h>
#include <Poco/JSON/Parser.h>

#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>

namespace larder::routing::openapi {

using Poco::Dynamic::Var;
using Poco::JSON::Array;
using Poco::JSON::Object;

inline Object object(std::initializer_list<std::pair<const char*, Var>> members = {}) {
    Object made(Poco::JSON_PRESERVE_KEY_ORDER);
    for (const auto& [name, value] : members) made.set(name, value);
    return made;
}

inline Var text(std::string_view value) { return std::string(value); }

inline Object reference(const std::string& kind, const std::string& name) {
    return object({{"$ref", "#/components/" + kind + "/" + name}});
}

inline Var schema_of(std::string_view json) {
    if (json.empty() || json == "true") return object();
    Poco::JSON::Parser parser;
    return *parser.parse(std::string(json)).extract<Object::Ptr>();
}

}  // namespace larder::routing::openapi
