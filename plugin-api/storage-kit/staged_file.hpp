// A file that is being received, before it has its name.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "storage-kit/safe_name.hpp"

namespace larder::storage {

// An open file that grows at its end, under a temporary name that its owner gave it and renames or
// removes. What is much is handed to the disk while more comes. [worker, one thread at a time]
class StagedFile {
public:
    // Opens what stands there, or makes it where `fresh`. Throws std::system_error.
    StagedFile(std::string path, bool fresh);

    const std::string& path() const noexcept { return path_; }
    std::uint64_t size() const noexcept { return size_; }
    // All of these throw std::system_error.
    void append(std::string_view bytes);
    void cut_to(std::uint64_t size);
    void sync();
    std::string beginning(std::size_t most) const;
    void read(std::uint64_t offset, std::size_t size, char* into) const;  // EIO beyond its end
    // Calls take() with what stands from `offset` to the end, in blocks.
    void read_from(std::uint64_t offset, const std::function<void(std::string_view)>& take) const;

private:
    const std::string path_;
    OwnedFd fd_;
    std::uint64_t size_ = 0, flushed_ = 0;
};

}  // namespace larder::storage
