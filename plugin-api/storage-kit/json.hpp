// Strict JSON text (RFC 8259) for values that are kept as they were sent: checked and stripped of
// white space outside strings, numbers never rewritten. Not a document model: reading is simdjson's.
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

// One JSON value, without white space outside strings. Throws InvalidJson for anything RFC 8259 does
// not allow and for: duplicate names, lone surrogates, invalid UTF-8, depth over kMaxDepth. [any]
std::string compact(std::string_view text);
void check(std::string_view text);

// A JSON string literal, quotes included; invalid UTF-8 becomes U+FFFD. [any]
std::string quoted(std::string_view text);
void append_quoted(std::string& out, std::string_view text);

// The text that a literal stands for. The literal must have passed check(). [any]
std::string unquoted(std::string_view literal);

}  // namespace larder::storage::json
