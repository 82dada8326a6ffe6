#include "redis_reply.hpp"

#include <fmt/format.h>

#include <charconv>
#include <iterator>
#include <utility>

namespace larder::cache {
namespace {

std::int64_t number_of(std::string_view text) {
    std::int64_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc() || end != text.data() + text.size() || text.starts_with("-0") ||
        (text.size() > 1 && text.starts_with('0'))) {
        throw BadReply("a reply's number is none");
    }
    return number;
}

}  // namespace

std::optional<RedisReply> ReplyReader::next() {
    if (buffer_.size() < wanted_) return std::nullopt;
    RedisReply reply;
    std::size_t at = at_;
    missing_to_ = 0;
    if (!read(reply, at, 0)) {
        wanted_ = missing_to_;
        if (buffer_.size() - at_ > kMaxReply) throw BadReply("a reply is too long");
        return std::nullopt;
    }
    wanted_ = 0;
    at_ = at;
    if (at_ == buffer_.size()) {
        buffer_.clear();
        at_ = 0;
    }
    return reply;
}

// Without its CR LF; nothing while the end is missing.
std::optional<std::string_view> ReplyReader::line(std::size_t& at) const {
    const std::size_t end = buffer_.find('\r', at);
    if (end == std::string::npos || end + 1 >= buffer_.size()) {
        if (buffer_.size() - at > kMaxLine) throw BadReply("a reply's line is too long");
        return std::nullopt;
    }
    if (buffer_[end + 1] != '\n') throw BadReply("a reply's line does not end in CR LF");
    if (end - at > kMaxLine) throw BadReply("a reply's line is too long");
    const std::string_view found = std::string_view(buffer_).substr(at, end - at);
    at = end + 2;
    return found;
}

bool ReplyReader::read(RedisReply& reply, std::size_t& at, std::size_t depth) const {
    if (depth > kMaxDepth) throw BadReply("a reply's arrays are too deep");
    if (at == buffer_.size()) return false;
    const char kind = buffer_[at];
    if (std::string_view("+-:$*").find(kind) == std::string_view::npos) {
        throw BadReply("a reply begins with what begins none");
    }
    const auto head = line(at);
    if (!head) return false;
    const std::string_view text = head->substr(1);
    reply.kind = static_cast<RedisReply::Kind>(kind);
    if (kind == '+' || kind == '-') {
        reply.text = text;
        return true;
    }
    const std::int64_t number = number_of(text);
    if (kind == ':') {
        reply.integer = number;
        return true;
    }
    if (number == -1) {
        reply.kind = RedisReply::Kind::nil;
        return true;
    }
    const auto size = static_cast<std::size_t>(number);
    if (number < 0 || size > (kind == '$' ? kMaxBulk : kMaxItems)) {
        throw BadReply("a reply announces more than any of ours holds");
    }
    if (kind == '$') {
        if (buffer_.size() - at < size + 2) {
            missing_to_ = at + size + 2;
            return false;
        }
        if (buffer_[at + size] != '\r' || buffer_[at + size + 1] != '\n') {
            throw BadReply("a reply's text does not end where it says");
        }
        reply.text = buffer_.substr(at, size);
        at += size + 2;
        return true;
    }
    for (std::size_t i = 0; i < size; ++i) {  // grows with what comes, not with what is announced
        RedisReply item;
        if (!read(item, at, depth + 1)) return false;
        reply.items.push_back(std::move(item));
    }
    return true;
}

void append_command(std::string& out, const std::vector<std::string_view>& words) {
    fmt::format_to(std::back_inserter(out), "*{}\r\n", words.size());
    for (const std::string_view word : words) {
        fmt::format_to(std::back_inserter(out), "${}\r\n", word.size());
        out.append(word).append("\r\n");
    }
}

}  // namespace larder::cache
