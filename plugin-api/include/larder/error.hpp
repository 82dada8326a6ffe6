// The one exception that may cross the line between host and plugin: an RFC 9457 problem in
// waiting.
#pragma once

#include <cstdint>
#include <exception>
#include <string>
#include <utility>
#include <vector>

namespace larder {

// What went wrong, in the words of HTTP; the host turns it into a status. Zero is no error on
// purpose.
enum class Errc : std::uint16_t {
    bad_request = 1,      // 400
    unauthorized,         // 401
    forbidden,            // 403
    not_found,            // 404
    conflict,             // 409
    gone,                 // 410
    precondition_failed,  // 412
    too_large,            // 413
    unsupported_media,    // 415
    unprocessable,        // 422
    too_many_requests,    // 429
    unavailable,          // 503
    no_space,             // 507
    io_failed,            // 500, the disk did not do as told
    corrupt,              // 500, what was read is not what was written
    internal,             // 500
};

// Thrown by handlers and by lifecycle calls. `detail` is for the client and names no path of the
// server; `because()` is for the log alone. Types by name, so it is caught across RTLD_LOCAL.
class __attribute__((visibility("default"))) Error : public std::exception {
public:
    // `slug` is the machine's word for it, "quota-exceeded"; clients may rely on it.
    Error(Errc code, std::string slug, std::string detail)
        : code_(code), slug_(std::move(slug)), detail_(std::move(detail)) {}

    // Adds a member to the problem document; `json` is a JSON value, already encoded.
    Error& with(std::string member, std::string json) {
        members_.emplace_back(std::move(member), std::move(json));
        return *this;
    }
    // Adds a header to the answer, such as Retry-After.
    Error& with_header(std::string name, std::string value) {
        headers_.emplace_back(std::move(name), std::move(value));
        return *this;
    }
    Error& because(std::string internal) {
        internal_ = std::move(internal);
        return *this;
    }

    Errc code() const noexcept { return code_; }
    const std::string& slug() const noexcept { return slug_; }
    const std::string& detail() const noexcept { return detail_; }
    const std::string& internal() const noexcept { return internal_; }
    const std::vector<std::pair<std::string, std::string>>& members() const noexcept {
        return members_;
    }
    const std::vector<std::pair<std::string, std::string>>& headers() const noexcept {
        return headers_;
    }
    const char* what() const noexcept override { return detail_.c_str(); }

private:
    Errc code_;
    std::string slug_, detail_, internal_;
    std::vector<std::pair<std::string, std::string>> members_, headers_;
};

}  // namespace larder
