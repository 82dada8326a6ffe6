#include "access/secrets.hpp"

#include <fmt/format.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>

#include <charconv>

#include "larder/error.hpp"
#include "storage-kit/encodings.hpp"
#include "storage-kit/random.hpp"

namespace larder::access {
namespace {

constexpr std::string_view kHashMark = "$scrypt$";
constexpr std::size_t kSaltSize = 16, kKeySize = 32;
constexpr std::size_t kSecretSize = 32;
constexpr std::uint64_t kMostMemory = 512ULL << 20U;

const unsigned char* bytes_of(std::string_view text) {
    return reinterpret_cast<const unsigned char*>(text.data());
}

std::string scrypt(std::string_view password, std::string_view salt, const ScryptCost& cost,
                   std::size_t size) {
    std::string key(size, '\0');
    const int done = EVP_PBE_scrypt(password.data(), password.size(), bytes_of(salt), salt.size(),
                                    1ULL << cost.log_n, cost.r, cost.p, kMostMemory,
                                    reinterpret_cast<unsigned char*>(key.data()), key.size());
    if (done == 1) return key;
    throw Error(Errc::internal, "internal", "a password could not be worked on")
        .because("OpenSSL's scrypt failed; is there memory enough?");
}

// A number after `mark` at the head of `text`, both taken off; nothing if there is none.
std::optional<unsigned> take_number(std::string_view& text, std::string_view mark) {
    if (!text.starts_with(mark)) return std::nullopt;
    text.remove_prefix(mark.size());
    unsigned number = 0;
    const auto read = std::from_chars(text.data(), text.data() + text.size(), number);
    if (read.ec != std::errc()) return std::nullopt;
    text.remove_prefix(static_cast<std::size_t>(read.ptr - text.data()));
    return number;
}

struct ParsedHash {
    ScryptCost cost;
    std::string salt, key;
};

std::optional<ParsedHash> parsed(std::string_view hash) {
    if (!hash.starts_with(kHashMark)) return std::nullopt;
    hash.remove_prefix(kHashMark.size());
    const auto log_n = take_number(hash, "ln="), r = take_number(hash, ",r="),
               p = take_number(hash, ",p=");
    if (!log_n || !r || !p || !hash.starts_with('$')) return std::nullopt;
    hash.remove_prefix(1);
    const std::size_t middle = hash.find('$');
    if (middle == std::string_view::npos) return std::nullopt;
    auto salt = storage::from_any_base64(hash.substr(0, middle)),
         key = storage::from_any_base64(hash.substr(middle + 1));
    if (!salt || !key || key->size() < 16 || key->size() > 64) return std::nullopt;
    const bool payable = *log_n >= 1 && *log_n <= 20 && *r >= 1 && *r <= 64 && *p >= 1 &&
                         *p <= 64 && (128ULL * *r << *log_n) < kMostMemory;
    if (!payable) return std::nullopt;
    return ParsedHash{{*log_n, *r, *p}, *std::move(salt), *std::move(key)};
}

}  // namespace

std::string hash_password(std::string_view password, const ScryptCost& cost) {
    const std::string salt = storage::random_bytes(kSaltSize);
    return fmt::format("{}ln={},r={},p={}${}${}", kHashMark, cost.log_n, cost.r, cost.p,
                       storage::to_base64url(salt),
                       storage::to_base64url(scrypt(password, salt, cost, kKeySize)));
}

bool is_password(std::string_view password, std::string_view hash) {
    const auto kept = parsed(hash);
    return kept && is_same(scrypt(password, kept->salt, kept->cost, kept->key.size()), kept->key);
}

bool is_password_hash(std::string_view hash) { return parsed(hash).has_value(); }

NewToken make_token() {
    std::string id = storage::to_hex(storage::random_bytes(kTokenIdSize / 2));
    std::string text = fmt::format("{}{}_{}", kTokenMark, id,
                                   storage::to_base64url(storage::random_bytes(kSecretSize)));
    return {std::move(id), std::move(text)};
}

std::optional<std::string_view> token_id(std::string_view text) {
    const std::size_t before = kTokenMark.size() + kTokenIdSize;
    const bool is_token = text.starts_with(kTokenMark) && text.size() > before + 1 &&
                          text.size() < 256 && text[before] == '_';
    if (!is_token) return std::nullopt;
    return text.substr(kTokenMark.size(), kTokenIdSize);
}

bool is_same(std::string_view a, std::string_view b) noexcept {
    return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

}  // namespace larder::access
