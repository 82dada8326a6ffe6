// Sums that clients send and are sent: the algorithms of tus' checksum extension, and the digest
// fields of RFC 9530. Not the SHA-256 of stored files, which is storage-kit's.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace larder::files {

// A sum over bytes that come in pieces. [any, one thread at a time]
class Checksum {
public:
    virtual void update(std::string_view bytes) = 0;
    virtual std::string finish() = 0;  // its bytes, big-endian for crc32c; once
    virtual ~Checksum() = default;
    // Null for an algorithm that is none of kChecksumAlgorithms.
    static std::unique_ptr<Checksum> of(std::string_view algorithm);
};
inline constexpr std::string_view kChecksumAlgorithms = "sha1,sha256,crc32c";

// "sha-256=:<base64>:" of a file's hash in hexadecimal.
std::string digest_field(std::string_view sha256_hex);

// The sha-256 in hexadecimal that a Content-Digest or Repr-Digest field names; nothing where it
// names none. Throws Error{bad_request, "digest-mismatch"} where what it names cannot be one.
std::optional<std::string> sha256_in(std::string_view field);

}  // namespace larder::files
