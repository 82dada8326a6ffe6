// Bodies in chunks (RFC 9112 §7.1), taken apart as strictly as heads are. Knows bytes only: no
// sockets.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "http/grammar.hpp"
#include "larder/http.hpp"

namespace larder::http {

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

}  // namespace larder::http
