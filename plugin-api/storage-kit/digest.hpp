// SHA-256 for what must not be forged or must be told apart for certain, CRC-32C for what may only
// be torn. Not for secrets: nothing here is keyed or takes constant time.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace larder::storage {

// FIPS 180-4, of text that comes in pieces. Throws std::runtime_error when OpenSSL has none.
// [any, one thread at a time]
class Sha256 {
public:
    static constexpr std::size_t kBytes = 32;
    using Digest = std::array<unsigned char, kBytes>;

    Sha256();
    ~Sha256();
    Sha256(const Sha256&) = delete;
    Sha256& operator=(const Sha256&) = delete;

    void update(std::string_view data);
    Digest finish();  // and starts anew
    std::string finish_hex() { return hex(finish()); }

    static std::string hex(const Digest& digest);  // 64 lower-case digits

private:
    struct Context;
    std::unique_ptr<Context> context_;
};

// CRC-32C (Castagnoli, RFC 3720 appendix B.4), continued from `crc`, 0 at the start. [any]
std::uint32_t crc32c(std::string_view data, std::uint32_t crc = 0) noexcept;

}  // namespace larder::storage
