#include "storage-kit/answers.hpp"

namespace larder::storage {

Response json_answer(int status, std::string body) {
    Response response;
    response.status = status;
    response.headers.emplace_back("Content-Type", "application/json");
    response.body = std::move(body);
    return response;
}

Error overloaded() {
    return std::move(
        Error(Errc::unavailable, "overloaded", "all workers are busy and their queue is full")
            .with_header("Retry-After", "1"));
}

}  // namespace larder::storage
