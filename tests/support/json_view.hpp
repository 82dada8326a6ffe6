// Reads the daemon's JSON answers in tests. Poco's parser, so that the daemon's own is not judged
// by itself; not for values that Poco cannot hold exactly.
#pragma once

#include <Poco/JSON/Array.h>
#include <Poco/JSON/Object.h>
#include <Poco/JSON/Parser.h>

#include <string>

namespace larder::test {

// Throws Poco::Exception for what is no JSON object.
inline Poco::JSON::Object::Ptr object_of(const std::string& text) {
    Poco::JSON::Parser parser;
    return parser.parse(text).extract<Poco::JSON::Object::Ptr>();
}

// The first object of `items` whose members have these values; null when there is none.
inline Poco::JSON::Object::Ptr find_item(
    const Poco::JSON::Object::Ptr& list,
    const std::initializer_list<std::pair<std::string, std::string>>& wanted) {
    const auto items = list->getArray("items");
    for (std::size_t i = 0; i < items->size(); ++i) {
        auto item = items->getObject(static_cast<unsigned>(i));
        bool matches = true;
        for (const auto& [name, value] : wanted) {
            matches = matches && item->optValue<std::string>(name, "") == value;
        }
        if (matches) return item;
    }
    return nullptr;
}

}  // namespace larder::test
