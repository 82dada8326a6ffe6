// What the text of one setting means, by its declared type: sizes, durations, flags, ranges. Not
// where the text came from.
//
//   text, path   as it stands; a path is absolute
//   integer      -3, 42
//   flag         true, false
//   bytes        512, 64KiB, 1MiB, 5GiB, 1TiB; decimal 64KB, 1MB, 5GB, 1TB
//   duration     500ms, 10s, 5m, 1h, 90d; 0 needs no unit
//   choice:a|b   one of the words
//
// A setting whose fallback is one of the words "off", "none" or "cores" takes that word as well;
// read as a number it is 0, and no range applies to it.
#pragma once

#include <chrono>
#include <cstdint>
#include <exception>
#include <string>
#include <string_view>
#include <vector>

#include "larder/plugin.hpp"

namespace larder::config {

enum class Kind : std::uint8_t { text = 1, integer, flag, bytes, duration, path, choice };

struct Value {
    Kind kind;
    std::string text;         // as written
    std::int64_t number = 0;  // integer; bytes; duration in ms; flag 0 or 1; else 0
};

// Says what was expected and what came; one line, without the setting's name.
class ValueError : public std::exception {
public:
    explicit ValueError(std::string message) : message_(std::move(message)) {}
    const char* what() const noexcept override { return message_.c_str(); }

private:
    std::string message_;
};

// Throws ValueError for a text that is not of the declared type or out of range, Error{internal}
// for a declaration that is itself malformed. [any]
Value parse_value(const Setting& setting, std::string_view text);

// Throws Error{internal} naming the setting unless its key, type, range, fallback and sentence are
// fit to be bound. [any]
void check_setting(const Setting& setting);

// Throw ValueError. Sizes and durations stay below 2^63. [any]
std::int64_t parse_integer(std::string_view text);
bool parse_flag(std::string_view text);
std::uint64_t parse_bytes(std::string_view text);
std::chrono::milliseconds parse_duration(std::string_view text);

// The type and range for a reader: "bytes, 1KiB to 64MiB". [any]
std::string describe_type(const Setting& setting);

// Parts of a comma-separated text, blanks around them cut, empty ones dropped. [any]
std::vector<std::string> split_list(std::string_view text);

}  // namespace larder::config
