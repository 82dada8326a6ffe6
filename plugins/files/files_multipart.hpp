// A multipart/form-data body (RFC 7578, RFC 2046 §5.1) that is pushed in as it comes: tells of
// parts and their bytes, holds back no more than a delimiter's length, and holds no part. What the
// parts are for is the listener's business.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace larder::files {

struct PartHead {
    std::string name;                     // of the form's field
    std::optional<std::string> filename;  // as sent: any bytes
    std::string content_type;             // empty where none was sent
};

class MultipartReader {
public:
    // Calls come in turn: begin_part, any number of part_bytes, end_part. What they throw goes
    // through to push().
    class Listener {
    public:
        virtual void begin_part(PartHead&& head) = 0;
        virtual void part_bytes(std::string_view bytes) = 0;
        virtual void end_part() = 0;

    protected:
        ~Listener() = default;
    };

    static constexpr std::size_t kMaxHead = 16U << 10U;  // bytes of one part's header section
    static constexpr std::size_t kMaxParts = 1000;
    static constexpr std::size_t kMaxPreamble = 64U << 10U;

    MultipartReader(std::string_view boundary, Listener& listener);

    // Both throw Error{bad_request, "invalid-multipart"} with `reason` and `offset`; nothing may be
    // pushed after that. finish(): the body is over; throws where it ended before the last
    // delimiter.
    void push(std::string_view bytes);
    void finish() const;

    // Bytes from here to the end of a body of `body_length` that cannot be a part's: at least the
    // last delimiter.
    std::uint64_t least_tail() const noexcept { return delimiter_.size() + 2; }
    std::uint64_t offset() const noexcept { return offset_; }  // bytes that were read through

private:
    enum class State : std::uint8_t {
        preamble = 1,
        after_delimiter,  // "--", or white space and a line's end
        head,
        body_begin,  // at the empty line behind the head
        body,
        epilogue,
    };

    bool step();  // false: more bytes are wanted
    bool skip_preamble();
    bool read_after_delimiter();
    bool read_head();
    bool begin_body();
    bool read_body();
    void take(std::size_t count);
    [[noreturn]] void refuse(std::string_view reason) const;

    const std::string delimiter_;  // CR LF "--" boundary
    Listener& listener_;
    std::string buffer_;
    std::size_t at_ = 0;        // in buffer_
    std::uint64_t offset_ = 0;  // of buffer_[at_] in the body
    std::size_t parts_ = 0;
    State state_ = State::preamble;
};

// The boundary of a Content-Type header. Throws Error{unsupported_media,"unsupported-media-type"}
// where it is not multipart/form-data, Error{bad_request, "invalid-multipart"} where the boundary
// is absent or not one of RFC 2046's (1 to 70 characters).
std::string boundary_of(std::string_view content_type);

}  // namespace larder::files
