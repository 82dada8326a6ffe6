#include "metrics_text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <utility>

#include "larder/time.hpp"
#include "storage-kit/json.hpp"
#include "storage-kit/query.hpp"
#include "storage-kit/timestamps.hpp"

namespace larder::metrics {
namespace {

constexpr double kMostHours = 24.0 * 3660;
constexpr std::int64_t kMostPoints = 2000, kUsualPoints = 200;

}  // namespace

std::string printable(std::string_view text, std::size_t most) {
    std::string out;
    while (!text.empty() && out.size() < most) {
        const std::size_t bad =
            std::min({storage::json::invalid_utf8(text), text.find('\0'), text.size()});
        out.append(text.substr(0, bad));
        text.remove_prefix(bad);
        if (text.empty()) break;
        out += "\xEF\xBF\xBD";
        text.remove_prefix(1);
    }
    if (out.size() <= most) return out;
    std::size_t end = most;
    while (end > 0 && (static_cast<unsigned char>(out[end]) & 0xC0U) == 0x80U) --end;
    out.resize(end);
    return out;
}

std::string text_or_null(std::string_view text) {
    return text.empty() ? "null" : storage::json::quoted(text);
}

std::string time_or_null(std::string_view sql_time) {
    if (sql_time.empty()) return "null";
    const auto ms = storage::parse_sql_time(sql_time);
    return storage::json::quoted(ms ? rfc3339(*ms) : std::string(sql_time));
}

std::string joined(const std::vector<std::string>& items) {
    std::string text;
    for (const std::string& item : items) text += (text.empty() ? "" : ",") + item;
    return text;
}

std::int64_t number_of(std::string_view position) {
    std::int64_t number = 0;
    std::from_chars(position.data(), position.data() + position.size(), number);
    return number;
}

std::string query_text(std::string_view raw) {
    std::string text;
    for (std::size_t at = 0; at < raw.size(); ++at) {
        unsigned byte = 0;
        const bool escaped =
            raw[at] == '%' && at + 2 < raw.size() &&
            std::from_chars(raw.data() + at + 1, raw.data() + at + 3, byte, 16).ptr ==
                raw.data() + at + 3;
        if (escaped) {
            text += static_cast<char>(byte);
            at += 2;
        } else {
            text += raw[at] == '+' ? ' ' : raw[at];
        }
    }
    return text;
}

double hours_of(const Request& request) {
    const auto text = request.query("hours");
    if (!text) return 24;
    double hours = 0;
    const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), hours);
    if (error != std::errc() || end != text->data() + text->size() || !(hours > 0) ||
        hours > kMostHours) {
        throw storage::invalid_parameter(
            "hours", fmt::format("hours is a number above 0, at most {:.0f}", kMostHours));
    }
    return hours;
}

std::int64_t step_of(const Request& request, double hours) {
    const auto seconds = static_cast<std::int64_t>(std::ceil(hours * 3600));
    const auto text = request.query("step");
    if (!text) {
        constexpr std::int64_t kSteps[] = {10, 60, 300, 600, 1800, 3600, 21'600, 86'400};
        for (const std::int64_t step : kSteps) {
            if (seconds / step <= kUsualPoints) return step;
        }
        return 604'800;
    }
    double given = 0;
    const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), given);
    if (error != std::errc() || end != text->data() + text->size() || !(given >= 1) ||
        given > 366.0 * 86400) {
        throw storage::invalid_parameter("step", "step is a number of seconds from 1");
    }
    const auto step = static_cast<std::int64_t>(given);
    if (seconds / step > kMostPoints) {
        throw storage::invalid_parameter(
            "step", fmt::format("these are more than {} points; a step of {} would do", kMostPoints,
                                seconds / kMostPoints + 1));
    }
    return step;
}

}  // namespace larder::metrics
