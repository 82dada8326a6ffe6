#include "storage-kit/disk_error.hpp"

#include "storage-kit/file_system.hpp"

namespace larder::storage {

Error disk_error(const std::system_error& error) {
    if (is_out_of_descriptors(error)) {
        return Error(Errc::unavailable, "overloaded", "too many files are open")
            .with_header("Retry-After", "1")
            .because(error.what());
    }
    if (is_no_space(error)) {
        return Error(Errc::no_space, "disk-full", "the disk is full: nothing was changed")
            .because(error.what());
    }
    return Error(Errc::io_failed, "storage-failed", "the disk failed: nothing was changed")
        .because(error.what());
}

}  // namespace larder::storage
