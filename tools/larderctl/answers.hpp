// What commands do with the daemon's JSON answers: pass them on as they are, or take members for a
// table.
#pragma once

#include <Poco/JSON/Object.h>
#include <Poco/JSON/Parser.h>

#include <iostream>
#include <string>

#include "command.hpp"

namespace larder::ctl {

// A member as it stands; "-" where there is none.
inline std::string text_of(const Poco::JSON::Object::Ptr& object, const std::string& member) {
    return !object->has(member) || object->isNull(member) ? "-" : object->get(member).toString();
}

// Of an answer that is an object; what is none throws Poco::Exception, as Client::object() does.
inline Poco::JSON::Object::Ptr object_in(const std::string& body) {
    return Poco::JSON::Parser().parse(body).extract<Poco::JSON::Object::Ptr>();
}

inline int print_json(const Answer& answer) {
    std::cout << answer.body << (answer.body.ends_with('\n') ? "" : "\n");
    return answer.is_good() ? kOk : kRefused;
}

}  // namespace larder::ctl
