// What the routes of backups have in common: JSON answers, URLs. Knows no catalog.
#pragma once

#include <string>
#include <string_view>

#include "storage-kit/answers.hpp"

namespace larder::backup {

using storage::json_answer;
std::string url_of(std::string_view backup_id);

}  // namespace larder::backup
