#include "routing/conditions.hpp"

#include <algorithm>

#include "larder/conditional.hpp"

namespace larder::routing {
namespace {

const std::string* header_of(const Response& response, std::string_view name) {
    const auto found = std::find_if(
        response.headers.begin(), response.headers.end(),
        [name](const auto& header) { return http::equals_ignoring_case(header.first, name); });
    return found == response.headers.end() ? nullptr : &found->second;
}

// All of its lines are one list.
bool names_none(const http::Head& head, std::string_view etag) {
    return std::none_of(head.fields.begin(), head.fields.end(), [&](const http::Field& field) {
        return http::equals_ignoring_case(field.name, "If-None-Match") &&
               names_etag(field.value, etag, true);
    });
}

bool is_unmodified(const http::Head& head, const Response& response) {
    const std::string* etag = header_of(response, "ETag");
    if (head.field("If-None-Match")) return etag != nullptr && !names_none(head, *etag);
    const auto since = head.field("If-Modified-Since");
    const std::string* modified = header_of(response, "Last-Modified");
    if (!since || modified == nullptr) return false;
    const auto since_time = parse_http_date(*since);
    const auto modified_time = parse_http_date(*modified);
    return since_time && modified_time && *modified_time <= *since_time;
}

}  // namespace

void apply_conditions(const http::Head& head, Response& response) {
    if (response.status != 200 || (head.method != "GET" && head.method != "HEAD")) return;
    if (!head.field("If-None-Match") && !head.field("If-Modified-Since")) return;
    if (!is_unmodified(head, response)) return;
    response.status = 304;
    response.body = std::monostate{};
    // RFC 9110 §15.4.5: what describes the representation stays, what describes these bytes goes.
    std::erase_if(response.headers, [](const auto& header) {
        return http::equals_ignoring_case(header.first, "Content-Type") ||
               http::equals_ignoring_case(header.first, "Content-Disposition");
    });
}

}  // namespace larder::routing
