#include "backup_answers.hpp"

#include <fmt/format.h>

#include <utility>

namespace larder::backup {

Response json_answer(int status, std::string body) {
    Response response;
    response.status = status;
    response.headers.emplace_back("Content-Type", "application/json");
    response.body = std::move(body);
    return response;
}

std::string url_of(std::string_view backup_id) { return fmt::format("/api/backups/{}", backup_id); }

}  // namespace larder::backup
