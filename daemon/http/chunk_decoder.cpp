// Byte by byte where framing stands, a view at a time where data does; no state lives outside the
// object, so input may be cut anywhere.
#include "http/chunk_decoder.hpp"

#include <algorithm>
#include <array>

#include "http/http.hpp"

namespace larder::http {

namespace {

constexpr std::size_t kExtensionBytes = 256;  // of all chunks of a body together
constexpr std::size_t kTrailerBytes = 8192;

// Fields that frame, route or authenticate would change a request after it was judged
// (RFC 9110 §6.5.1).
bool is_forbidden_trailer(std::string_view name) noexcept {
    static constexpr std::array<std::string_view, 23> kForbidden{"content-length",
                                                                 "transfer-encoding",
                                                                 "host",
                                                                 "trailer",
                                                                 "te",
                                                                 "connection",
                                                                 "keep-alive",
                                                                 "upgrade",
                                                                 "expect",
                                                                 "authorization",
                                                                 "proxy-authorization",
                                                                 "cookie",
                                                                 "content-type",
                                                                 "content-encoding",
                                                                 "content-range",
                                                                 "range",
                                                                 "if-match",
                                                                 "if-none-match",
                                                                 "if-range",
                                                                 "if-modified-since",
                                                                 "if-unmodified-since",
                                                                 "max-forwards",
                                                                 "cache-control"};
    return std::any_of(kForbidden.begin(), kForbidden.end(), [&](std::string_view forbidden) {
        return equals_ignoring_case(forbidden, name);
    });
}

}  // namespace

ChunkDecoder::Step ChunkDecoder::refuse(int status, std::string_view slug,
                                        std::string_view detail) {
    refusal_ = {status, std::string(slug), std::string(detail)};
    return {State::refused, 0, {}};
}

// False: no hex digit where one must stand, or too many of them.
bool ChunkDecoder::size_byte(char c) {
    if (!is_hex(c) || ++digits_ > 16 || left_ > (static_cast<std::uint64_t>(INT64_MAX) >> 4U)) {
        return false;
    }
    const char small = lower(c);
    const int value = is_decimal(small) ? small - '0' : small - 'a' + 10;
    left_ = left_ * 16 + static_cast<std::uint64_t>(value);
    return true;
}

ChunkDecoder::Step ChunkDecoder::step(std::string_view input) {
    std::size_t at = 0;
    while (at < input.size() && expect_ != Expect::done) {
        const char c = input[at];
        switch (expect_) {
            case Expect::size:
                if (digits_ > 0 && (c == '\r' || c == ';')) {
                    expect_ = c == ';' ? Expect::extension : Expect::size_lf;
                    if (c == ';') ++extension_bytes_;
                } else if (!size_byte(c)) {
                    return refuse(400, "bad-request", "a chunk size is not 1 to 16 hex digits");
                }
                ++at;
                break;
            case Expect::extension:
                if (c == '\r') {
                    expect_ = Expect::size_lf;
                } else if (!is_field_value({&c, 1})) {
                    return refuse(400, "bad-request", "a chunk extension holds a control byte");
                } else if (++extension_bytes_ > kExtensionBytes) {
                    return refuse(400, "bad-request", "the chunk extensions exceed 256 bytes");
                }
                ++at;
                break;
            case Expect::size_lf:
                if (c != '\n') {
                    return refuse(400, "bad-request", "a chunk's first line does not end in CR LF");
                }
                ++at;
                expect_ = left_ == 0 ? Expect::trailer : Expect::data;
                digits_ = 0;
                break;
            case Expect::data: {
                const std::size_t size = std::min<std::uint64_t>(left_, input.size() - at);
                left_ -= size;
                if (left_ == 0) expect_ = Expect::data_cr;
                return {State::data, at + size, input.substr(at, size)};
            }
            case Expect::data_cr:
            case Expect::data_lf:
                if (c != (expect_ == Expect::data_cr ? '\r' : '\n')) {
                    return refuse(400, "bad-request", "a chunk is not followed by CR LF");
                }
                ++at;
                expect_ = expect_ == Expect::data_cr ? Expect::data_lf : Expect::size;
                break;
            case Expect::trailer:
                if (++trailer_bytes_ > kTrailerBytes) {
                    return refuse(431, "headers-too-large", "the trailers exceed 8192 bytes");
                }
                ++at;
                if (c == '\r') {
                    expect_ = Expect::trailer_lf;
                } else if (!is_field_value({&c, 1})) {
                    return refuse(400, "bad-request", "a trailer holds a control byte");
                } else {
                    line_ += c;
                }
                break;
            case Expect::trailer_lf:
                if (c != '\n') {
                    return refuse(400, "bad-request", "a trailer line does not end in CR LF");
                }
                ++at;
                expect_ = line_.empty() ? Expect::done : Expect::trailer;
                if (!line_.empty() && !trailer_line()) {
                    return refuse(400, "bad-request",
                                  "a trailer is malformed or not allowed there");
                }
                break;
            case Expect::done: break;
        }
    }
    return {expect_ == Expect::done ? State::done : State::more, at, {}};
}

bool ChunkDecoder::trailer_line() {
    const std::size_t colon = line_.find(':');
    if (colon == std::string::npos) return false;
    const std::string_view name = std::string_view(line_).substr(0, colon);
    if (!is_token(name) || is_forbidden_trailer(name)) return false;
    trailers_.emplace_back(name, trimmed(std::string_view(line_).substr(colon + 1)));
    line_.clear();
    return true;
}

}  // namespace larder::http
