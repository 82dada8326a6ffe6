#include "files_digest.hpp"

#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <stdexcept>

#include "larder/error.hpp"
#include "storage-kit/digest.hpp"
#include "storage-kit/encodings.hpp"

namespace larder::files {
namespace {

class EvpChecksum final : public Checksum {
public:
    explicit EvpChecksum(const EVP_MD* algorithm) : context_(EVP_MD_CTX_new()) {
        if (!context_ || EVP_DigestInit_ex(context_.get(), algorithm, nullptr) != 1) {
            throw std::runtime_error("openssl does not offer the checksum's algorithm");
        }
    }
    void update(std::string_view bytes) override {
        if (EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size()) != 1) {
            throw std::runtime_error("openssl failed to sum up");
        }
    }
    std::string finish() override {
        std::array<unsigned char, EVP_MAX_MD_SIZE> sum{};
        unsigned size = 0;
        if (EVP_DigestFinal_ex(context_.get(), sum.data(), &size) != 1) {
            throw std::runtime_error("openssl failed to sum up");
        }
        return {reinterpret_cast<const char*>(sum.data()), size};
    }

private:
    struct Free {
        void operator()(EVP_MD_CTX* context) const noexcept { EVP_MD_CTX_free(context); }
    };
    std::unique_ptr<EVP_MD_CTX, Free> context_;
};

class Crc32cChecksum final : public Checksum {
public:
    void update(std::string_view bytes) override { crc_ = storage::crc32c(bytes, crc_); }
    std::string finish() override {
        std::string bytes;
        for (int shift = 24; shift >= 0; shift -= 8) {
            bytes += static_cast<char>(crc_ >> static_cast<unsigned>(shift) & 0xFFU);
        }
        return bytes;
    }

private:
    std::uint32_t crc_ = 0;
};

Error not_a_digest() {
    return {Errc::bad_request, "digest-mismatch",
            "the digest field has a sha-256 that is not 32 bytes in base64 between colons"};
}

std::string_view trimmed(std::string_view text) {
    while (text.starts_with(' ') || text.starts_with('\t')) text.remove_prefix(1);
    while (text.ends_with(' ') || text.ends_with('\t')) text.remove_suffix(1);
    return text;
}

}  // namespace

std::unique_ptr<Checksum> Checksum::of(std::string_view algorithm) {
    if (algorithm == "sha1") return std::make_unique<EvpChecksum>(EVP_sha1());
    if (algorithm == "sha256") return std::make_unique<EvpChecksum>(EVP_sha256());
    if (algorithm == "crc32c") return std::make_unique<Crc32cChecksum>();
    return nullptr;
}

std::string digest_field(std::string_view sha256_hex) {
    return "sha-256=:" + storage::to_base64(storage::from_hex(sha256_hex).value_or("")) + ":";
}

std::optional<std::string> sha256_in(std::string_view field) {
    std::optional<std::string> found;
    while (!field.empty()) {
        const std::size_t end = std::min(field.find(','), field.size());
        const std::string_view item = trimmed(field.substr(0, end));
        field.remove_prefix(std::min(end + 1, field.size()));
        const std::size_t equals = std::min(item.find('='), item.size());
        std::string name(trimmed(item.substr(0, equals)));
        std::transform(name.begin(), name.end(), name.begin(), [](char c) {
            return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c;
        });
        if (name != "sha-256") continue;
        std::string_view value = item.substr(std::min(equals + 1, item.size()));
        value = trimmed(value.substr(0, value.find(';')));
        if (value.size() < 2 || value.front() != ':' || value.back() != ':') throw not_a_digest();
        const auto bytes = storage::from_base64(value.substr(1, value.size() - 2));
        if (!bytes || bytes->size() != storage::Sha256::kBytes) throw not_a_digest();
        found = storage::to_hex(*bytes);
    }
    return found;
}

}  // namespace larder::files
