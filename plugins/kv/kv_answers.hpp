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
Error overloaded();

Response json_answer(int status, std::string body);
void tell_version(Response& response, const storage::Version& version);

// Whether a reader may see it at `now_ms`.
inline bool is_live(const storage::Document& document, std::int64_t now_ms) noexcept {
    return document.expires_ms == 0 || document.expires_ms > now_ms;
}

// Runs `task` on a worker; what it throws is the answer. Throws Error{unavailable, "overloaded"}.
template <class Task> void on_worker(Host& host, const std::shared_ptr<Reply>& reply, Task task) {
    const bool posted = host.workers().post([reply, task = std::move(task)]() mutable {
        try {
            task();
        } catch (const Error& error) {
            std::move(*reply).fail(error);
        }
    });
    if (!posted) throw overloaded();
}

}  // namespace larder::kv
