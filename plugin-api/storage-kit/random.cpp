#include "storage-kit/random.hpp"

#include <openssl/rand.h>

#include <array>
#include <cstring>

#include "larder/error.hpp"

namespace larder::storage {

void fill_random(std::span<unsigned char> bytes) {
    if (RAND_bytes(bytes.data(), static_cast<int>(bytes.size())) == 1) return;
    throw Error(Errc::internal, "internal", "there is no randomness")
        .because("OpenSSL's RAND_bytes failed");
}

std::string random_bytes(std::size_t count) {
    std::string bytes(count, '\0');
    fill_random({reinterpret_cast<unsigned char*>(bytes.data()), bytes.size()});
    return bytes;
}

std::uint64_t random_number() {
    std::array<unsigned char, sizeof(std::uint64_t)> bytes{};
    fill_random(bytes);
    std::uint64_t number = 0;
    std::memcpy(&number, bytes.data(), sizeof number);
    return number;
}

}  // namespace larder::storage
