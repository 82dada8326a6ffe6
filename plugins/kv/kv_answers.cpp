#include "kv_answers.hpp"

#include <fmt/format.h>

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
    response.headers.emplace_back("Larder-Revision", revision_header(version));
}

}  // namespace larder::kv
