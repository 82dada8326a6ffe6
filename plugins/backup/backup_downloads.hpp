// An archive going out, whole or a range of it (RFC 9110 §14). Of several ranges the whole is sent,
// as §14.2 allows.
#pragma once

#include "backup_record.hpp"
#include "larder/http.hpp"

namespace larder::backup {

// `path` is the archive's. Throws Error{not_found, "archive-missing"}, {precondition_failed}.
// [worker]
Response archive_answer(const Request& request, const Record& record, const std::string& path);

}  // namespace larder::backup
