// Replies of a Redis (RESP2), read from bytes as they come, believing nothing: every length has a
// cap, numbers are canonical, a bulk string ends where it says. It reads no socket.
#pragma once

#include <cstddef>
#include <cstdint>
#include <exception>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace larder::cache {

struct RedisReply {
    enum class Kind : char {
        status = '+',
        error = '-',
        integer = ':',
        bulk = '$',
        array = '*',
        nil = '_'
    };
    Kind kind = Kind::nil;
    std::string text;  // of status, error, bulk
    std::int64_t integer = 0;
    std::vector<RedisReply> items;  // of an array

    bool is_text() const noexcept { return kind == Kind::bulk || kind == Kind::status; }
};

// What came is no reply: nothing on that connection can be believed any more.
class BadReply : public std::exception {
public:
    explicit BadReply(const char* why) : why_(why) {}
    const char* what() const noexcept override { return why_; }

private:
    const char* why_;
};

class ReplyReader {
public:
    static constexpr std::size_t kMaxBulk = 4U << 20U, kMaxItems = 65536, kMaxDepth = 4,
                                 kMaxLine = 4096, kMaxReply = 64U << 20U;

    void feed(std::string_view bytes) { buffer_.append(bytes); }
    // The next whole reply; nothing while bytes of it are missing. Throws BadReply.
    std::optional<RedisReply> next();
    bool is_empty() const noexcept { return at_ == buffer_.size(); }

private:
    bool read(RedisReply& reply, std::size_t& at, std::size_t depth) const;
    std::optional<std::string_view> line(std::size_t& at) const;

    std::string buffer_;
    std::size_t at_ = 0;
    std::size_t wanted_ = 0;  // until the buffer has so many bytes, looking again is of no use
    mutable std::size_t missing_to_ = 0;
};

// A command as it goes over the wire.
void append_command(std::string& out, const std::vector<std::string_view>& words);

}  // namespace larder::cache
