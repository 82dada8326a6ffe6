// Reads request heads in place and refuses every shape that two servers could read differently
// (RFC 9112; request smuggling). Knows bytes only: no sockets, no clock, so it is fuzzed as it is.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "http/http.hpp"

namespace larder::http {

// Why a request is not taken: the problem document's status, slug and detail.
struct Refusal {
    int status = 0;
    std::string slug, detail;
};

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

// Takes the chunked coding off a body (RFC 9112 §7.1), a piece at a time. [io]
class ChunkDecoder {
public:
    enum class State : std::uint8_t { more = 1, data, done, refused };
    struct Step {
        State state;
        std::size_t used;       // bytes of the input taken; what follows is for the next call
        std::string_view data;  // State::data: body bytes, a view into the input
    };

    Step step(std::string_view input);
    const Refusal& refusal() const noexcept { return refusal_; }
    bool done() const noexcept { return expect_ == Expect::done; }
    Headers take_trailers() noexcept { return std::move(trailers_); }

private:
    enum class Expect : std::uint8_t {
        size = 1,
        extension,
        size_lf,
        data,
        data_cr,
        data_lf,
        trailer,
        trailer_lf,
        done,
    };

    Step refuse(int status, std::string_view slug, std::string_view detail);
    bool size_byte(char c);
    bool trailer_line();

    Expect expect_ = Expect::size;
    std::uint64_t left_ = 0;  // of the chunk; while its size is read, the size so far
    unsigned digits_ = 0;
    std::size_t extension_bytes_ = 0, trailer_bytes_ = 0;
    std::string line_;  // the trailer line under way
    Headers trailers_;
    Refusal refusal_;
};

// RFC 9110 §5.6.2: letters, digits and !#$%&'*+-.^_`|~, at least one. [any]
bool is_token(std::string_view text) noexcept;
// A field value as RFC 9110 §5.5 has it: no control byte but HTAB. [any]
bool is_field_value(std::string_view text) noexcept;
bool equals_ignoring_case(std::string_view a, std::string_view b) noexcept;  // ASCII [any]
// uri-host [":" port], without user information (RFC 9110 §7.2). [any]
bool is_authority(std::string_view text) noexcept;

}  // namespace larder::http
