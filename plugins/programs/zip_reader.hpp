// ZIP archives that strangers sent (APPNOTE 6.3): the central directory judged as a whole before
// anything is unpacked, then one entry after the other, counted while it is inflated. Refuses what
// it does not know: encryption, methods but stored and deflate, links, devices, several disks.
// Writes nothing: that is the caller's.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "larder/error.hpp"

namespace larder::programs {

// Error{unprocessable, "invalid-archive"} with `reason`.
Error invalid_archive(const std::string& reason);

struct ZipLimits {
    std::size_t entries = 2000;
    std::uint64_t total = 64U << 20U, file = 32U << 20U;  // bytes, inflated
    std::uint64_t ratio = 200, ratio_from = 1U << 20U;  // inflated to packed, beyond so many bytes
    std::size_t depth = 16, name = 200;                 // folders; bytes of a path
};

struct ZipEntry {
    std::string path;  // UTF-8, no '/' at its end
    bool is_folder = false;
    std::uint16_t method = 0;
    std::uint32_t crc = 0;
    std::uint64_t packed = 0, size = 0, at = 0;  // bytes; `at`: of its local header
};

class ZipReader {
public:
    // Reads `size` bytes from `offset`, all of them; throws where it cannot.
    using Read = std::function<void(std::uint64_t offset, std::size_t size, char* into)>;

    // Judges names, kinds, declared sizes, places. Throws invalid_archive().
    ZipReader(std::uint64_t size, Read read, const ZipLimits& limits = {});

    const std::vector<ZipEntry>& entries() const noexcept { return entries_; }
    // The bytes of one, in pieces. Throws invalid_archive() where they are not what the directory
    // says, or go beyond a limit; what was given till then is to be thrown away.
    void unpack(const ZipEntry& entry, const std::function<void(std::string_view)>& take);

private:
    struct Directory {
        std::uint64_t at = 0, size = 0, entries = 0;
    };
    Directory find_directory() const;
    void read_directory(const Directory& directory);
    std::string read_text(std::uint64_t at, std::uint64_t size) const;
    void judge_names() const;
    void judge_places(const Directory& directory);
    void inflate_entry(const ZipEntry& entry, std::uint64_t at,
                       const std::function<void(std::string_view)>& take);

    const std::uint64_t size_;
    const Read read_;
    const ZipLimits limits_;
    std::vector<ZipEntry> entries_;
    std::vector<std::uint64_t> data_at_;  // of entries_
    std::uint64_t unpacked_ = 0;          // bytes, of all so far
};

}  // namespace larder::programs
