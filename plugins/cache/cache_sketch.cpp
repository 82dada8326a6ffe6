#include "cache_sketch.hpp"

#include <algorithm>
#include <bit>

namespace larder::cache {

Sketch::Sketch(std::size_t keys)
    : table_(std::bit_ceil(std::max<std::size_t>(keys, 64))), sample_(table_.size() * 10) {}

// Each row has a word and a nibble of its own, from bits of the hash spread anew.
Sketch::Place Sketch::place(std::uint64_t hash, std::size_t row) const noexcept {
    static constexpr std::array<std::uint64_t, kRows> kSpread = {
        0xC3A5C85C97CB3127U, 0xB492B66FBE98F273U, 0x9AE16A3B2F90404FU, 0xCBF29CE484222325U};
    std::uint64_t spread = (hash + kSpread[row]) * kSpread[row];
    spread ^= spread >> 32U;
    const unsigned nibble =
        static_cast<unsigned>(spread >> 28U & 3U) + static_cast<unsigned>(row) * 4;
    return {static_cast<std::size_t>(spread) & (table_.size() - 1), nibble * 4};
}

void Sketch::count(std::uint64_t hash) noexcept {
    bool grown = false;
    for (std::size_t row = 0; row < kRows; ++row) {
        const Place at = place(hash, row);
        if ((table_[at.word] >> at.shift & 15U) == 15) continue;
        table_[at.word] += std::uint64_t{1} << at.shift;
        grown = true;
    }
    if (grown && ++counted_ == sample_) halve();
}

unsigned Sketch::estimate(std::uint64_t hash) const noexcept {
    unsigned least = 15;
    for (std::size_t row = 0; row < kRows; ++row) {
        const Place at = place(hash, row);
        least = std::min(least, static_cast<unsigned>(table_[at.word] >> at.shift & 15U));
    }
    return least;
}

void Sketch::halve() noexcept {
    for (std::uint64_t& word : table_) word = word >> 1U & 0x7777777777777777U;
    counted_ = sample_ / 2;
}

}  // namespace larder::cache
