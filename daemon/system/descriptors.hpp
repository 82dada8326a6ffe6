// How many files and sockets this process may have open, and how many of them clients may take. Not
// a count of what is open.
#pragma once

#include <cstddef>

namespace larder::system {

// Raises the soft limit to the hard one, as far as the system lets it; returns what is in force.
// First of all, before files are opened. [control]
std::size_t raise_descriptor_limit();

// How many of `wanted` connections there may be: the rest of the descriptors in force is kept for
// data files, plugins and connections that are being turned away, so that clients alone cannot make
// a write to the disk fail. At least 1. [any]
std::size_t connections_within_limit(std::size_t wanted);

}  // namespace larder::system
