#include "cache_answers.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>

#include "storage-kit/query.hpp"

namespace larder::cache {

std::optional<std::int64_t> seconds_of(const Request& request, std::string_view name, double least,
                                       double most) {
    const auto text = request.query(name);
    if (!text) return std::nullopt;
    double seconds = 0;
    const char* const end = text->data() + text->size();
    const auto read = std::from_chars(text->data(), end, seconds);
    if (read.ec == std::errc() && read.ptr == end && seconds >= least && seconds <= most) {
        return static_cast<std::int64_t>(std::ceil(seconds * 1000));
    }
    throw storage::invalid_parameter(name,
                                     fmt::format("{} is {} to {} seconds", name, least, most));
}

std::string name_of(const Request& request) {
    constexpr std::size_t kMost = 64;
    const std::string_view name = request.param("name");
    const bool plain = std::all_of(name.begin(), name.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               c == '.' || c == '_' || c == '-';
    });
    if (plain && !name.empty() && name.size() <= kMost) return std::string(name);
    throw Error(Errc::bad_request, "invalid-name",
                "a name is 1-64 of letters, digits, '.', '_' and '-'");
}

std::string number_json(double number) {
    if (number == 0) return "0";  // also of -0
    return fmt::format("{}", number);
}

}  // namespace larder::cache
