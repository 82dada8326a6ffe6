// Strict JSON text (RFC 8259) for values that are kept as they were sent: checked and stripped of
// white space outside strings, numbers never rewritten. Not a document model: reading is
// simdjson's.
#pragma once

#include <cstddef>
#include <exception>
#include <string>
#include <string_view>
#include <vector>

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

// The same without a copy where the literal has no escapes; the copy is made in `scratch`. [any]
std::string_view text_of(std::string_view literal, std::string& scratch);

// How many arrays and objects stand inside each other at the deepest. The text must have passed
// check(). [any]
std::size_t depth_of(std::string_view text);

// Where the long containers of a text end. To walk into each of 1,000 levels is to pass over the
// innermost 1,000 times; with this it is passed over once. The text must have passed check() and
// must stay where it is. [any, one thread at a time while it is made]
class LongParts {
public:
    LongParts() = default;
    explicit LongParts(std::string_view text);

    // Past the container that begins there, null where it is not known, being short.
    const char* end_of(const char* begin) const noexcept;

private:
    struct Part {
        const char *begin, *end;
    };

    std::vector<Part> parts_;  // ascending
};

// Walks the members of an object or the elements of an array, one level deep, in their order. The
// text must have passed check(); views point into it. [any, one thread at a time]
class Walk {
public:
    // `container` begins with its bracket, but for white space, and may go on after its end;
    // anything else has no children. `known` shortens the way and must outlive the walk.
    explicit Walk(std::string_view container, const LongParts* known = nullptr);
    // Elements without brackets around them.
    static Walk elements(std::string_view run, const LongParts* known = nullptr);

    bool next();  // false at the end
    // Of the child that next() came to: its name as a literal (empty in arrays), its text without
    // white space around it.
    std::string_view name() const noexcept { return name_; }
    std::string_view value();
    // From the child's first byte on, beyond its end too: to walk into it, its end need not be
    // known.
    std::string_view rest() const noexcept { return text_.substr(at_); }

private:
    Walk() = default;
    std::size_t after_child() const;

    std::string_view text_, name_, value_;
    std::size_t at_ = 0;   // of the child, or of what comes first
    bool within_ = false;  // a child stands at at_
    bool object_ = false;
    const LongParts* known_ = nullptr;
};

}  // namespace larder::storage::json
