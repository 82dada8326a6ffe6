// Writes the head of an answer: status line, the application's headers once they are judged, and
// the front's own. Not the body, and no sockets.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "larder/http.hpp"

namespace larder::http {

// How the end of a body is told.
enum class Framing : std::uint8_t {
    none = 1,    // 1xx, 204: no length at all
    length,      // Content-Length
    chunked,     // Transfer-Encoding: chunked
    until_close  // HTTP/1.0 without a length
};

struct ResponseHead {
    int status = 200;
    const Headers* headers = nullptr;
    std::string_view extra;  // whole lines, already judged: "Content-Type: text/event-stream\r\n"
    Framing framing = Framing::length;
    std::uint64_t length = 0;
    bool close = false;  // else the connection is kept
    unsigned version = 11;
    std::string_view date, id;
};

// Why these headers cannot be sent, in a sentence; empty if they can. CR, LF and NUL would split
// the answer, and the front's own names would frame it twice. [any]
std::string refusal_of(int status, const Headers& headers);

// Appends status line, headers and the empty line, and what keeps a browser from taking an answer
// for a page, or another site's page from embedding it (where the application says something of
// that, its word stands). [any]
void append_head(std::string& out, const ResponseHead& head);

// A chunk's first line, "1a\r\n". [any]
void append_chunk_size(std::string& out, std::uint64_t size);

}  // namespace larder::http
