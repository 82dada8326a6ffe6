// What kv's routes have in common: which key and bucket is meant, how answers and refusals look.
// Neither reads nor writes.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "kv_buckets.hpp"
#include "larder/host.hpp"
#include "larder/http.hpp"
#include "storage-kit/answers.hpp"
#include "storage-kit/document_store.hpp"

namespace larder::kv {

inline constexpr std::size_t kOffloadFrom = 128U << 10U;  // longer texts are a worker's business

// The key of the path, checked. `checkpoint` is a fixed segment to the router, for its POST's sake;
// for every other method it is a key as any other. Throws Error{bad_request, "invalid-key"}.
std::string_view key_of(const Request& request);
// Throws Error{not_found, "bucket-not-found"}.
std::shared_ptr<Bucket> existing_bucket(const Buckets& buckets, const Request& request);

Error bucket_not_found();
Error key_not_found();

using storage::json_answer;
using storage::on_worker;

inline constexpr const char* kVersionField = "Larder-Revision";
void tell_version(Response& response, const storage::Version& version);
// The version of the bucket that the path names, where it is there and the error has none yet.
void tell_version(Error& error, const Buckets& buckets, const Request& request);

// Calls `work`; what it throws tells the bucket's version as its answer would.
template <class Work>
auto telling_version(const Buckets& buckets, const Request& request, Work work) {
    try {
        return work();
    } catch (Error& error) {
        tell_version(error, buckets, request);
        throw;
    }
}

// Whether a reader may see it at `now_ms`.
inline bool is_live(const storage::Document& document, std::int64_t now_ms) noexcept {
    return document.expires_ms == 0 || document.expires_ms > now_ms;
}

}  // namespace larder::kv
