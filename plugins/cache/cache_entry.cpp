#include "cache_entry.hpp"

#include <sys/random.h>

#include <cstring>

namespace larder::cache {
namespace {

// What malloc takes for `bytes`: its header, and its step of 16; large ones are whole pages.
std::size_t malloced(std::size_t bytes) noexcept {
    constexpr std::size_t kMapped = 128U << 10U, kPage = 4096;
    if (bytes >= kMapped) return (bytes + 16 + kPage - 1) / kPage * kPage;
    return (bytes + 8 + 15) / 16 * 16;
}

std::size_t heap_of(const std::string& text) noexcept {
    constexpr std::size_t kInPlace = 15;
    return text.capacity() > kInPlace ? malloced(text.capacity() + 1) : 0;
}

std::uint64_t seed() noexcept {
    static const std::uint64_t chosen = [] {
        std::uint64_t random = 0x9E3779B97F4A7C15U;
        if (::getrandom(&random, sizeof(random), 0) != sizeof(random)) random ^= steady_ms();
        return random;
    }();
    return chosen;
}

std::uint64_t mixed(std::uint64_t a, std::uint64_t b) noexcept {
    __extension__ using Wide = unsigned __int128;
    const Wide product = static_cast<Wide>(a) * b;
    return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64U);
}

}  // namespace

std::size_t cost_of(const Entry& entry) noexcept {
    // The control block before it; a list's node, a table's node and the table's share of buckets.
    constexpr std::size_t kControl = 16, kListNode = 64, kTableNode = 64, kBucket = 16;
    std::size_t bytes = malloced(sizeof(Entry) + kControl) + kListNode + kTableNode + kBucket;
    bytes += heap_of(entry.key) + heap_of(entry.value) + heap_of(entry.type);
    if (!entry.tags.empty()) bytes += malloced(entry.tags.capacity() * sizeof(std::string));
    for (const std::string& tag : entry.tags) bytes += heap_of(tag);
    return bytes;
}

// Multiply and fold, 16 bytes at a time.
std::uint64_t hash_of(std::string_view key) noexcept {
    constexpr std::uint64_t kFirst = 0xA0761D6478BD642FU, kSecond = 0xE7037ED1A0B428DBU;
    const auto word = [](const char* at, std::size_t size) {
        std::uint64_t read = 0;
        std::memcpy(&read, at, size);
        return read;
    };
    std::uint64_t hash = seed() ^ key.size();
    const char* at = key.data();
    std::size_t left = key.size();
    for (; left > 16; at += 16, left -= 16) {
        hash = mixed(word(at, 8) ^ kFirst, word(at + 8, 8) ^ hash);
    }
    const std::size_t low = left < 8 ? left : 8;
    hash = mixed(word(at, low) ^ kSecond, word(at + low, left - low) ^ hash);
    return mixed(hash ^ kFirst, kSecond ^ key.size());
}

}  // namespace larder::cache
