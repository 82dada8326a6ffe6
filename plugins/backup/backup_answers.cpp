#include "backup_answers.hpp"

#include <fmt/format.h>

namespace larder::backup {

std::string url_of(std::string_view backup_id) { return fmt::format("/api/backups/{}", backup_id); }

}  // namespace larder::backup
