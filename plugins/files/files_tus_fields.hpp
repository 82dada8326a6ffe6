// The header fields of tus 1.0.0 (https://tus.io/protocols/resumable-upload), read strictly. Knows
// no uploads.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "larder/http.hpp"

namespace larder::files::tus {

inline constexpr std::string_view kVersion = "1.0.0";
inline constexpr std::string_view kExtensions =
    "creation,creation-with-upload,creation-defer-length,expiration,checksum,checksum-trailer,"
    "termination,concatenation";
inline constexpr std::string_view kBodyType = "application/offset+octet-stream";

// All of them throw Error; malformed fields are Error{bad_request, "invalid-upload"}.

// Error{precondition_failed, "tus-version"} unless Tus-Resumable is kVersion.
void check_version(const Request& request);
// A decimal number that fits into 63 bits; nothing where the field is absent.
std::optional<std::uint64_t> number_field(const Request& request, std::string_view name);

struct Metadata {
    std::string raw;                   // as sent, given back as it came
    std::string filename, media_type;  // of the keys filename and filetype; may be empty
};
Metadata metadata_of(const Request& request);

struct Concat {
    bool partial = false, final = false;
    std::string raw;
    std::vector<std::string> ids;  // of the partial uploads, for a final one
};
Concat concat_of(const Request& request);

struct Sum {
    std::string algorithm, value;  // the value's bytes
};
// Upload-Checksum, of the request or its trailer.
Sum sum_of(std::string_view field);
bool announces_trailer(const Request& request);  // Trailer: Upload-Checksum

Error invalid_upload(std::string detail);

}  // namespace larder::files::tus
