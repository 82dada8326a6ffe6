// Builds RFC 9457 problem documents by hand, since every refusal passes here and a JSON library
// would cost more than the answer; it decides no status beyond the table of Errc.
#include "http/problem.hpp"

#include <fmt/format.h>

#include <array>
#include <cstddef>
#include <utility>

namespace larder::http {

namespace {

// Length of the well-formed UTF-8 sequence at `text[at]` (RFC 3629), or 0.
std::size_t utf8_length(std::string_view text, std::size_t at) noexcept {
    const auto byte = [&](std::size_t i) {
        return i < text.size() ? static_cast<unsigned char>(text[i]) : 0U;
    };
    const auto tail = [&](std::size_t i) { return (byte(i) & 0xC0U) == 0x80U; };
    const unsigned lead = byte(at);
    if (lead < 0x80U) return 1;
    if (lead < 0xC2U || lead > 0xF4U || !tail(at + 1)) return 0;
    if (lead < 0xE0U) return 2;
    const unsigned second = byte(at + 1);
    if (!tail(at + 2)) return 0;
    if (lead < 0xF0U) {
        const bool overlong = lead == 0xE0U && second < 0xA0U;
        const bool surrogate = lead == 0xEDU && second >= 0xA0U;
        return overlong || surrogate ? 0 : 3;
    }
    if (!tail(at + 3)) return 0;
    const bool overlong = lead == 0xF0U && second < 0x90U;
    const bool beyond = lead == 0xF4U && second >= 0x90U;
    return overlong || beyond ? 0 : 4;
}

void append_quoted(std::string& out, std::string_view text) {
    out += '"';
    for (std::size_t i = 0; i < text.size();) {
        const char c = text[i];
        const std::size_t length = utf8_length(text, i);
        if (length != 1) {
            out += length == 0 ? std::string_view("\xEF\xBF\xBD") : text.substr(i, length);
            i += length == 0 ? 1 : length;
            continue;
        }
        ++i;
        switch (c) {
            case '"': out += "\\\""; break;
            case '\\': out += "\\\\"; break;
            case '\n': out += "\\n"; break;
            case '\r': out += "\\r"; break;
            case '\t': out += "\\t"; break;
            default:
                if (static_cast<unsigned char>(c) < 0x20U || c == 0x7F) {
                    fmt::format_to(std::back_inserter(out), "\\u{:04x}",
                                   static_cast<unsigned>(static_cast<unsigned char>(c)));
                } else {
                    out += c;
                }
        }
    }
    out += '"';
}

Response document(int status, std::string_view slug, std::string_view detail, std::string_view id,
                  const Headers& members) {
    std::string body;
    body.reserve(192 + slug.size() * 2 + detail.size() + id.size());
    body += R"({"type":)";
    append_quoted(body, fmt::format("urn:larder:problem:{}", slug));
    body += R"(,"title":)";
    append_quoted(body, reason_of(status));
    fmt::format_to(std::back_inserter(body), R"(,"status":{},"detail":)", status);
    append_quoted(body, detail);
    body += R"(,"code":)";
    append_quoted(body, slug);
    body += R"(,"request_id":)";
    append_quoted(body, id);
    for (const auto& [name, json] : members) {
        body += ',';
        append_quoted(body, name);
        body += ':';
        body += json;
    }
    body += "}\n";
    Response response;
    response.status = status;
    response.headers.emplace_back("Content-Type", "application/problem+json");
    response.body = std::move(body);
    return response;
}

}  // namespace

int status_of(Errc code) noexcept {
    switch (code) {
        case Errc::bad_request: return 400;
        case Errc::unauthorized: return 401;
        case Errc::forbidden: return 403;
        case Errc::not_found: return 404;
        case Errc::conflict: return 409;
        case Errc::gone: return 410;
        case Errc::precondition_failed: return 412;
        case Errc::too_large: return 413;
        case Errc::unsupported_media: return 415;
        case Errc::unprocessable: return 422;
        case Errc::too_many_requests: return 429;
        case Errc::unavailable: return 503;
        case Errc::no_space: return 507;
        case Errc::io_failed:
        case Errc::corrupt:
        case Errc::internal: break;
    }
    return 500;
}

std::string_view reason_of(int status) noexcept {
    struct Row {
        int status;
        std::string_view reason;
    };
    static constexpr std::array kRows{
        Row{100, "Continue"},
        Row{200, "OK"},
        Row{201, "Created"},
        Row{202, "Accepted"},
        Row{204, "No Content"},
        Row{206, "Partial Content"},
        Row{301, "Moved Permanently"},
        Row{302, "Found"},
        Row{303, "See Other"},
        Row{304, "Not Modified"},
        Row{307, "Temporary Redirect"},
        Row{308, "Permanent Redirect"},
        Row{400, "Bad Request"},
        Row{401, "Unauthorized"},
        Row{403, "Forbidden"},
        Row{404, "Not Found"},
        Row{405, "Method Not Allowed"},
        Row{406, "Not Acceptable"},
        Row{408, "Request Timeout"},
        Row{409, "Conflict"},
        Row{410, "Gone"},
        Row{411, "Length Required"},
        Row{412, "Precondition Failed"},
        Row{413, "Content Too Large"},
        Row{414, "URI Too Long"},
        Row{415, "Unsupported Media Type"},
        Row{416, "Range Not Satisfiable"},
        Row{417, "Expectation Failed"},
        Row{421, "Misdirected Request"},
        Row{422, "Unprocessable Content"},
        Row{423, "Locked"},
        Row{428, "Precondition Required"},
        Row{429, "Too Many Requests"},
        Row{431, "Request Header Fields Too Large"},
        Row{460, "Checksum Mismatch"},
        Row{500, "Internal Server Error"},
        Row{501, "Not Implemented"},
        Row{503, "Service Unavailable"},
        Row{504, "Gateway Timeout"},
        Row{505, "HTTP Version Not Supported"},
        Row{507, "Insufficient Storage"},
    };
    for (const Row& row : kRows) {
        if (row.status == status) return row.reason;
    }
    if (status < 200) return "Information";
    if (status < 300) return "Success";
    if (status < 400) return "Redirection";
    return status < 500 ? "Client Error" : "Server Error";
}

Response problem(int status, std::string_view slug, std::string_view detail, std::string_view id) {
    return document(status, slug, detail, id, {});
}

Response problem(const Error& error, std::string_view id) {
    Response response =
        document(status_of(error.code()), error.slug(), error.detail(), id, error.members());
    for (const auto& header : error.headers()) response.headers.push_back(header);
    return response;
}

std::string json_quoted(std::string_view text) {
    std::string out;
    out.reserve(text.size() + 2);
    append_quoted(out, text);
    return out;
}

}  // namespace larder::http
