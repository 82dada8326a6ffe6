#include "support/problem.hpp"

#include <Poco/Exception.h>
#include <Poco/JSON/Object.h>
#include <Poco/JSON/Parser.h>
#include <fmt/format.h>

#include <regex>

namespace larder::test {
namespace {

std::string fault_of_members(const Answer& answer, const Poco::JSON::Object& problem) {
    for (const char* name : {"type", "title", "detail", "code", "request_id"}) {
        if (!problem.has(name) || !problem.get(name).isString() ||
            problem.getValue<std::string>(name).empty()) {
            return fmt::format("its member '{}' is no text", name);
        }
    }
    if (!problem.has("status") || problem.getValue<int>("status") != answer.status) {
        return "its status is not that of the status line";
    }
    const auto code = problem.getValue<std::string>("code");
    static const std::regex kCode("[a-z0-9]+(-[a-z0-9]+)*");
    if (!std::regex_match(code, kCode)) return fmt::format("its code '{}' is no slug", code);
    if (problem.getValue<std::string>("type") != "urn:larder:problem:" + code) {
        return "its type does not name its code";
    }
    if (problem.getValue<std::string>("request_id") != answer.header("X-Request-Id")) {
        return "its request_id is not the X-Request-Id";
    }
    if (problem.getValue<std::string>("title") != answer.reason) {
        return "its title is not the reason phrase";
    }
    return {};
}

}  // namespace

std::string fault_of_problem(const Answer& answer) {
    const std::string type = answer.header("Content-Type");
    if (type != "application/problem+json") return fmt::format("its Content-Type is '{}'", type);
    static const std::regex kPath(
        "/(tmp|var|usr|etc|home|root|proc|run|opt|lib|build)/|\\.(cpp|hpp|so)\\b");
    if (std::regex_search(answer.body, kPath)) return "it names a path of the server";
    try {
        Poco::JSON::Parser parser;
        const auto problem = parser.parse(answer.body).extract<Poco::JSON::Object::Ptr>();
        return fault_of_members(answer, *problem);
    } catch (const Poco::Exception& error) {
        return fmt::format("it is no JSON object: {}", error.displayText());
    }
}

}  // namespace larder::test
