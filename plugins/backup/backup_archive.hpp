// An archive being written: tar, gzip, perhaps encryption, hashed on its way to the disk. Knows
// nothing of snapshots and of what goes into it.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "backup_bytes.hpp"
#include "backup_cipher.hpp"

namespace larder::backup {

class ArchiveWriter {
public:
    // Creates the file at `path`; `secret` may be null. Throws std::system_error, Error. [worker]
    ArchiveWriter(const std::string& path, const Secret* secret);
    ~ArchiveWriter();  // without finish(): the file is no archive
    ArchiveWriter(const ArchiveWriter&) = delete;
    ArchiveWriter& operator=(const ArchiveWriter&) = delete;

    // One file: `size` bytes that `fill` gives. Throws what `fill` throws, std::system_error,
    // Error{io_failed, "cut"} where `fill` ends before. [worker]
    void add(const std::string& path, std::uint64_t size, std::int64_t modified_ms,
             const Spring& fill);
    // Bytes on disk so far; some are under way still.
    std::uint64_t written() const noexcept;
    // Synced. [worker]
    struct Result {
        std::uint64_t size;
        std::string sha256;
    };
    Result finish();

private:
    class Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace larder::backup
