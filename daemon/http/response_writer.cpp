// Heads are appended to a string whose capacity the connection keeps, so a warm one allocates
// nothing.
#include "http/response_writer.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <iterator>

#include "http/grammar.hpp"
#include "http/http.hpp"
#include "http/problem.hpp"

namespace larder::http {

namespace {

// What the front writes itself.
bool is_own_name(std::string_view name) noexcept {
    static constexpr std::array<std::string_view, 7> kOwn{
        "content-length", "transfer-encoding", "connection", "date",
        "x-request-id",   "keep-alive",        "upgrade"};
    return std::any_of(kOwn.begin(), kOwn.end(),
                       [&](std::string_view own) { return equals_ignoring_case(own, name); });
}

// A header that every answer has, unless the application wrote it.
struct Guard {
    std::string_view name, line;
};
// An answer is never sniffed, never a page that may do anything, and never part of another site's.
constexpr std::array<Guard, 3> kGuards{{
    {"X-Content-Type-Options", "X-Content-Type-Options: nosniff\r\n"},
    {"Content-Security-Policy", "Content-Security-Policy: default-src 'none'; sandbox\r\n"},
    {"Cross-Origin-Resource-Policy", "Cross-Origin-Resource-Policy: same-origin\r\n"},
}};

void append_guards(std::string& out, const Headers* headers) {
    for (const Guard& guard : kGuards) {
        const auto is_it = [&guard](const auto& header) {
            return equals_ignoring_case(header.first, guard.name);
        };
        if (headers != nullptr && std::any_of(headers->begin(), headers->end(), is_it)) continue;
        out += guard.line;
    }
}

void append_number(std::string& out, std::uint64_t number, int base = 10) {
    std::array<char, 20> digits;
    const auto written = std::to_chars(digits.data(), digits.data() + digits.size(), number, base);
    out.append(digits.data(), written.ptr);
}

}  // namespace

std::string refusal_of(int status, const Headers& headers) {
    if (status < 200 || status > 599) {
        return fmt::format("the status is {}; expected 200 to 599", status);
    }
    for (const auto& [name, value] : headers) {
        if (!is_token(name)) {
            return fmt::format("the header name {} is no token", json_quoted(name));
        }
        if (is_own_name(name)) {
            return fmt::format("the header {} is the front's to write; leave it out", name);
        }
        if (!is_field_value(value)) {
            return fmt::format("the header {} holds a control byte: {}", name, json_quoted(value));
        }
    }
    return {};
}

void append_head(std::string& out, const ResponseHead& head) {
    if (head.status == 200) {
        out += "HTTP/1.1 200 OK\r\n";
    } else {
        out += "HTTP/1.1 ";
        append_number(out, static_cast<std::uint64_t>(head.status));
        out += ' ';
        out += reason_of(head.status);
        out += "\r\n";
    }
    out += "Date: ";
    out += head.date;
    out += "\r\n";
    if (head.headers != nullptr) {
        for (const auto& [name, value] : *head.headers) {
            out += name;
            out += ": ";
            out += value;
            out += "\r\n";
        }
    }
    out += head.extra;
    append_guards(out, head.headers);
    if (head.framing == Framing::length) {
        out += "Content-Length: ";
        append_number(out, head.length);
        out += "\r\n";
    } else if (head.framing == Framing::chunked) {
        out += "Transfer-Encoding: chunked\r\n";
    }
    if (head.close) {
        out += "Connection: close\r\n";
    } else if (head.version == 10) {
        out += "Connection: keep-alive\r\n";
    }
    out += "X-Request-Id: ";
    out += head.id;
    out += "\r\n\r\n";
}

void append_chunk_size(std::string& out, std::uint64_t size) {
    append_number(out, size, 16);
    out += "\r\n";
}

}  // namespace larder::http
