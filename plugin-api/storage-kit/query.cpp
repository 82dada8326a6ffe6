#include "storage-kit/query.hpp"

#include <fmt/format.h>

#include <charconv>
#include <utility>

#include "storage-kit/cursor.hpp"
#include "storage-kit/json.hpp"

namespace larder::storage {

Error invalid_parameter(std::string_view name, std::string detail) {
    return std::move(Error(Errc::bad_request, "invalid-parameter", std::move(detail))
                         .with("parameter", json::quoted(name)));
}

Error invalid_cursor() {
    return std::move(Error(Errc::bad_request, "invalid-cursor",
                           "the cursor is not one that this list gave; begin without one")
                         .with("parameter", "\"cursor\""));
}

bool flag_of(const Request& request, std::string_view name, bool absent) {
    const auto value = request.query(name);
    if (!value) return absent;
    if (*value == "true") return true;
    if (*value == "false") return false;
    throw invalid_parameter(name, fmt::format("{} is true or false", name));
}

std::size_t limit_of(const Request& request, std::size_t by_default) {
    const auto text = request.query("limit");
    if (!text) return by_default;
    std::size_t limit = 0;
    const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), limit);
    if (error != std::errc() || end != text->data() + text->size() || limit < 1 ||
        limit > kMaxLimit) {
        throw invalid_parameter("limit", fmt::format("limit is 1 to {}", kMaxLimit));
    }
    return limit;
}

std::string after_of(const Request& request, std::string_view kind) {
    const auto text = request.query("cursor");
    if (!text) return {};
    const auto position = decode_cursor(kind, *text);
    if (position) return *position;
    throw invalid_cursor();
}

std::string next_json(std::string_view kind, std::string_view position) {
    return position.empty() ? "null" : fmt::format("\"{}\"", encode_cursor(kind, position));
}

}  // namespace larder::storage
