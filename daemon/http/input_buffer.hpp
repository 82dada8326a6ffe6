// Bytes that were read and not yet used, in one piece of memory that moves only when told. Knows no
// sockets and no HTTP.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <memory>
#include <span>
#include <string_view>

namespace larder::http {

class InputBuffer {
public:
    std::string_view view() const noexcept { return {data_.get() + begin_, end_ - begin_}; }
    bool empty() const noexcept { return begin_ == end_; }
    std::size_t size() const noexcept { return end_ - begin_; }
    // From the first unused byte to the end of the memory.
    std::size_t reach() const noexcept { return capacity_ - begin_; }
    // Where the next bytes go: behind those at hand.
    std::span<char> free() noexcept { return {data_.get() + end_, capacity_ - end_}; }

    void filled(std::size_t size) noexcept { end_ += size; }
    void consume(std::size_t size) noexcept { begin_ += size; }

    // Moves what is at hand to the front of `capacity` bytes. Views into it end here.
    void relocate(std::size_t capacity) {
        if (capacity == capacity_) {
            if (begin_ > 0 && !empty()) std::memmove(data_.get(), data_.get() + begin_, size());
        } else {
            auto memory = std::make_unique_for_overwrite<char[]>(capacity);
            if (!empty()) std::memcpy(memory.get(), data_.get() + begin_, size());
            data_ = std::move(memory);
            capacity_ = capacity;
        }
        end_ -= begin_;
        begin_ = 0;
    }
    void release() noexcept {
        data_.reset();
        begin_ = end_ = capacity_ = 0;
    }
    std::size_t capacity() const noexcept { return capacity_; }

private:
    std::unique_ptr<char[]> data_;
    std::size_t begin_ = 0, end_ = 0, capacity_ = 0;
};

}  // namespace larder::http
