// What a GET or HEAD asks of a representation beyond its bytes: that it be another than the client
// has, that it be still the same, parts of it (RFC 9110 §13-14). Judges; sends nothing.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "larder/conditional.hpp"
#include "larder/http.hpp"
#include "storage-kit/byte_range.hpp"

namespace larder::storage {

// Copied out of the request, so that it can be judged on a worker. All functions take the entity
// tag with its quotes and the time of the last change in Unix seconds. [any]
class RangeRequest {
public:
    explicit RangeRequest(const Request& request);

    bool is_head() const noexcept { return is_head_; }
    // Whether the client has it already: 304. Throws Error{precondition_failed} where it wants
    // another than this; `what` names it: "the file".
    bool is_known(std::string_view etag, std::int64_t modified, std::string_view what) const;
    // What to send of `size` bytes: of a HEAD, and where If-Range names another, the whole.
    Ranges ranges(std::string_view etag, std::int64_t modified, std::uint64_t size) const;
    // 416, for Ranges::Kind::unsatisfiable.
    Response unsatisfiable(std::uint64_t size, std::string_view what) const;

private:
    bool is_head_;
    Preconditions wanted_;
    std::optional<std::string> if_modified_since_, range_, if_range_;
    std::string request_id_;  // where there is a range
};

}  // namespace larder::storage
