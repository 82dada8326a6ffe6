#include "backup_cipher.hpp"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <algorithm>
#include <cstring>
#include <limits>
#include <system_error>

#include "larder/error.hpp"
#include "storage-kit/atomic_file.hpp"
#include "storage-kit/encodings.hpp"
#include "storage-kit/random.hpp"

namespace larder::backup {
namespace {

constexpr std::size_t kHeader = 64, kSalt = 16, kPrefix = 7, kCheck = 16, kTag = 16, kKey = 32;
constexpr std::size_t kSaltAt = 16, kPrefixAt = 32, kCheckAt = 48;
constexpr std::uint32_t kChunk = 256U << 10U, kMostChunk = 16U << 20U;
constexpr unsigned char kByKey = 1, kByScrypt = 2;
constexpr unsigned char kLogN = 15, kR = 8, kP = 1;  // 32 MiB, about 0.1 s

using Bytes = unsigned char*;
using ConstBytes = const unsigned char*;

Error corrupt(const char* slug, const char* detail) { return {Errc::corrupt, slug, detail}; }

Error failed(const char* what) {
    return std::move(Error(Errc::internal, "internal", "encryption failed").because(what));
}

ConstBytes bytes_of(std::string_view text) { return reinterpret_cast<ConstBytes>(text.data()); }

int as_int(std::size_t size) {
    if (size > static_cast<std::size_t>(std::numeric_limits<int>::max())) throw failed("size");
    return static_cast<int>(size);
}

struct Keys {
    std::array<unsigned char, kKey + kCheck> bytes{};  // the key, and what tells it from another
    ~Keys() { OPENSSL_cleanse(bytes.data(), bytes.size()); }
};

// Fills in the header's key check when it makes a header; compares it when it reads one.
void derive(const Secret& secret, const std::array<unsigned char, kHeader>& header, Keys& keys) {
    const ConstBytes salt = header.data() + kSaltAt;
    if (header[8] == kByScrypt) {
        const std::uint64_t n = std::uint64_t{1} << header[9];
        constexpr std::uint64_t kMostMemory = 1U << 30U;
        if (EVP_PBE_scrypt(secret.bytes().data(), secret.bytes().size(), salt, kSalt, n, header[10],
                           header[11], kMostMemory, keys.bytes.data(), keys.bytes.size()) != 1) {
            throw failed("scrypt");
        }
        return;
    }
    // Each archive gets a key of its own, so that no nonce ever meets the same key twice.
    std::array<unsigned char, 64> mac{};
    unsigned int size = 0;
    if (HMAC(EVP_sha512(), secret.bytes().data(), as_int(secret.bytes().size()), salt, kSalt,
             mac.data(), &size) == nullptr) {
        throw failed("HMAC");
    }
    std::copy_n(mac.begin(), keys.bytes.size(), keys.bytes.begin());
    OPENSSL_cleanse(mac.data(), mac.size());
}

// The cipher under one header, chunk after chunk.
class Chunks {
public:
    Chunks() : context_(EVP_CIPHER_CTX_new()) {
        if (context_ == nullptr) throw failed("EVP_CIPHER_CTX_new");
    }
    ~Chunks() { EVP_CIPHER_CTX_free(context_); }
    Chunks(const Chunks&) = delete;
    Chunks& operator=(const Chunks&) = delete;

    std::array<unsigned char, kHeader> header{};
    Keys keys;

    // `out` has room for plain.size() + kTag.
    void seal(std::string_view plain, bool last, Bytes out) {
        begin(true, last);
        int size = 0;
        const bool done =
            EVP_EncryptUpdate(context_, out, &size, bytes_of(plain), as_int(plain.size())) == 1 &&
            EVP_EncryptFinal_ex(context_, out + size, &size) == 1 &&
            EVP_CIPHER_CTX_ctrl(context_, EVP_CTRL_GCM_GET_TAG, kTag, out + plain.size()) == 1;
        if (!done) throw failed("GCM");
    }
    // False where it is not what was sealed.
    bool open(std::string_view sealed, bool last, Bytes out) {
        begin(false, last);
        const std::string_view plain = sealed.substr(0, sealed.size() - kTag);
        std::array<unsigned char, kTag> tag{};
        std::memcpy(tag.data(), sealed.data() + plain.size(), kTag);
        int size = 0;
        return EVP_DecryptUpdate(context_, out, &size, bytes_of(plain), as_int(plain.size())) ==
                   1 &&
               EVP_CIPHER_CTX_ctrl(context_, EVP_CTRL_GCM_SET_TAG, kTag, tag.data()) == 1 &&
               EVP_DecryptFinal_ex(context_, out + size, &size) == 1;
    }

private:
    void begin(bool to_seal, bool last) {
        std::array<unsigned char, 12> nonce{};
        std::copy_n(header.begin() + kPrefixAt, kPrefix, nonce.begin());
        if (number_ == std::numeric_limits<std::uint32_t>::max()) throw failed("too many chunks");
        for (unsigned i = 0; i < 4; ++i) {
            nonce.at(kPrefix + i) = static_cast<unsigned char>(number_ >> (24U - 8U * i));
        }
        ++number_;
        nonce.back() = last ? 1 : 0;
        int size = 0;
        const bool done = EVP_CipherInit_ex(context_, EVP_aes_256_gcm(), nullptr, keys.bytes.data(),
                                            nonce.data(), to_seal ? 1 : 0) == 1 &&
                          EVP_CipherUpdate(context_, nullptr, &size, header.data(), kHeader) == 1;
        if (!done) throw failed("GCM");
    }

    EVP_CIPHER_CTX* context_;
    std::uint32_t number_ = 0;
};

}  // namespace

// ---- the secret

Secret Secret::read(const std::string& path) {
    try {
        return Secret(storage::read_file(storage::FileSystem::real(), path));
    } catch (const std::system_error& error) {
        throw Error(Errc::conflict, "no-key", "the file that backup.key_file names cannot be read")
            .because(error.what());
    }
}

Secret::Secret(std::string_view content) {
    const std::string_view line = content.substr(0, content.find_first_of("\r\n"));
    auto of_hex = line.size() == 2 * kKey ? storage::from_hex(line) : std::nullopt;
    if (content.size() == kKey) {
        bytes_ = content;
    } else if (of_hex) {
        bytes_ = *std::move(of_hex);
    } else {
        bytes_ = line;
        is_passphrase_ = true;
    }
    if (bytes_.empty()) {
        throw Error(Errc::conflict, "no-key", "the file that backup.key_file names holds no key");
    }
}

// ---- sealing

class Sealer::Impl {
public:
    Impl(const Secret& secret, Drain out) : out_(std::move(out)) {
        auto& header = chunks_.header;
        std::memcpy(header.data(), kCipherMagic.data(), kCipherMagic.size());
        header[8] = secret.is_passphrase() ? kByScrypt : kByKey;
        if (secret.is_passphrase()) {
            header[9] = kLogN;
            header[10] = kR;
            header[11] = kP;
        }
        for (unsigned i = 0; i < 4; ++i) {
            header.at(12 + i) = static_cast<unsigned char>(kChunk >> (8U * i));
        }
        storage::fill_random({header.data() + kSaltAt, kSalt});
        storage::fill_random({header.data() + kPrefixAt, kPrefix});
        derive(secret, header, chunks_.keys);
        std::copy_n(chunks_.keys.bytes.begin() + kKey, kCheck, header.begin() + kCheckAt);
        out_({reinterpret_cast<const char*>(header.data()), kHeader});
        plain_.reserve(kChunk);
        sealed_.resize(kChunk + kTag);
    }
    void write(std::string_view bytes) {
        while (!bytes.empty()) {
            if (plain_.size() == kChunk) emit(false);
            const std::size_t part = std::min(bytes.size(), kChunk - plain_.size());
            plain_.append(bytes.substr(0, part));
            bytes.remove_prefix(part);
        }
    }
    void emit(bool last) {
        chunks_.seal(plain_, last, reinterpret_cast<Bytes>(sealed_.data()));
        out_({sealed_.data(), plain_.size() + kTag});
        plain_.clear();
    }

private:
    Drain out_;
    Chunks chunks_;
    std::string plain_, sealed_;
};

Sealer::Sealer(const Secret& secret, Drain out)
    : impl_(std::make_unique<Impl>(secret, std::move(out))) {}
Sealer::~Sealer() = default;
void Sealer::write(std::string_view bytes) { impl_->write(bytes); }
void Sealer::finish() { impl_->emit(true); }

// ---- opening

class Opener::Impl {
public:
    Impl(const Secret& secret, Spring in) : in_(std::move(in)) {
        auto& header = chunks_.header;
        std::string text(kHeader, '\0');
        if (fill(text) != kHeader || !text.starts_with(kCipherMagic)) {
            throw corrupt("damaged", "the archive does not begin as an encrypted one does");
        }
        std::memcpy(header.data(), text.data(), kHeader);
        std::uint32_t chunk = 0;
        for (unsigned i = 0; i < 4; ++i) chunk |= std::uint32_t{header.at(12 + i)} << (8U * i);
        const bool by_key = header[8] == kByKey;
        const bool by_scrypt = header[8] == kByScrypt && header[9] >= 10 && header[9] <= 18 &&
                               header[10] >= 1 && header[10] <= 16 && header[11] >= 1 &&
                               header[11] <= 4;
        if ((!by_key && !by_scrypt) || chunk == 0 || chunk > kMostChunk) {
            throw corrupt("damaged", "the archive's header is none that this version knows");
        }
        if (by_scrypt != secret.is_passphrase()) throw wrong_key();
        derive(secret, header, chunks_.keys);
        if (CRYPTO_memcmp(chunks_.keys.bytes.data() + kKey, header.data() + kCheckAt, kCheck) !=
            0) {
            throw wrong_key();
        }
        sealed_.resize(chunk + kTag);
        ahead_.resize(chunk + kTag);
        ahead_size_ = fill(ahead_);
    }
    std::size_t read(std::span<char> into) {
        if (at_ == plain_.size() && !next()) return 0;
        const std::size_t part = std::min(into.size(), plain_.size() - at_);
        std::memcpy(into.data(), plain_.data() + at_, part);
        at_ += part;
        return part;
    }

private:
    static Error wrong_key() {
        return corrupt("wrong-key", "the archive was encrypted with another key");
    }
    std::size_t fill(std::string& into) {
        std::size_t have = 0;
        while (have < into.size()) {
            const std::size_t got = in_(std::span(into).subspan(have));
            if (got == 0) break;
            have += got;
        }
        return have;
    }
    // One chunk is read ahead, so that the last one is known as such.
    bool next() {
        if (over_) return false;
        sealed_.swap(ahead_);
        const std::size_t size = ahead_size_;
        ahead_size_ = size == sealed_.size() ? fill(ahead_) : 0;
        over_ = ahead_size_ == 0;
        if (size < kTag) throw corrupt("damaged", "the archive was cut");
        plain_.resize(size - kTag);
        at_ = 0;
        if (!chunks_.open({sealed_.data(), size}, over_, reinterpret_cast<Bytes>(plain_.data()))) {
            plain_.clear();
            over_ = true;
            throw corrupt("damaged", "the archive was altered or cut");
        }
        return !plain_.empty() || next();
    }

    Spring in_;
    Chunks chunks_;
    std::string sealed_, ahead_, plain_;
    std::size_t ahead_size_ = 0, at_ = 0;
    bool over_ = false;
};

Opener::Opener(const Secret& secret, Spring in)
    : impl_(std::make_unique<Impl>(secret, std::move(in))) {}
Opener::~Opener() = default;
std::size_t Opener::read(std::span<char> into) { return impl_->read(into); }

}  // namespace larder::backup
