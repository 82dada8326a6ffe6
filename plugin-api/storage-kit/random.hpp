// Bytes that nobody can foresee, good for keys and secrets: OpenSSL's generator, which the kernel
// seeds. Throws Error{internal} where there is none. [any]
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace larder::storage {

void fill_random(std::span<unsigned char> bytes);
std::string random_bytes(std::size_t count);
std::uint64_t random_number();

}  // namespace larder::storage
