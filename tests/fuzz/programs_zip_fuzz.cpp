// ZIP archives of any bytes: what is taken stays within its limits, names lead nowhere, and nothing
// is read beyond the archive.
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "fuzz/require.hpp"
#include "larder/error.hpp"
#include "zip_reader.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using larder::programs::ZipReader;
    larder::programs::ZipLimits limits;
    limits.entries = 20;
    limits.total = 1U << 20U;
    limits.file = 1U << 19U;
    try {
        ZipReader zip(
            size,
            [&](std::uint64_t at, std::size_t count, char* into) {
                require(at <= size && count <= size - at);
                std::memcpy(into, data + at, count);
            },
            limits);
        require(zip.entries().size() <= limits.entries);
        std::uint64_t total = 0;
        for (const auto& entry : zip.entries()) {
            require(!entry.path.empty() && entry.path.front() != '/');
            require(entry.path.find("../") != 0 && entry.path.find('\0') == std::string::npos);
            if (entry.is_folder) continue;
            std::uint64_t bytes = 0;
            zip.unpack(entry, [&](std::string_view part) { bytes += part.size(); });
            require(bytes == entry.size && bytes <= limits.file);
            total += bytes;
        }
        require(total <= limits.total);
    } catch (const larder::Error& error) {
        require(error.slug() == "invalid-archive");
    }
    return 0;
}
