// What the system said of a disk as the Error that a client is answered with.
#pragma once

#include <system_error>

#include "larder/error.hpp"

namespace larder::storage {

// Error{no_space,"disk-full"}; of too many open files Error{unavailable,"overloaded"}; of anything
// else Error{io_failed,"storage-failed"}. because() has the system's words. [any]
Error disk_error(const std::system_error& error);

}  // namespace larder::storage
