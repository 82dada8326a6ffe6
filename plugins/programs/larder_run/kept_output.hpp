// The first and the last part of a stream, and how much there was of it: so that a program may
// print what it likes, in a fixed amount of memory.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace larder::programs {

class KeptOutput {
public:
    explicit KeptOutput(std::size_t most) : head_most_(most / 2), tail_most_(most - most / 2) {}

    // Takes what came; returns how many of its first bytes belong to the first part.
    std::size_t take(std::string_view bytes) {
        const auto left = static_cast<std::size_t>(head_most_ - std::min(head_most_, total_));
        const std::size_t first = std::min(left, bytes.size());
        total_ += bytes.size();
        bytes.remove_prefix(first);
        if (bytes.size() > tail_most_) bytes.remove_prefix(bytes.size() - tail_most_);
        tail_ += bytes;
        // Cut now and then, not at each piece.
        if (tail_.size() > 2 * tail_most_) tail_.erase(0, tail_.size() - tail_most_);
        return first;
    }
    std::string_view tail() const noexcept {
        const std::string_view all(tail_);
        return all.substr(all.size() - std::min<std::size_t>(all.size(), tail_most_));
    }
    std::uint64_t total() const noexcept { return total_; }

private:
    const std::uint64_t head_most_;
    const std::size_t tail_most_;
    std::uint64_t total_ = 0;
    std::string tail_;
};

}  // namespace larder::programs
