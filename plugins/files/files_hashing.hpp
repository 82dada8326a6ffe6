// A piece of an upload hashed on one worker while another writes it. Not for small pieces, which
// are hashed on the spot.
#pragma once

#include <functional>
#include <string_view>

#include "larder/host.hpp"
#include "storage-kit/digest.hpp"

namespace larder::files {

// Does both; returns when both are done. The caller hashes, which takes longer, so that the next
// piece's hashing need not wait for a thread to wake up; `work` is the other worker's, or, where
// none is free, the caller's afterwards. What it throws goes through. [worker]
void hash_beside(Workers& workers, storage::Sha256& sha, std::string_view bytes,
                 const std::function<void()>& work);

}  // namespace larder::files
