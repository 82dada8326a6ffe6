#include "files_answers.hpp"

#include <fmt/format.h>

namespace larder::files {

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
