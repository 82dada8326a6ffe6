#include "kv_answers.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "kv_values.hpp"

namespace larder::kv {

std::string_view key_of(const Request& request) {
    std::string_view key = request.param("key");
    if (key.empty()) key = "checkpoint";
    check_key(key);
    return key;
}

std::shared_ptr<Bucket> existing_bucket(const Buckets& buckets, const Request& request) {
    auto bucket = buckets.find(request.param("bucket"));
    if (!bucket) throw bucket_not_found();
    return bucket;
}

Error bucket_not_found() {
    return {Errc::not_found, "bucket-not-found",
            "there is no such bucket; the first write to it makes it"};
}

Error key_not_found() { return {Errc::not_found, "key-not-found", "the bucket has no such key"}; }

void tell_version(Response& response, const storage::Version& version) {
    response.headers.emplace_back(kVersionField, revision_header(version));
}

void tell_version(Error& error, const Buckets& buckets, const Request& request) {
    const auto& headers = error.headers();
    const bool is_told = std::any_of(headers.begin(), headers.end(), [](const auto& header) {
        return header.first == kVersionField;
    });
    const auto bucket = is_told ? nullptr : buckets.find(request.param("bucket"));
    if (bucket == nullptr || !bucket->is_readable()) return;
    error.with_header(kVersionField, revision_header(bucket->store().version()));
}

}  // namespace larder::kv
