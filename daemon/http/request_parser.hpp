// Reads request heads in place and refuses every shape that two servers could read differently
// (RFC 9112; request smuggling). Knows bytes only: no sockets, no clock, so it is fuzzed as it is.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "http/grammar.hpp"
#include "http/http.hpp"

namespace larder::http {

struct HeadLimits {
    std::size_t max_head = 32U << 10U;   // header section in bytes, else 431
    std::size_t max_target = 8U << 10U;  // else 414
    std::size_t max_fields = 100;        // else 431
};

// One request head after the other. Calls on one thread. [io]
class RequestParser {
public:
    enum class Verdict : std::uint8_t { need_more = 1, ready, refused };

    // Looks at `bytes`, which begin where the head (or empty lines before it) begins and have grown
    // since the last call, but may lie elsewhere. `ready`: `head` holds views into `bytes` (and
    // into this parser, for an absolute-form target without a path); size() says where the head
    // ends.
    Verdict feed(std::string_view bytes, const HeadLimits& limits, Head& head);

    std::size_t size() const noexcept { return scanned_; }
    bool keep_alive() const noexcept { return keep_alive_; }  // as the client wishes
    // A head has begun: a byte other than the empty lines that may stand before it was seen.
    bool begun() const noexcept { return begun_; }
    const Refusal& refusal() const noexcept { return refusal_; }

    void reset() noexcept;  // before the next head

private:
    Verdict refuse(int status, std::string_view slug, std::string detail);
    Verdict scan_line(std::string_view bytes, const HeadLimits& limits);
    Verdict end_of_line(std::string_view bytes, std::size_t end, const HeadLimits& limits);
    Verdict request_line(std::string_view line, const HeadLimits& limits);
    Verdict parse_fields(std::string_view bytes, Head& head);
    Verdict judge_target(Head& head);
    Verdict judge_framing(Head& head);

    std::size_t scanned_ = 0;    // all lines up to here are looked at; the present one begins here
    std::size_t searched_ = 0;   // no CR, LF or NUL between scanned_ and here
    std::size_t start_ = 0;      // of the request line
    std::size_t fields_at_ = 0;  // 0: the request line is not whole yet
    std::size_t field_count_ = 0;
    unsigned empty_lines_ = 0;
    bool begun_ = false, done_ = false;
    bool keep_alive_ = true;
    std::string rewritten_;  // "/?query" of "http://host?query"
    Refusal refusal_;
};

}  // namespace larder::http
