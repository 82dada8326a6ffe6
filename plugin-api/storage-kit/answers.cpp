#include "storage-kit/answers.hpp"

#include <fmt/format.h>

#include "storage-kit/json.hpp"

namespace larder::storage {

Response json_answer(int status, std::string body) {
    Response response;
    response.status = status;
    response.headers.emplace_back("Content-Type", "application/json");
    response.body = std::move(body);
    return response;
}

Response problem_answer(std::string_view request_id, int status, std::string_view slug,
                        std::string_view title, std::string_view detail) {
    Response response;
    response.status = status;
    response.headers.emplace_back("Content-Type", "application/problem+json");
    response.body = fmt::format(
        R"({{"type":"urn:larder:problem:{}","title":"{}","status":{},"detail":{},"code":"{}","request_id":{}}})",
        slug, title, status, json::quoted(detail), slug, json::quoted(request_id));
    return response;
}

Error overloaded() {
    return std::move(
        Error(Errc::unavailable, "overloaded", "all workers are busy and their queue is full")
            .with_header("Retry-After", "1"));
}

}  // namespace larder::storage
