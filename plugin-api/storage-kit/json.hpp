// Strict JSON text (RFC 8259) for values that are kept as they were sent: checked and stripped of
// white space outside strings, numbers never rewritten. Not a document model: reading is
// simdjson's.
#pragma once

#include <cstddef>
#include <exception>
#include <string>
#include <string_view>

namespace larder::storage::json {

inline constexpr std::size_t kMaxDepth = 1024;

class InvalidJson : public std::exception {
public:
    InvalidJson(std::size_t offset, const char* why) : offset_(offset), why_(why) {}
    std::size_t offset() const noexcept { return offset_; }  // byte where it went wrong
    const char* what() const noexcept override { return why_; }

private:
    std::size_t offset_;
    const char* why_;
};

// One JSON value, without white space outside strings. Throws InvalidJson for anything RFC 8259
// does not allow and for: duplicate names (compared as the text they stand for), lone surrogates,
// invalid UTF-8, a byte order mark, more than `max_depth` arrays and objects inside each other.
// Time and memory grow no faster than n log n, whatever the text. [any]
std::string compact(std::string_view text, std::size_t max_depth = kMaxDepth);
void check(std::string_view text, std::size_t max_depth = kMaxDepth);

// A JSON string literal, quotes included; invalid UTF-8 becomes U+FFFD. [any]
std::string quoted(std::string_view text);
void append_quoted(std::string& out, std::string_view text);

// The text that a literal stands for. The literal must have passed check(). [any]
std::string unquoted(std::string_view literal);

// The first byte that is not UTF-8 (RFC 3629), npos where all is. [any]
std::size_t invalid_utf8(std::string_view text);

// Walks the members of an object or the elements of an array, one level deep, in their order. The
// text must have passed check(); views point into it. [any, one thread at a time]
class Walk {
public:
    // `container` begins with its bracket, but for white space; anything else has no children.
    explicit Walk(std::string_view container);

    bool next();  // false at the end
    // Of the child that next() came to: its name as a literal (empty in arrays), its text without
    // white space around it.
    std::string_view name() const noexcept { return name_; }
    std::string_view value() const noexcept { return value_; }

private:
    std::string_view text_, name_, value_;
    std::size_t at_ = 0;
    bool object_ = false;
};

}  // namespace larder::storage::json
