#include "routing/route_text.hpp"

#include <Poco/Exception.h>
#include <Poco/JSON/Object.h>
#include <Poco/JSON/Parser.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <string>

#include "routing/route_table.hpp"

namespace larder::routing {
namespace {

[[noreturn]] void refuse(const Route& route, std::string_view where, std::string_view entry,
                         std::string_view expected) {
    throw Error(Errc::internal, "bad-declaration",
                fmt::format("route {} {}: its {} hold '{}'; expected {}", method_name(route.method),
                            route.pattern, where, entry, expected));
}

std::string_view trimmed(std::string_view text) {
    const auto is_blank = [](char c) { return c == ' ' || c == '\n' || c == '\t'; };
    while (!text.empty() && is_blank(text.front())) text.remove_prefix(1);
    while (!text.empty() && is_blank(text.back())) text.remove_suffix(1);
    return text;
}

std::vector<std::string_view> entries_of(std::string_view list) {
    std::vector<std::string_view> entries;
    while (!list.empty()) {
        const std::size_t end = std::min(list.find(';'), list.size());
        const std::string_view entry = trimmed(list.substr(0, end));
        if (!entry.empty()) entries.push_back(entry);
        list.remove_prefix(std::min(end + 1, list.size()));
    }
    return entries;
}

// Cuts `entry` at the first `mark`; the second part is empty where there is none.
std::pair<std::string_view, std::string_view> cut(std::string_view entry, char mark) {
    const std::size_t at = entry.find(mark);
    if (at == std::string_view::npos) return {entry, {}};
    return {trimmed(entry.substr(0, at)), trimmed(entry.substr(at + 1))};
}

std::vector<NamedText> named(const Route& route, std::string_view where, std::string_view list) {
    static constexpr std::array<std::string_view, 4> kTypes = {"string", "integer", "number",
                                                               "boolean"};
    std::vector<NamedText> all;
    for (const std::string_view entry : entries_of(list)) {
        const auto [head, text] = cut(entry, ':');
        auto [name, type] = cut(head, ' ');
        if (type.empty()) type = "string";
        if (name.empty() || text.empty() ||
            std::find(kTypes.begin(), kTypes.end(), type) == kTypes.end()) {
            refuse(route, where, entry, "'name: text' or 'name integer|number|boolean: text'");
        }
        all.push_back({name, type, text});
    }
    return all;
}

// The status that begins an entry, cut off it; 0 where there is none.
int take_status(std::string_view& entry) {
    int status = 0;
    const auto [end, error] = std::from_chars(entry.data(), entry.data() + entry.size(), status);
    if (error != std::errc{} || status < 200 || status > 599) return 0;
    entry = trimmed(entry.substr(static_cast<std::size_t>(end - entry.data())));
    return status;
}

void check_schema(const Route& route, std::string_view where, std::string_view schema) {
    if (schema.empty() || schema == "true") return;
    try {
        Poco::JSON::Parser parser;
        if (parser.parse(std::string(schema)).type() == typeid(Poco::JSON::Object::Ptr)) return;
    } catch (const Poco::Exception&) {  // told below, with the route
    }
    refuse(route, where, schema, "a JSON Schema that is an object or 'true'");
}

}  // namespace

RouteText read_route_text(const Route& route) {
    RouteText text;
    text.parameters = named(route, "parameters", route.parameters);
    text.answer_headers = named(route, "answer_headers", route.answer_headers);
    for (const std::string_view entry : entries_of(route.answers)) {
        std::string_view rest = entry;
        const int status = take_status(rest);
        if (status == 0) refuse(route, "answers", entry, "'200 application/json' or '204'");
        text.answers.push_back({status, rest});
    }
    if (text.answers.empty()) text.answers.push_back({200, "application/json"});
    for (const std::string_view entry : entries_of(route.problems)) {
        std::string_view rest = entry;
        const int status = take_status(rest);
        const auto [code, meaning] = cut(rest, ':');
        if (status < 400 || code.empty() || code.find(' ') != std::string_view::npos) {
            refuse(route, "problems", entry, "'404 some-code: what it means'");
        }
        text.problems.push_back({status, code, meaning});
    }
    check_schema(route, "schema", route.schema);
    check_schema(route, "answer_schema", route.answer_schema);
    return text;
}

}  // namespace larder::routing
