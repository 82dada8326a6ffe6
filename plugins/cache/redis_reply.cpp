#include "redis_reply.hpp"

#include <fmt/format.h>
#include <hiredis/hiredis.h>

#include <new>

namespace larder::cache {

// Makes the parts of a reply that hiredis finds. Its own functions allocate what an array announces
// and do not look at the end of a text. A null ends the reply; nothing is thrown through hiredis.
struct ReplyReader::Builder {
    RedisReply root;
    std::size_t items = 0;
    const char* refused = nullptr;
    redisReplyObjectFunctions functions{text, array, integer, nil, release};

    static Builder& of(const redisReadTask* task) { return *static_cast<Builder*>(task->privdata); }

    RedisReply* refuse(const char* why) {
        refused = why;
        return nullptr;
    }

    // hiredis holds the arrays that are open, and these do not move: only the innermost one grows.
    RedisReply* add(const redisReadTask* task, RedisReply::Kind kind) noexcept {
        std::size_t depth = 0;
        for (const redisReadTask* at = task->parent; at != nullptr; at = at->parent) ++depth;
        if (depth > kMaxDepth) return refuse("a reply's arrays are too deep");
        RedisReply* reply = &root;
        if (depth == 0) {
            root = {};
            items = 0;
        } else if (++items > kMaxItems) {
            return refuse("a reply has more items than any of ours");
        } else {
            try {
                reply = &static_cast<RedisReply*>(task->parent->obj)->items.emplace_back();
            } catch (const std::bad_alloc&) {
                return refuse("there is no memory for a reply");
            }
        }
        reply->kind = kind;
        return reply;
    }

    static void* text(const redisReadTask* task, char* begin, std::size_t size) noexcept {
        Builder& builder = of(task);
        const std::string_view text(begin, size);
        if (size > kMaxText) return builder.refuse("a reply's text is too long");
        auto kind = RedisReply::Kind::bulk;
        if (task->type == REDIS_REPLY_STRING) {
            // Nothing is told of a text before the two bytes behind it have come, too.
            if (std::string_view(begin + size, 2) != "\r\n") {
                return builder.refuse("a reply's text does not end where it says");
            }
        } else {
            if (text.find_first_of("\r\n") != std::string_view::npos) {
                return builder.refuse("a reply's line does not end in CR LF");
            }
            kind = task->type == REDIS_REPLY_ERROR ? RedisReply::Kind::error
                                                   : RedisReply::Kind::status;
        }
        RedisReply* const reply = builder.add(task, kind);
        if (reply == nullptr) return nullptr;
        try {
            reply->text = text;
        } catch (const std::bad_alloc&) {
            return builder.refuse("there is no memory for a reply");
        }
        return reply;
    }

    static void* array(const redisReadTask* task, int count) noexcept {
        if (static_cast<std::size_t>(count) > kMaxItems) {
            return of(task).refuse("a reply announces more items than any of ours has");
        }
        return of(task).add(task, RedisReply::Kind::array);  // grows with what comes
    }

    static void* integer(const redisReadTask* task, long long value) noexcept {
        RedisReply* const reply = of(task).add(task, RedisReply::Kind::integer);
        if (reply != nullptr) reply->integer = value;
        return reply;
    }

    static void* nil(const redisReadTask* task) noexcept {
        return of(task).add(task, RedisReply::Kind::nil);
    }

    static void release(void*) noexcept {}  // all of it is in `root`
};

ReplyReader::ReplyReader()
    : builder_(std::make_unique<Builder>()),
      reader_(redisReaderCreateWithFunctions(&builder_->functions)) {
    if (reader_ == nullptr) throw std::bad_alloc();
    reader_->privdata = builder_.get();
}

ReplyReader::~ReplyReader() { redisReaderFree(reader_); }

void ReplyReader::feed(std::string_view bytes) {
    if (redisReaderFeed(reader_, bytes.data(), bytes.size()) != REDIS_OK) {
        throw BadReply(reader_->errstr);
    }
    unread_ += bytes.size();
}

std::optional<RedisReply> ReplyReader::next() {
    constexpr std::size_t kMostAround = 32;  // a text's length, and the ends of its two lines
    void* whole = nullptr;
    if (redisReaderGetReply(reader_, &whole) != REDIS_OK) {
        throw BadReply(builder_->refused != nullptr
                           ? builder_->refused
                           : fmt::format("a reply is malformed: {}", reader_->errstr));
    }
    const std::size_t pending = reader_->len - reader_->pos;
    if (whole != nullptr) {
        unread_ = pending;
        return std::exchange(builder_->root, {});
    }
    // hiredis waits for as much as is announced, and for the end of a line for ever.
    if (pending > kMaxText + kMostAround) throw BadReply("a reply's text is too long");
    if (unread_ > kMaxReply) throw BadReply("a reply is too long");
    return std::nullopt;
}

void append_command(std::string& out, const std::vector<std::string_view>& words) {
    std::vector<const char*> texts;
    std::vector<std::size_t> sizes;
    texts.reserve(words.size());
    sizes.reserve(words.size());
    for (const std::string_view word : words) {
        texts.push_back(word.data());
        sizes.push_back(word.size());
    }
    char* bytes = nullptr;
    const int size =
        redisFormatCommandArgv(&bytes, static_cast<int>(words.size()), texts.data(), sizes.data());
    if (size < 0) throw std::bad_alloc();
    const std::unique_ptr<char, void (*)(char*)> held(bytes, redisFreeCommand);
    out.append(bytes, static_cast<std::size_t>(size));
}

}  // namespace larder::cache
