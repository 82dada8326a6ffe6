// Names that clients give their files, made safe to keep and to show, and the stored names made of
// them. Touches no file system.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace larder::files {

// What is kept as a file's original name: the last part of a path (of either slash), in normal form
// C, without control characters, bidirectional controls, leading dots, trailing dots and blanks; a
// reserved name of Windows gets a '_' in front; invalid UTF-8 becomes '_'; at most 255 bytes, cut
// between code points and before the extension. Empty where nothing is left. [any]
std::string sanitized_name(std::string_view name);

// `{base}_{unix seconds}.{ext}`, or with `-{number}` after the seconds where number is not 0; an
// empty base is `file`. At most 255 bytes. `name` is sanitized. [any]
std::string stored_name(std::string_view name, std::int64_t unix_seconds, unsigned number);

// The last extension of a sanitized name, case-folded, without its dot; empty where it has none.
std::string folded_extension(std::string_view name);

// ".exe, .com" as a list of folded extensions. [any]
std::vector<std::string> extension_list(std::string_view text);

// A Content-Disposition (RFC 6266): the name in ASCII, and in UTF-8 where that says more.
std::string content_disposition(std::string_view kind, std::string_view name);

}  // namespace larder::files
