// Archives encrypted in chunks, each authenticated with its place: AES-256-GCM. Not a key store:
// the key is read from a file whenever it is needed.
//
//   header (64 bytes): "LARDENC1" · kdf (1: key, 2: scrypt) · log2 N · r · p · chunk bytes (u32,
//   LE)
//                      · salt (16) · nonce prefix (7) · zeros (9) · key check (16)
//   chunk: up to `chunk bytes` encrypted · tag (16); its nonce is the prefix · number (u32, BE) ·
//          last (0 or 1); the header is associated data of all
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "backup_bytes.hpp"

namespace larder::backup {

inline constexpr std::string_view kCipherMagic = "LARDENC1";

// What key_file holds: 32 bytes or 64 hexadecimal digits are a key, else its first line is a
// passphrase.
class Secret {
public:
    // Throws Error{conflict, "no-key"} where the file cannot be read or holds nothing. [worker]
    static Secret read(const std::string& path);
    explicit Secret(std::string_view content);

    const std::string& bytes() const noexcept { return bytes_; }
    bool is_passphrase() const noexcept { return is_passphrase_; }

private:
    std::string bytes_;
    bool is_passphrase_ = false;
};

// Encrypts what it is given. [worker, one thread]
class Sealer {
public:
    Sealer(const Secret& secret, Drain out);
    ~Sealer();
    Sealer(const Sealer&) = delete;
    Sealer& operator=(const Sealer&) = delete;
    void write(std::string_view bytes);
    void finish();  // the last chunk; without it nothing can be opened

private:
    class Impl;
    std::unique_ptr<Impl> impl_;
};

// Decrypts what `in` gives; no byte is given out that was not authenticated. Throws Error{corrupt}
// with the slugs "wrong-key", "damaged" (altered, cut or reordered). [worker, one thread]
class Opener {
public:
    Opener(const Secret& secret, Spring in);
    ~Opener();
    Opener(const Opener&) = delete;
    Opener& operator=(const Opener&) = delete;
    std::size_t read(std::span<char> into);

private:
    class Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace larder::backup
