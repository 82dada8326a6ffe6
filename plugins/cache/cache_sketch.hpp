// How often keys were asked for lately: counters of four bits in a table of fixed size (a count-min
// sketch), halved from time to time. An estimate that is never too low but for the halving; it
// knows no keys.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace larder::cache {

class Sketch {
public:
    // For about so many keys; takes 8 bytes for each.
    explicit Sketch(std::size_t keys);

    void count(std::uint64_t hash) noexcept;
    unsigned estimate(std::uint64_t hash) const noexcept;  // 0 to 15
    std::size_t bytes() const noexcept { return table_.size() * sizeof(std::uint64_t); }

private:
    static constexpr std::size_t kRows = 4;
    struct Place {
        std::size_t word;
        unsigned shift;
    };
    Place place(std::uint64_t hash, std::size_t row) const noexcept;
    void halve() noexcept;

    std::vector<std::uint64_t> table_;  // a power of two
    std::size_t counted_ = 0, sample_;
};

}  // namespace larder::cache
