#include "storage-kit/json_members.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <utility>

#include "storage-kit/json.hpp"

namespace larder::storage::json {

Error invalid_field(std::string_view pointer, std::string detail) {
    return std::move(Error(Errc::unprocessable, "invalid-field", std::move(detail))
                         .with("pointer", quoted(pointer)));
}

void check_body(std::string_view text) {
    try {
        check(text);
    } catch (const InvalidJson& fault) {
        throw Error(Errc::bad_request, "invalid-json",
                    fmt::format("the body is no JSON value: {}", fault.what()))
            .with("offset", std::to_string(fault.offset()));
    }
}

Members::Members(std::string_view object, std::string pointer) : pointer_(std::move(pointer)) {
    const std::size_t first = object.find_first_not_of(" \t\r\n");
    if (first == std::string_view::npos || object[first] != '{') {
        throw invalid_field(pointer_, "an object is wanted here");
    }
    for (Walk walk(object); walk.next();) {
        members_.push_back({unquoted(walk.name()), walk.value(), false});
    }
}

Members Members::of_body(std::string_view body, std::initializer_list<std::string_view> nullable) {
    check_body(body);
    Members members(body);
    members.refuses_null_ = true;
    std::erase_if(members.members_, [&](const Member& member) {
        return member.value == "null" &&
               std::find(nullable.begin(), nullable.end(), member.name) != nullable.end();
    });
    return members;
}

std::optional<std::string_view> Members::find(std::string_view name) const {
    for (const Member& member : members_) {
        if (member.name != name) continue;
        member.asked = true;
        return member.value;
    }
    return std::nullopt;
}

std::optional<std::string_view> Members::value(std::string_view name) const {
    const auto found = find(name);
    if (found != "null") return found;
    if (!refuses_null_) return std::nullopt;
    throw invalid_field(pointer_of(name), fmt::format("{} may be left out, but not be null", name));
}

std::optional<std::string> Members::text(std::string_view name, std::size_t most_bytes) const {
    const auto literal = value(name);
    if (!literal) return std::nullopt;
    if (!literal->starts_with('"')) {
        throw invalid_field(pointer_of(name), fmt::format("{} is a text", name));
    }
    std::string text = unquoted(*literal);
    if (text.size() <= most_bytes) return text;
    throw std::move(
        invalid_field(pointer_of(name), fmt::format("{} has at most {} bytes", name, most_bytes))
            .with("limit", std::to_string(most_bytes)));
}

std::string Members::required_text(std::string_view name, std::size_t most_bytes) const {
    auto found = text(name, most_bytes);
    if (found && !found->empty()) return std::move(*found);
    throw invalid_field(pointer_of(name), fmt::format("{} is missing or empty", name));
}

std::optional<double> Members::number(std::string_view name) const {
    const auto literal = value(name);
    if (!literal) return std::nullopt;
    double number = 0;
    const auto [end, error] =
        std::from_chars(literal->data(), literal->data() + literal->size(), number);
    if (error == std::errc() && end == literal->data() + literal->size() && std::isfinite(number)) {
        return number;
    }
    throw invalid_field(pointer_of(name), fmt::format("{} is a number of double precision", name));
}

std::optional<bool> Members::flag(std::string_view name) const {
    const auto literal = value(name);
    if (!literal) return std::nullopt;
    if (*literal == "true") return true;
    if (*literal == "false") return false;
    throw invalid_field(pointer_of(name), fmt::format("{} is true or false", name));
}

std::optional<std::string_view> Members::object(std::string_view name) const {
    const auto text = value(name);
    if (text && !text->starts_with('{')) {
        throw invalid_field(pointer_of(name), fmt::format("{} is an object", name));
    }
    return text;
}

std::vector<std::string> Members::texts(std::string_view name) const {
    std::vector<std::string> all;
    const auto array = value(name);
    if (!array) return all;
    if (!array->starts_with('[')) {
        throw invalid_field(pointer_of(name), fmt::format("{} is an array of texts", name));
    }
    for (Walk elements(*array); elements.next();) {
        if (!elements.value().starts_with('"')) {
            throw invalid_field(fmt::format("{}/{}", pointer_of(name), all.size()),
                                fmt::format("{} is an array of texts", name));
        }
        all.push_back(unquoted(elements.value()));
    }
    return all;
}

std::string Members::pointer_of(std::string_view name) const {
    std::string pointer = pointer_ + "/";
    for (const char c : name) {
        if (c == '~' || c == '/') {
            pointer += c == '~' ? "~0" : "~1";
        } else {
            pointer += c;
        }
    }
    return pointer;
}

void Members::end() const {
    for (const Member& member : members_) {
        if (!member.asked) throw invalid_field(pointer_of(member.name), "there is no such member");
    }
}

}  // namespace larder::storage::json
