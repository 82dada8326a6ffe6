// Sums by OpenSSL's EVP and by the processor's CRC instruction. Not the place for keyed ones.
#include "storage-kit/digest.hpp"
#include "storage-kit/encodings.hpp"

#include <openssl/evp.h>

#include <cstring>
#include <stdexcept>

#if defined(__x86_64__)
#include <nmmintrin.h>
#endif

namespace larder::storage {
namespace {

constexpr std::uint32_t kPolynomial = 0x82F63B78U;  // Castagnoli's, bits reversed

constexpr std::array<std::uint32_t, 256> make_table() {
    std::array<std::uint32_t, 256> table{};
    for (std::uint32_t i = 0; i < table.size(); ++i) {
        std::uint32_t crc = i;
        for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1U) ^ ((crc & 1U) != 0 ? kPolynomial : 0);
        table[i] = crc;
    }
    return table;
}

std::uint32_t crc_by_table(std::string_view data, std::uint32_t crc) noexcept {
    static constexpr auto kTable = make_table();
    for (const char c : data) {
        crc = (crc >> 8U) ^ kTable[(crc ^ static_cast<unsigned char>(c)) & 0xFFU];
    }
    return crc;
}

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) std::uint32_t crc_by_instruction(std::string_view data,
                                                                   std::uint32_t crc) noexcept {
    std::uint64_t wide = crc;
    while (data.size() >= sizeof wide) {
        std::uint64_t word = 0;
        std::memcpy(&word, data.data(), sizeof word);
        wide = _mm_crc32_u64(wide, word);
        data.remove_prefix(sizeof word);
    }
    crc = static_cast<std::uint32_t>(wide);
    for (const char c : data) crc = _mm_crc32_u8(crc, static_cast<unsigned char>(c));
    return crc;
}
#endif

using Crc = std::uint32_t (*)(std::string_view, std::uint32_t) noexcept;

Crc best_crc() {
#if defined(__x86_64__)
    if (__builtin_cpu_supports("sse4.2")) return crc_by_instruction;
#endif
    return crc_by_table;
}

}  // namespace

struct Sha256::Context {
    struct Free {
        void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
    };
    std::unique_ptr<EVP_MD_CTX, Free> evp{EVP_MD_CTX_new()};
};

Sha256::Sha256() : context_(std::make_unique<Context>()) {
    EVP_MD_CTX* const evp = context_->evp.get();
    if (evp == nullptr || EVP_DigestInit_ex(evp, EVP_sha256(), nullptr) != 1) {
        throw std::runtime_error("openssl offers no sha-256: its provider 'default' is missing");
    }
}
Sha256::~Sha256() = default;

void Sha256::update(std::string_view data) {
    if (EVP_DigestUpdate(context_->evp.get(), data.data(), data.size()) != 1) {
        throw std::runtime_error("openssl failed to hash");
    }
}

Sha256::Digest Sha256::finish() {
    Digest digest{};
    EVP_MD_CTX* const evp = context_->evp.get();
    if (EVP_DigestFinal_ex(evp, digest.data(), nullptr) != 1 ||
        EVP_DigestInit_ex(evp, nullptr, nullptr) != 1) {  // null: the same algorithm again
        throw std::runtime_error("openssl failed to hash");
    }
    return digest;
}

std::string Sha256::hex(const Digest& digest) { return to_hex(digest); }

std::uint32_t crc32c(std::string_view data, std::uint32_t crc) noexcept {
    static const Crc kBest = best_crc();
    return ~kBest(data, ~crc);
}

}  // namespace larder::storage
