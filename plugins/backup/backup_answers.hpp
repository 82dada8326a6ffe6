// What the routes of backups have in common: JSON answers, URLs. Knows no catalog.
#pragma once

#include <string>
#include <string_view>

#include "larder/http.hpp"

namespace larder::backup {

Response json_answer(int status, std::string body);
std::string url_of(std::string_view backup_id);

}  // namespace larder::backup
