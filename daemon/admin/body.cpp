#include "admin/body.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>

#include "storage-kit/json.hpp"

namespace larder::admin {
namespace {

namespace json = storage::json;

bool is_text(std::string_view value) noexcept { return value.starts_with('"'); }

}  // namespace

Error invalid_field(std::string_view pointer, std::string detail) {
    return std::move(Error(Errc::unprocessable, "invalid-field", std::move(detail))
                         .with("pointer", json::quoted(pointer)));
}

Body::Body(std::string_view text, std::initializer_list<std::string_view> known)
    : text_(text.empty() ? "{}" : text) {
    try {
        json::check(text_);
    } catch (const json::InvalidJson& error) {
        throw Error(Errc::bad_request, "invalid-json",
                    fmt::format("the body is no JSON value: {}", error.what()))
            .with("offset", std::to_string(error.offset()));
    }
    const std::size_t first = text_.find_first_not_of(" \t\r\n");
    if (text_[first] != '{') throw invalid_field("", "expected a JSON object");
    json::Walk walk(text_);
    while (walk.next()) {
        std::string name = json::unquoted(walk.name());
        if (std::find(known.begin(), known.end(), name) == known.end()) {
            throw invalid_field("/" + name, fmt::format("there is no such member; expected {}",
                                                        fmt::join(known, ", ")));
        }
        members_.emplace_back(std::move(name), walk.value());
    }
}

const std::string_view* Body::find(std::string_view name) const noexcept {
    for (const auto& [known, value] : members_) {
        if (known == name) return &value;
    }
    return nullptr;
}

bool Body::is_null(std::string_view name) const noexcept {
    const auto* const value = find(name);
    return value != nullptr && *value == "null";
}

std::optional<std::string> Body::text(std::string_view name) const {
    const auto* const value = find(name);
    if (value == nullptr) return std::nullopt;
    if (!is_text(*value)) throw invalid_field(fmt::format("/{}", name), "expected a string");
    return json::unquoted(*value);
}

std::string Body::required(std::string_view name) const {
    auto value = text(name);
    if (!value) {
        throw invalid_field(fmt::format("/{}", name), fmt::format("the body lacks {}", name));
    }
    return *std::move(value);
}

std::optional<bool> Body::flag(std::string_view name) const {
    const auto* const value = find(name);
    if (value == nullptr) return std::nullopt;
    if (*value == "true" || *value == "false") return *value == "true";
    throw invalid_field(fmt::format("/{}", name), "expected true or false");
}

std::optional<std::int64_t> Body::integer(std::string_view name, std::int64_t least,
                                          std::int64_t most) const {
    const auto* const value = find(name);
    if (value == nullptr) return std::nullopt;
    std::int64_t number = 0;
    const auto read = std::from_chars(value->data(), value->data() + value->size(), number);
    const bool whole = read.ec == std::errc() && read.ptr == value->data() + value->size();
    if (whole && number >= least && number <= most) return number;
    throw invalid_field(fmt::format("/{}", name),
                        fmt::format("expected an integer from {} to {}", least, most));
}

std::optional<std::vector<std::string>> Body::texts(std::string_view name) const {
    const auto* const value = find(name);
    if (value == nullptr) return std::nullopt;
    if (!value->starts_with('[')) {
        throw invalid_field(fmt::format("/{}", name), "expected an array of strings");
    }
    std::vector<std::string> texts;
    json::Walk elements(*value);
    while (elements.next()) {
        if (!is_text(elements.value())) {
            throw invalid_field(fmt::format("/{}/{}", name, texts.size()), "expected a string");
        }
        texts.push_back(json::unquoted(elements.value()));
    }
    return texts;
}

}  // namespace larder::admin
