#include "backup_members.hpp"

#include <fmt/format.h>

#include <cmath>

#include "storage-kit/json.hpp"
#include "storage-kit/timestamps.hpp"

namespace larder::backup {

namespace json = storage::json;

Members members_of_body(std::string_view body) {
    return Members::of_body(body.empty() ? std::string_view("{}") : body);
}

std::string text_of(const Members& members, std::string_view name) {
    return members.text(name, kMostText).value_or(std::string());
}

bool flag_of(const Members& members, std::string_view name) {
    return members.flag(name).value_or(false);
}

std::uint64_t whole_of(const Members& members, std::string_view name) {
    constexpr double kMost = 9007199254740992;
    const double number = members.number(name).value_or(0);
    if (number >= 0 && number <= kMost && std::floor(number) == number) {
        return static_cast<std::uint64_t>(number);
    }
    throw invalid_field(members.pointer_of(name),
                        fmt::format("{} is a whole number, 0 or more", name));
}

std::int64_t time_of(const Members& members, std::string_view name) {
    return storage::parse_rfc3339(text_of(members, name)).value_or(0);
}

std::string json_list(const std::vector<std::string>& texts) {
    std::string out = "[";
    for (const std::string& text : texts) {
        if (out.size() > 1) out += ',';
        json::append_quoted(out, text);
    }
    return out + "]";
}

std::string text_or_null(std::string_view text) {
    return text.empty() ? "null" : json::quoted(text);
}

}  // namespace larder::backup
