// kv's part in backups: its buckets at one moment, and restored buckets that go on from those they
// replaced. Not the buckets themselves.
#pragma once

#include <memory>
#include <string>

#include "kv_buckets.hpp"
#include "larder/snapshot.hpp"

namespace larder::kv {

// Of all buckets, which must be held. It keeps their documents, not their files. [any]
std::unique_ptr<Moment> pin(const Buckets& buckets, const std::string& data_directory);

// As Snapshotable::adopt(); no bucket is open. [control]
void adopt(const std::string& data_directory, const std::string& previous);

}  // namespace larder::kv
