// Passwords and tokens as they are kept: scrypt of the one (RFC 7914), SHA-256 of the other, which
// has entropy enough. Comparisons take the same time whatever differs. Not their store.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace larder::access {

// Cost of scrypt: 2^14 blocks of 1 KiB, five times over: 16 MiB and about 0.2 s of one core.
struct ScryptCost {
    unsigned log_n = 14, r = 8, p = 5;
};

// "$scrypt$ln=14,r=8,p=5$<salt>$<key>", salt and key in base64url. Takes long. Throws
// Error{internal} where OpenSSL fails. [worker]
std::string hash_password(std::string_view password, const ScryptCost& cost = {});
// False also for what is no such text. Takes as long as its text says. [worker]
bool is_password(std::string_view password, std::string_view hash);
// Whether this is a text that hash_password() makes, at a cost that can be paid (512 MiB). [any]
bool is_password_hash(std::string_view hash);

// "larder_<id>_<secret>": the id tells which one it is and may be shown, the secret is 256 bits.
struct NewToken {
    std::string id, text;
};
NewToken make_token();
inline constexpr std::string_view kTokenMark = "larder_";
inline constexpr std::size_t kTokenIdSize = 12;
// The id in a token's text; nothing for what is no token. [any]
std::optional<std::string_view> token_id(std::string_view text);

bool is_same(std::string_view a, std::string_view b) noexcept;  // in constant time

}  // namespace larder::access
