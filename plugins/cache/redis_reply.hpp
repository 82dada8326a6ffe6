// Replies of a Redis (RESP2), read by hiredis from bytes as they come. What hiredis would believe
// it is not left to: a reply is built here, and everything in it has a cap. It reads no socket.
#pragma once

#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

struct redisReader;  // of hiredis

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
    explicit BadReply(std::string why) : why_(std::move(why)) {}
    const char* what() const noexcept override { return why_.c_str(); }

private:
    std::string why_;
};

class ReplyReader {
public:
    // Of a reply: its items, in all its arrays together, and how deep these are; a text or a line;
    // all of its bytes.
    static constexpr std::size_t kMaxItems = 65536, kMaxDepth = 4, kMaxText = 4U << 20U,
                                 kMaxReply = 64U << 20U;

    ReplyReader();
    ~ReplyReader();
    ReplyReader(const ReplyReader&) = delete;
    ReplyReader& operator=(const ReplyReader&) = delete;

    void feed(std::string_view bytes);  // throws BadReply
    // The next whole reply; nothing while bytes of it are missing. Throws BadReply.
    std::optional<RedisReply> next();
    bool is_empty() const noexcept { return unread_ == 0; }

private:
    struct Builder;

    std::unique_ptr<Builder> builder_;
    redisReader* reader_;
    std::size_t unread_ = 0;  // bytes behind the latest whole reply
};

// A command as it goes over the wire.
void append_command(std::string& out, const std::vector<std::string_view>& words);

}  // namespace larder::cache
