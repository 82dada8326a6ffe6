// A piece of an upload hashed on one worker while another writes it: each takes as long as the
// other. Not for small pieces, which are hashed on the spot.
#pragma once

#include <functional>
#include <string_view>

#include "larder/host.hpp"
#include "storage-kit/digest.hpp"

namespace larder::files {

// Does both; returns when both are done. What `work` throws goes through, after the hashing. Waits
// only for a worker that has begun: where none is free, the caller hashes. [worker]
void hash_beside(Workers& workers, storage::Sha256& sha, std::string_view bytes,
                 const std::function<void()>& work);

}  // namespace larder::files
