#include "files_answers.hpp"

#include <fmt/format.h>

#include "storage-kit/json.hpp"

namespace larder::files {

Response problem_answer(std::string_view request_id, int status, std::string_view slug,
                        std::string_view title, std::string_view detail) {
    Response response;
    response.status = status;
    response.headers.emplace_back("Content-Type", "application/problem+json");
    response.body = fmt::format(
        R"({{"type":"urn:larder:problem:{}","title":"{}","status":{},"detail":{},"code":"{}","request_id":{}}})",
        slug, title, status, storage::json::quoted(detail), slug,
        storage::json::quoted(request_id));
    return response;
}

Sender sender_of(const Request& request) {
    return {std::string(request.peer_address()), std::string(request.principal()),
            std::string(request.id())};
}

Response created_answer(const std::vector<Record>& records) {
    if (records.size() == 1) {
        Response response = json_answer(201, answer_json(records.front()));
        response.headers.emplace_back("Location", url_of(records.front().filename));
        response.headers.emplace_back("ETag", fmt::format("\"{}\"", records.front().hash));
        return response;
    }
    std::string body = R"({"files":[)";
    for (const Record& record : records) {
        if (body.back() == '}') body += ',';
        body += answer_json(record);
    }
    return json_answer(201, body + "]}");
}

}  // namespace larder::files
