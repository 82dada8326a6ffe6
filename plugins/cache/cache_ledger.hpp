// What was invalidated when, by numbers that only grow: so that what was read before an
// invalidation is not stored behind it. It forgets in favour of safety: what it no longer knows
// counts as invalidated.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <deque>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "cache_match.hpp"

namespace larder::cache {

class Ledger {
public:
    // The number of the latest invalidation. [any]
    std::uint64_t now() const noexcept { return sequence_.load(); }

    // Call before what is invalidated is removed. Returns its number. [any]
    std::uint64_t note_key(std::uint64_t hash) noexcept;
    void note(const Match& match);

    // Whether nothing touched the key since `then`. Keys whose hashes meet answer for each other.
    // [any]
    bool is_untouched(std::uint64_t then, std::uint64_t hash, std::string_view key,
                      const std::vector<std::string>& tags) const;
    // The number of the latest invalidation of this very key, or of one whose hash meets it. [any]
    std::uint64_t key_number(std::uint64_t hash) const noexcept {
        return slots_[hash % kSlots].load();
    }

private:
    static constexpr std::size_t kSlots = 16384, kMostBroad = 1024;
    struct Broad {
        std::uint64_t number;
        Match match;
    };

    std::atomic<std::uint64_t> sequence_{0};
    std::array<std::atomic<std::uint64_t>, kSlots> slots_{};
    std::atomic<std::uint64_t> latest_broad_{0};
    mutable std::mutex mutex_;
    std::deque<Broad> broad_;      // guarded by mutex_; ascending
    std::uint64_t forgotten_ = 0;  // likewise: all up to this may be missing in broad_
};

}  // namespace larder::cache
