// Reads the text of an .ini file strictly, so that a slip is a message with a line and never a
// silent default. Not a configuration: what keys mean, and which exist, is configuration.hpp's
// business.
//
//   # a comment, on a line of its own; ';' does as well
//   [section]
//   key = value
//   quoted = " kept blanks, \" and \\ "
//
// UTF-8; lines end in LF or CRLF; blanks around names and values are cut. No continuation lines, no
// includes, no second section or key of the same name.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace larder::config {

inline constexpr std::size_t kMaxIniFile = 1U << 20U;   // bytes
inline constexpr std::size_t kMaxIniLine = 64U << 10U;  // bytes
inline constexpr std::size_t kMaxIniName = 64;          // bytes, of a section or key
inline constexpr std::size_t kMaxIniFaults = 50;        // a file that is no .ini at all stops here

struct IniSection {
    std::string name;
    unsigned line;  // from 1
};

struct IniEntry {
    std::string section, key, value;
    unsigned line;
};

struct IniFault {
    unsigned line;  // 0: the file as a whole
    std::string message;
};

// In the order of the file. With faults, the rest is what could be understood all the same, so that
// one look shows the admin every mistake; it must not be put in force.
struct IniDocument {
    std::vector<IniSection> sections;
    std::vector<IniEntry> entries;
    std::vector<IniFault> faults;
};

// Never throws but std::bad_alloc, whatever the bytes. [any]
IniDocument parse_ini(std::string_view text);

// [a-z][a-z0-9_]*, at most kMaxIniName bytes. [any]
bool is_ini_name(std::string_view name) noexcept;

// True for well-formed UTF-8: no overlong forms, no surrogates, nothing over U+10FFFF. [any]
bool is_utf8(std::string_view text) noexcept;

// `text` for a message: control bytes as \xHH, cut after 60 bytes. [any]
std::string shown(std::string_view text);

}  // namespace larder::config
